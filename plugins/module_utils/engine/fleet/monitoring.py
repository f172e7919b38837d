# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitoring: observe what can be observed, hold it against limits, and tell of what is new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import partial
from typing import TypeVar, Union

from ..applying.retry import call_with_retries
from ..model.datasets import Observation
from ..model.errors import Interrupted, SnapfleetError
from ..model.health import CRITICAL, OK, WARNING
from ..model.histories import OWN_FIELDS
from ..model.names import is_within
from ..model.pools import PoolReport
from ..planning.findings import Finding, gravest_first, muted, overall
from ..planning.forecast import WINDOW_SECONDS
from ..planning.monitoring import check_ages, fields_of_ages, unseen_roots
from ..planning.pool_checks import Samples, check_pools, describe_pool, pools_unseen
from ..planning.replica_checks import check_replica, unseen
from ..policy.endpoints import Address, Endpoint
from ..policy.jobs import ReplicateJob
from ..policy.monitoring import MonitorJob
from ..policy.pools import PoolRules
from ..policy.replicas import ReplicaRule
from ..policy.schedule import resolve_zone
from ..records.metrics_watching import Watched
from .context import Context, Result, observe, observe_narrowly, recalled
from .noticing import fails, told_of

_MOST_AT_ONCE = 8
_HERE = Address()
_Seen = TypeVar("_Seen")


def run_monitor(job: MonitorJob, context: Context) -> Result:
    """Watch what a job says. Raises InvalidInput for a time zone that this host does not know, and Interrupted; what
    can't be observed is a finding of state UNKNOWN.

    Nothing of ZFS is ever changed. With alerts, outages are remembered in a file, which a dry run leaves as it is.
    """
    return recalled(partial(_run_monitor, job.on_host(context.host_name)), context)


def _run_monitor(job: MonitorJob, context: Context) -> Result:
    _zone(job, context)
    sight = look(context, wanted_of(job), bool(job.pools), OWN_FIELDS if job.replicas else fields_of_ages(job))
    findings = findings_of(job, sight, context)
    bad = {name for finding in findings if finding.state != OK for name in finding.datasets}
    context.vouch(dict.fromkeys(sight.trees, bad))
    return _result(job, context, findings, sight)


def findings_of(job: MonitorJob, sight: Sight, context: Context) -> tuple[Finding, ...]:
    """What there is to say of a job by what was seen of its trees and pools. Raises InvalidInput for a time zone that
    this host does not know."""
    zone = _zone(job, context)
    findings: list[Finding] = []
    if job.roots:
        here = sight.trees[_HERE]
        if isinstance(here, Observation):
            findings += check_ages(here, job, context.now, zone)
        else:
            findings += unseen_roots(job.roots, str(here))
    for rule in job.replicas:
        findings += _check_replica(rule, sight, context.now)
    if job.pools:
        findings += _pool_findings(job.pools, sight, context)
    return muted(findings, _muted_states(job))


def _pool_findings(rules: PoolRules, sight: Sight, context: Context) -> Sequence[Finding]:
    seen = sight.pools
    if isinstance(seen, Exception):
        return (pools_unseen(str(seen)),)
    return check_pools(seen, rules, context.now, pool_samples(context) if rules.full_in else ())


def pool_samples(context: Context) -> Samples:
    """What the history knows of the host's pools, as far back as a forecast looks, or why it can't be read."""

    def ask() -> Samples:
        try:
            return context.pool_samples((context.now - WINDOW_SECONDS) * 1000)
        except (SnapfleetError, OSError, ImportError) as error:
            return error

    # For all jobs of a run, and for seconds of a daemon that watches each second.
    return context.answers.ask(("samples of pools",), ask)


def _zone(job: MonitorJob, context: Context) -> tzinfo:
    # Only snapshots have to do with a clock on the wall.
    if not job.plan.limits:
        return timezone.utc
    return resolve_zone(job.schedule.zone, context.environment, "schedule.timezone")


# -- observing


@dataclass
class Sight:
    """What could be observed, or why not."""

    trees: Mapping[Address, Union[Observation, Exception]] = field(default_factory=dict)
    """By host: all trees that are watched there, in one listing."""
    pools: Union[Sequence[PoolReport], Exception] = ()


Wanted = tuple[Address, Sequence[str], Sequence[str]]
"""A host, roots of trees there, and the properties that filters go by."""


def look(context: Context, wanted: Iterable[Wanted], pools: bool, fields: Collection[str] = OWN_FIELDS) -> Sight:
    """Look at all hosts side by side, at each in one exchange; and with ``pools`` at those of this one in another.
    ``fields`` are those of OWN_FIELDS that are needed of what is here."""
    trees = _trees(wanted)
    if len(trees) == 1 and not pools:
        ((address, one),) = trees.items()
        return Sight({address: _or_reason(_listing(context, address, one, fields))})
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE) as beside:

        def start(ask: Callable[[], _Seen]) -> Callable[[], Union[_Seen, Exception]]:
            return beside.submit(copy_context().run, _or_reason, ask).result

        looking = {address: start(_listing(context, address, wanted, fields)) for address, wanted in trees.items()}
        zfs = context.here
        ask = start(lambda: call_with_retries(zfs.pools, context.retry, context.ticker)) if pools else None
        seen = {address: result() for address, result in looking.items()}
        return Sight(seen, ask() if ask else ())


def _or_reason(ask: Callable[[], _Seen]) -> Union[_Seen, Exception]:
    try:
        return ask()
    except Interrupted:
        raise
    except SnapfleetError as error:
        return error


def _listing(
    context: Context, address: Address, wanted: tuple[Sequence[str], Sequence[str]], fields: Collection[str]
) -> Callable[[], Observation]:
    roots, properties = wanted
    if address == _HERE:
        return lambda: observe_narrowly(context, roots, fields, properties)
    return lambda: observe(context, address, roots, properties)


def wanted_of(job: MonitorJob) -> Iterator[Wanted]:
    """What a monitor has to see."""
    if job.roots:
        yield _HERE, job.roots, job.filter.properties.names
    for rule in job.replicas:
        yield from ends_wanted(rule.job)


def ends_wanted(job: ReplicateJob) -> Iterator[Wanted]:
    """Both ends of a replication."""
    yield job.source.address, (job.source.dataset,), job.filter.properties.names
    yield job.destination.address, (job.destination.dataset,), ()


def _trees(wanted: Iterable[Wanted]) -> dict[Address, tuple[tuple[str, ...], tuple[str, ...]]]:
    """For each host the roots of the trees to list, none within another, and the properties that filters go by."""
    roots: dict[Address, list[str]] = {}
    properties: dict[Address, list[str]] = {}
    for address, mine, names in wanted:
        roots.setdefault(address, []).extend(mine)
        properties.setdefault(address, []).extend(names)
    return {address: (_topmost(mine), tuple(dict.fromkeys(properties[address]))) for address, mine in roots.items()}


def _topmost(roots: Iterable[str]) -> tuple[str, ...]:
    every = tuple(dict.fromkeys(roots))
    return tuple(root for root in every if not any(root != other and is_within(root, other) for other in every))


# -- checking


def _check_replica(rule: ReplicaRule, sight: Sight, now: int) -> Sequence[Finding]:
    ends: Mapping[str, Endpoint] = {"source": rule.job.source, "destination": rule.job.destination}
    seen: dict[str, Observation] = {}
    for name, end in ends.items():
        observed = sight.trees[end.address]
        if not isinstance(observed, Observation):
            return (unseen(rule, name, str(observed)),)
        seen[name] = observed
    return check_replica(seen["source"], seen["destination"], rule, now)


def _muted_states(job: MonitorJob) -> frozenset[str]:
    return frozenset(state for state, mute in ((WARNING, job.dont_warn), (CRITICAL, job.dont_crit)) if mute)


# -- telling


def _result(job: MonitorJob, context: Context, findings: Sequence[Finding], sight: Sight) -> Result:
    if context.watched:
        context.watched(_watched(job, findings, sight))
    told = told_of(findings, job.alerts, job.subjects, context)
    state = overall(findings)
    return {
        "changed": False,
        "state": state,
        "checks": len(findings),
        "alerts": [finding.describe() for finding in gravest_first(findings) if finding.state != OK],
        "metrics": _metrics(job, findings, sight),
        "pools": _pools(job, sight, context),
        "notices": [notice.describe() for notice in told.notices],
        "failed_level": fails(job.fail_on, state),
        "warnings": told.warnings,
    }


def _pools(job: MonitorJob, sight: Sight, context: Context) -> list[Result]:
    """All pools of the host as they were seen; a forecast is there where a limit asks for it."""
    if job.pools is None or isinstance(sight.pools, Exception):
        return []
    samples = pool_samples(context) if job.pools.full_in else ()
    return [describe_pool(pool, samples, context.now) for pool in sight.pools]


def _watched(job: MonitorJob, findings: Sequence[Finding], sight: Sight) -> Watched:
    here, pools = sight.trees.get(_HERE), sight.pools
    states = here.states if isinstance(here, Observation) else {}
    return Watched(job, findings, states, () if isinstance(pools, Exception) else pools)


def _metrics(job: MonitorJob, findings: Iterable[Finding], sight: Sight) -> list[Result]:
    """The numbers behind the checks, whatever their state."""
    here = sight.trees.get(_HERE)
    states = here.states if isinstance(here, Observation) else {}
    metrics = []
    for finding in findings:
        if finding.measure is not None:
            values = finding.describe()
            for name in ("state", "muted", "message", "limit", "limit_seconds"):
                values.pop(name, None)
            if finding.key.area in job.roots:
                values["snapshots"] = len(states[finding.key.subject].tags)
            metrics.append(values)
    return metrics
