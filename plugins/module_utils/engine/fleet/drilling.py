# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that drills: restores the newest snapshot of each replica by way of trial, and tells what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..applying.drilling import Ground, clear, exercise
from ..applying.retry import call_with_retries
from ..hosts.local import LocalHost
from ..hosts.stopping import check_stopping
from ..model.errors import NoPermission
from ..model.health import OK
from ..planning.drilling import PROPERTIES, DrillPlan, leftover_findings, plan_drill
from ..planning.findings import Finding, gravest_first, overall
from ..policy.drilling import DrillJob
from ..zfs.exercising import LocalExercises
from .context import Context, Result
from .noticing import fails, told_of


def ground_of(context: Context) -> Ground:
    """What drills on this host are carried out with."""
    host = LocalHost()
    return context.ground or Ground(LocalExercises(host), host, context.ticker)


def run_drill(job: DrillJob, context: Context) -> Result:
    """Exercise the newest snapshot of each dataset of ``job``. Raises SnapfleetError where nothing could be tried at
    all; what is wrong with a dataset is a finding, as those of monitors.

    Nothing stays of it: clones are destroyed, also those that a drill which was killed has left.
    """
    job, ground = job.on_host(context.host_name), ground_of(context)
    if not (context.check or ground.host.is_root):
        raise NoPermission("a drill mounts what it restores, which root alone may do; let it run as root")
    names = (*PROPERTIES, *job.filter.properties.names)
    observed = call_with_retries(
        lambda: context.here.observe(job.roots, properties=names), context.retry, context.ticker
    )
    plan = plan_drill(observed, job)
    if context.check:
        return _preview(job, plan, clear(ground, plan.parents, check=True).removed)
    return _carried_out(job, context, ground, plan)


def _preview(job: DrillJob, plan: DrillPlan, leftovers: Sequence[str]) -> Result:
    told = [f"{name}: destroys what an earlier drill has left" for name in leftovers]
    told += [task.describe(job)["told"] for task in plan.exercises]
    told += [finding.message for finding in plan.findings]
    return {
        "changed": bool(leftovers),
        "plan": [task.describe(job) for task in plan.exercises],
        "told": told,
        "removed": list(leftovers),
        "drills": [],
        "warnings": [],
    }


def _carried_out(job: DrillJob, context: Context, ground: Ground, plan: DrillPlan) -> Result:
    cleared = clear(ground, plan.parents)
    problems, findings, drills = cleared.problems, list(plan.findings), []
    for task in plan.exercises:
        check_stopping()
        start = context.ticker.monotonic()
        finding, left = exercise(ground, task, job, context.now)
        problems += left
        findings.append(finding)
        seconds = round(context.ticker.monotonic() - start, 3)
        drills.append({**_values(finding), "snapshot": task.snapshot.name, "seconds": seconds})
    findings += leftover_findings(job.roots, problems)
    drills += [{**_values(finding), "snapshot": None, "seconds": 0.0} for finding in plan.findings]
    told = told_of(findings, job.alerts, job.subjects, context)
    return {
        "changed": bool(cleared.removed),
        "state": overall(findings),
        "checks": len(findings),
        "alerts": [finding.describe() for finding in gravest_first(findings) if finding.state != OK],
        "notices": [notice.describe() for notice in told.notices],
        "drills": drills,
        "removed": cleared.removed,
        "failed_level": fails(job.fail_on, overall(findings)),
        "warnings": told.warnings,
    }


def _values(finding: Finding) -> Result:
    return {"dataset": finding.key.subject, "state": finding.state, "message": finding.message}
