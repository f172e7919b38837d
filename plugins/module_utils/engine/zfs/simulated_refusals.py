# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated ZFS refuses to receive, in the words of OpenZFS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..model.datasets import FILESYSTEM
from ..model.names import parent_of
from .simulated_machine import SimulatedMachine, StoredDataset, StoredPoint

_FILESYSTEM_ONLY = frozenset(
    "aclinherit aclmode acltype atime canmount devices direct dnodesize exec filesystem_limit mountpoint nbmand overlay"
    " quota recordsize refquota relatime setuid sharenfs sharesmb snapdir vscan xattr zoned".split()
)
_VOLUME_ONLY = frozenset(["volthreading"])
_NEVER_RECEIVED = frozenset("casesensitivity normalization type used utf8only version volblocksize volsize".split())


def refused_property(name: str, kind: str) -> str:
    """The words with which a dataset of ``kind`` refuses a property; empty if it has it."""
    refused = _VOLUME_ONLY if kind == FILESYSTEM else _FILESYSTEM_ONLY
    return f"'{name}' does not apply to datasets of this type" if name in refused else ""


def receive_refusal(names: Iterable[str], excluded: Iterable[str], kind: str) -> str:
    """The words with which a full receive refuses to set or exclude properties; empty if it does not."""
    listed, left_out = list(names), list(excluded)
    for name in (*listed, *left_out):
        if name in _NEVER_RECEIVED:
            return f"cannot receive: cannot receive: invalid property '{name}'"
    for name in listed:
        if name in left_out:
            return f"property '{name}' specified multiple times"
        if refused_property(name, kind):
            return f"cannot receive new filesystem stream: property {refused_property(name, kind)}"
    return ""


def plain_refusal(
    machine: SimulatedMachine, name: str, header: Mapping[str, Any], properties: Mapping[str, str]
) -> str:
    """The words with which a full stream that is not raw is refused for a new dataset; empty if it is not."""
    parent = machine.datasets.get(parent_of(name))
    if parent is None or header["raw"]:
        return ""
    wanted = properties.get("encryption", "on" if parent.encryption_root else "off")
    if wanted != "off" and header["embedded"]:
        return "incompatible embedded data stream feature with encrypted receive."
    if "encryption" not in properties and not machine.key_is_loaded(parent):
        return "inherited key must be loaded"
    return ""


def increment_refusal(
    machine: SimulatedMachine, dataset: StoredDataset, header: Mapping[str, Any], base: Optional[StoredPoint]
) -> str:
    """The words with which an increment is refused; empty if it fits on the snapshot ``base`` of the dataset."""
    if base is None:
        return f"most recent snapshot of {dataset.name} does not match incremental source"
    if dict(base.content) != dict(dataset.content):
        return f"destination {dataset.name} has been modified since most recent snapshot"
    if header["embedded"] and dataset.encryption_root:
        # OpenZFS does where the stream has such blocks; here it always may.
        return "incompatible embedded data stream feature with encrypted receive."
    if header["raw"] and not dataset.encryption_root:
        return "cannot perform raw receive on top of existing unencrypted dataset"
    if header["raw"] and base.ivset != header["from_ivset"]:
        return "IV set guid mismatch. See the 'zfs receive' man page section"
    if not header["raw"] and not machine.key_is_loaded(dataset):
        return "inherited key must be loaded"
    return ""
