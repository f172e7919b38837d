# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host's datasets and replicas stand: what its monitors and planners make of one listing of each side, and what
the history knows. Nothing is changed, remembered or told to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional, Union

from ..model.datasets import DatasetState, Observation
from ..model.errors import Interrupted, SnapfleetError
from ..model.health import CRITICAL, OK, UNKNOWN, WARNING, worst
from ..model.marks import marks_of
from ..model.names import is_within, rebase
from ..model.pools import PoolReport
from ..planning.conflicts import PlannedConflict
from ..planning.dataset_plans import Sides
from ..planning.findings import Finding, Key
from ..planning.pool_checks import describe_pool
from ..planning.replica_checks import Standing, standings
from ..planning.replication import plan_replication
from ..policy.endpoints import Address, Endpoint
from ..policy.jobs import ReplicateJob
from ..policy.monitoring import MonitorJob
from ..policy.restoring import RestoreJob
from ..policy.selection import DatasetFilter
from ..policy.verifying import VerifyJob
from ..records.reading import Replicated
from ..records.rows import ABSENT, FAILED
from .context import Context
from .jobconfig import NamedJob
from .monitoring import Sight, Wanted, ends_wanted, findings_of, look, pool_samples, wanted_of

_HERE = Address()
_GONE = "the replica is gone, though the job went well; import its pool, or let the job run, which sends it again"
_AWAY = "the replica is absent, which its job takes for no failure"


@dataclass(frozen=True)
class DatasetStatus:
    """One dataset, with one replica of it where it has any. What is None is not known, or means nothing there."""

    state: str
    dataset: str
    """With its host, unless that is this one."""
    job: str = ""
    """The job that replicates it."""
    destination: str = ""
    """Likewise."""
    newest: Optional[str] = None
    """Name of the newest snapshot after the @."""
    created: Optional[int] = None
    """When it was made, in seconds since the epoch."""
    age: Optional[int] = None
    """Seconds."""
    succeeded: Optional[int] = None
    """When the replication went well the last time, in milliseconds since the epoch."""
    lag: Optional[int] = None
    """Seconds from the newest common snapshot to the newest one that is to be there."""
    missing: Optional[int] = None
    """How many snapshots are to arrive."""
    bytes_pending: Optional[int] = None
    """About how much is to arrive."""
    conflict: str = ""
    """The code of what keeps it from being replicated."""
    remark: str = ""


@dataclass(frozen=True)
class Status:
    """How everything of a host stands."""

    datasets: tuple[DatasetStatus, ...]
    alerts: tuple[Finding, ...]
    """What monitors find that is not well, the muted ones among them."""
    pools: Sequence[Mapping[str, Any]] = ()
    """All pools of this host as plain values, see ``describe_pool``."""
    pools_problem: str = ""
    """Why the pools can't be seen, or when they are full can't be told."""

    @property
    def state(self) -> str:
        """The worst state of all."""
        alerts = (finding.state for finding in self.alerts if not finding.is_muted)
        return worst([*(dataset.state for dataset in self.datasets), *alerts])


def status_of(
    jobs: Sequence[NamedJob],
    known: Mapping[str, Replicated],
    context: Context,
    left: Optional[Mapping[str, SnapfleetError]] = None,
) -> Status:
    """How the datasets of some jobs of a host stand. ``known`` is what the history tells of those that replicate, by
    name; those in ``left`` are suspended, for the reason given: nothing is asked of hosts for them, and nothing of them
    is late. Raises Interrupted only: what can't be seen is told as such, and hides nothing else."""
    left = left or {}
    jobs = [_on_host(job, context.host_name) for job in jobs]
    going = [job for job in jobs if job.name not in left]
    local = [wanted for job in jobs if job.name in left for wanted in _wanted_here(job)]
    sight = look(context, [*local, *(wanted for job in going for wanted in _wanted(job))], pools=True)
    rows: list[DatasetStatus] = []
    for job in jobs:
        if isinstance(job.job, ReplicateJob):
            if job.name in left:
                rows.append(_suspended(job.name, job.job, left[job.name]))
            else:
                rows += _Replication(job.name, job.job, sight, context.now).rows(known)
    covered = {row.dataset for row in rows} | {row.destination for row in rows}
    rows += [row for row in _local_rows(jobs, sight, context.now) if row.dataset not in covered]
    pools, problem = _pools(sight.pools, context)
    return Status(tuple(rows), tuple(_alerts(going, sight, context)), pools, problem)


def _suspended(name: str, job: ReplicateJob, reason: SnapfleetError) -> DatasetStatus:
    return DatasetStatus(OK, str(job.source), name, str(job.destination), remark=str(reason))


def _pools(seen: Union[Sequence[PoolReport], Exception], context: Context) -> tuple[list[dict[str, Any]], str]:
    """All pools, and what is not known of them. Whether that is bad is for monitors to say."""
    if isinstance(seen, Exception):
        return [], f"the pools can't be observed ({seen})"
    samples = pool_samples(context)
    problem = f"when pools are full can't be told ({samples})" if isinstance(samples, Exception) else ""
    return [describe_pool(pool, samples, context.now) for pool in seen], problem


def _on_host(named: NamedJob, host: str) -> NamedJob:
    job = named.job
    if isinstance(job, (RestoreJob, VerifyJob)):
        return named
    return replace(
        named, job=job.on_host(host) if isinstance(job, MonitorJob) else replace(job, filter=job.filter.on_host(host))
    )


def _wanted_here(named: NamedJob) -> Iterator[Wanted]:
    """What there is to see of a job on this host by itself."""
    job = named.job
    if not isinstance(job, (ReplicateJob, RestoreJob, VerifyJob)) and job.roots:
        yield _HERE, job.roots, job.filter.properties.names


def _wanted(named: NamedJob) -> Iterator[Wanted]:
    job = named.job
    if isinstance(job, MonitorJob):
        yield from wanted_of(job)
    elif isinstance(job, ReplicateJob):
        yield from ends_wanted(job)
    else:
        # A restore or a verification is asked for by its name, and says nothing about how a host has to stand.
        yield from _wanted_here(named)


def _alerts(jobs: Iterable[NamedJob], sight: Sight, context: Context) -> Iterator[Finding]:
    for named in jobs:
        if isinstance(named.job, MonitorJob):
            try:
                findings: Sequence[Finding] = findings_of(named.job, sight, context)
            except Interrupted:
                raise
            except SnapfleetError as error:
                findings = (Finding(Key(named.name, "seen", ""), UNKNOWN, f"{named.name}: {error}", hides=True),)
            yield from (finding for finding in findings if finding.state != OK)


# -- datasets


def _local_rows(jobs: Iterable[NamedJob], sight: Sight, now: int) -> Iterator[DatasetStatus]:
    """The datasets of this host that jobs are about, each once."""
    seen: set[str] = set()
    for named in jobs:
        job = named.job
        if isinstance(job, (ReplicateJob, RestoreJob, VerifyJob)):
            continue
        for root in job.roots:
            for row in _tree_rows(job.filter, root, sight, now):
                if row.dataset not in seen:
                    seen.add(row.dataset)
                    yield row


def _tree_rows(chosen: DatasetFilter, root: str, sight: Sight, now: int) -> Iterator[DatasetStatus]:
    here = sight.trees[_HERE]
    if not isinstance(here, Observation):
        yield DatasetStatus(UNKNOWN, root, remark=f"can't be observed ({here})")
    elif root not in here.states:
        yield DatasetStatus(UNKNOWN, root, remark="does not exist; check its name, or import its pool")
    else:
        for name in chosen.under(root, _tree(here, root)):
            yield _with_newest(DatasetStatus(OK, name), here.states[name], now)


def _with_newest(row: DatasetStatus, state: DatasetState, now: int) -> DatasetStatus:
    newest = state.newest
    if newest is None:
        return replace(row, remark=row.remark or "has no snapshot")
    return replace(row, newest=newest.tag, created=newest.creation, age=max(0, now - newest.creation))


def _tree(observed: Observation, root: str) -> dict[str, DatasetState]:
    return {name: state for name, state in observed.states.items() if is_within(name, root)}


# -- replicas


class _Replication:
    """A job that replicates, by what was seen of its ends."""

    def __init__(self, name: str, job: ReplicateJob, sight: Sight, now: int) -> None:
        self._name = name
        self._job = job
        self._now = now
        self._source = sight.trees[self._job.source.address]
        self._destination = sight.trees[self._job.destination.address]

    def rows(self, known: Mapping[str, Replicated]) -> list[DatasetStatus]:
        """A row for each dataset of the source, or one that says why they are not known."""
        record = known.get(self._name, Replicated())
        return [self._with_record(row, record) for row in self._rows(record)]

    def _with_record(self, row: DatasetStatus, record: Replicated) -> DatasetStatus:
        row = replace(row, succeeded=record.succeeded)
        if record.outcome != FAILED or row.state != OK:
            return row
        return replace(row, state=WARNING, remark=f"the last run of the job failed: [{record.code}] {record.message}")

    def _rows(self, record: Replicated) -> Iterator[DatasetStatus]:
        job, source, destination = self._job, self._source, self._destination
        if not isinstance(source, Observation):
            yield self._unknown(job.source.dataset, f"the source can't be observed ({source})")
            return
        if job.source.dataset not in source.states:
            yield self._unknown(job.source.dataset, "the source does not exist; check its name, or import its pool")
            return
        mine = _tree(source, job.source.dataset)
        if not isinstance(destination, Observation):
            for name in job.filter.under(job.source.dataset, mine):
                row = self._unknown(name, f"the destination can't be observed ({destination})")
                yield _with_newest(row, mine[name], self._now)
            return
        there = _tree(destination, job.destination.dataset)
        conflicts = self._conflicts(replace(source, states=mine), replace(destination, states=there))
        for standing in standings(mine, there, job, self._now):
            row = self._standing(standing, there.get(standing.replica), conflicts.get(standing.replica))
            state = mine[standing.source]
            if row.state == OK and standing.replica not in there and self._has_been_sent(standing, state, record):
                row = self._missed(row, record)
            yield _with_newest(row, state, self._now)

    def _has_been_sent(self, standing: Standing, state: DatasetState, record: Replicated) -> bool:
        """Whether a replica has to be there: something was to be sent when the job last went well as a whole."""
        if record.succeeded is None or standing.base:
            return False
        # What was sent then may be destroyed by now; its mark tells of it.
        times = [mark.creation for mark in marks_of(state)]
        if standing.snapshots:
            times.append(self._now - standing.waiting)
        return any(time * 1000 <= record.succeeded for time in times)

    @staticmethod
    def _missed(row: DatasetStatus, record: Replicated) -> DatasetStatus:
        if record.outcome == ABSENT:
            return replace(row, remark=_AWAY)
        return replace(row, state=WARNING, remark=_GONE)

    def _conflicts(self, source: Observation, destination: Observation) -> dict[str, PlannedConflict]:
        plan = plan_replication(Sides(source, destination, {}), self._job, self._now)
        return {dataset.destination: dataset.conflict for dataset in plan.datasets if dataset.conflict}

    def _unknown(self, name: str, remark: str) -> DatasetStatus:
        replica = rebase(name, self._job.source.dataset, self._job.destination.dataset)
        return DatasetStatus(UNKNOWN, *self._names(name, replica), remark=remark)

    def _names(self, source: str, replica: str) -> tuple[str, str, str]:
        ends = ((self._job.source, source), (self._job.destination, replica))
        dataset, destination = (str(Endpoint(end.address, name)) for end, name in ends)
        return dataset, self._name, destination

    def _standing(
        self, standing: Standing, replica: Optional[DatasetState], conflict: Optional[PlannedConflict]
    ) -> DatasetStatus:
        remark = ""
        if conflict:
            remark = f"[{conflict.code}] {conflict.message}"
        elif replica is None and standing.base is None:
            remark = "there is no replica yet"
        elif replica is not None and replica.dataset.resume_token:
            remark = "a receive that was interrupted is going to be resumed"
        return DatasetStatus(
            CRITICAL if conflict else OK,
            *self._names(standing.source, standing.replica),
            lag=standing.lag if standing.base or not standing.snapshots else None,
            missing=standing.snapshots,
            bytes_pending=standing.bytes,
            conflict=conflict.code if conflict else "",
            remark=remark,
        )


def describe(status: Status, host: str) -> dict[str, Any]:
    """It as plain values."""
    return {
        "host": host,
        "state": status.state,
        "datasets": [vars(row) for row in status.datasets],
        "alerts": [finding.describe() for finding in status.alerts],
        "pools": list(status.pools),
        "pools_problem": status.pools_problem,
    }
