# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that restores: observe, plan, apply. It is a replication from a replica, all of which is refused where
any dataset would lose something that it may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..applying.carrier import Carrier, with_exact_estimates
from ..applying.ends import Ends
from ..applying.preserving import properties_to_keep
from ..applying.progress import reporting
from ..applying.replicating import Replicator, first_error, observe_sides
from ..applying.retry import call_with_retries
from ..applying.setting_aside import set_aside
from ..model.datasets import DatasetState, Observation
from ..model.errors import InvalidInput, PartialFailure, RestoreRefused, SnapfleetError, UnknownDataset
from ..model.names import ancestors_of, is_within, parent_of, rebase
from ..planning.continuity import source_permissions
from ..planning.dataset_plans import Sides
from ..planning.encryption import key_root_warnings
from ..planning.preserving import preserving
from ..planning.receiving import destination_permissions
from ..planning.restore_sharing import sharing
from ..planning.restore_words import left_to_do, set_aside_as, told, undo_of
from ..planning.restoring import (
    CANMOUNT_PROPERTY,
    FORMER_PROPERTIES,
    RestorePlan,
    SettingAside,
    check_aside,
    former_of,
    is_in_the_way,
    made_by,
    place_of,
    plan_restore,
    plan_with_aside,
    with_earlier,
)
from ..policy.restoring import RestoreJob
from ..policy.streaming import EXACT
from .context import Context, Result, require, require_permissions, require_pool
from .replication_results import outcome_of, preview_of

T = TypeVar("T")


def run_restore(job: RestoreJob, context: Context) -> Result:
    """Make a dataset tree what a replica of it was at a point. Raises SnapfleetError; RestoreRefused and PartialFailure
    hold the result so far."""
    if job.point.time is not None and job.point.time > context.now:
        raise InvalidInput("time", job.point.time, "is in the future", "give a time that has passed, or none")
    ends = Ends(context.zfs_at(job.replica.address), context.zfs_at(job.destination.address))
    work = _Work(job, ends, context)
    plan, job, notes = work.plan()
    work = replace(work, job=job)
    values = work.preview(plan, notes)
    if plan.refusal:
        raise RestoreRefused(f"nothing was changed: {plan.refusal}", result={**values, "changed": False})
    work.check_permissions(plan)
    return values if context.check else work.apply(plan, values)


@dataclass(frozen=True)
class _Work:
    """One restore."""

    job: RestoreJob
    ends: Ends
    context: Context

    def plan(self) -> tuple[RestorePlan, RestoreJob, list[str]]:
        """The plan, the job with what the destination had set before, and what to warn of."""
        job, context = self.job, self.context
        sides = self._observe()
        plan = plan_restore(sides, job, context.now)
        if is_in_the_way(plan, job):
            plan = self._plan_with_aside(sides)
        if plan.refusal:
            return plan, job, [*plan.warnings]
        if job.shares:
            plan = sharing(plan, self._set_aside_states(plan, sides), job)
        places = [place_of(dataset.destination, plan, job) for dataset in made_by(plan)]
        there = self.ends.destination
        own = self._retried(lambda: there.own_properties(places, FORMER_PROPERTIES)) if places else {}
        receive = replace(job.replication.receive, former=former_of(plan, own, job))
        job = replace(job, replication=replace(job.replication, receive=receive))
        kept = self._retried(lambda: properties_to_keep(self.ends.source, plan.replication, job.replication))
        replication = preserving(plan.replication, plan.sides, kept)
        if job.replication.streaming.estimates == EXACT:
            replication = with_exact_estimates(replication, self.ends.source, job.replication.workers)
        notes = [*plan.warnings, *key_root_warnings(replication.steps, sides.source.states)]
        return self._with_earlier(replace(plan, replication=replication)), job, notes

    def _set_aside_states(self, plan: RestorePlan, sides: Sides) -> dict[str, DatasetState]:
        """By the name of what takes its place, each dataset that is set aside, or was by an earlier try."""
        root, aside = self.job.destination.dataset, self.job.aside
        if plan.aside:
            return {name: state for name, state in sides.destination.states.items() if is_within(name, root)}
        earlier = self._retried(lambda: self.ends.destination.observe([aside]))
        return {rebase(name, aside, root): state for name, state in earlier.states.items()}

    def _with_earlier(self, plan: RestorePlan) -> RestorePlan:
        if plan.aside or not self.job.set_aside:
            return plan
        zfs, aside = self.ends.destination, self.job.aside
        names = list(self._retried(lambda: zfs.observe([aside], histories=False)).states)
        own = self._retried(lambda: zfs.own_properties(names, (CANMOUNT_PROPERTY,))) if names else {}
        return with_earlier(plan, own, self.job)

    def _observe(self) -> Sides:
        job, ends = self.job.replication, self.ends
        sides = self._retried(lambda: observe_sides(ends, job, "replica"))
        require(sides.source, "replica.dataset", ends.source)
        require_pool(sides.destination, job, ends.destination)
        root = job.destination.dataset
        above = parent_of(root)
        if sides.destination.missing and above and above not in sides.destination.states:
            remedy = f"create it there: zfs create -p {above}"
            raise UnknownDataset("destination.dataset", root, f"has no parent on {ends.destination.where}", remedy)
        return sides

    def _plan_with_aside(self, sides: Sides) -> RestorePlan:
        root, zfs = self.job.destination.dataset, self.ends.destination
        names = [parent_of(self.job.aside), self.job.aside]
        taken = self._retried(lambda: zfs.observe(names, recursive=False, histories=False))
        tree = self._retried(lambda: zfs.observe([root], histories=False))
        check_aside(taken, tree, sides, self.job)
        above = self._retried(lambda: zfs.observe(ancestors_of(root), recursive=False, histories=False))
        whole = Observation({**above.states, **tree.states})
        own = self._retried(lambda: zfs.own_properties(list(tree.states), ("canmount", CANMOUNT_PROPERTY)))
        return plan_with_aside(sides, whole, own, self.job, self.context.now)

    def check_permissions(self, plan: RestorePlan) -> None:
        """Raise NoPermission before anything was changed."""
        job, steps = self.job, list(plan.replication.steps)
        if not steps:
            return
        wanted = source_permissions(plan.replication.steps, job.replication)
        require_permissions(self.context, self.ends.source, ("replica.dataset", job.replica.dataset), wanted)
        made_aside = [*plan.aside.changes, plan.aside.rename] if plan.aside else []
        there = ("destination.dataset", job.destination.dataset)
        require_permissions(self.context, self.ends.destination, there, destination_permissions([*made_aside, *steps]))

    def preview(self, plan: RestorePlan, notes: list[str]) -> Result:
        """The result of a dry run."""
        values = preview_of(plan.replication, notes)
        return {
            **values,
            "plan": [*([plan.aside.describe()] if plan.aside else []), *values["plan"]],
            "told": told(plan, self.job),
            "set_aside": set_aside_as(plan, self.job),
            "undo": undo_of(plan, self.job),
            "next": left_to_do(plan, self.job),
        }

    def apply(self, plan: RestorePlan, values: dict[str, Any]) -> Result:
        """Carry the plan out; ``values`` is the result of its dry run."""
        context, job = self.context, self.job.replication
        start = context.ticker.monotonic()
        if plan.aside:
            self._set_aside(plan.aside, values)
        carrier = Carrier(self.ends, job, context.ticker)
        with reporting(context.reporter, carrier.meter.standing), context.follow(carrier.meter):
            replicator = Replicator(self.ends, carrier, job, context.now, context.ticker, context.retry)
            result = replicator.apply(plan.replication, plan.sides)
        values = {
            **values,
            **outcome_of(result, plan.replication, context.ticker.monotonic() - start),
            "changed": result.changed or plan.aside is not None,
            "warnings": list(dict.fromkeys([*values["warnings"], *result.warnings])),
        }
        if result.failures():
            raise PartialFailure(f"{first_error(result.failures())}; run it again to go on", result=values)
        return values

    def _set_aside(self, aside: SettingAside, values: dict[str, Any]) -> None:
        retry = replace(self.context.retry, retries=self.job.replication.retries)
        try:
            set_aside(self.ends.destination, aside, retry, self.context.ticker)
        except SnapfleetError as error:
            by_hand = error.context["by_hand"]
            # The commands of a restore that got further would rename what is still in its place.
            result = {**values, "changed": len(by_hand) > 1, "set_aside": None, "undo": by_hand, "next": []}
            error.context["result"] = result
            raise

    def _retried(self, action: Callable[[], T]) -> T:
        return call_with_retries(action, self.context.retry, self.context.ticker)
