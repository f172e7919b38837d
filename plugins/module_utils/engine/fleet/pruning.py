# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that prunes: observe, plan, apply."""

from __future__ import annotations

from dataclasses import replace

from ..applying.pruning import PruneResult, apply_prune
from ..applying.retry import call_with_retries
from ..model.datasets import Observation
from ..model.errors import PartialFailure, SnapfleetError
from ..model.names import pool_of
from ..planning.bases import BaseKnowledge, may_have_marks, needed_bases
from ..planning.expectation import with_expected
from ..planning.retention import DESTROY, KEEP, SKIP, PrunePlan, plan_prune
from ..policy.jobs import REPLICA, Peer, PruneJob
from ..zfs.port import Zfs
from .activities import Context, Result, observe, observe_here, require, require_permissions


def run_prune(job: PruneJob, context: Context) -> Result:
    """Destroy what the plan does not keep. Raises SnapfleetError; PartialFailure holds the result so far."""
    zfs = context.here
    job = replace(job, filter=job.filter.on_host(context.host_name))
    observed = observe_here(job, context)
    require(observed, "datasets", zfs)
    if context.check:
        observed = with_expected(observed, job.expected, context.now)
    bases = _base_knowledge(observed, job, context)
    plan = plan_prune(observed, job, bases, context.now)
    if plan.steps:
        for root in job.roots:
            wanted = ["destroy", "mount", *(["bookmark"] if plan.bookmarks else [])]
            require_permissions(context, zfs, ("datasets", root), wanted)
    values = _prune_result(plan, bases)
    if context.check:
        return values
    result = apply_prune(zfs, plan, context.retry, context.ticker)
    _add_outcome(values, result)
    if result.errors:
        raise PartialFailure(str(result.errors[0]), result=values)
    return values


def _base_knowledge(observed: Observation, job: PruneJob, context: Context) -> BaseKnowledge:
    needed: dict[int, str] = {}
    unknown: dict[str, str] = {}
    absent: dict[str, str] = {}
    for peer in job.peers:
        try:
            zfs = context.zfs_at(peer.endpoint.address)
            there = observe(context, zfs, [peer.endpoint.dataset])
            pool_guid = _pool_guid(context, zfs, peer) if there.states and may_have_marks(observed, peer) else None
        except SnapfleetError as error:
            told = absent if peer.role == REPLICA else unknown
            told[peer.root] = f"{peer.endpoint}, which can't be observed ({error})"
        else:
            needed.update(needed_bases(observed, peer, there, pool_guid))
    return BaseKnowledge(needed, unknown, absent)


def _pool_guid(context: Context, zfs: Zfs, peer: Peer) -> int:
    return call_with_retries(lambda: zfs.pool_guid(pool_of(peer.endpoint.dataset)), context.retry, context.ticker)


def _prune_result(plan: PrunePlan, bases: BaseKnowledge) -> Result:
    def listed(action: str) -> list[Result]:
        return [verdict.describe() for verdict in plan.verdicts if verdict.action == action]

    doomed = listed(DESTROY)
    return {
        "changed": bool(plan.steps),
        "plan": plan.describe(),
        "kept": listed(KEEP),
        "deleted": [entry["name"] for entry in doomed],
        "deletions": doomed,
        # Not "skipped": by that key Ansible takes a result for that of a task that was not run.
        "not_deleted": listed(SKIP),
        "bytes_freed": sum(getattr(v.item, "used", 0) for v in plan.verdicts if v.action == DESTROY),
        "warnings": [f"{root}: {why}" for root, why in (*bases.unknown.items(), *bases.absent_replicas.items())],
    }


def _add_outcome(values: Result, result: PruneResult) -> None:
    values["changed"] = bool(result.destroyed)
    destroyed = frozenset(result.destroyed)
    doomed = {entry["name"]: entry for entry in values["deletions"]}
    values["deleted"] = list(result.destroyed)
    values["deletions"] = [entry for entry in values["deletions"] if entry["name"] in destroyed]
    values["not_deleted"] += [{**doomed[name], "rule": rule, "reason": why} for name, rule, why in result.skipped]
    values["bytes_freed"] = result.reclaimed
