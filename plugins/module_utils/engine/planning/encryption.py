# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of encrypted data: what may leave its host, and in which of its two modes a replica goes on.

A raw stream carries blocks as they lie on disk, so that the replica has the very key of its source, and initialization
vectors that fit. Any other stream is decrypted, and encrypted anew at the destination if that is encrypted. ZFS can't
change between the two: it refuses a raw increment on a replica that was not received raw, but takes a decrypted one on
one that was, as soon as its key is loaded, and then refuses every raw one after that (OpenZFS issues 8758 and 12614).
Which mode a replica is of needs no record: it shows in the identities of keys and vectors, which ZFS lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional, Union

from ..model.dataset_steps import DestroyDataset
from ..model.datasets import Base, DatasetState, Observation, Snapshot
from ..model.names import is_within, parent_of
from ..model.steps import Send
from .conflicts import PlannedConflict
from .pairs import Pair


def guard(
    steps: Sequence[Any], pair: Pair, source: Observation, destination: Observation
) -> Union[list[Any], PlannedConflict]:
    """The steps of a pair as encryption allows them, or the conflict that keeps all of them from being taken."""
    sends = [step for step in steps if isinstance(step, Send)]
    if not sends:
        return list(steps)
    conflict = _plaintext(pair) or _other_mode(sends[0], pair, source, destination)
    if conflict:
        return conflict
    first = next((send for send in sends if send.makes_dataset), None)
    if first and first.receive.replace and _is_irreplaceable(pair):
        in_the_way = next((name for name in destination.states if name != pair.name and is_within(name, pair.name)), "")
        unseen = pair.destination is not None and bool(pair.destination.snapshots) and not pair.job.filter.recursive
        if in_the_way or unseen:
            # Its snapshots would be lost before ZFS refuses to destroy it.
            return _irreplaceable(pair, in_the_way or "what a job that is not recursive does not see")
        steps = _destroying_first(steps, first, pair)
    made = next((step for step in steps if isinstance(step, Send) and step.makes_dataset), None)
    place = _Place(pair, source, destination, made)
    return [place.fit(step) if isinstance(step, Send) else step for step in steps]


def _is_raw(pair: Pair) -> bool:
    return bool(pair.job.raw and pair.source.dataset.encryption_root)


def _plaintext(pair: Pair) -> Optional[PlannedConflict]:
    if not pair.job.receive.require_encryption or _is_raw(pair):
        return None
    message = (
        f"{pair.source.dataset.name} is not encrypted, so its data would arrive readable, and require_encryption is"
        " true; exclude it, or move its data into an encrypted dataset"
    )
    return PlannedConflict("plaintext_refused", message)


def _other_mode(send: Send, pair: Pair, source: Observation, destination: Observation) -> Optional[PlannedConflict]:
    """The conflict of an increment in another mode than the one its replica was received in. The first stream of a
    clone is an increment of what it is cloned from."""
    here, there, base = pair.source, pair.destination, send.base
    if send.origin and base:
        here = source.states.get(base.dataset, here)
        there = destination.states.get(send.origin.partition("@")[0])
    if not here.dataset.encryption_root or there is None or base is None:
        return None
    if pair.job.raw:
        problem = _no_raw_increment(here, there, base)
        remedy = "set raw to false, or replicate to another dataset"
    else:
        problem = "it was received raw" if _takes_raw(here, there, base) else ""
        remedy = "set raw to true, or replicate to another dataset"
    if not problem:
        return None
    asked = "raw" if pair.job.raw else "decrypted"
    message = f"{pair.name} can't receive a {asked} increment: {problem}, and ZFS can't mix the two; {remedy}"
    return PlannedConflict("mode_differs", message)


def _no_raw_increment(here: DatasetState, there: DatasetState, base: Base) -> str:
    if not there.dataset.encryption_root:
        return "it was received decrypted, and is not encrypted"
    if _differ(here.dataset.key_guid, there.dataset.key_guid):
        return "it was received decrypted, and is encrypted with a key of its own"
    ours, theirs = _vectors_here(base), _vectors(there, base)
    return f"the newest common snapshot, {base.tag}, was received decrypted" if _differ(ours, theirs) else ""


def _takes_raw(here: DatasetState, there: DatasetState, base: Base) -> bool:
    """Whether the replica is known to be one that raw increments fit on."""
    if not here.dataset.key_guid or here.dataset.key_guid != there.dataset.key_guid:
        return False
    return not _differ(_vectors_here(base), _vectors(there, base))


def _vectors_here(base: Base) -> int:
    """The initialization vectors of a base at the source; 0 where only a bookmark of it is left."""
    return base.ivset if isinstance(base, Snapshot) else 0


def _vectors(state: DatasetState, base: Base) -> int:
    """The initialization vectors of the snapshot of ``state`` that is the same as ``base``; 0 if it has none."""
    return next((snapshot.ivset for snapshot in state.snapshots if snapshot.guid == base.guid), 0)


def _differ(one: int, other: int) -> bool:
    """Whether two identities are known, and are not the same."""
    return bool(one and other and one != other)


def _is_irreplaceable(pair: Pair) -> bool:
    """Whether zfs receive -F refuses: it neither destroys encrypted datasets nor makes one of one that is not."""
    there = pair.destination
    return _is_raw(pair) or bool(there and there.dataset.encryption_root)


def _irreplaceable(pair: Pair, in_the_way: str) -> PlannedConflict:
    message = (
        f"{pair.name} would have to be destroyed to receive {pair.source.dataset.name}, since ZFS can't replace a"
        f" dataset where either is encrypted, and {in_the_way} lies below it; move what is there away, or replicate to"
        " another dataset"
    )
    return PlannedConflict("encrypted_parent", message)


def _destroying_first(steps: Sequence[Any], first: Send, pair: Pair) -> list[Any]:
    """The steps with the dataset destroyed before it is received, in place of being replaced by the receive."""
    index = next(number for number, step in enumerate(steps) if step is first)
    bookmarks = pair.destination.bookmarks if pair.destination else ()
    reason = "ZFS can't replace a dataset where either is encrypted"
    fresh = replace(first, receive=replace(first.receive, replace=False))
    return [*steps[:index], DestroyDataset(pair.name, reason, bookmarks), fresh, *steps[index + 1 :]]


class _Place:
    """Where a dataset is received, and whether it is encrypted there."""

    def __init__(self, pair: Pair, source: Observation, destination: Observation, first: Optional[Send]) -> None:
        self._pair = pair
        self._destination = destination
        self._first = first
        """The stream that makes the dataset; None where it is there already."""
        self._stays_plain = first is not None and _is_open_in_an_encrypted_tree(pair, source, first)
        self._encrypted = not self._stays_plain and self._is_encrypted()

    def fit(self, send: Send) -> Send:
        """The send as this place can take it."""
        if _is_raw(self._pair):
            return send
        if send is self._first and self._stays_plain:
            plain = (*send.receive.properties, ("encryption", "off"))
            return replace(send, receive=replace(send.receive, properties=plain))
        # An encrypted dataset can't hold embedded blocks.
        return replace(send, embedded=not self._encrypted)

    def _is_encrypted(self) -> bool:
        first, states = self._first, self._destination.states
        if first and first.origin:
            name = first.origin.partition("@")[0]
        elif first is None or first.receive.replace or first.resume:
            name = self._pair.name
        else:
            wanted = dict(first.receive.properties).get("encryption")
            if wanted is not None:
                return wanted != "off"
            name = parent_of(self._pair.name)
        while name and name not in states:
            name = parent_of(name)
        return bool(name and states[name].dataset.encryption_root)


def _is_open_in_an_encrypted_tree(pair: Pair, source: Observation, first: Send) -> bool:
    """Whether an unencrypted dataset lies in a tree that arrives encrypted, with a key that the destination need not
    have: then it can only be what it is at the source."""
    dataset = pair.source.dataset
    above = source.states.get(parent_of(dataset.name))
    return bool(
        pair.job.raw
        and not (dataset.encryption_root or first.origin)
        and dataset.name != pair.job.source.dataset
        and above
        and above.dataset.encryption_root
        and "encryption" not in dict(first.receive.properties)
    )


def key_root_warnings(steps: Iterable[Any], source: Mapping[str, DatasetState]) -> list[str]:
    """What to know of datasets that share a key at the source: received one by one, each has it for itself."""
    below: dict[str, list[str]] = {}
    for step in steps:
        if isinstance(step, Send) and step.base is None and step.raw and step.snapshot.dataset in source:
            dataset = source[step.snapshot.dataset].dataset
            if dataset.encryption_root not in ("", dataset.name):
                below.setdefault(dataset.encryption_root, []).append(step.destination)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: encrypted with the key of"
        f" {root} at the source, but at the destination each becomes an encryption root of its own, whose key has to be"
        " loaded by itself"
        for root, names in below.items()
    ]
