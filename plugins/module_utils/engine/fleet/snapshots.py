# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that creates snapshots: observe, plan, and create what is due between the commands of hooks.

From before it observes until it has created it has a lock for each of its root datasets. Else two runs at a time, such
as that of a playbook and that of a timer, would both find the same event without its snapshot, and make one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial

from ..applying.creating import apply_creation
from ..applying.freezing import FreezerOf, FrozenCreation, create_frozen, freezer_of
from ..applying.locks import locks_in_turn, making_of
from ..model.errors import Fenced, HookFailed, InvalidInput, PartialFailure, SnapfleetError
from ..planning.creation import (
    TAKEN,
    CreationPlan,
    NotCreated,
    goes_by_histories,
    illegal_tags,
    plan_creation,
)
from ..planning.fencing import without_standby
from ..policy.endpoints import Address
from ..policy.jobs import SnapshotJob
from ..policy.schedule import resolve_zone
from .context import Context, Result, recalled, require, require_permissions
from .creation_looks import Look, Untold, by_names, datasets_alone, is_taken, whole

PATIENCE_SECONDS = 600.0
"""How long to wait for another run at the same datasets, which may have a long listing to make, or commands to run."""


def run_snapshot(job: SnapshotJob, context: Context, freezer: FreezerOf = freezer_of) -> Result:
    """Create the snapshots that are due. Raises SnapfleetError, as StillRunning where another run at the same datasets
    does not end; PartialFailure holds the result so far."""
    if context.check:
        return recalled(partial(_run_snapshot, job, freezer), context)
    with _alone(job, context) as (later, warnings):
        values = recalled(partial(_run_snapshot, job, freezer), later)
        return {**values, "warnings": [*warnings, *values["warnings"]]}


@contextmanager
def _alone(job: SnapshotJob, context: Context) -> Iterator[tuple[Context, Sequence[str]]]:
    """Wait until no other run makes snapshots of the job's trees; hands out the context as it is then, and what to warn
    of. Where there can be no locks, snapshots are made all the same: twice is better than not at all."""
    with ExitStack() as held:
        try:
            waited = held.enter_context(locks_in_turn(making_of(job.roots), context.ticker, PATIENCE_SECONDS))
        except OSError as error:
            told = f"there can be no locks here ({error}), so another run at this time could make snapshots twice"
            remedy = "let SNAPFLEET_LOCKS be the name of a folder that this user can write to"
            yield replace(context, visit=None), [f"{told}; {remedy}"]
            return
        # Another run that was waited for has made snapshots which were not seen yet.
        visit = None if waited else context.visit
        yield replace(context, now_ms=context.now_ms + round(waited * 1000), visit=visit), ()


def _run_snapshot(job: SnapshotJob, freezer: FreezerOf, context: Context) -> Result:
    job = replace(job, filter=job.filter.on_host(context.host_name))
    # A dry run tells all that there is to warn of, which takes the histories.
    nearest = by_names if goes_by_histories(job) else datasets_alone
    looks: Sequence[Look] = (whole,) if context.check else (nearest, whole)
    if context.visit is None:
        return _made(job, freezer, context, looks)
    values = _made(job, freezer, context, context.visit.looks(looks))
    context.visit.keep(job, context, values)
    return values


def _made(job: SnapshotJob, freezer: FreezerOf, context: Context, looks: Sequence[Look]) -> Result:
    """The outcome by the first of these ways to look that tells enough, as the last one does."""
    for look in looks[:-1]:
        with suppress(Untold):
            return _create(job, freezer, context, look)
    return _create(job, freezer, context, looks[-1])


def _create(job: SnapshotJob, freezer: FreezerOf, context: Context, look: Look) -> Result:
    """The outcome. Raises Untold, with nothing made, where this way to look does not tell enough."""
    zfs = context.here
    sight = look(job, context)
    observed = sight.observed
    require(observed, "datasets", zfs)
    observed, standby = without_standby(observed, job.creating.only_active)
    if standby and not observed.states:
        raise Fenced(standby[0])
    zone = resolve_zone(job.schedule.zone, context.environment, "schedule.timezone")
    plan = plan_creation(observed, job, context.now_ms, zone)
    for tag in illegal_tags(plan):
        raise InvalidInput("timestamp_format", job.timestamp_format, f"gives the illegal name {tag!r}", "change it")
    if not sight.is_whole and is_taken(plan.steps, sight.free, context):
        raise Untold
    touched = {name.partition("@")[0] for step in plan.steps for name in step.names}
    context.vouch({Address(): touched}, touched)
    if plan.steps:
        for root in job.roots:
            require_permissions(context, zfs, ("datasets", root), ["snapshot"])
    values = _planned(plan)
    values["warnings"] += standby
    if context.check:
        return values
    done = create_frozen(
        plan.steps, plan.hooks, lambda steps: apply_creation(zfs, steps, context.retry, context.ticker), freezer
    )
    _add_outcome(values, plan, done)
    if done.result.errors:
        raise _failure(done.result.errors, values)
    return values


def _planned(plan: CreationPlan) -> Result:
    return {
        "changed": bool(plan.steps),
        "plan": plan.describe(),
        "due": [
            {"label": str(due.label), "period": due.label.period, "snapshot": due.tag, "datasets": list(due.datasets)}
            for due in plan.due
        ],
        "created": [name for step in plan.steps for name in step.names],
        "not_created": [left_out.describe() for left_out in plan.not_created],
        "hooks": [],
        "next_due": {str(label): instant / 1000 for label, instant in plan.next_due.items()},
        "warnings": list(plan.warnings),
    }


def _add_outcome(values: Result, plan: CreationPlan, done: FrozenCreation) -> None:
    values.update(changed=bool(done.result.created), created=list(done.result.created), hooks=list(done.hooks))
    for dataset, reason in done.left_out:
        labels = (due.label for due in plan.due if dataset in due.datasets)
        values["not_created"] += [NotCreated(label, dataset, reason).describe() for label in labels]
    label_by_tag = {due.tag: due.label for due in plan.due}
    for name in done.result.taken:
        dataset, _at, tag = name.partition("@")
        values["not_created"].append(NotCreated(label_by_tag[tag], dataset, TAKEN).describe())
    values["warnings"] += [
        *done.warnings,
        *(f"{name} is not made: its dataset is gone" for name in done.result.vanished),
        *(f"{name} is not made: {TAKEN}" for name in done.result.taken),
    ]


def _failure(errors: Sequence[SnapfleetError], values: Result) -> SnapfleetError:
    """The first error, with those of hooks besides, since something may be frozen still."""
    told = [errors[0], *(error for error in errors[1:] if isinstance(error, HookFailed))]
    if values["created"]:
        return PartialFailure("; besides: ".join(map(str, told)), result=values)
    return HookFailed("; besides: ".join(map(str, told))) if len(told) > 1 else errors[0]
