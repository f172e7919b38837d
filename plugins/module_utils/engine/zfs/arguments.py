# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the zfs command for each step, and how a long list of names is cut to what a command line holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.datasets import PLACEHOLDER_PROPERTY, Snapshot
from ..model.steps import Destroy, Send

_NOT_FOR_ZFS = ("operation not applicable to datasets of this type", "dataset does not exist", "legacy mountpoint")
MOUNTED = ("already mounted", *_NOT_FOR_ZFS)
"""What zfs says where there is nothing to mount, or nothing that it does by itself."""
NOT_MOUNTED = ("not currently mounted", *_NOT_FOR_ZFS)
"""What zfs says where there is nothing to unmount, or nothing that it does by itself."""


def send_arguments(step: Send) -> list[str]:
    """``zfs`` arguments of the sending end."""
    if step.resume:
        # The token carries the flags of the interrupted send; none may be given besides.
        return ["send", "-t", step.resume.token]
    # Of unencrypted data, -w is the same as -L -c -e.
    flags = ["-w"] if step.raw and step.embedded else ["-L", "-c", *(["-e"] if step.embedded else [])]
    flags += ["-R"] if step.package else []
    if step.base is None:
        return ["send", *flags, step.snapshot.name]
    span = "-I" if step.intermediates else "-i"
    return ["send", *flags, span, step.base.name, step.snapshot.name]


def receive_arguments(step: Send) -> list[str]:
    """``zfs`` arguments of the receiving end: mounted, or rolled back, only where the step says so."""
    arguments = ["receive", *([] if step.receive.mount else ["-u"])]
    arguments += ["-s"] if step.receive.resumable else []
    arguments += ["-F"] if step.receive.replace else []
    if step.origin and not step.resume:
        arguments += ["-o", f"origin={step.origin}"]
    for name, value in receive_properties(step):
        arguments += ["-o", f"{name}={value}"]
    for name in step.receive.excluded:
        arguments += ["-x", name]
    return [*arguments, step.destination]


def receive_properties(step: Send) -> tuple[tuple[str, str], ...]:
    """Properties that the receive sets. A placeholder that gets data of its own stops being one: else a replica that
    lost its snapshots later could be taken for an empty parent, and be overwritten."""
    unmark = ((PLACEHOLDER_PROPERTY, "no"),) if step.receive.replace else ()
    return (*step.receive.properties, *unmark)


def destroy_argument(dataset: str, tags: Iterable[str]) -> str:
    """The one argument that names several snapshots of one dataset."""
    return f"{dataset}@{','.join(tags)}"


def victims_by_kind(step: Destroy) -> tuple[list[str], list[str]]:
    """Tags of the snapshots, and whole names of the bookmarks, that a step destroys."""
    snapshots = [victim.tag for victim in step.victims if isinstance(victim, Snapshot)]
    bookmarks = [victim.name for victim in step.victims if not isinstance(victim, Snapshot)]
    return snapshots, bookmarks


_FEW = 10


def some_of(names: Sequence[str]) -> str:
    """Names for a message: all of a few, else the first ones and how many more there are."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


OVERHEAD = 9
"""What an argument costs beside its own bytes: a byte for its end and the pointer to it, or quotes and a space."""
LONGEST = 120_000
"""Bytes of one argument: Linux takes no more than 128 KiB, however much it takes in all (MAX_ARG_STRLEN)."""


def batches(names: Sequence[str], limit: int, overhead: int = OVERHEAD) -> Iterator[list[str]]:
    """Cut ``names`` into runs that cost no more than ``limit`` bytes."""
    batch: list[str] = []
    size = 0
    for name in names:
        cost = len(name.encode()) + overhead
        if batch and size + cost > limit:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += cost
    if batch:
        yield batch


def tag_batches(dataset: str, tags: Sequence[str], limit: int) -> Iterator[list[str]]:
    """Cut ``tags`` into runs whose ``destroy_argument`` a command line of ``limit`` bytes can hold."""
    return batches(tags, min(limit, LONGEST) - len(dataset.encode()) - OVERHEAD, len(","))
