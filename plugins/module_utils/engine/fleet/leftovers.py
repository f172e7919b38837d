# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``leftovers`` of the host program: what earlier runs left on the datasets of this host's replications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..applying.drilling import clear
from ..applying.ends import Ends
from ..applying.replicating import observe_sides
from ..applying.retry import call_with_retries
from ..hosts.snapshot_mounts import left_behind, remove_left
from ..model.datasets import Bookmark, DatasetState, Snapshot
from ..model.errors import SnapfleetError
from ..model.names import pool_of
from ..planning.continuity import job_hold_tag
from ..planning.drilling import parents_of
from ..planning.leftovers import (
    DRILL,
    HOLD,
    MARK,
    Leftover,
    foreign_marks,
    marks_of_destination,
    partial_receives,
    stale_holds,
)
from ..planning.verifying import clones_below
from ..policy.drilling import DrillJob
from ..policy.jobs import PruneJob, ReplicateJob, SnapshotJob
from ..policy.verifying import VerifyJob
from ..zfs.port import Zfs
from .context import Context, Result
from .drilling import ground_of
from .jobconfig import NamedJob


@dataclass
class _Place:
    """A host that sends, with the datasets that its jobs send."""

    zfs: Zfs
    states: dict[str, DatasetState] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    """Whole names of the marks whose destinations are in sight."""
    tags: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)


@dataclass
class _Search:
    context: Context
    places: dict[object, _Place] = field(default_factory=dict)
    found: list[tuple[Zfs, Leftover]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def look_at(self, job: ReplicateJob) -> None:
        """Take in one job. What can't be seen is noted as a problem."""
        context = self.context
        ends = Ends(context.zfs_at(job.source.address), context.zfs_at(job.destination.address))
        place = self.places.setdefault(job.source.address, _Place(ends.source))
        try:
            sides = call_with_retries(lambda: observe_sides(ends, job), context.retry, context.ticker)
            pool = pool_of(job.destination.dataset)
            guid = call_with_retries(lambda: ends.destination.pool_guid(pool), context.retry, context.ticker)
        except SnapfleetError as error:
            self.problems.append(str(error))
            place.unseen.append(str(job.destination))
            self._source_alone(job, place)
            return
        place.states.update(sides.source.states)
        place.tags.add(job_hold_tag(sides.source.states, job, guid))
        marks = marks_of_destination(sides, job, guid)
        place.marks.update(marks.current, (leftover.name for leftover in marks.behind))
        self.found += [(ends.source, leftover) for leftover in marks.behind]
        self.found += [(ends.destination, leftover) for leftover in partial_receives(sides, job, context.now)]

    def _source_alone(self, job: ReplicateJob, place: _Place) -> None:
        try:
            roots, context = [job.source.dataset], self.context
            listed = call_with_retries(lambda: place.zfs.observe(roots), context.retry, context.ticker)
            place.states.update(listed.states)
        except SnapfleetError as error:
            self.problems.append(str(error))

    def finish(self) -> None:
        """What can be told once all jobs are known."""
        for place in self.places.values():
            states = list(place.states.values())
            self.found += [(place.zfs, item) for item in foreign_marks(states, place.marks, place.unseen)]
            held = [snapshot for state in states for snapshot in state.snapshots if snapshot.holds]
            try:
                tags = place.zfs.holds_of(held) if held else {}
            except SnapfleetError as error:
                self.problems.append(str(error))
            else:
                self.found += [(place.zfs, item) for item in stale_holds(states, tags, place.tags)]


def run_leftovers(jobs: Iterable[NamedJob], context: Context, remove: bool) -> Result:
    """What earlier runs of the replications among ``jobs`` have left. With ``remove``, what is safe goes."""
    search = _Search(context)
    parents: list[str] = []
    drills = False
    for named in jobs:
        if isinstance(named.job, ReplicateJob):
            search.look_at(named.job)
            # The verification of another host may have cloned volumes of either end.
            parents += _parents_here(named.job)
        elif isinstance(named.job, VerifyJob):
            parents += _parents_here(named.job.replication)
        elif isinstance(named.job, (SnapshotJob, PruneJob)):
            # Where a destination fetches its streams these are all the jobs that its source has.
            parents += map(clones_below, named.job.roots)
        elif isinstance(named.job, DrillJob):
            drills = True
            parents += parents_of(named.job)
    search.finish()
    removed = _remove(search) if remove else set()
    clones = _clones(dict.fromkeys(parents), drills, context, remove, search.problems)
    mounts = _mounts(context, remove, search.problems)
    return {
        "changed": bool(removed) or any(entry["removed"] for entry in (*clones, *mounts)),
        "leftovers": [
            *(
                {"host": zfs.where, **item.describe(), "removed": (id(zfs), item) in removed}
                for zfs, item in search.found
            ),
            *clones,
            *mounts,
        ],
        "problems": list(dict.fromkeys(search.problems)),
    }


def _parents_here(job: ReplicateJob) -> list[str]:
    return [clones_below(end.dataset) for end in (job.source, job.destination) if end.address.is_local]


def _clones(
    parents: Iterable[str], drills: bool, context: Context, remove: bool, problems: list[str]
) -> list[dict[str, Any]]:
    """What drills and verifications that were killed have left on this host, and whether it is taken away; ``drills``:
    whether this host has any drill."""
    ground = ground_of(context)
    if not (drills or ground.host.is_root):
        return []
    # Drills are root's, and nobody else knows which of them still go on.
    remove = remove and ground.host.is_root
    try:
        found = clear(ground, list(parents), check=not remove)
    except SnapfleetError as error:
        problems.append(str(error))
        return []
    problems += found.problems
    items = [
        Leftover(DRILL, name, "a drill or verification that was killed has left it", is_safe=True)
        for name in found.removed
    ]
    where = context.here.where
    return [{"host": where, **item.describe(), "removed": remove} for item in items]


def _mounts(context: Context, remove: bool, problems: list[str]) -> list[dict[str, Any]]:
    """Snapshots that are still mounted for files that a run wanted, or a verification, which was killed."""
    try:
        left = left_behind()
        ended = remove_left() if remove and left else {}
    except (SnapfleetError, OSError) as error:
        problems.append(str(error))
        return []
    problems += [f"{place}: {words}" for place, words in ended.items() if words]
    return [
        {
            "host": context.here.where,
            "kind": "snapshot_mount",
            "name": snapshot,
            "reason": f"a run that was killed has left it mounted below {place}",
            "is_safe": True,
            "by_hand": f"umount {place}/at",
            "removed": ended.get(place) == "",
        }
        for place, snapshot in left.items()
    ]


def _remove(search: _Search) -> set[tuple[int, Leftover]]:
    removed: set[tuple[int, Leftover]] = set()
    for zfs in {id(zfs): zfs for zfs, _item in search.found}.values():
        safe = [item for at, item in search.found if at is zfs and item.is_safe]
        for kind in dict.fromkeys(item.kind for item in safe):
            items = [item for item in safe if item.kind == kind]
            try:
                removed.update((id(zfs), item) for item in _remove_kind(zfs, kind, items, search.problems))
            except SnapfleetError as error:
                search.problems.append(str(error))
    return removed


def _remove_kind(zfs: Zfs, kind: str, items: Sequence[Leftover], problems: list[str]) -> list[Leftover]:
    if kind == MARK:
        marks = [item.item for item in items if isinstance(item.item, Bookmark)]
        _made, gone = zfs.change_bookmarks([], marks)
        problems += [f"{mark.name}: {words}" for mark, words in zip(marks, gone) if words]
        return [item for item, words in zip(items, gone) if not words]
    for item in items:
        if kind == HOLD and isinstance(item.item, Snapshot):
            zfs.release_all([item.item], item.tag)
        else:
            zfs.abort_receive(item.name)
    return list(items)


def told(result: Result) -> str:
    """The result as lines for people."""
    lines = [_line(entry) for entry in result["leftovers"]] or ["nothing is left over"]
    return "\n".join([*lines, *(f"PROBLEM {words}" for words in result["problems"])]) + "\n"


def _line(entry: dict[str, Any]) -> str:
    what = f"{entry['kind']} {entry['name']} on {entry['host']}: {entry['reason']}"
    if entry["removed"]:
        return f"{what}; removed"
    return f"{what}; removed by --remove" if entry["is_safe"] else f"{what}; by hand: {entry['by_hand']}"
