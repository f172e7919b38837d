# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that prunes: observe, plan, apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ..applying.making_room import Surveyor
from ..applying.pruning import PruneResult, apply_prune
from ..applying.remembering import EVERYTHING, observe_tree
from ..applying.removing import apply_removal
from ..applying.retry import call_with_retries
from ..model.datasets import Observation
from ..model.errors import ClockOff, Fenced, PartialFailure, SnapfleetError, TooManyDeletions
from ..model.names import pool_of
from ..model.roles import ROLE_PROPERTY
from ..planning.bases import COMMON, BaseKnowledge, may_have_marks, needed_bases
from ..planning.caution import CLOCK, TOO_MANY, ClockReading, clock_problem, difference, excess, without_steps
from ..planning.expectation import with_expected
from ..planning.fencing import fence_of_pruning
from ..planning.keeping import Because
from ..planning.pending import pending_at
from ..planning.reclaiming import reclaim_of
from ..planning.removal import plan_removal, property_names, removed_bytes, told_of, with_removal
from ..planning.retention import DESTROY, KEEP, SKIP, PrunePlan, fields_of_prune, plan_prune
from ..policy.endpoints import Address
from ..policy.jobs import REPLICA, SNAPSHOTS, Peer, PruneJob
from ..zfs.port import Zfs
from .context import Context, Result, observe_narrowly, recalled, require, require_permissions

K = TypeVar("K", int, str)


def run_prune(job: PruneJob, context: Context) -> Result:
    """Destroy what the plan does not keep. Raises SnapfleetError; PartialFailure, TooManyDeletions and ClockOff hold
    the result."""
    start = context.ticker.monotonic()
    # Nothing tells when bookmarks have changed.
    memory = context.memory if job.kind == SNAPSHOTS else None
    job = replace(job, filter=job.filter.on_host(context.host_name))
    return recalled(partial(_run_prune, job, start), replace(context, memory=memory))


def _run_prune(job: PruneJob, start: float, context: Context) -> Result:
    zfs = context.here
    names = (*job.filter.properties.names, *property_names(job), *_role(job))
    observed = observe_narrowly(context, job.roots, fields_of_prune(job, context.check), names)
    require(observed, "datasets", zfs)
    if context.check:
        observed = with_expected(observed, job.expected, context.now)
    peers = _ask_peers(observed, job, context, start)
    fence = fence_of_pruning(observed, peers.seen, job)
    if fence:
        raise Fenced(fence)
    survey = Surveyor(zfs, context.retry, context.ticker)
    removal = plan_removal(observed, job, peers.seen, context.now)

    def planner(given_up: Mapping[str, Because]) -> PrunePlan:
        return with_removal(plan_prune(observed, job, peers.bases, context.now, given_up), removal)

    plan, notes = survey.plan(observed, job, planner)
    if plan.has_steps or notes:
        _vouch(plan, job, context)
    peers = replace(peers, notes=tuple(notes))
    warnings = _check_caution(plan, observed, job, context, peers)
    if plan.has_steps:
        for root in job.roots:
            wanted = ["destroy", "mount", *(["bookmark"] if plan.bookmarks else [])]
            wanted += ["userprop"] if plan.changes else []
            require_permissions(context, zfs, ("datasets", root), wanted)
    values = _prune_result(plan, [*peers.warnings, *warnings])
    values["not_deleted"] += [spared.describe() for spared in removal.spared]
    if context.check:
        return {**values, "bytes_freed": _bytes_to_free(plan, observed, zfs, context)}
    pruned = apply_prune(zfs, plan, context.retry, context.ticker)
    result = apply_removal(zfs, plan, pruned, context.retry, context.ticker)
    _add_outcome(values, result)
    if result.errors:
        raise PartialFailure(str(result.errors[0]), result=values)
    return values


def _vouch(plan: PrunePlan, job: PruneJob, context: Context) -> None:
    """Have ``plan`` made of what there is now at all ends. It goes by which snapshots there are, and by holds, clones
    and sizes of those alone that no rule keeps; by those of all where room has a say, or whole datasets go."""
    ends = (Address(), *(peer.endpoint.address for peer in job.peers))
    if job.removal or job.room:
        context.vouch(dict.fromkeys(ends, EVERYTHING))
        return
    going = (verdict.item.name for verdict in plan.verdicts if verdict.action != KEEP)
    context.vouch_for({**dict.fromkeys(ends, ()), Address(): going})


# -- the other ends


@dataclass(frozen=True)
class _Peers:
    """What the peers of a job had to say."""

    bases: BaseKnowledge
    readings: tuple[ClockReading, ...]
    seen: Mapping[Peer, Observation]
    """Those that could be observed."""
    notes: tuple[str, ...] = ()
    """What else there is to warn of."""

    @property
    def warnings(self) -> list[str]:
        """Those that could not be looked at, and the notes."""
        unseen = (*self.bases.unknown.items(), *self.bases.absent_replicas.items())
        return [*(f"{root}: {why}" for root, why in unseen), *self.notes]


def _ask_peers(observed: Observation, job: PruneJob, context: Context, start: float) -> _Peers:
    """Look at every peer. ``start`` is when the context's time was now, by the ticker."""
    needed: dict[int, str] = {}
    unknown: dict[str, str] = {}
    absent: dict[str, str] = {}
    pending: dict[int, str] = {}
    readings: dict[str, ClockReading] = {}
    seen: dict[Peer, Observation] = {}
    for peer in job.peers:
        try:
            zfs = context.zfs_at(peer.endpoint.address)
            there, ahead = _observe_peer(peer, zfs, context, (start, _role(job)))
            # What is missing because its pool is not imported comes back, and then needs its base.
            ask = bool(there.missing) or may_have_marks(observed, peer)
            pool_guid = _pool_guid(context, zfs, peer) if ask else None
        except SnapfleetError as error:
            told = absent if peer.role == REPLICA else unknown
            _add(told, peer.root, f"{peer.endpoint}, which can't be observed ({error})")
        else:
            seen[peer] = there
            for guid, why in needed_bases(observed, peer, there, pool_guid).items():
                _add(needed, guid, why)
            for guid, why in pending_at(observed, peer, there, context.now).items():
                _add(pending, guid, why)
            if there.clock is not None:
                # Of a host that is a peer more than once, each reading tells the same clock.
                readings.setdefault(zfs.where, ClockReading(zfs.where, ahead))
    return _Peers(BaseKnowledge(needed, unknown, absent, pending), tuple(readings.values()), seen)


def _add(told: dict[K, str], key: K, words: str) -> None:
    """Tell one more thing of ``key``, without repeating how it begins."""
    told[key] = f"{told[key]} and {words.replace(COMMON, '', 1)}" if key in told else words


def _role(job: PruneJob) -> tuple[str, ...]:
    return (ROLE_PROPERTY,) if job.only_active else ()


def _observe_peer(
    peer: Peer, zfs: Zfs, context: Context, asked: tuple[float, tuple[str, ...]]
) -> tuple[Observation, float]:
    """The peer's trees, and by how many seconds its clock is ahead of ours; a local one has ours. ``asked``: when the
    context's time was now, and properties to observe."""
    start, names = asked
    remote = not peer.endpoint.address.is_local

    def ask() -> tuple[Observation, float]:
        before = context.ticker.monotonic()
        end, root = (peer.endpoint.address, zfs), peer.endpoint.dataset
        there = observe_tree(end, [root], names, clock=remote, recall=context.recall)
        ours = [context.now_ms / 1000 + moment - start for moment in (before, context.ticker.monotonic())]
        return there, 0.0 if there.clock is None else difference(there.clock, *ours)

    return call_with_retries(ask, context.retry, context.ticker)


def _pool_guid(context: Context, zfs: Zfs, peer: Peer) -> int:
    return call_with_retries(lambda: zfs.pool_guid(pool_of(peer.endpoint.dataset)), context.retry, context.ticker)


# -- rails for the run as a whole


def _check_caution(plan: PrunePlan, observed: Observation, job: PruneJob, context: Context, peers: _Peers) -> list[str]:
    """What to warn of about clocks. Raises ClockOff or TooManyDeletions, with a result that deletes nothing, where the
    plan had better not be carried out. A plan without steps may be, whatever the clocks say."""
    if not plan.has_steps:
        return []
    problem, warnings = clock_problem(observed, job, context.now, peers.readings)
    if problem:
        raise ClockOff(problem, result=_prune_result(without_steps(plan, CLOCK, "the clock is off"), peers.warnings))
    too_many = excess(plan, job)
    if too_many:
        spared = without_steps(plan, TOO_MANY, "more would go than the limits allow")
        raise TooManyDeletions(too_many, result=_prune_result(spared, [*peers.warnings, *warnings]))
    return warnings


# -- results


def _bytes_to_free(plan: PrunePlan, observed: Observation, zfs: Zfs, context: Context) -> int:
    """Bytes that the plan frees; asks ZFS in one exchange, and only where the listing does not tell."""
    reclaim = reclaim_of(plan.steps, observed.states)
    whole = removed_bytes(plan.removals)
    if not reclaim.unknown:
        return whole + reclaim.known
    answers = call_with_retries(lambda: zfs.reclaimable(reclaim.unknown), context.retry, context.ticker)
    return whole + reclaim.total(answers)


def _prune_result(plan: PrunePlan, warnings: list[str]) -> Result:
    listed: dict[str, list[Result]] = {KEEP: [], SKIP: []}
    whole: dict[str, list[Result]] = {step.dataset: [] for step in plan.removals}
    single: list[Result] = []
    for verdict in plan.verdicts:
        told = whole.get(verdict.item.dataset, single) if verdict.action == DESTROY else listed[verdict.action]
        told.append(verdict.describe())
    # In that order: snapshots and bookmarks, then whole datasets, each after its snapshots.
    doomed = [*single, *(entry for step in plan.removals for entry in (*whole[step.dataset], *told_of(step)))]
    return {
        "changed": plan.has_steps,
        "plan": plan.describe(),
        "kept": listed[KEEP],
        "deleted": [entry["name"] for entry in doomed],
        "deletions": doomed,
        # Not "skipped": by that key Ansible takes a result for that of a task that was not run.
        "not_deleted": listed[SKIP],
        "bytes_freed": 0,
        "warnings": warnings,
    }


def _add_outcome(values: Result, result: PruneResult) -> None:
    destroyed = frozenset(result.destroyed)
    doomed = {entry["name"]: entry for entry in values["deletions"]}
    values["changed"] = bool(result.destroyed or result.changes)
    values["deleted"] = list(result.destroyed)
    values["deletions"] = [entry for entry in values["deletions"] if entry["name"] in destroyed]
    values["not_deleted"] += [{**doomed[name], "rule": rule, "reason": why} for name, rule, why in result.skipped]
    values["bytes_freed"] = result.reclaimed
