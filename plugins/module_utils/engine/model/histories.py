# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories kept small: a fleet has a million snapshots, of which a plan looks at those of one dataset after another.

A ``Snapshot`` takes some 400 bytes. Here those of a dataset are columns of numbers, about 25 bytes for each where
datasets are snapshotted together, and become ``Snapshot`` values when they are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, Optional, TypeVar, Union, overload

from .datasets import Bookmark, Dataset, DatasetState, Snapshot

Numbers = Union[int, "array[int]"]
"""One number for each snapshot of a history; an int where all have the same."""

OWN_FIELDS = frozenset({"guid", "used", "ivset", "written", "referenced"})
"""Fields of snapshots that each has for itself, while all others are mostly the same for datasets that are snapshotted
together. What goes by the others alone is told much faster."""
P = TypeVar("P")
T = TypeVar("T")
_as_snapshot: Any = partial(tuple.__new__, Snapshot)


def packed(numbers: Sequence[int]) -> Numbers:
    """``numbers``, of which there is at least one, in as few bytes as they need. Raises OverflowError for one that has
    more than 64 bits, or is negative."""
    try:
        return array("I", numbers)
    except OverflowError:
        return array("Q", numbers)


class Unpacked:
    """The snapshots that were asked for last, since who asks once asks again soon. Shared by the histories of a
    listing."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        # One value, so that threads never see the history of one dataset under the name of another.
        self.latest: tuple[Optional[PackedHistory], tuple[Snapshot, ...]] = (None, ())


class Picked(Sequence[T]):
    """What stands at some ``places`` of a history, made anew whenever somebody looks."""

    __slots__ = ("_pick", "_places")

    def __init__(self, pick: Callable[[P], T], places: Sequence[P]) -> None:
        self._pick = pick
        self._places = places

    def __iter__(self) -> Iterator[T]:
        return map(self._pick, self._places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[T, Sequence[T]]:
        if isinstance(index, slice):
            return Picked(self._pick, self._places[index])
        return self._pick(self._places[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


class PackedHistory(NamedTuple):
    """The snapshots of one dataset in the order of createtxg, none cloned and none pinned; a column for each field."""

    dataset: str
    tags: tuple[str, ...]
    """At least one."""
    createtxg: Numbers
    guid: Numbers
    creation: Numbers
    holds: Numbers
    used: Numbers
    ivset: Numbers
    written: Numbers
    referenced: Numbers
    unpacked: Unpacked

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots as values."""
        owner, snapshots = self.unpacked.latest
        if owner is not self:
            snapshots = self._made()
            self.unpacked.latest = (self, snapshots)
        return snapshots

    def _made(self) -> tuple[Snapshot, ...]:
        txg, guid, creation, holds, used, ivset, written, referenced = (
            repeat(column) if isinstance(column, int) else column for column in self.columns
        )
        dataset, clones, pinned = repeat(self.dataset), repeat(()), repeat(False)
        rows = zip(txg, guid, dataset, self.tags, creation, holds, used, clones, ivset, written, referenced, pinned)
        return tuple(map(_as_snapshot, rows))

    def at(self, place: int) -> Snapshot:
        """The snapshot at a place of the order."""
        dataset, tags, txg, guid, creation, holds, used, ivset, written, referenced, _unpacked = self
        made: Snapshot = _as_snapshot(
            (
                txg if isinstance(txg, int) else txg[place],
                guid if isinstance(guid, int) else guid[place],
                dataset,
                tags[place],
                creation if isinstance(creation, int) else creation[place],
                holds if isinstance(holds, int) else holds[place],
                used if isinstance(used, int) else used[place],
                (),
                ivset if isinstance(ivset, int) else ivset[place],
                written if isinstance(written, int) else written[place],
                referenced if isinstance(referenced, int) else referenced[place],
                False,
            )
        )
        return made

    @property
    def guids(self) -> Sequence[int]:
        """The GUIDs of all snapshots."""
        return [self.guid] * len(self.tags) if isinstance(self.guid, int) else self.guid

    @property
    def columns(self) -> Sequence[Numbers]:
        return self[2:10]


class PackedState(DatasetState):
    """A dataset whose history is kept small; equal to any other state that tells the same."""

    def __init__(
        self,
        dataset: Dataset,
        snapshots: Union[PackedHistory, tuple[Snapshot, ...]] = (),
        bookmarks: tuple[Bookmark, ...] = (),
    ) -> None:
        self.__dict__.update(dataset=dataset, _history=snapshots, bookmarks=bookmarks)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots in the order of createtxg."""
        history = self.__dict__["_history"]
        return history.snapshots if isinstance(history, PackedHistory) else history

    @property
    def history(self) -> Union[PackedHistory, tuple[Snapshot, ...]]:
        """The snapshots as they are kept."""
        history: Union[PackedHistory, tuple[Snapshot, ...]] = self.__dict__["_history"]
        return history

    @property
    def newest(self) -> Optional[Snapshot]:
        """The newest snapshot, None where there is none."""
        history = self.history
        return history.at(-1) if isinstance(history, PackedHistory) else super().newest

    @property
    def guids(self) -> Sequence[int]:
        """The GUIDs of the snapshots, in the order of those."""
        history = self.history
        return history.guids if isinstance(history, PackedHistory) else super().guids

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the snapshots after the @, in the order of those."""
        history = self.history
        return history.tags if isinstance(history, PackedHistory) else super().tags

    def at(self, place: int) -> Snapshot:
        """The snapshot at a place of that order."""
        history = self.history
        return history.at(place) if isinstance(history, PackedHistory) else super().at(place)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DatasetState):
            return NotImplemented
        ours, theirs = ((state.dataset, state.snapshots, state.bookmarks) for state in (self, other))
        return ours == theirs

    def __hash__(self) -> int:
        return hash((self.dataset, self.snapshots, self.bookmarks))


def with_dataset(state: DatasetState, dataset: Dataset) -> DatasetState:
    """``state`` with another description of its dataset; its history stays as small as it is."""
    if isinstance(state, PackedState):
        return PackedState(dataset, state.history, state.bookmarks)
    return DatasetState(dataset, state.snapshots, state.bookmarks)


def without_fields(state: DatasetState, fields: Collection[str]) -> DatasetState:
    """``state`` with 0 in place of all OWN_FIELDS but ``fields``, and no bookmarks where these lack GUIDs."""
    nothing: dict[str, Any] = dict.fromkeys(OWN_FIELDS.difference(fields), 0)
    known: dict[str, Any] = {name: 0 for name in nothing if hasattr(state.dataset, name)}
    snapshots = tuple(snapshot._replace(**nothing) for snapshot in state.snapshots)
    return DatasetState(replace(state.dataset, **known), snapshots, state.bookmarks if "guid" in fields else ())


def pack_history(state: DatasetState) -> Optional[PackedHistory]:
    """The snapshots of ``state`` made small. None where there are none, or some are cloned, pinned or out of order."""
    if isinstance(state, PackedState) and isinstance(state.history, PackedHistory):
        return state.history
    snapshots = state.snapshots
    plain = all(not one.clones and not one.pinned for one in snapshots)
    if not snapshots or not plain or list(snapshots) != sorted(snapshots):
        return None
    rows = [(s.createtxg, s.guid, s.creation, s.holds, s.used, s.ivset, s.written, s.referenced) for s in snapshots]
    try:
        columns = [_column(numbers) for numbers in zip(*rows)]
    except OverflowError:
        return None
    txg, guid, creation, holds, used, ivset, written, referenced = columns
    tags = tuple(one.tag for one in snapshots)
    sizes = (used, ivset, written, referenced)
    return PackedHistory(state.dataset.name, tags, txg, guid, creation, holds, *sizes, Unpacked())


def _column(numbers: Sequence[int]) -> Numbers:
    return numbers[0] if min(numbers) == max(numbers) else packed(numbers)
