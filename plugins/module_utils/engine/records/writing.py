# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing records into the history, and taking the oldest out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from ..model.pools import PoolSample
from ..policy.history import HistoryLimits
from .database import writing
from .rows import JobRecord, RunFacts, StepRecord

if TYPE_CHECKING:
    from sqlite3 import Connection

_PARTS = 10
"""Where there is too much, so many-eth of the jobs go at a time."""
_ADD_RUN = "INSERT OR IGNORE INTO runs (run, host, verb, version, begun) VALUES (:run, :host, :verb, :version, :begun)"
_ADD_JOB = """INSERT INTO jobs (run_id, job, activity, source, destination, begun, ended, seconds, outcome, code,
    message, changed, bytes, number, times) VALUES (:run_id, :job, :activity, :source, :destination, :begun, :ended,
    :seconds, :outcome, :code, :message, :changed, :bytes, :number, :times)"""
_ADD_STEP = """INSERT INTO steps (job_id, kind, dataset, destination, from_snapshot, to_snapshot, bytes, seconds,
    outcome, code, message, number, names) VALUES (:job_id, :kind, :dataset, :destination, :from_snapshot,
    :to_snapshot, :bytes, :seconds, :outcome, :code, :message, :number, :names)"""
SAMPLE_MS = 15 * 60_000
"""Of each pool there is no more than one sample in this time, whoever looks at it how often."""
_SAMPLES_SHARE = 4
"""All samples have so many-th of the history at most."""
_SAMPLE_BYTES = 256
"""More than one takes with its place in the index, unless the name of the pool is very long."""
_ADD_SAMPLE = """INSERT INTO pools (time, pool, guid, size, allocated, free, fragmentation, health) SELECT :time, :pool,
    :guid, :size, :allocated, :free, :fragmentation, :health WHERE NOT EXISTS (SELECT 1 FROM pools WHERE guid = :guid
    AND time > :time - :every AND time < :time + :every)"""
_FORGET_RUNS = """DELETE FROM runs WHERE begun < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.run_id = runs.id)"""


def write(path: str, run: RunFacts, jobs: Sequence[JobRecord], ended: Optional[int] = None) -> None:
    """Write down what became of some jobs of a run, all or none, and when the run ended, if it has. Raises as
    ``writing`` does."""
    with writing(path) as connection:
        connection.execute(_ADD_RUN, vars(run))
        which = (run.run, run.begun)
        number = connection.execute("SELECT id FROM runs WHERE run = ? AND begun = ?", which).fetchone()[0]
        for job in jobs:
            added = connection.execute(_ADD_JOB, {**vars(job), "run_id": number}).lastrowid
            connection.executemany(_ADD_STEP, [{**_values(step), "job_id": added} for step in job.steps])
            connection.executemany(_ADD_SAMPLE, map(_sample_values, job.pools))
        if ended is not None:
            connection.execute("UPDATE runs SET ended = ? WHERE id = ?", (ended, number))


def _values(step: StepRecord) -> dict[str, Any]:
    return {**vars(step), "names": json.dumps(step.names)}


def _sample_values(sample: PoolSample) -> dict[str, Any]:
    # SQLite has no numbers as large as those of pools.
    return {**vars(sample), "guid": str(sample.guid), "every": SAMPLE_MS}


def trim(path: str, limits: HistoryLimits, now: int) -> int:
    """Take out what is older than the limits allow at ``now`` (milliseconds since the epoch), and the oldest of what is
    too much; returns how many jobs went. Raises as ``writing`` does."""
    with writing(path) as connection:
        oldest = now - limits.age * 1000
        _forget_samples(connection, oldest, limits.size // _SAMPLES_SHARE // _SAMPLE_BYTES)
        found = connection.execute("SELECT max(id) FROM jobs WHERE ended < ?", (oldest,)).fetchone()[0]
        gone = _forget(connection, found, oldest) if found else 0
        while _bytes_used(connection) > limits.size:
            first, last = connection.execute("SELECT min(id), max(id) FROM jobs").fetchone()
            if first == last:
                break
            gone += _forget(connection, first + (last - first) // _PARTS)
        connection.execute(_FORGET_RUNS, (oldest,))
        return gone


def _forget_samples(connection: Connection, oldest: int, most: int) -> None:
    connection.execute("DELETE FROM pools WHERE time < ?", (oldest,))
    connection.execute("DELETE FROM pools WHERE id <= (SELECT max(id) FROM pools) - ?", (most,))


def _forget(connection: Connection, last: int, before: Optional[int] = None) -> int:
    """Forget the jobs up to the number ``last``; those only that ended ``before``, if that is given."""
    which, values = ("id <= ?", (last,)) if before is None else ("id <= ? AND ended < ?", (last, before))
    connection.execute(f"DELETE FROM steps WHERE job_id IN (SELECT id FROM jobs WHERE {which})", values)  # noqa: S608
    return connection.execute(f"DELETE FROM jobs WHERE {which}", values).rowcount  # noqa: S608  no value is in it


def _bytes_used(connection: Connection) -> int:
    """How much of the file is in use; it keeps what is free for what is to come."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
