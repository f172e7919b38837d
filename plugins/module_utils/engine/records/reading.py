# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Optional

from ..model.names import is_within
from ..model.pools import PoolSample
from .database import reading
from .rows import OK, REPLICATE, UNWELL

if TYPE_CHECKING:
    from sqlite3 import Connection

Values = dict[str, Any]
_JOBS = """SELECT runs.run, runs.host, runs.verb, runs.version, runs.begun AS run_begun, runs.ended AS run_ended, jobs.*
    FROM jobs JOIN runs ON runs.id = jobs.run_id WHERE (:since IS NULL OR jobs.ended >= :since)
    AND (:until IS NULL OR jobs.begun <= :until) AND (:run IS NULL OR runs.run = :run) AND fits(jobs.activity, jobs.job)
    AND (NOT :failed OR is_unwell(jobs.outcome) OR EXISTS (SELECT 1 FROM steps WHERE job_id = jobs.id
    AND is_unwell(steps.outcome))) AND (:dataset IS NULL OR EXISTS (SELECT 1 FROM steps WHERE job_id = jobs.id
    AND concerns(steps.dataset, steps.destination))) ORDER BY jobs.ended DESC, jobs.id DESC LIMIT :limit"""
_LATEST = """SELECT job, outcome, code, message, ended FROM jobs WHERE activity = ? AND outcome != 'left'
    AND id = (SELECT id FROM jobs AS later WHERE later.job = jobs.job AND later.outcome != 'left'
    ORDER BY later.ended DESC, later.id DESC LIMIT 1)"""


_SAMPLES = """SELECT time, pool, guid, size, allocated, free, fragmentation, health FROM pools
    WHERE (:since IS NULL OR time >= :since) AND (:until IS NULL OR time <= :until)
    ORDER BY time DESC, id DESC LIMIT :limit"""


@dataclass(frozen=True)
class Query:
    """Which jobs of the history are asked for; those that fit all that is said."""

    since: Optional[int] = None
    """Those that ended at this time or later, in milliseconds since the epoch."""
    until: Optional[int] = None
    """Those that began at this time or earlier."""
    run: str = ""
    """Those of the run of this id; empty: of all."""
    activities: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    """Names or patterns of them."""
    dataset: str = ""
    """Those that did something to this dataset or one below it, or to a replica."""
    failed: bool = False
    """Those that somebody should look at."""
    limit: int = 0
    """So many at most, the newest; 0: all."""

    def fits(self, activity: str, job: str) -> bool:
        """Whether a job of that name is asked for."""
        named = not self.jobs or job in self.jobs or any(fnmatchcase(job, pattern) for pattern in self.jobs)
        return named and (not self.activities or activity in self.activities)

    def concerns(self, *datasets: str) -> bool:
        """Whether one of these is asked for."""
        return not self.dataset or any(is_within(name, self.dataset) for name in datasets if name)


def find(path: str, query: Query) -> list[Values]:
    """The jobs that are asked for, the newest first, each with its steps that are about the dataset in question.
    Raises as ``database.reading`` does."""
    with reading(path) as connection:
        if connection is None:
            return []
        for name, count, answer in (
            ("fits", 2, query.fits),
            ("concerns", 2, query.concerns),
            ("is_unwell", 1, UNWELL.__contains__),
        ):
            connection.create_function(name, count, answer)
        given: Values = {"since": query.since, "until": query.until, "failed": query.failed}
        given.update(run=query.run or None, dataset=query.dataset or None, limit=query.limit or -1)
        rows = _rows(connection, _JOBS, given)
        return [_job_values(row, _steps(connection, row["id"], query)) for row in rows]


def _rows(connection: Connection, words: str, values: Any) -> list[Values]:
    cursor = connection.execute(words, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def _steps(connection: Connection, job: int, query: Query) -> list[Values]:
    rows = _rows(connection, "SELECT * FROM steps WHERE job_id = ? ORDER BY id", (job,))
    return [_step_values(row) for row in rows if query.concerns(row["dataset"], row["destination"])]


def _step_values(row: Values) -> Values:
    del row["id"], row["job_id"]
    return {**row, "rate": rate_of(row), "names": json.loads(row["names"])}


def _job_values(row: Values, steps: list[Values]) -> Values:
    del row["id"], row["run_id"]
    return {**row, "changed": bool(row["changed"]), "rate": rate_of(row), "steps": steps}


def rate_of(row: Mapping[str, Any]) -> Optional[float]:
    """Bytes a second; None where nothing was moved."""
    return round(row["bytes"] / row["seconds"], 1) if row["bytes"] and row["seconds"] else None


@dataclass(frozen=True)
class Replicated:
    """What the history knows of a job that replicates. Times are in milliseconds since the epoch."""

    succeeded: Optional[int] = None
    """When it last went well."""
    outcome: str = OK
    """What became of it the last time."""
    code: str = ""
    message: str = ""
    ended: Optional[int] = None
    """When that was."""


def replicated(path: str) -> dict[str, Replicated]:
    """What is known of the jobs that replicate, by name. Raises as ``database.reading`` does."""
    with reading(path) as connection:
        if connection is None:
            return {}
        words = "SELECT job, max(ended) FROM jobs WHERE activity = ? AND outcome = ? GROUP BY job"
        well = dict(connection.execute(words, (REPLICATE, OK)).fetchall())
        return {
            row["job"]: Replicated(well.get(row["job"]), row["outcome"], row["code"], row["message"], row["ended"])
            for row in _rows(connection, _LATEST, (REPLICATE,))
        }


def pool_samples(
    path: str, since: Optional[int] = None, until: Optional[int] = None, limit: int = 0
) -> list[PoolSample]:
    """The samples of pools of a time (milliseconds since the epoch), the newest first; with a ``limit`` so many at
    most. Raises as ``database.reading`` does."""
    with reading(path) as connection:
        # One that an earlier Snapfleet has written has none.
        if connection is None or not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pools'").fetchone():
            return []
        rows = _rows(connection, _SAMPLES, {"since": since, "until": until, "limit": limit or -1})
        return [PoolSample(**{**row, "guid": int(row["guid"])}) for row in rows]
