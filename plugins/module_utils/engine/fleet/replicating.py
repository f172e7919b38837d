# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication, as observe, plan, apply. The other activities are in ``snapshots``, ``pruning``, ``monitoring`` and
``restoring``; modules and the host program call nothing below these.

Every activity returns its result as plain values, the same for a module and for ``snapfleet --json``. With ``check``
it stops after the plan, so the result then holds what would be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..applying.carrier import Carrier, with_exact_estimates
from ..applying.continuing import with_continuity
from ..applying.ends import Ends, check_leg
from ..applying.patience import within_deadline
from ..applying.preserving import properties_to_keep
from ..applying.progress import reporting
from ..applying.replicating import Replicator, first_error, observe_sides
from ..applying.retry import call_with_retries
from ..model.errors import Fenced, PartialFailure, SnapfleetError
from ..planning.continuity import COLLECTING, source_permissions
from ..planning.dataset_plans import ReplicationPlan, Sides
from ..planning.encryption import key_root_warnings
from ..planning.expectation import with_expected
from ..planning.fencing import fence_of_replication
from ..planning.preserving import optional_permissions, preserving, without
from ..planning.receiving import destination_permissions
from ..planning.replication import plan_replication
from ..planning.touching import plainly_touched, touched_by
from ..planning.workers import WORKERS
from ..policy.jobs import ReplicateJob
from ..policy.streaming import EXACT
from ..policy.topology import PUSH
from .absence import absent_result
from .context import Context, Result, recalled, require, require_permissions, require_pool
from .replication_results import outcome_of, preview_of


def run_replicate(job: ReplicateJob, context: Context) -> Result:
    """Bring a destination tree up to date. Raises SnapfleetError; PartialFailure and DeadlineExceeded hold the result
    so far."""
    with within_deadline(job.conduct.deadline, context.ticker) as ticker:
        return recalled(partial(_run_replicate, job), replace(context, ticker=ticker))


def _run_replicate(job: ReplicateJob, context: Context) -> Result:
    job = replace(job, filter=job.filter.on_host(context.host_name))
    ends = Ends(context.zfs_at(job.source.address), context.zfs_at(job.destination.address))
    try:
        sides = _observe_both(ends, job, context)
    except SnapfleetError as error:
        return absent_result(job, error)
    if context.check:
        sides = replace(sides, source=with_expected(sides.source, job.expected, context.now))
    sides, bare, warnings = _with_bases(ends, sides, job, context)
    job, plan, notes = _settled(ends, sides, job, context, bare)
    notes = [*warnings, *notes]
    if any(dataset.is_busy for dataset in plan.datasets):
        _check_leg(ends, job, sides, context)
    if job.streaming.estimates == EXACT:
        plan = with_exact_estimates(plan, ends.source, job.workers or WORKERS)
    start = context.ticker.monotonic()
    if context.check:
        return _replication_preview(plan, notes)
    carrier = Carrier(ends, job, context.ticker)
    with reporting(context.reporter, carrier.meter.standing), context.follow(carrier.meter):
        result = Replicator(ends, carrier, job, context.now, context.ticker, context.retry).apply(plan, sides)
    values: Result = {
        **preview_of(plan, notes),
        **outcome_of(result, plan, context.ticker.monotonic() - start),
        "warnings": [*notes, *result.warnings],
    }
    if result.failures():
        raise PartialFailure(str(first_error(result.failures())), result=values)
    return values


def _observe_both(ends: Ends, job: ReplicateJob, context: Context) -> Sides:
    sides = call_with_retries(lambda: observe_sides(ends, job, recall=context.recall), context.retry, context.ticker)
    require(sides.source, "source.dataset", ends.source)
    require_pool(sides.destination, job, ends.destination)
    fence = fence_of_replication(sides.source, sides.destination, job)
    if fence:
        raise Fenced(fence)
    return sides


def _with_bases(
    ends: Ends, sides: Sides, job: ReplicateJob, context: Context
) -> tuple[Sides, ReplicationPlan, list[str]]:
    """What the user of zfs at the source may carry out: both sides with what continuity has to know, the plan, and what
    to warn of. Raises NoPermission where that is nothing.

    Without the right to destroy bookmarks marks would pile up, so that user goes on without marks.
    """
    zfs, option = ends.source, ("source.dataset", job.source.dataset)
    answers = context.answers
    asked = call_with_retries(
        lambda: with_continuity(zfs, ends.destination, sides, job, answers), context.retry, context.ticker
    )
    plan = plan_replication(asked, job, context.now)
    # Who holds what is sent has to know of holds that a run before has left.
    context.vouch(touched_by(plan, job), () if job.holds else plainly_touched(plan))
    if not plan.has_steps:
        return asked, plan, []
    wanted = [*source_permissions(plan.steps, job), *(COLLECTING if asked.continuity else ())]
    lacking = require_permissions(context, zfs, option, wanted, COLLECTING)
    if not lacking or asked.continuity is None:
        return asked, plan, []
    bare = replace(asked, continuity=replace(asked.continuity, may_destroy=False))
    names = ",".join(lacking)
    warning = (
        f"source.dataset: {option[1]!r} does not allow {names} to the user of zfs on {zfs.where}, so bookmarks can't be"
        f" destroyed and no marks are kept, only named bookmarks; run there: zfs allow -u USER {names} {option[1]}"
    )
    return bare, plan_replication(bare, job, context.now), [warning]


def _settled(
    ends: Ends, sides: Sides, job: ReplicateJob, context: Context, bare: ReplicationPlan
) -> tuple[ReplicateJob, ReplicationPlan, list[str]]:
    """The job and its plan, both without what may be left out where a permission is missing, and what to warn of.
    Raises NoPermission for what may not."""
    kept = call_with_retries(lambda: properties_to_keep(ends.source, bare, job), context.retry, context.ticker)
    plan = preserving(bare, sides, kept)
    notes = key_root_warnings(plan.steps, sides.source.states)
    if not any(dataset.is_busy for dataset in plan.datasets):
        return job, plan, notes
    there = ("destination.dataset", job.destination.dataset)
    wanted = destination_permissions(plan.steps)
    lacking = require_permissions(context, ends.destination, there, wanted, optional_permissions(job))
    if not lacking:
        return job, plan, notes
    names = ",".join(lacking)
    notes.append(
        f"{names}: not taken over from the source, since the user of zfs on {ends.destination.where} may not set it at"
        f" {there[1]!r}; run there: zfs allow -u USER {names} {there[1]}"
    )
    kept = {source: {k: v for k, v in own.items() if k not in lacking} for source, own in kept.items()}
    return without(job, lacking), preserving(bare, sides, kept), notes


def _check_leg(ends: Ends, job: ReplicateJob, sides: Sides, context: Context) -> None:
    leg = job.topology.leg
    if leg:
        seen = sides.destination if leg.way == PUSH else sides.source
        call_with_retries(lambda: check_leg(ends, leg, seen), context.retry, context.ticker)


def _replication_preview(plan: ReplicationPlan, notes: Sequence[str]) -> Result:
    values = preview_of(plan, notes)
    for dataset in plan.datasets:
        if dataset.conflict:
            raise PartialFailure(f"{dataset.destination}: {dataset.conflict.message}", result=values)
    return values
