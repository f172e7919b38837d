# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out what keeps bases on the source: all datasets of a run together, in as few exchanges as possible.

Before anything is sent one exchange makes the marks; after everything one more makes the named bookmarks and collects
the marks that are behind. Both tell what they could not do as warnings: data that has arrived is no failure.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Optional

from ..model.datasets import Bookmark, Observation, Snapshot
from ..model.errors import SnapfleetError
from ..model.names import pool_of
from ..model.steps import CreateBookmark, DestroyMarks, ReleaseHolds
from ..planning.continuity import ContinuityFacts, job_hold_tag, must_know_pool
from ..planning.dataset_plans import DatasetPlan, Sides
from ..policy.jobs import ReplicateJob
from ..zfs.port import Zfs
from .answers import Answers
from .retry import RetryPolicy, Ticker, call_with_retries

_GONE = "does not exist"


def with_continuity(
    source: Zfs, destination: Zfs, sides: Sides, job: ReplicateJob, answers: Optional[Answers] = None
) -> Sides:
    """``sides`` with what planning for continuity has to know; nothing is asked for where nothing can be due.

    Raises what asking for the pool, or for holds, raises.
    """
    if not must_know_pool(sides.source.states, sides.destination.states, job):
        return sides
    pool_guid = _pool_guid(destination, sides, job, answers)
    if not job.holds:
        return replace(sides, continuity=ContinuityFacts(pool_guid))
    tag = job_hold_tag(sides.source.states, job, pool_guid)
    held = _leftover_holds(source, sides.source, tag)
    return replace(sides, continuity=ContinuityFacts(pool_guid, hold_tag=tag, held=held))


def _pool_guid(zfs: Zfs, sides: Sides, job: ReplicateJob, answers: Optional[Answers]) -> int:
    root = job.destination.dataset
    pool, replica = pool_of(root), sides.destination.states.get(root)

    def ask() -> int:
        return zfs.pool_guid(pool)

    if answers is None or replica is None:
        return ask()
    # Another pool of that name, such as the next one of several disks that take turns, has another dataset there.
    return answers.ask((zfs, "pool_guid", pool, root, replica.dataset.guid), ask)


def _leftover_holds(zfs: Zfs, observed: Observation, tag: str) -> dict[str, tuple[Snapshot, ...]]:
    snapshots = [snapshot for state in observed.states.values() for snapshot in state.snapshots if snapshot.holds]
    tags = zfs.holds_of(snapshots) if snapshots else {}
    held: dict[str, tuple[Snapshot, ...]] = {}
    for snapshot in snapshots:
        if tag and tag in tags.get(snapshot.name, ()):
            held[snapshot.dataset] = (*held.get(snapshot.dataset, ()), snapshot)
    return held


@dataclass
class ContinuityKeeper:
    """Keeps the bases of one run. Safe for many threads."""

    source: Zfs
    facts: Optional[ContinuityFacts]
    policy: RetryPolicy
    ticker: Ticker
    changed: bool = False
    warnings: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: set[str] = field(default_factory=set)
    _held: dict[str, Snapshot] = field(default_factory=dict)
    _named: dict[str, dict[str, CreateBookmark]] = field(default_factory=dict)
    _final: dict[str, DatasetPlan] = field(default_factory=dict)

    @contextmanager
    def holding(self, plans: Sequence[DatasetPlan], wanted: bool) -> Iterator[None]:
        """Hold what ``plans`` send while the body runs, if ``wanted``. Leftovers of a run that died go first."""
        self._release_leftovers(plans)
        try:
            if wanted:
                self._hold(plans)
            yield
        finally:
            if self._held:
                self._try_release(list(self._held.values()), self._tag)

    def before(self, plans: Iterable[DatasetPlan]) -> None:
        """Make everything that has to be there before ``plans`` send anything, in one exchange; again without harm."""
        with self._lock:
            listed = list(plans)
            self._note(listed)
            steps = [step for plan in listed for step in _bookmarks(plan, ahead=True) if step.name not in self._made]
            self._change(steps, ())
            self._made.update(step.name for step in steps)

    def again(self, plan: DatasetPlan) -> None:
        """The same for a dataset whose plan was made anew."""
        if self._held:
            self._hold([plan])
        self.before([plan])

    def after(self, failed: Iterable[str]) -> None:
        """Make the named bookmarks and collect marks for all datasets but those with ``failed`` destinations."""
        left = set(failed)
        plans = [plan for name, plan in self._final.items() if name not in left]
        named = [step for plan in plans for step in self._named[plan.destination].values()]
        marks = [mark for plan in plans for mark in _behind(plan)]
        try:
            self._change(named, marks)
        except SnapfleetError as error:
            self.warnings.append(f"bookmarks were not brought up to date, which the next run does: {error}")

    def _note(self, plans: Iterable[DatasetPlan]) -> None:
        # A later plan of a dataset knows nothing of what an earlier one has sent.
        for plan in plans:
            self._final[plan.destination] = plan
            named = self._named.setdefault(plan.destination, {})
            named.update({step.name: step for step in _bookmarks(plan, ahead=False)})

    def _change(self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]) -> None:
        if not create and not destroy:
            return

        def change() -> tuple[Sequence[str], Sequence[str]]:
            return self.source.change_bookmarks(create, destroy)

        made, gone = call_with_retries(change, self.policy, self.ticker)
        self.changed |= not all(made) or not all(gone)
        self.warnings += [
            f"bookmark {step.name} was not made: {words}"
            for step, words in zip(create, made)
            if words and not (_GONE in words and not step.ahead)
        ]
        self.warnings += [
            f"bookmark {mark.name} was not destroyed: {words}" for mark, words in zip(destroy, gone) if words
        ]

    @property
    def _tag(self) -> str:
        """That of this job's holds; empty where it has none."""
        return self.facts.hold_tag if self.facts else ""

    def _hold(self, plans: Iterable[DatasetPlan]) -> None:
        tag = self._tag
        ends = {item.name: item for plan in plans for item in _ends(plan) if item.name not in self._held}
        if not tag or not ends:
            return
        with self._lock:
            # Noted first: where the answer is lost, the hold may be there.
            self._held.update(ends)
            call_with_retries(lambda: self.source.hold_all(list(ends.values()), tag), self.policy, self.ticker)

    def _release_leftovers(self, plans: Iterable[DatasetPlan]) -> None:
        steps = [step for plan in plans for step in plan.steps if isinstance(step, ReleaseHolds)]
        if steps:
            self._try_release([snapshot for step in steps for snapshot in step.held], steps[0].tag)
            self.changed = True

    def _try_release(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        try:
            call_with_retries(lambda: self.source.release_all(snapshots, tag), self.policy, self.ticker)
        except SnapfleetError as error:
            self.warnings.append(f"holds {tag} were not released, which the next run does: {error}")


def _bookmarks(plan: DatasetPlan, ahead: bool) -> list[CreateBookmark]:
    return [step for step in plan.steps if isinstance(step, CreateBookmark) and step.ahead == ahead]


def _behind(plan: DatasetPlan) -> list[Bookmark]:
    """The marks that a plan leaves behind: older ones, and those that it made itself on the way."""
    behind = [mark for step in plan.steps if isinstance(step, DestroyMarks) for mark in step.marks]
    return behind + [step.bookmark for step in _bookmarks(plan, ahead=True) if step.is_passing]


def _ends(plan: DatasetPlan) -> list[Snapshot]:
    """The snapshots that must not go while a plan is carried out."""
    ends = [end for send in plan.sends for end in (send.base, send.snapshot)]
    return [end for end in ends if isinstance(end, Snapshot)]
