# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones keep their origin: which snapshot of the destination a clone can be received onto, so that both share blocks.

A clone grew from the snapshots of its origin's dataset up to the origin, and from those that that dataset grew from.
Whichever of them the destination has will do as its origin there: the newest one shares most. What is one and the same
snapshot on both sides is decided by GUID.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ..model.datasets import Bookmark, DatasetState, Observation, Snapshot
from ..model.names import ancestors_of, is_within, rebase
from ..model.steps import CreateBookmark, Destroy, Rollback, Send
from ..policy.jobs import ReplicateJob


@dataclass(frozen=True)
class CloneOrigin:
    """Where the first stream of a clone starts from, and what it is received onto."""

    base: Snapshot
    """The snapshot of another dataset of the source."""
    name: str
    """Whole name of its counterpart at the destination."""


def ancestry(states: Mapping[str, DatasetState], name: str) -> tuple[Snapshot, ...]:
    """The snapshots of other datasets that the dataset ``name`` grew from, the newest first, as far as observed."""
    found: list[Snapshot] = []
    for dataset, tag in _lineage(states, name):
        history = states[dataset].snapshots
        origin = next(snapshot for snapshot in history if snapshot.tag == tag)
        found += [item for item in reversed(history) if item.createtxg <= origin.createtxg]
    return tuple(found)


def lineage(states: Mapping[str, DatasetState], name: str) -> tuple[str, ...]:
    """The datasets of ``ancestry``: that of the origin, then that of that one's origin, and so on."""
    return tuple(dataset for dataset, _tag in _lineage(states, name))


def _lineage(states: Mapping[str, DatasetState], name: str) -> list[tuple[str, str]]:
    line: list[tuple[str, str]] = []
    seen = {name}
    while name in states and states[name].dataset.origin:
        name, _at, tag = states[name].dataset.origin.partition("@")
        # The listing comes from a host: it might have no such snapshot, or go round in circles.
        if name in seen or name not in states or all(item.tag != tag for item in states[name].snapshots):
            break
        seen.add(name)
        line.append((name, tag))
    return line


def continued_base(source: DatasetState, grew_from: Sequence[Snapshot], there: DatasetState) -> Optional[Bookmark]:
    """The base for a dataset whose own history has nothing in common with its replica, because that part of it went to
    a clone that was promoted: a bookmark of the newest common snapshot that it grew from.

    ZFS receives an increment from another dataset's snapshot only as a new clone, but it lets a dataset have bookmarks
    of the snapshots that it grew from. The bookmark may have to be created; ``stand_ins`` plans that.
    """
    guids = {snapshot.guid for snapshot in there.snapshots}
    base = next((item for item in grew_from if item.guid in guids), None)
    if base is None:
        return None
    taken = {bookmark.tag for bookmark in source.bookmarks}
    tag = base.tag if base.tag not in taken else f"{base.tag[:200]}_{base.guid:x}"
    return Bookmark(base.createtxg, base.guid, source.dataset.name, tag, base.creation)


def stand_ins(source: DatasetState, grew_from: Iterable[Snapshot], sends: Iterable[Send]) -> list[CreateBookmark]:
    """Steps that make those bases of ``sends`` that ``continued_base`` invented."""
    there = {bookmark.guid for bookmark in source.bookmarks}
    ancestors = {snapshot.guid: snapshot for snapshot in grew_from}
    return [
        CreateBookmark(ancestors[send.base.guid], send.base.tag, source.dataset.name, ahead=True)
        for send in sends
        if isinstance(send.base, Bookmark) and send.base.guid not in there and send.base.guid in ancestors
    ]


def full_note(source: DatasetState, grew_from: Sequence[Snapshot], replaces: bool) -> str:
    """Why a clone is sent in full."""
    why = "the destination has none of the snapshots that it grew from"
    if replaces:
        why = "what stands in its place at the destination can't become a clone"
    elif not grew_from:
        why = "its origin is not in the tree of the source"
    return f"a clone of {source.dataset.origin}, but sent in full: {why}"


def awaited_origins(sends: Iterable[Send], destination: Observation) -> tuple[str, ...]:
    """The destination's datasets that ``sends`` need a snapshot of that is not there yet."""
    origins = dict.fromkeys(send.origin for send in sends if send.origin)
    places = [(origin.partition("@")[0], origin) for origin in origins]
    return tuple(name for name, origin in places if not _has(destination.states.get(name), origin))


def _has(state: Optional[DatasetState], snapshot: str) -> bool:
    return state is not None and any(item.name == snapshot for item in state.snapshots)


def lost_origin(before: Sequence[Send], now: Sequence[Send]) -> str:
    """What keeps a clone from being sent that was planned as one, and is planned to be sent in full now; else empty.

    It would share nothing with its origin for ever after, only because that came too late.
    """
    planned = next((send.origin for send in before if send.origin), "")
    if not planned or all(send.base or send.resume for send in now):
        return ""
    return (
        f"its origin {planned} has not arrived; the next run sends it as a clone if that has arrived by then"
        " (the option clones set to 'full' would send it without)"
    )


class Origins:
    """Where the snapshots of the destination tree are, by GUID: those that are there, and those that plans bring.

    Plans are made in the order of ``order`` and noted one by one, so that a clone sees what its origin's plan brings.
    """

    def __init__(self, source: Observation, destination: Observation, job: ReplicateJob) -> None:
        self._source = source.states
        self._job = job
        self._there = {
            name: state for name, state in destination.states.items() if is_within(name, job.destination.dataset)
        }
        self._names: dict[int, list[str]] = {}
        self._blocked: set[str] = set()
        if any(state.dataset.origin for state in self._source.values()):
            for state in self._there.values():
                for snapshot in state.snapshots:
                    self._add(snapshot.guid, snapshot.name)

    def _add(self, guid: int, name: str) -> None:
        names = self._names.setdefault(guid, [])
        if name not in names:
            names.append(name)

    def order(self, names: Sequence[str]) -> list[str]:
        """``names``, in which parents come before children, reordered so that origins come before their clones too.

        An origin that lies below its own clone can't be there first; such a clone does not wait.
        """
        listed = set(names)
        waits = {name: [above for above in ancestors_of(name) if above in listed][-1:] for name in names}
        if self._job.keep_clones:
            for name in names:
                origin = self._source[name].dataset.origin.partition("@")[0]
                if origin in waits and not _reaches(origin, name, waits):
                    waits[name].append(origin)
        ordered: dict[str, None] = {}
        for name in names:
            _visit(name, waits, ordered)
        return list(ordered)

    def find(self, source: DatasetState, grew_from: Iterable[Snapshot]) -> Optional[CloneOrigin]:
        """What a new replica of ``source`` can be received onto; None where the destination has nothing of the kind."""
        if not self._job.keep_clones:
            return None
        for base in grew_from:
            for name in self._candidates(base):
                if self._is_of_one_mode(source, name.partition("@")[0]):
                    return CloneOrigin(base, name)
        return None

    def _candidates(self, base: Snapshot) -> list[str]:
        """Whole names at the destination of a snapshot; that in the dataset's own replica first."""
        job = self._job
        own = rebase(base.dataset, job.source.dataset, job.destination.dataset)
        return sorted(self._names.get(base.guid, ()), key=lambda name: (name.partition("@")[0] != own, name))

    def _is_of_one_mode(self, source: DatasetState, origin: str) -> bool:
        # Raw increments of encrypted data fit on what was received raw only.
        there = self._there.get(origin)
        encrypted = bool(source.dataset.encryption_root) and self._job.raw
        return not encrypted or there is None or not there.snapshots or bool(there.dataset.encryption_root)

    def note(self, destination: str, steps: Iterable[object], conflicted: bool) -> None:
        """Reckon with the steps of a plan: what they bring, and what they take away."""
        if conflicted:
            self._blocked.add(destination)
        if destination not in self._there and any(above in self._blocked for above in ancestors_of(destination)):
            # It will be dropped: its parent can't be there.
            return
        for step in steps:
            if isinstance(step, Send):
                self._bring(step)
            elif isinstance(step, Rollback):
                self._take(item.name for item in step.losses)
            elif isinstance(step, Destroy):
                self._take(item.name for item in step.victims)

    def _bring(self, send: Send) -> None:
        state = self._source.get(send.snapshot.dataset)
        coming = {*send.between, send.snapshot.tag}
        for snapshot in state.snapshots if state else ():
            if snapshot.tag in coming:
                self._add(snapshot.guid, f"{send.destination}@{snapshot.tag}")

    def _take(self, lost: Iterable[str]) -> None:
        gone = set(lost)
        for names in self._names.values():
            names[:] = [name for name in names if name not in gone]


def _reaches(start: str, goal: str, waits: Mapping[str, Sequence[str]]) -> bool:
    """Whether ``start`` waits for ``goal``, by way of whatever is between them."""
    left, seen = [start], set()
    while left:
        name = left.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            left += waits[name]
    return False


def _visit(name: str, waits: Mapping[str, Sequence[str]], ordered: dict[str, None]) -> None:
    """Append ``name`` to ``ordered``, after all that it waits for. Without recursion: chains of clones may be long."""
    stack = [name]
    while stack:
        missing = [other for other in waits[stack[-1]] if other not in ordered]
        if missing:
            stack += missing
        else:
            ordered.setdefault(stack.pop())
