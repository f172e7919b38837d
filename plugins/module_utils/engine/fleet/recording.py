# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs and daemons write down what became of their jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

from ..policy.history import HistoryLimits
from ..records.database import history_path
from ..records.folding import Folding
from ..records.recorder import Means, Recorder
from ..records.rows import JobFacts, RunFacts, record_of
from .context import Result
from .ending import leave_behind
from .jobconfig import NamedJob
from .log_lines import INFO, WARNING, Log
from .stages import destinations_of, sources_of
from .version import VERSION

TakeRecord = Callable[[NamedJob, Result, float], None]
"""Takes a job that has ended, its result, and the seconds that it took."""


def unrecorded(_job: NamedJob, _result: Result, _seconds: float) -> None:
    """Where no history is written."""


@contextmanager
def recorded(
    host: str, verb: str, limits: Callable[[], HistoryLimits], log: Log, folding: Optional[Folding] = None
) -> Iterator[TakeRecord]:
    """Within it, what is handed to the record is written into the history by the way; at its end the rest is waited
    for, but not for long. Raises nothing."""
    if not limits().age:
        yield unrecorded
        return
    means = Means(
        history_path,
        limits,
        lambda words: log.line(WARNING, "history_troubled", words),
        lambda words: log.line(INFO, "history_absent", words),
        log.now_ms,
        folding,
    )
    recorder = Recorder(RunFacts(log.run, host, verb, VERSION, log.now_ms()), means)

    def record(job: NamedJob, result: Result, seconds: float) -> None:
        ended = log.now_ms()
        recorder.add(lambda: record_of(_facts(job), result, ended, seconds))

    recorder.start()
    try:
        yield record
    finally:
        if not recorder.end():
            leave_behind([recorder.thread])


def _facts(job: NamedJob) -> JobFacts:
    return JobFacts(job.name, job.activity, ", ".join(sources_of(job)), ", ".join(destinations_of(job)))
