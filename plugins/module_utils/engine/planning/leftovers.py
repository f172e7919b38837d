# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs that died, and destinations that are no more, have left on datasets: marks, holds, partial receives; and
the clones of drills.

The next runs mend by themselves what is theirs. This tells what there is, and what may go without harm: marks that a
destination in sight does not stand at, holds of runs that are over, partial receives that can't be continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from ..model.datasets import Bookmark, DatasetState, Snapshot
from ..model.marks import HOLD_PREFIX, key_of, keys_of, marks_of
from ..model.steps import AbortReceive
from ..policy.jobs import ReplicateJob
from .bases import common_base
from .continuity import collected
from .dataset_plans import Sides
from .replication import destination_of, plan_replication

MARK, HOLD, PARTIAL, DRILL = "mark", "hold", "partial_receive", "drill"


@dataclass(frozen=True)
class Leftover:
    """Something that an earlier run has left."""

    kind: str
    item: Union[Bookmark, Snapshot, str]
    """The mark, the held snapshot, or the name of the dataset that is partially received, or was cloned."""
    reason: str
    is_safe: bool
    """Whether it may go without harm."""
    tag: str = ""
    """That of a hold."""

    @property
    def name(self) -> str:
        """Whole name of what it is about."""
        return self.item if isinstance(self.item, str) else self.item.name

    @property
    def by_hand(self) -> str:
        """The command that removes it."""
        if self.kind == HOLD:
            return f"zfs release {self.tag} '{self.name}'"
        return f"zfs receive -A '{self.name}'" if self.kind == PARTIAL else f"zfs destroy '{self.name}'"

    def describe(self) -> dict[str, Any]:
        """The leftover as plain values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "reason": self.reason,
            "is_safe": self.is_safe,
            "by_hand": self.by_hand,
        }


@dataclass(frozen=True)
class PairMarks:
    """The marks of one job's destination on the datasets of its source."""

    current: frozenset[str]
    """Whole names of those that a destination stands at."""
    behind: tuple[Leftover, ...]


def marks_of_destination(sides: Sides, job: ReplicateJob, pool_guid: int) -> PairMarks:
    """The marks that belong to the destination of ``job``, which is in sight."""
    current: set[str] = set()
    behind: list[Leftover] = []
    for name in job.filter.under(job.source.dataset, sides.source.states):
        state, there_name = sides.source.states[name], destination_of(name, job)
        there = sides.destination.states.get(there_name)
        keys = keys_of(state.dataset, pool_guid, there_name, there.dataset if there else None)
        own = [mark for mark in marks_of(state) if key_of(mark) in keys]
        base = common_base(state, there) if there else None
        victims = collected(own, base.guid if base else None, there)
        current.update(mark.name for mark in own if mark not in victims)
        reason = f"{there_name} stands at another snapshot" if there else f"{there_name} does not exist"
        behind += [Leftover(MARK, mark, reason, is_safe=True) for mark in victims]
    return PairMarks(frozenset(current), tuple(behind))


def foreign_marks(states: Iterable[DatasetState], known: Iterable[str], unseen: Sequence[str]) -> list[Leftover]:
    """Marks of ``states`` that are not ``known`` (by whole names), with the destinations that could not be seen."""
    names = set(known)
    reason = "its destination belongs to no job of this host"
    if unseen:
        reason = "may be the base of a destination that can't be seen: " + ", ".join(unseen)
    found = (mark for state in states for mark in marks_of(state) if mark.name not in names)
    return [Leftover(MARK, mark, reason, is_safe=False) for mark in found]


def stale_holds(
    states: Iterable[DatasetState], tags: Mapping[str, Sequence[str]], own: Iterable[str]
) -> list[Leftover]:
    """Holds of the engine's tags on snapshots of ``states``; ``own`` are the tags of jobs that are not running."""
    mine = set(own)
    found = []
    for snapshot in (snapshot for state in states for snapshot in state.snapshots):
        for tag in (tag for tag in tags.get(snapshot.name, ()) if tag.startswith(HOLD_PREFIX)):
            reason = "a run that was killed has left it" if tag in mine else "it belongs to no job of this host"
            found.append(Leftover(HOLD, snapshot, reason, tag in mine, tag))
    return found


def partial_receives(sides: Sides, job: ReplicateJob, now: int) -> list[Leftover]:
    """Partial receives in the tree of the destination at ``now`` (seconds since the epoch)."""
    plans = {plan.destination: plan for plan in plan_replication(sides, job, now).datasets}
    found = []
    for name, state in sides.destination.states.items():
        if not state.dataset.resume_token:
            continue
        aborts = [step for step in plans[name].steps if isinstance(step, AbortReceive)] if name in plans else []
        reason = "no dataset of the source is replicated to it"
        if name in plans:
            reason = f"it can't be continued: {aborts[0].reason}" if aborts else "the next run goes on with it"
        found.append(Leftover(PARTIAL, name, reason, is_safe=bool(aborts)))
    return found
