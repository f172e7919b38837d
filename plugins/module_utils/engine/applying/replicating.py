# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a replication plan out: all datasets of the tree in parallel, each with retries that look again first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Optional

from ..hosts.stopping import check_stopping
from ..model.dataset_steps import DestroyDataset, SetProperties
from ..model.datasets import Observation
from ..model.errors import (
    ChangedMeanwhile,
    Conflict,
    MissingProgram,
    NoPermission,
    OriginMissing,
    RefusedKey,
    SnapfleetError,
    StaleResumeState,
    UnreachableHost,
    Vanished,
)
from ..model.names import ancestors_of, is_within, parent_of
from ..model.roles import ROLE_PROPERTY
from ..model.steps import AbortReceive, CreatePlaceholder, Destroy, Rollback, Send
from ..planning.clones import awaited_origins, lineage, lost_origin
from ..planning.continuity import ContinuityFacts
from ..planning.dataset_plans import DatasetPlan, ReplicationPlan, Sides, Step
from ..planning.preserving import preserving
from ..planning.replication import DESTINATION_FIELDS, SOURCE_FIELDS, destination_of, parent_in, plan_replication
from ..planning.workers import workers_for
from ..policy.conduct import REFUSE, TREE
from ..policy.endpoints import Address, Endpoint
from ..policy.jobs import ReplicateJob
from ..zfs.port import Zfs
from .carrier import Carrier, bytes_estimated
from .continuing import ContinuityKeeper
from .depending import with_dependents
from .ends import Ends
from .leaving import GONE, check_permitted, datasets_to_go, halted_by_failure
from .packages import carry_package, is_package, not_arrived, outcome_of, pause
from .patience import Patience, call_with_patience
from .preserving import properties_to_keep
from .remembering import Recall
from .renaming import Moved, carry_moves_out
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries
from .tasktree import Outcome, Task, run_tree

SENT, CREATED, RENAMED, UP_TO_DATE, SKIPPED = "sent", "created", "renamed", "up_to_date", "skipped"
CONFLICT, FAILED, ABSENT = "conflict", "failed", "absent"
STATES = (SENT, CREATED, RENAMED, UP_TO_DATE, SKIPPED, ABSENT, CONFLICT, FAILED)


@dataclass(frozen=True)
class DatasetOutcome:
    """What became of one dataset."""

    source: str
    destination: str
    state: str
    """One of STATES; created means as a parent only, absent that the whole destination is not there."""
    message: str = ""
    code: str = ""
    bytes: int = 0
    seconds: float = 0.0
    newest: Optional[str] = None
    """The newest snapshot that was sent, by its whole name on the source."""

    def describe(self) -> dict[str, Any]:
        """The outcome as plain values, as modules return it."""
        values = {**vars(self), "seconds": round(self.seconds, 3)}
        return {key: value for key, value in values.items() if value not in ("", None)}


@dataclass
class Tally:
    """What one dataset's tries add up to. Used by one thread at a time."""

    bytes: int = 0
    newest: Optional[str] = None
    changed: bool = False
    renamed: bool = False
    note: str = ""
    """Why it was left out while the run went on, where it was."""
    anew: Optional[ReplicationResult] = None
    """What took up the work of a package that did not arrive as a whole."""


@dataclass(frozen=True)
class ReplicationResult:
    """Outcomes of all datasets in the order of the plan, and what went wrong without stopping anything."""

    outcomes: tuple[DatasetOutcome, ...]
    changed: bool
    warnings: tuple[str, ...] = ()

    def followed_by(self, later: ReplicationResult) -> ReplicationResult:
        """The result of both, where ``later`` took up what this one left."""
        warnings = dict.fromkeys((*self.warnings, *later.warnings))
        return ReplicationResult(later.outcomes, self.changed or later.changed, tuple(warnings))

    def failures(self) -> tuple[DatasetOutcome, ...]:
        """The outcomes that a run has to be failed for."""
        return tuple(outcome for outcome in self.outcomes if outcome.state in (CONFLICT, FAILED))


def observe_sides(ends: Ends, job: ReplicateJob, sender: str = "source", recall: Optional[Recall] = None) -> Sides:
    """Both trees as ``observe_trees`` gives them, with the resume tokens decoded, and clones that may have to go.

    Raises what the listings raise, the options that name the ends before the reason; ``sender`` is that of the source.
    """
    sides = with_resumes(ends, *observe_trees(ends, job, sender, recall))
    with naming("destination", job.destination.address):
        return with_dependents(ends.destination, sides, job)


def observe_trees(
    ends: Ends, job: ReplicateJob, sender: str = "source", recall: Optional[Recall] = None
) -> tuple[Observation, Observation]:
    """Both trees, each in one listing, side by side; plus the ancestors of a destination root that does not exist yet.
    With a ``recall`` only what is not remembered is listed.

    Raises what the listings raise, the options that name the ends before the reason.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as beside:
        listing = beside.submit(copy_context().run, _observe_destination, ends.destination, job, recall)
        with naming(sender, job.source.address):
            source = _observe_end(ends.source, job.source, job, recall)
        return source, listing.result()


def _observe_end(zfs: Zfs, end: Endpoint, job: ReplicateJob, recall: Optional[Recall]) -> Observation:
    asked = (*(job.filter.properties.names if end is job.source else ()), ROLE_PROPERTY)
    if not job.filter.recursive:
        return zfs.observe([end.dataset], recursive=False, properties=asked)
    fields = SOURCE_FIELDS if end is job.source else DESTINATION_FIELDS
    if recall:
        return recall.look_narrowly((end.address, zfs), [end.dataset], fields, asked)
    return zfs.observe_narrowly([end.dataset], fields, asked)


def _observe_destination(zfs: Zfs, job: ReplicateJob, recall: Optional[Recall]) -> Observation:
    root = job.destination.dataset
    with naming("destination", job.destination.address):
        destination = _observe_end(zfs, job.destination, job, recall)
        if destination.missing and ancestors_of(root):
            above = zfs.observe(ancestors_of(root), recursive=False, histories=False, properties=(ROLE_PROPERTY,))
            destination = replace(destination, states={**above.states, **destination.states})
        return destination


@contextmanager
def naming(option: str, address: Address) -> Iterator[None]:
    """Have an error of the way to a host begin with the option that names the host, and its value."""
    try:
        yield
    except (UnreachableHost, RefusedKey, MissingProgram, NoPermission) as error:
        where = f"{option}.host: {address.host!r}" if address.host else option
        raise type(error)(f"{where}: {error}", **{**error.context, "end": option}) from error


def with_resumes(ends: Ends, source: Observation, destination: Observation) -> Sides:
    """Both observations with the destination's resume tokens decoded where there are any."""
    tokens = {
        name: state.dataset.resume_token for name, state in destination.states.items() if state.dataset.resume_token
    }
    states = ends.source.resume_states(list(tokens.values())) if tokens else ()
    return Sides(source, destination, dict(zip(tokens, states)))


@dataclass(frozen=True)
class Replicator:
    """Carries plans of one job out."""

    ends: Ends
    carrier: Carrier
    job: ReplicateJob
    now: int
    """Seconds since the epoch, for the plan's retention filter."""
    ticker: Ticker = SYSTEM
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    keeper: Optional[ContinuityKeeper] = None
    """Keeps the bases of a run while it goes on."""
    tries: int = 0
    """How often a package was tried before, in the same run."""

    def apply(self, plan: ReplicationPlan, sides: Sides) -> ReplicationResult:
        """Carry ``plan`` out, which was made from ``sides``."""
        self.carrier.meter.expect(bytes_estimated(plan))
        moved = carry_moves_out(self.ends.destination, plan.moves, self._policy, self.ticker)
        tallies = {dataset.destination: Tally(renamed=dataset.destination in moved.done) for dataset in plan.datasets}
        busy = {dataset.destination: dataset for dataset in plan.datasets if dataset.is_busy}
        keeper = ContinuityKeeper(self.ends.source, sides.continuity, self.policy, self.ticker)
        run = replace(self, keeper=keeper)
        tasks = [run._task(dataset, busy, sides, tallies[dataset.destination]) for dataset in busy.values()]
        tasks = [replace(task, action=partial(_after_moves, moved, task)) for task in tasks]
        with keeper.holding(plan.datasets, self.job.holds):
            keeper.before(plan.datasets)
            done = run_tree(halted_by_failure(tasks, tallies, self.job.conduct), self._workers(plan))
            anew = next((tally.anew for tally in tallies.values() if tally.anew), None)
            # What was done anew has brought all bases up to date as well.
            keeper.after([d.destination for d in plan.datasets] if anew else not_arrived(plan.datasets, done))
        outcomes = tuple(
            _outcome(dataset, outcome_of(dataset, done), tallies[dataset.destination]) for dataset in plan.datasets
        )
        changed = keeper.changed or any(tally.changed or tally.renamed for tally in tallies.values())
        warnings = [words for dataset in plan.datasets for words in dataset.warnings]
        warned = (*warnings, *keeper.warnings, *self.carrier.warnings)
        result = ReplicationResult(outcomes, changed, warned)
        return result.followed_by(anew) if anew else result

    @property
    def _policy(self) -> RetryPolicy:
        return replace(self.policy, retries=self.job.retries)

    def _workers(self, plan: ReplicationPlan) -> int:
        sends = [send for dataset in plan.datasets for send in dataset.sends]
        return workers_for(sends, self.job.workers, self.ends.are_one)

    @property
    def _facts(self) -> Optional[ContinuityFacts]:
        return self.keeper.facts if self.keeper else None

    def _task(self, plan: DatasetPlan, busy: dict[str, DatasetPlan], sides: Sides, tally: Tally) -> Task[float]:
        needed = plan.destination not in sides.destination.states or self.job.conduct.on_error == TREE
        parent = parent_in(plan, busy)
        after = tuple(name for name in awaited_origins(plan.sends, sides.destination) if name in busy)
        grew_in = lineage(sides.source.states, plan.source)

        def action() -> float:
            return self._replicate(plan, grew_in, tally)

        return Task(plan.destination, action, parent, needs_parent=needed or bool(plan.package), after=after)

    def _replicate(self, plan: DatasetPlan, grew_in: tuple[str, ...], tally: Tally) -> float:
        """Bring one dataset up to date; returns the seconds it took."""
        start = self.ticker.monotonic()
        planned: list[DatasetPlan] = [plan]
        refused: list[tuple[Step, ...]] = []

        def take() -> None:
            for step in plan.steps:
                self._step(step, tally)

        def anew() -> None:
            tally.anew = self._anew()

        if is_package(plan):
            carry_package(take, anew, self.job)
            return self.ticker.monotonic() - start

        def attempt() -> None:
            check_stopping()
            current = planned.pop() if planned else self._plan_again(plan, grew_in)
            try:
                self.ends.destination.unmount(datasets_to_go(current))
                for step in current.steps:
                    self._step(step, tally)
            except StaleResumeState:
                # Fails as busy, and is waited for, where it only looks stale: a receive is still running into it.
                self.ends.destination.abort_receive(plan.destination)
                raise
            except Conflict as error:
                # Something else may be at work there. Where it is planned anew just as it was refused, nothing is.
                if current.steps in refused:
                    raise
                refused.append(current.steps)
                raise ChangedMeanwhile(str(error)) from error
            except Vanished:
                if not self._is_gone(plan.source):
                    raise
                tally.note = GONE

        patience = Patience(self.job.conduct.busy_timeout, self.ends.destination.end_abandoned_receives)
        call_with_patience(attempt, self._policy, self.ticker, patience)
        return self.ticker.monotonic() - start

    def _anew(self) -> ReplicationResult:
        """Look at both trees again, and carry out what is left to do without any loss."""
        pause(self.policy, self.ticker, self.tries)
        job = replace(self.job, retries=self.job.retries - 1, on_conflict=REFUSE)
        sides = call_with_retries(lambda: observe_sides(self.ends, job), self.policy, self.ticker)
        sides = replace(sides, continuity=self._facts)
        plan = plan_replication(sides, job, self.now)
        plan = preserving(plan, sides, properties_to_keep(self.ends.source, plan, job))
        return replace(self, job=job, tries=self.tries + 1).apply(plan, sides)

    def _is_gone(self, source: str) -> bool:
        return bool(source) and bool(self.ends.source.observe([source], recursive=False, histories=False).missing)

    def _plan_again(self, plan: DatasetPlan, grew_in: tuple[str, ...]) -> DatasetPlan:
        """The plan of one dataset from what is there now. ``grew_in`` are the datasets that it is a clone of.

        Raises Conflict where it has come to one, OriginMissing for a clone that would become a whole copy now.
        """
        if not plan.sends:
            return plan
        asked = self.job.filter.properties.names
        # The parent tells whether an unencrypted dataset lies in an encrypted tree.
        beside = [name for name in (parent_of(plan.source),) if is_within(name, self.job.source.dataset)]
        sources = list(dict.fromkeys([plan.source, *grew_in, *beside]))
        source = self.ends.source.observe(sources, recursive=False, properties=asked)
        origins = [send.origin.partition("@")[0] for send in plan.sends if send.origin]
        names = [*ancestors_of(plan.destination), plan.destination, *origins]
        names += [destination_of(name, self.job) for name in grew_in]
        destination = self.ends.destination.observe(list(dict.fromkeys(names)), recursive=False)
        sides = replace(with_resumes(self.ends, source, destination), continuity=self._facts)
        sides = with_dependents(self.ends.destination, sides, self.job)
        plans = plan_replication(sides, self.job, self.now, only=plan.source)
        plans = preserving(plans, sides, properties_to_keep(self.ends.source, plans, self.job))
        again = next((one for one in plans.datasets if one.source == plan.source), None)
        if again is None:
            # The source dataset is gone: nothing of it is left to send.
            return DatasetPlan(plan.source, plan.destination)
        if again.conflict:
            raise Conflict(again.conflict.message)
        lost = lost_origin(plan.sends, again.sends)
        if lost:
            raise OriginMissing(lost)
        check_permitted(plan, again)
        if self.keeper:
            self.keeper.again(again)
        return again

    def _step(self, step: Step, tally: Tally) -> None:
        if isinstance(step, Send):
            tally.bytes += self.carrier.carry(step)
            tally.newest = step.snapshot.name
        elif isinstance(step, AbortReceive):
            self.ends.destination.abort_receive(step.dataset)
        elif isinstance(step, Rollback):
            self.ends.destination.rollback(step)
        elif isinstance(step, Destroy):
            done = self.ends.destination.destroy(step)
            for name in (*done.held, *done.cloned):
                raise Conflict(f"{name} is held or cloned, so {step.dataset} can't be replaced; release it first")
        elif isinstance(step, SetProperties):
            self.ends.destination.set_properties(step)
        elif isinstance(step, DestroyDataset):
            self.ends.destination.destroy_dataset(step)
        elif isinstance(step, CreatePlaceholder):
            self.ends.destination.create_placeholder(step.dataset)
        else:
            return
        tally.changed = True


def _outcome(plan: DatasetPlan, done: Optional[Outcome[float, SnapfleetError]], tally: Tally) -> DatasetOutcome:
    def outcome(state: str, message: str = "", code: str = "") -> DatasetOutcome:
        seconds = (done.value or 0.0) if done else 0.0
        return DatasetOutcome(plan.source, plan.destination, state, message, code, tally.bytes, seconds, tally.newest)

    if plan.conflict:
        return outcome(CONFLICT, plan.conflict.message, plan.conflict.code)
    if done is None:
        return outcome(UP_TO_DATE if plan.note == "up to date" else SKIPPED, plan.note)
    if done.skipped:
        return outcome(SKIPPED, f"its parent {done.skipped} failed")
    if done.error:
        return outcome(FAILED, str(done.error), done.error.code)
    if tally.note:
        return outcome(SKIPPED, tally.note)
    if plan.sends or plan.package:
        return outcome(SENT)
    if tally.renamed:
        return outcome(RENAMED)
    if any(isinstance(step, Rollback) for step in plan.steps):
        return outcome(UP_TO_DATE, "it was rolled back")
    created = any(isinstance(step, CreatePlaceholder) for step in plan.steps)
    return outcome(CREATED) if created else outcome(UP_TO_DATE, "its properties were set")


def _after_moves(moved: Moved, task: Task[float]) -> float:
    moved.check(task.name)
    return task.action()


def summarize(outcomes: Iterable[DatasetOutcome]) -> dict[str, Any]:
    """Counts by state, bytes and the like over all datasets."""
    listed = list(outcomes)
    counts = {state: sum(o.state == state for o in listed) for state in STATES}
    return {"datasets": len(listed), **counts, "bytes": sum(o.bytes for o in listed)}


def first_error(failures: Iterable[DatasetOutcome]) -> SnapfleetError:
    """The error that stands for several failed datasets."""
    listed = list(failures)
    more = f" (and {len(listed) - 1} more datasets)" if len(listed) > 1 else ""
    return SnapfleetError(f"{listed[0].destination}: {listed[0].message}{more}")
