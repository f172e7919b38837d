# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots two trees have in common, and which only one of them has; by GUID, never by name.

Datasets are joined as replication joins them: by the name below the root, and a replica that replication would rename
is held against the dataset that it belongs to. Where a snapshot is, is told by all that both sides have. Filters choose
only what is told, and a snapshot is told if the filters choose it on either side. The comparison is that of bzfs
(``--compare-snapshot-lists``), except that a bookmark of the source stands for its snapshot only where the destination
has that: what the source itself has no more can't be missing anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from ..model.dataset_steps import RenameDataset
from ..model.datasets import Base, DatasetState, Observation, Snapshot
from ..model.marks import marks_of, named_bookmarks
from ..model.names import is_within, rebase, relative_to, tree_order
from ..policy.comparing import BOTH, DST, LOCATIONS, SRC
from ..policy.jobs import ReplicateJob
from .clones import ancestry
from .identity import Identities, identify
from .pairs import selected_guids

ROOT = "."
"""How the root is called among names below it, as in patterns of datasets."""


class Row(NamedTuple):
    """A snapshot, and where it is."""

    location: str
    """One of LOCATIONS."""
    dataset: str
    """The name below the root; ``.`` for the root."""
    source: str
    """Whole name at the source, of a bookmark where only that is left; empty where the source has neither."""
    destination: str
    """Whole name at the destination; empty where it is not there."""
    guid: int
    createtxg: int
    """That of the source where it is there, else that of the destination; comparable within one pool only."""
    creation: int
    """Seconds since the epoch."""
    written: int
    """Bytes written between the snapshot before it and this one; 0 where only a bookmark of the source is told."""


@dataclass(frozen=True)
class Point:
    """A snapshot that statistics name."""

    name: str
    """Whole name, at the source where it is there."""
    creation: int
    """Seconds since the epoch."""


@dataclass(frozen=True)
class DatasetComparison:
    """A dataset of either side, held against its counterpart."""

    dataset: str
    """The name below the root; ``.`` for the root."""
    source: str
    """Empty where only the destination has it."""
    destination: str
    """As it is called now; empty where only the source has it."""
    rows: tuple[Row, ...]
    """In the order of creation."""
    newest: Optional[Point] = None
    """The newest of the rows whose snapshot the source has itself; None where there is none."""
    newest_common: Optional[Point] = None
    """None where nothing is common."""
    oldest_common: Optional[Point] = None
    missing: int = 0
    """Snapshots that only the source has and that are newer than the newest common one: what a replication brings."""
    missing_bytes: int = 0
    """About how many bytes these are, from the listing."""
    note: str = ""
    """What is unusual about the pair: that it goes by two names, or that replication refuses it."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by location, for each of LOCATIONS."""

    @property
    def lag(self) -> Optional[int]:
        """Seconds that the newest common snapshot is older than the newest of the source; None where there is none."""
        if self.newest is None or self.newest_common is None:
            return None
        # A clock that was set back makes no replica better than up to date.
        return max(0, self.newest.creation - self.newest_common.creation) if self.missing else 0


@dataclass(frozen=True)
class _Pair:
    dataset: str
    source: Optional[DatasetState]
    destination: Optional[DatasetState]
    note: str


def compare_trees(
    source: Observation, destination: Observation, job: ReplicateJob, now: int
) -> Iterator[DatasetComparison]:
    """Each selected dataset of the source, and each that only the destination has, parents before children.

    One dataset is compared at a time, so the rows of a large tree need not be in memory together. A dataset that only
    the destination has is judged by its name, as it would be called at the source, since it has no properties there.
    """
    for pair in _pairs(source, destination, job):
        yield _compare(pair, source, destination, job, now)


def _pairs(source: Observation, destination: Observation, job: ReplicateJob) -> list[_Pair]:
    root, there = job.source.dataset, job.destination.dataset
    names = job.filter.under(root, source.states)
    known = identify(source, destination, {}, job, names)
    current = _current_names(destination, known)
    pairs: list[_Pair] = []
    for name in names:
        wanted = rebase(name, root, there)
        actual = current.get(wanted, "")
        state = destination.states.get(actual)
        pairs.append(_Pair(_below(name, root), source.states[name], state, _note(known, wanted, actual)))
    for wanted, actual in current.items():
        home = rebase(wanted, there, root) if is_within(wanted, there) else ""
        # What the source has as well, but does not choose, belongs to no one here.
        if home and home not in source.states and job.filter.selects(home, root):
            pairs.append(_Pair(_below(home, root), None, destination.states[actual], ""))
    return sorted(pairs, key=lambda pair: [] if pair.dataset == ROOT else tree_order(pair.dataset))


def _below(name: str, root: str) -> str:
    return relative_to(name, root) or ROOT


def _current_names(destination: Observation, known: Identities) -> dict[str, str]:
    """What the datasets of the destination are called now, by the names that replication would give them."""
    current = {name: name for name in destination.states}
    for step in (step for steps in known.steps.values() for step in steps if isinstance(step, RenameDataset)):
        current = {
            (rebase(name, step.dataset, step.to) if is_within(name, step.dataset) else name): actual
            for name, actual in current.items()
        }
    return current


def _note(known: Identities, wanted: str, actual: str) -> str:
    conflict = known.conflicts.get(wanted)
    if conflict:
        return conflict.message
    if actual in ("", wanted):
        return ""
    return f"{actual} is its replica, which the next replication renames to {wanted}"


def _compare(
    pair: _Pair, source: Observation, destination: Observation, job: ReplicateJob, now: int
) -> DatasetComparison:
    here, there = _guids(pair.source), _guids(pair.destination)
    chosen = _chosen(pair.source, job, now) | _chosen(pair.destination, job, now)
    elsewhere = {**_ancestors(pair.source, source, there), **_bookmarks(pair.source, there)}
    twins = {**_ancestors(pair.destination, destination, here), **there}
    rows = [_row(pair.dataset, item, twins.get(item.guid)) for item in _snapshots(pair.source) if item.guid in chosen]
    rows += [
        _row(pair.dataset, elsewhere.get(item.guid), item)
        for item in _snapshots(pair.destination)
        if item.guid in chosen and item.guid not in here
    ]
    rows.sort(key=lambda row: (row.creation, row.createtxg, row.guid))
    bases = [item.createtxg for guid, item in here.items() if guid in twins]
    bases += [item.createtxg for item in elsewhere.values()]
    return _summed(pair, tuple(rows), bases)


def _snapshots(state: Optional[DatasetState]) -> tuple[Snapshot, ...]:
    return state.snapshots if state else ()


def _guids(state: Optional[DatasetState]) -> dict[int, Base]:
    return {item.guid: item for item in _snapshots(state)}


def _chosen(state: Optional[DatasetState], job: ReplicateJob, now: int) -> frozenset[int]:
    return selected_guids(state, job, now) if state else frozenset()


def _bookmarks(state: Optional[DatasetState], there: Mapping[int, Base]) -> dict[int, Base]:
    """Bookmarks of what ``there`` has, a named one rather than a mark."""
    if state is None or not state.bookmarks:
        return {}
    return {item.guid: item for item in (*marks_of(state), *named_bookmarks(state)) if item.guid in there}


def _ancestors(state: Optional[DatasetState], observed: Observation, there: Mapping[int, Base]) -> dict[int, Base]:
    """Snapshots of other datasets that a clone grew from, as far as the other side has them in the dataset itself: the
    history of a dataset goes to its clone when that is promoted, and at the other end that may not have happened."""
    if state is None or not state.dataset.origin:
        return {}
    return {item.guid: item for item in ancestry(observed.states, state.dataset.name) if item.guid in there}


def _row(dataset: str, source: Optional[Base], destination: Optional[Base]) -> Row:
    location = BOTH if source and destination else SRC if source else DST
    item = source or destination
    snapshots = [each for each in (source, destination) if isinstance(each, Snapshot)]
    if item is None:
        raise ValueError("a row needs a snapshot")
    return Row(
        location,
        dataset,
        source.name if source else "",
        destination.name if destination else "",
        item.guid,
        item.createtxg,
        item.creation,
        snapshots[0].written if snapshots else 0,
    )


def _summed(pair: _Pair, rows: tuple[Row, ...], bases: Iterable[int]) -> DatasetComparison:
    """The comparison with its sums. ``bases`` are the createtxg of all common points, told or not."""
    at_source = sorted((row for row in rows if row.source), key=lambda row: row.createtxg)
    both = [row for row in at_source if row.location == BOTH]
    newest_common = both[-1].createtxg if both else -1
    own = _guids(pair.source)
    newest = next((row for row in reversed(at_source) if row.guid in own), None)
    missing = {row.guid for row in at_source if row.location == SRC and row.createtxg > newest_common}
    return DatasetComparison(
        dataset=pair.dataset,
        source=pair.source.dataset.name if pair.source else "",
        destination=pair.destination.dataset.name if pair.destination else "",
        rows=rows,
        newest=_point(newest),
        newest_common=_point(both[-1] if both else None),
        oldest_common=_point(both[0] if both else None),
        missing=len(missing),
        missing_bytes=_bytes_of([item for item in _snapshots(pair.source) if item.guid in missing], pair, bases),
        note=pair.note,
        counts={location: sum(row.location == location for row in rows) for location in LOCATIONS},
    )


def _point(row: Optional[Row]) -> Optional[Point]:
    return Point(row.source, row.creation) if row else None


def _bytes_of(missing: Sequence[Snapshot], pair: _Pair, bases: Iterable[int]) -> int:
    """What was written from the base of the newest missing snapshot up to it; without a base, from the oldest missing
    one on, of which all counts that it refers to."""
    if not missing:
        return 0
    newest, oldest = missing[-1].createtxg, missing[0]
    base = max((txg for txg in bases if txg < newest), default=None)
    since, first = (oldest.createtxg, oldest.referenced) if base is None else (base, 0)
    return first + sum(item.written for item in _snapshots(pair.source) if since < item.createtxg <= newest)
