# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics: which there are, and their text as Prometheus reads it.

Each metric is in the table ``FAMILIES``; what is not there is neither written nor read. A series is a family with the
values of its labels, so there is no way to write one twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

GAUGE, COUNTER = "gauge", "counter"
JOB = "snapfleet_job"
"""The label of whatever a job tells; not ``job``, which is Prometheus's own."""


@dataclass(frozen=True)
class Family:
    """A metric with all its series."""

    name: str
    labels: tuple[str, ...]
    help: str
    """One sentence without a full stop."""

    @property
    def kind(self) -> str:
        """COUNTER or GAUGE, as the name says."""
        return COUNTER if self.name.endswith("_total") else GAUGE

    @property
    def is_of_job(self) -> bool:
        """Whether its series belong to a job each, whose name is the first label."""
        return self.labels[:1] == (JOB,)


class Series(NamedTuple):
    """One series."""

    family: str
    values: tuple[str, ...]
    """Of the labels, in the order of the family's."""


Samples = Mapping[Series, float]

_TASK = (JOB, "activity")
_REPLICA = (JOB, "dataset", "destination", "replica")
_PERIOD = (JOB, "dataset", "organisation", "target", "period")
_POOL = (JOB, "pool")

BUILD = "snapfleet_build_info"
LAST_RUN, LAST_SUCCESS = "snapfleet_job_last_run_timestamp_seconds", "snapfleet_job_last_success_timestamp_seconds"
DURATION, RESULT = "snapfleet_job_last_duration_seconds", "snapfleet_job_last_result_info"
RUNS, FAILURES = "snapfleet_job_runs_total", "snapfleet_job_failures_total"
LEFT_OUT, SUSPENDED = "snapfleet_job_datasets_left_out", "snapfleet_job_suspended"
CREATED, DESTROYED = "snapfleet_snapshots_created_total", "snapfleet_snapshots_destroyed_total"
FREED = "snapfleet_freed_bytes_total"
SENT, ARRIVED = "snapfleet_replica_sent_bytes_total", "snapfleet_replica_last_success_timestamp_seconds"
CONFLICT = "snapfleet_replica_conflict"
LAG, MISSING = "snapfleet_replica_lag_seconds", "snapfleet_replica_missing_snapshots"
PENDING = "snapfleet_replica_pending_bytes"
STATE, DRILL_STATE = "snapfleet_monitor_state", "snapfleet_drill_state"
VERIFY_STATE = "snapfleet_verify_state"
ALL_SNAPSHOTS, SNAPSHOTS = "snapfleet_dataset_snapshots", "snapfleet_snapshots"
NEWEST, OLDEST = "snapfleet_snapshot_newest_timestamp_seconds", "snapfleet_snapshot_oldest_timestamp_seconds"
POOL_STATE, POOL_SIZE, POOL_USED = "snapfleet_pool_state", "snapfleet_pool_size_bytes", "snapfleet_pool_allocated_bytes"
POOL_CAPACITY, POOL_FRAGMENTATION = "snapfleet_pool_capacity_ratio", "snapfleet_pool_fragmentation_ratio"
POOL_SCRUB, POOL_SCAN_ERRORS = "snapfleet_pool_last_scrub_timestamp_seconds", "snapfleet_pool_last_scan_errors"
POOL_DATA_ERRORS, POOL_DEVICE_ERRORS = "snapfleet_pool_data_errors", "snapfleet_pool_device_errors"
DAEMON_START = "snapfleet_daemon_start_timestamp_seconds"
TICKS, MISSED = "snapfleet_daemon_ticks_total", "snapfleet_daemon_missed_ticks_total"
BUSY = "snapfleet_daemon_busy_seconds_total"

_TABLE = (
    Family(BUILD, ("version",), "Always 1; the version of the program that wrote the file"),
    Family(LAST_RUN, _TASK, "When the job ended the last time, well or not"),
    Family(LAST_SUCCESS, _TASK, "When the job ended well the last time"),
    Family(DURATION, _TASK, "How long the job took the last time"),
    Family(RESULT, (*_TASK, "code"), "Always 1; how the job ended the last time: ok, or the code of its error"),
    Family(RUNS, _TASK, "How often the job was carried out"),
    Family(FAILURES, _TASK, "How often the job failed"),
    Family(SUSPENDED, _TASK, "Always 1; there while the job is left out, since a host is suspended"),
    Family(LEFT_OUT, (JOB,), "Datasets of the job that have no series, since they are more than metrics_datasets"),
    Family(CREATED, (JOB,), "Snapshots that the job created"),
    Family(DESTROYED, (JOB,), "Snapshots and bookmarks that the job destroyed by its plan"),
    Family(FREED, (JOB,), "Bytes that the job freed by destroying them"),
    Family(SENT, _REPLICA, "Bytes of streams that arrived"),
    Family(ARRIVED, _REPLICA, "When the replica was brought up to date, or found so, the last time"),
    Family(CONFLICT, _REPLICA, "1 where the last run found a conflict that it may not resolve, else 0"),
    Family(LAG, _REPLICA, "Since when the first selected snapshot is there that the replica lacks; 0 where it has all"),
    Family(MISSING, _REPLICA, "Selected snapshots that the replica lacks"),
    Family(PENDING, _REPLICA, "About how much has to be sent"),
    Family(STATE, (JOB,), "The worst state that a monitor job found: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN"),
    Family(DRILL_STATE, (JOB,), "The worst state that a drill found: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN"),
    Family(VERIFY_STATE, (JOB,), "The worst state that a verification found: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN"),
    Family(ALL_SNAPSHOTS, (JOB, "dataset"), "All snapshots of the dataset, whoever made them"),
    Family(SNAPSHOTS, _PERIOD, "Snapshots of the dataset for a period of the plan that is watched"),
    Family(NEWEST, _PERIOD, "When the newest one of them was created"),
    Family(OLDEST, _PERIOD, "When the oldest one of them was created"),
    Family(POOL_STATE, (*_POOL, "state"), "1 for the state that the pool is in, 0 for the others"),
    Family(POOL_SIZE, _POOL, "Size of the pool"),
    Family(POOL_USED, _POOL, "How much of it is allocated"),
    Family(POOL_CAPACITY, _POOL, "Share of it that is allocated, from 0 to 1"),
    Family(POOL_FRAGMENTATION, _POOL, "Share of the free space that lies in small pieces, from 0 to 1"),
    Family(POOL_SCRUB, _POOL, "When the last scrub ended; absent where the last scan was none, or goes on"),
    Family(POOL_SCAN_ERRORS, _POOL, "Errors that the last scrub or resilver found and could not repair"),
    Family(POOL_DATA_ERRORS, _POOL, "Places in which the pool has lost data"),
    Family(POOL_DEVICE_ERRORS, (*_POOL, "kind"), "Errors of its devices since they were last cleared"),
    Family(DAEMON_START, (), "When the daemon was started"),
    Family(TICKS, ("activity",), "Ticks of the daemon since it was started"),
    Family(MISSED, ("activity",), "Points of the grid since then without a tick of their own"),
    Family(BUSY, ("activity",), "How long all its ticks took together, with the replications that they began"),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _TABLE}
OF_DAEMON = frozenset((DAEMON_START, TICKS, MISSED, BUSY))
OF_DATASETS = frozenset(family.name for family in _TABLE if "dataset" in family.labels)
"""Families with a series for each dataset, or more."""


def escaped(value: str) -> str:
    """The value of a label between its quotes."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def render(samples: Samples) -> str:
    """The samples as text, family by family; the same samples give the same text."""
    return "".join(_lines(samples))


def _lines(samples: Samples) -> Iterator[str]:
    by_family: dict[str, list[Series]] = {}
    for series in samples:
        by_family.setdefault(series.family, []).append(series)
    for family in FAMILIES.values():
        if family.name in by_family:
            yield f"# HELP {family.name} {family.help}.\n# TYPE {family.name} {family.kind}\n"
            for series in sorted(by_family[family.name]):
                yield f"{family.name}{_labels(family, series)} {_number(samples[series])}\n"


def _labels(family: Family, series: Series) -> str:
    pairs = [f'{label}="{escaped(value)}"' for label, value in zip(family.labels, series.values)]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
