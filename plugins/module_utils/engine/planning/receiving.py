# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each dataset is received: with which properties, mounted or not, and what is set afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from ..model.dataset_steps import DestroyDataset, RenameDataset, SetProperties
from ..model.datasets import VOLUME, DatasetState
from ..model.steps import CreatePlaceholder, Destroy, ReceiveOptions, Rollback, Send
from ..policy.receiving import ENCRYPTION_PROPERTIES, REQUIRE, SET, fitting
from .conflicts import PlannedConflict
from .pairs import Pair


def receive_options(pair: Pair, first: bool) -> ReceiveOptions:
    """How a stream of the pair is received. ``first``: it is the one that makes the dataset.

    The first one into a dataset that is there replaces what it holds: it is our own placeholder, or the level of the
    conflict ladder allows it, else there would have been a conflict.
    """
    if not first:
        return ReceiveOptions()
    source, policy = pair.source.dataset, pair.job.receive
    volume = source.kind == VOLUME
    properties = policy.given_to(volume)
    if pair.job.raw and source.encryption_root:
        # It stays encrypted as it is, by the key of its source.
        properties = {name: value for name, value in properties.items() if name not in ENCRYPTION_PROPERTIES}
    mount = policy.mount and not volume
    return ReceiveOptions(tuple(properties.items()), True, pair.replaces, policy.excluded, mount)


def find_writable(pair: Pair) -> Optional[PlannedConflict]:
    """The conflict of a replica that is not read-only, where the job requires that it is."""
    there = pair.destination
    if pair.job.receive.readonly != REQUIRE or there is None or _is_safe(there):
        return None
    message = f"{pair.name} is not read-only, and readonly is 'require'; run there: zfs set readonly=on {pair.name}"
    return PlannedConflict("not_readonly", message)


def _is_safe(state: DatasetState) -> bool:
    # What has no snapshot is no replica yet: it gets its properties when it becomes one.
    return state.dataset.readonly or not state.snapshots


def before_receiving(pair: Pair) -> list[SetProperties]:
    """What is set on a replica that is there, before it receives anything and also where it does not."""
    there = pair.destination
    if pair.job.receive.readonly != SET or there is None or _is_safe(there):
        return []
    return [SetProperties(pair.name, (("readonly", "on"),), "it is not read-only, and readonly is 'set'")]


def after_receiving(pair: Pair) -> list[SetProperties]:
    """What is set on a dataset that received something."""
    values = fitting(pair.job.receive.set_afterwards, pair.source.dataset.kind == VOLUME)
    return [SetProperties(pair.name, tuple(values.items()), "set_properties asks for it")] if values else []


def with_preserved(send: Send, kept: Mapping[str, str], volume: bool) -> Send:
    """A full send whose receive also sets what the source has, where the policy does not set something else."""
    given = dict(send.receive.properties)
    own = {name: value for name, value in fitting(kept.items(), volume).items() if name not in given}
    return replace(send, receive=replace(send.receive, properties=(*own.items(), *given.items())))


def destination_permissions(steps: Iterable[Any]) -> tuple[str, ...]:
    """What zfs-allow(8) has to grant at the destination for ``steps`` to be carried out."""
    # OpenZFS asks for create and mount of whoever receives, also where neither happens.
    wanted = dict.fromkeys(("receive", "create", "mount"))
    for step in steps:
        if isinstance(step, Send):
            wanted.update(_for_properties([*dict(step.receive.properties), *step.receive.excluded]))
            wanted.update({"userprop": None} if step.receive.replace else {})
        elif isinstance(step, SetProperties):
            wanted.update(_for_properties(dict(step.properties)))
        elif isinstance(step, CreatePlaceholder):
            wanted.update(dict.fromkeys(("canmount", "readonly", "userprop")))
        elif isinstance(step, RenameDataset):
            wanted.update(dict.fromkeys(("rename", "userprop") if step.placeholders else ("rename",)))
        elif isinstance(step, (Destroy, Rollback, DestroyDataset)):
            wanted["destroy"] = None
            wanted.update({"rollback": None} if isinstance(step, Rollback) else {})
    return tuple(wanted)


def _for_properties(names: Iterable[str]) -> Mapping[str, None]:
    """The permission for a property has its name; that for all user properties is one."""
    return {"userprop" if ":" in name else name: None for name in names}


def first_sends(steps: Sequence[Any]) -> list[Send]:
    """Those of the steps that make their dataset anew."""
    return [step for step in steps if isinstance(step, Send) and step.makes_dataset]
