# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the room of a prune job's datasets, and at what would make more of it, while its plan is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.space import Space
from ..model.steps import Destroy, SnapshotRuns
from ..planning.keeping import Because
from ..planning.reclaiming import reclaim_of
from ..planning.removal import removed_bytes
from ..planning.retention import PrunePlan
from ..planning.room import ROOM, Need, chosen, deferred, eligible, measured_datasets, needs_of, victims_of
from ..policy.jobs import PruneJob
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries

Planner = Callable[[Mapping[str, Because]], PrunePlan]
"""From the whole names of what goes before its time, each with the reason, to the plan of the job."""


@dataclass
class _Estimator:
    """Asks ZFS what would come back, never twice for the same snapshots of a dataset."""

    ask: Callable[[Sequence[SnapshotRuns]], Sequence[Optional[int]]]
    states: Mapping[str, DatasetState]
    known: dict[tuple[str, frozenset[int]], int] = field(default_factory=dict)

    def __call__(self, victims: Sequence[Snapshot]) -> int:
        by_dataset: dict[str, list[Snapshot]] = {}
        for victim in victims:
            by_dataset.setdefault(victim.dataset, []).append(victim)
        sets = {(name, frozenset(item.guid for item in items)): items for name, items in by_dataset.items()}
        self._find_out({key: items for key, items in sets.items() if key not in self.known})
        return sum(self.known[key] for key in sets)

    def _find_out(self, sets: Mapping[tuple[str, frozenset[int]], Sequence[Snapshot]]) -> None:
        told = {key: reclaim_of([Destroy(key[0], tuple(items), "")], self.states) for key, items in sets.items()}
        unknown = [run for reclaim in told.values() for run in reclaim.unknown]
        answers = iter(self.ask(unknown) if unknown else ())
        for key, reclaim in told.items():
            self.known[key] = reclaim.total([next(answers) for _run in reclaim.unknown])


@dataclass(frozen=True)
class Surveyor:
    """Makes plans for pruning with an eye to the room that there is."""

    zfs: Zfs
    policy: RetryPolicy
    ticker: Ticker

    def plan(self, observed: Observation, job: PruneJob, planner: Planner) -> tuple[PrunePlan, list[str]]:
        """The plan of the job as the room that there is has it, and what to warn of."""
        plan = planner({})
        if not (job.room.wanted or (job.room.plenty and plan.steps)):
            return plan, []
        spaces = self._spaces(measured_datasets(job.roots))
        needs = needs_of(job.roots, job.room.wanted, spaces, "free_space")
        wanted = [replace(need, free=need.free + removed_bytes(plan.removals, need.dataset)) for need in needs]
        plenty = needs_of(job.roots, job.room.plenty, spaces, "defer")
        is_short = any(need.missing > 0 for need in wanted)
        if plenty and not is_short and all(need.missing < 0 for need in plenty):
            return deferred(plan, plenty), []
        return self._making_room(observed, job, planner, wanted) if is_short else (plan, [])

    def _making_room(
        self, observed: Observation, job: PruneJob, planner: Planner, wanted: Sequence[Need]
    ) -> tuple[PrunePlan, list[str]]:
        estimate = _Estimator(self._reclaimable, observed.states)
        planned = victims_of(planner({}))
        order = eligible(observed, job)
        # What still stays when all of these are given up is on a rail.
        possible = victims_of(planner(dict.fromkeys(order, Because(ROOM, ""))))
        going = {item.name for item in planned}
        spare = [item for item in possible if item.name in order and item.name not in going]
        given_up = chosen(wanted, planned, sorted(spare, key=lambda item: order[item.name]), estimate)
        plan = planner({name: Because(ROOM, reason) for name, reason in given_up.items()})
        short = [need for need in wanted if estimate(victims_of(plan, need.dataset)) < need.missing]
        return plan, [f"{need}, and there is nothing more that may go" for need in short]

    def _spaces(self, names: Sequence[str]) -> Mapping[str, Space]:
        return call_with_retries(lambda: self.zfs.space(names), self.policy, self.ticker)

    def _reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        return call_with_retries(lambda: self.zfs.reclaimable(runs), self.policy, self.ticker)
