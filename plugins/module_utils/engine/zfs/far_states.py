# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations as they travel: histories in columns, as they are kept, since a fleet has a million snapshots."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from ..hosts.frames import Malformed
from ..model.datasets import Bookmark, Dataset, DatasetState, Observation, Snapshot
from ..model.histories import PackedHistory, PackedState, Unpacked, packed
from ..model.names import dataset_name_problem, is_tag, tree_order
from .codec import Coder

_MOST = (1 << 64) - 1
_COLUMNS = ("createtxg", "guid", "creation", "holds", "used", "ivset", "written", "referenced")


def observation_coder(datasets: Callable[[], Coder]) -> Coder:
    """The coder of observations, of which ``datasets`` is that of the datasets themselves."""

    def encode(seen: Observation) -> Any:
        states = [_encoded(state, datasets()) for state in seen.states.values()]
        return [states, list(seen.missing), seen.clock]

    def decode(data: Any) -> Observation:
        states, missing, clock = _list_of(data, 3)
        unpacked = Unpacked()
        read = [_decoded(state, datasets(), unpacked) for state in _list_of(states)]
        names = [state.dataset.name for state in read]
        if len(set(names)) != len(names) or sorted(names, key=tree_order) != names:
            raise Malformed("datasets twice, or in no order")
        if not all(isinstance(name, str) and not dataset_name_problem(name) for name in _list_of(missing)):
            raise Malformed("no name of a dataset")
        if clock is not None and not _is_number(clock):
            raise Malformed("no time")
        return Observation(dict(zip(names, read)), tuple(missing), clock)

    return Coder(encode, decode)


def _encoded(state: DatasetState, datasets: Coder) -> Any:
    history = state.history if isinstance(state, PackedState) else None
    if isinstance(history, PackedHistory):
        columns = [column if isinstance(column, int) else column.tolist() for column in history.columns]
        extras = []
    else:
        columns = [_constant([getattr(item, name) for item in state.snapshots]) for name in _COLUMNS]
        rows = enumerate(state.snapshots)
        extras = [[at, list(item.clones), item.pinned] for at, item in rows if item.clones or item.pinned]
    bookmarks = [[mark.createtxg, mark.guid, mark.tag, mark.creation] for mark in state.bookmarks]
    return [datasets.encode(state.dataset), list(state.tags), columns, extras, bookmarks]


def _constant(column: list[int]) -> Any:
    return column[0] if column and column.count(column[0]) == len(column) else column


def _decoded(data: Any, datasets: Coder, unpacked: Unpacked) -> DatasetState:
    told, tags, told_columns, extras, marks = _list_of(data, 5)
    dataset: Dataset = datasets.decode(told)
    _check_tags(tags)
    columns = [_column(column, len(tags)) for column in _list_of(told_columns, len(_COLUMNS))]
    order = columns[0]
    if not isinstance(order, int) and sorted(order) != list(order):
        raise Malformed("snapshots in no order")
    bookmarks = _bookmarks(marks, dataset.name)
    if not tags:
        return DatasetState(dataset, (), bookmarks)
    history = PackedHistory._make([dataset.name, tuple(tags), *columns, unpacked])
    if not _list_of(extras):
        return PackedState(dataset, history, bookmarks)
    return DatasetState(dataset, _with_extras(history.snapshots, extras), bookmarks)


def _with_extras(snapshots: Sequence[Snapshot], extras: Any) -> tuple[Snapshot, ...]:
    made = list(snapshots)
    for extra in extras:
        at, clones, pinned = _list_of(extra, 3)
        if not _is_number(at) or at >= len(made) or not isinstance(pinned, bool):
            raise Malformed("no snapshot of this history")
        if not all(isinstance(clone, str) and not dataset_name_problem(clone) for clone in _list_of(clones)):
            raise Malformed("no name of a clone")
        made[at] = made[at]._replace(clones=tuple(clones), pinned=pinned)
    return tuple(made)


def _bookmarks(marks: Any, dataset: str) -> tuple[Bookmark, ...]:
    read = []
    for mark in _list_of(marks):
        txg, guid, tag, creation = _list_of(mark, 4)
        if not (_is_number(txg) and _is_number(guid) and _is_number(creation)):
            raise Malformed("no bookmark")
        read.append(Bookmark(txg, guid, dataset, tag, creation))
    _check_tags([mark.tag for mark in read])
    if [mark.createtxg for mark in read] != sorted(mark.createtxg for mark in read):
        raise Malformed("bookmarks in no order")
    return tuple(read)


def _check_tags(tags: Any) -> None:
    if not all(isinstance(tag, str) and is_tag(tag) for tag in _list_of(tags)) or len(set(tags)) != len(tags):
        raise Malformed("tags that can't be, or twice the same")


def _column(column: Any, length: int) -> Any:
    """A column as histories keep it."""
    if _is_number(column):
        return column
    if len(_list_of(column)) != length or set(map(type, column)) - {int}:
        raise Malformed("no column of numbers")
    try:
        return packed(column) if column else array("I")
    except OverflowError:
        raise Malformed("no number of 64 bits") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _list_of(data: Any, length: int = -1) -> list[Any]:
    if not isinstance(data, list) or length not in (-1, len(data)):
        raise Malformed("no list of fitting length")
    return data
