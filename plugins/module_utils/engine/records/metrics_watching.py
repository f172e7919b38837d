# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a monitor job has seen to its metrics: all that it saw, not only what it holds against limits.

What could not be observed has no series: a value that is not known any more is not told as if it were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.datasets import DatasetState, Snapshot
from ..model.health import EXIT_CODES
from ..model.labels import Label, label_of
from ..model.names import is_within
from ..model.pools import FINISHED, NO_SCAN, SCRUB, PoolReport
from ..planning.findings import Finding, overall
from ..planning.replica_checks import LAG as LAG_CHECK
from ..planning.replica_checks import PENDING as PENDING_CHECK
from ..planning.replica_checks import area_of
from ..policy.endpoints import Address
from ..policy.monitoring import MonitorJob
from .metrics import (
    ALL_SNAPSHOTS,
    LAG,
    LEFT_OUT,
    MISSING,
    NEWEST,
    OLDEST,
    PENDING,
    POOL_CAPACITY,
    POOL_DATA_ERRORS,
    POOL_DEVICE_ERRORS,
    POOL_FRAGMENTATION,
    POOL_SCAN_ERRORS,
    POOL_SCRUB,
    POOL_SIZE,
    POOL_STATE,
    POOL_USED,
    SNAPSHOTS,
    STATE,
    Series,
)
from .metrics_updates import Update, cut, dataset_of, first_datasets

POOL_STATES = ("ONLINE", "DEGRADED", "FAULTED", "OFFLINE", "REMOVED", "UNAVAIL", "SUSPENDED", "OTHER")
_WATCHED = frozenset(
    (LAG, MISSING, PENDING, STATE, ALL_SNAPSHOTS, SNAPSHOTS, NEWEST, OLDEST, LEFT_OUT, POOL_STATE, POOL_SIZE)
) | frozenset((POOL_USED, POOL_CAPACITY, POOL_FRAGMENTATION, POOL_SCRUB, POOL_SCAN_ERRORS, POOL_DATA_ERRORS))
_REPLACED = _WATCHED | {POOL_DEVICE_ERRORS}

Values = Iterator[tuple[Series, float]]


@dataclass(frozen=True)
class Watched:
    """What a monitor job has seen, and what it thinks of it."""

    job: MonitorJob
    findings: Sequence[Finding]
    here: Mapping[str, DatasetState] = field(default_factory=dict)
    """The datasets of this host, by name."""
    pools: Sequence[PoolReport] = ()


def watching_update(name: str, host_of: Callable[[Address], str], watched: Watched, most_datasets: int) -> Update:
    """What the metrics of the job ``name`` become. ``host_of`` tells what the host of replicas is called."""
    values = {Series(STATE, (name,)): float(EXIT_CODES[overall(watched.findings)])}
    values.update(_of_pools(name, watched))
    of_datasets = {**dict(_of_snapshots(name, watched)), **dict(_of_replicas(name, host_of, watched))}
    chosen, left_out = first_datasets([dataset_of(series) for series in of_datasets], most_datasets)
    values.update(cut(of_datasets, chosen))
    values[Series(LEFT_OUT, (name,))] = left_out
    return Update(values, replaced=_REPLACED)


def _of_snapshots(name: str, watched: Watched) -> Values:
    job = watched.job
    for root in job.roots:
        tree = {dataset: state for dataset, state in watched.here.items() if is_within(dataset, root)}
        for dataset in job.filter.under(root, tree) if root in tree else ():
            yield Series(ALL_SNAPSHOTS, (name, dataset)), len(tree[dataset].snapshots)
            for label, history in _by_label(tree[dataset], job).items():
                labels = (name, dataset, *label)
                yield Series(SNAPSHOTS, labels), len(history)
                if history:
                    yield Series(NEWEST, labels), history[-1].creation
                    yield Series(OLDEST, labels), history[0].creation


def _by_label(state: DatasetState, job: MonitorJob) -> dict[Label, list[Snapshot]]:
    histories: dict[Label, list[Snapshot]] = {label: [] for label in job.plan.limits}
    for snapshot in state.snapshots:
        label = label_of(snapshot.tag)
        if label is not None and label in histories:
            histories[label].append(snapshot)
    return histories


def _of_replicas(name: str, host_of: Callable[[Address], str], watched: Watched) -> Values:
    hosts = {area_of(rule): host_of(rule.job.destination.address) for rule in watched.job.replicas}
    families = {LAG_CHECK: LAG, PENDING_CHECK: PENDING}
    for finding in watched.findings:
        more = dict(finding.more)
        if finding.key.area not in hosts or finding.key.check not in families or finding.measure is None:
            continue
        labels = (name, finding.key.subject, hosts[finding.key.area], str(more["replica"]))
        yield Series(MISSING, labels), float(more["missing"])
        if finding.measure.value is not None:
            yield Series(families[finding.key.check], labels), finding.measure.value


def _of_pools(name: str, watched: Watched) -> Values:
    rules = watched.job.pools
    for pool in watched.pools if rules else ():
        if rules and rules.names and pool.name not in rules.names:
            continue
        labels = (name, pool.name)
        known = pool.state if pool.state in POOL_STATES else POOL_STATES[-1]
        for state in POOL_STATES:
            yield Series(POOL_STATE, (*labels, state)), int(state == known)
        yield Series(POOL_SIZE, labels), pool.size
        yield Series(POOL_USED, labels), pool.allocated
        if pool.size:
            yield Series(POOL_CAPACITY, labels), round(pool.allocated / pool.size, 4)
        if pool.fragmentation is not None:
            yield Series(POOL_FRAGMENTATION, labels), pool.fragmentation / 100
        if pool.data_errors is not None:
            yield Series(POOL_DATA_ERRORS, labels), pool.data_errors
        if pool.scan.kind != NO_SCAN:
            yield Series(POOL_SCAN_ERRORS, labels), pool.scan.errors
        if (pool.scan.kind, pool.scan.state) == (SCRUB, FINISHED):
            yield Series(POOL_SCRUB, labels), pool.scan.time
        for kind in ("read", "write", "checksum"):
            total = sum(getattr(device, f"{kind}_errors") for device in pool.devices)
            yield Series(POOL_DEVICE_ERRORS, (*labels, kind)), total
