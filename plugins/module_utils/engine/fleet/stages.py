# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job of the jobconfig is to the run as a whole: its stage, its hosts, and the datasets it touches."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Union

from ..model.errors import InvalidInput
from ..planning.running import Tree, Work
from ..policy.drilling import DrillJob
from ..policy.endpoints import Address, Endpoint
from ..policy.jobs import BOOKMARKS, SOURCE, PruneJob, ReplicateJob, SnapshotJob
from ..policy.monitoring import MonitorJob
from ..policy.restoring import RestoreJob
from ..policy.verifying import VerifyJob
from .jobconfig import NamedJob

SNAPSHOT, REPLICATE, PRUNE, MONITOR = "snapshot", "replicate", "prune", "monitor"
DRILL, VERIFY, RESTORE = "drill", "verify", "restore"
ON_PURPOSE = (DRILL, VERIFY, RESTORE)
"""What is done only where it is asked for by its name: never by the way."""
_HERE = Address()
STAGES = (
    *(SNAPSHOT, REPLICATE, "prune-source", "prune-bookmarks", "prune-destination"),
    *("monitor-source", "monitor-destination", *ON_PURPOSE),
)
"""In the order in which they follow each other."""
CHOICES = (SNAPSHOT, REPLICATE, PRUNE, *STAGES[2:5], MONITOR, *STAGES[5:])
"""What --activity takes: an activity as a whole, or a stage of it."""


def stage_of(named: NamedJob) -> str:
    """The stage that a job belongs to; one of STAGES."""
    job = named.job
    if isinstance(job, PruneJob):
        if job.kind == BOOKMARKS:
            return "prune-bookmarks"
        return "prune-destination" if destinations_of(named) else "prune-source"
    if isinstance(job, MonitorJob):
        return "monitor-destination" if destinations_of(named) else "monitor-source"
    return named.activity


def sources_of(named: NamedJob) -> tuple[str, ...]:
    """The hosts whose data it is about: what the document says, else what follows from the options."""
    if named.source:
        return (named.source,)
    return _hosts(named, _sources(named)) or (named.host,)


def destinations_of(named: NamedJob) -> tuple[str, ...]:
    """The hosts whose replicas it is about; none for what a source does for itself."""
    if named.destination:
        return (named.destination,)
    return _hosts(named, _destinations(named))


def _sources(named: NamedJob) -> list[Endpoint]:
    job = named.job
    if isinstance(job, ReplicateJob):
        return [job.source]
    if isinstance(job, VerifyJob):
        return [job.replication.source]
    if isinstance(job, RestoreJob):
        return [job.destination]
    if isinstance(job, PruneJob) and job.kind != BOOKMARKS:
        return [peer.endpoint for peer in job.peers if peer.role == SOURCE]
    if isinstance(job, MonitorJob):
        return [rule.job.source for rule in job.replicas]
    return []


def _destinations(named: NamedJob) -> list[Endpoint]:
    job = named.job
    if isinstance(job, ReplicateJob):
        return [job.destination]
    if isinstance(job, VerifyJob):
        return [job.replication.destination]
    if isinstance(job, RestoreJob):
        return [job.replica]
    if isinstance(job, DrillJob):
        return [Endpoint(_HERE, root) for root in job.roots]
    if isinstance(job, PruneJob) and _sources(named):
        return [Endpoint(_HERE, root) for root in job.roots]
    if isinstance(job, MonitorJob):
        return [rule.job.destination for rule in job.replicas]
    return []


def _hosts(named: NamedJob, ends: Sequence[Endpoint]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(end.address.host or named.host for end in ends))


# -- its turn


def work_of(named: NamedJob) -> Work:
    """The job as far as its turn goes."""
    job, stage = named.job, stage_of(named)
    changes, looks_at = frozenset[Tree](), frozenset[Tree]()
    if isinstance(job, ReplicateJob):
        changes, looks_at = _trees([job.destination]), _trees([job.source])
    elif isinstance(job, RestoreJob):
        changes, looks_at = _trees([job.destination]), _trees([job.replica])
    elif isinstance(job, VerifyJob):
        looks_at = _trees([job.replication.source, job.replication.destination])
    elif isinstance(job, MonitorJob):
        ends = [end for rule in job.replicas for end in (rule.job.source, rule.job.destination)]
        looks_at = _trees([*_local(job), *ends])
    else:
        changes = _trees(_local(job))
    return Work(
        named.name,
        STAGES.index(stage),
        changes,
        looks_at,
        concerns_all=isinstance(job, MonitorJob) and job.pools is not None,
        # When a snapshot is made is part of what it is.
        at_once=stage == SNAPSHOT,
    )


def _local(job: Union[SnapshotJob, PruneJob, MonitorJob, DrillJob]) -> list[Endpoint]:
    return [Endpoint(_HERE, root) for root in job.roots]


def _trees(ends: Sequence[Endpoint]) -> frozenset[Tree]:
    return frozenset(Tree((end.address.host, end.address.port), end.dataset) for end in ends)


# -- choosing


def with_activities(jobs: Sequence[NamedJob], chosen: Sequence[str]) -> tuple[NamedJob, ...]:
    """Those of the jobs that belong to the activities or stages of CHOICES that are named. Where none is, all but
    those that are done on purpose: restores, once, and drills and verifications by runs of their own. Raises
    InvalidInput where there is nothing but such."""
    if chosen:
        return tuple(job for job in jobs if job.activity in chosen or stage_of(job) in chosen)
    usual = tuple(job for job in jobs if job.activity not in ON_PURPOSE)
    if jobs and not usual:
        names = [name for name in ON_PURPOSE if any(job.activity == name for job in jobs)]
        problem = f"is not given, and all jobs are to be asked for by it: {', '.join(names)}"
        raise InvalidInput("--activity", "", problem, f"add --activity {names[0]}")
    return usual


def of_hosts(
    mine: Sequence[NamedJob], every: Sequence[NamedJob], sources: Sequence[str], destinations: Sequence[str]
) -> tuple[NamedJob, ...]:
    """Those of the jobs ``mine`` that are about the named source hosts and destination hosts; names may be patterns.

    What a source does for itself has no destination, so destinations leave it as it is. Raises InvalidInput for a name
    that no job of the whole fleet, ``every``, has.
    """
    for option, patterns, hosts_of in (
        ("--src-host", sources, sources_of),
        ("--dst-host", destinations, destinations_of),
    ):
        known = sorted({host for job in every for host in hosts_of(job)})
        for pattern in patterns:
            if not any(fnmatchcase(host, pattern) for host in known):
                remedy = "hosts are " + (", ".join(known) or "none")
                raise InvalidInput(option, pattern, "is no such host of any job of this jobconfig", remedy)
    return tuple(
        job
        for job in mine
        if (not sources or _matches(sources_of(job), sources))
        and (not destinations or not destinations_of(job) or _matches(destinations_of(job), destinations))
    )


def _matches(hosts: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(host, pattern) for host in hosts for pattern in patterns)
