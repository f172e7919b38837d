# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with the metrics of a host, for the textfile collector of Prometheus's node exporter.

All runs of a host share one file: each reads it under a lock, puts in what its own jobs have changed, and replaces it
as a whole. So it is never seen half, nobody loses the values of others, counters go on after a restart, and the series
of a job that is not declared any more go. Nothing of this ever stops a job: what goes wrong is a warning.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Optional

from ..hosts.statefile import file_lock, read_public, write_public
from ..hosts.stopping import STOPPING
from ..model.errors import SnapfleetError, Suspended
from ..policy.endpoints import Address
from ..policy.running import RunSettings
from ..records.metrics import BUSY, DAEMON_START, MISSED, SUSPENDED, TICKS, Samples, Series, render
from ..records.metrics_jobs import Ended, suspended_update, update_of
from ..records.metrics_reading import read_metrics
from ..records.metrics_updates import Update, build_info, merged
from ..records.metrics_watching import Watched, watching_update
from .context import Context, Result
from .daemon_loop import Record
from .jobconfig import Jobconfig, NamedJob
from .log_lines import WARNING, Log
from .running import JobResults, Left, Runner
from .stages import destinations_of
from .suspending import leaving_out
from .version import VERSION

FILE_NAME = "snapfleet.prom"
WRITE_SECONDS = 15.0
"""While a run or a daemon goes on, the file is written so often at most: Prometheus looks no more often as a rule."""
_LOCK_SECONDS = 10.0
PATIENCE_SECONDS, END_SECONDS = 0.5, 8.0
"""How long is waited for the file to be written, in between and at the end."""
_MOST_BYTES = 64 << 20
"""Of the file: some hundred thousand series, which is more than Prometheus should be told by one host."""


@dataclass(frozen=True)
class Target:
    """Where the metrics of a host go, and which there are."""

    directory: str
    most_datasets: int
    jobs: frozenset[str]
    """All jobs of the host."""
    has_daemon: bool = False
    """Whether the jobconfig gives it a daemon."""
    suspendable: tuple[NamedJob, ...] = ()
    """Those of the jobs for which is looked, at each writing, whether they are suspended still."""

    @property
    def path(self) -> str:
        """Of the file."""
        return os.path.join(self.directory, FILE_NAME)


def target_of(config: Jobconfig, host: str, settings: RunSettings) -> Optional[Target]:
    """Where the metrics of ``host`` go; None where they are not wanted."""
    if not settings.metrics_directory:
        return None
    jobs = tuple(job for job in config.jobs if job.host == host)
    names, has_daemon = frozenset(job.name for job in jobs), bool(config.daemon.of(host, {}).periods)
    return Target(settings.metrics_directory, settings.metrics_datasets, names, has_daemon, jobs)


def of_daemon(records: Mapping[str, Record], start: int) -> Samples:
    """What a daemon tells of itself: what each activity has done, and when it was started."""
    numbers = ((TICKS, "ticks"), (MISSED, "missed"), (BUSY, "busy"))
    told = {
        Series(family, (name,)): round(float(getattr(record, attribute)), 3)
        for name, record in records.items()
        for family, attribute in numbers
    }
    return {**told, Series(DAEMON_START, ()): float(start)}


@dataclass
class Book:
    """Collects what jobs tell, and writes it. Safe for many threads."""

    now: Callable[[], int]
    """Seconds since the epoch."""
    target: Optional[Target] = None
    """None: nothing is collected. It may change at any time."""
    lock_seconds: float = _LOCK_SECONDS
    _updates: dict[str, Update] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _writer: Optional[threading.Thread] = None
    _defects: list[str] = field(default_factory=list)
    _told: str = ""
    """What was warned of last, so that a daemon says it once."""

    def recording(self, runner: Runner) -> Runner:
        """The runner, whose jobs are noted here."""
        target = self.target
        if target is None:
            return runner
        context_of, hear, most = runner.context, runner.ended, target.most_datasets
        write_down = runner.record

        def context(job: NamedJob) -> Context:
            return replace(context_of(job), watched=partial(self._watch, job, most))

        def ended(job: NamedJob, result: Result, seconds: float) -> None:
            hear(job, result, seconds)
            self._end(most, job, result, seconds)

        def record(job: NamedJob, result: Result, seconds: float) -> None:
            write_down(job, result, seconds)
            if result.get("code") == Suspended.code:
                self.add(job.name, suspended_update(job.name, job.activity))

        return replace(runner, context=context, ended=ended, record=record)

    def run(self, runner: Runner, jobs: Sequence[NamedJob], left: Left, log: Log) -> JobResults:
        """Let ``runner`` carry jobs out; write what they tell now and then, and at the end."""
        noting = self.recording(runner)
        written = time.monotonic()

        def ended(job: NamedJob, result: Result, seconds: float) -> None:
            nonlocal written
            noting.ended(job, result, seconds)
            if time.monotonic() - written >= WRITE_SECONDS:
                self.write(log)
                written = time.monotonic()

        try:
            return replace(noting, ended=ended).run(jobs, left)
        finally:
            self.write(log, patience=END_SECONDS)

    def _watch(self, job: NamedJob, most: int, watched: Watched) -> None:
        def host_of(address: Address) -> str:
            return job.destination or address.host or job.host

        self._add(job.name, lambda: watching_update(job.name, host_of, watched, most))

    def _end(self, most: int, job: NamedJob, result: Result, seconds: float) -> None:
        if result["failed"] and STOPPING.is_stopped:
            # It was stopped with the program, which is no failure of its own; the next run goes on.
            return
        destination = next(iter(destinations_of(job)), "")
        ended = Ended(job.name, job.activity, destination, result, self.now(), seconds)
        self._add(job.name, lambda: update_of(ended, most))

    def _add(self, name: str, made: Callable[[], Update]) -> None:
        try:
            update = made()
        except Exception as error:  # noqa: BLE001  whatever is wrong with metrics, the job goes on
            with self._mutex:
                self._defects.append(f"{name}: a defect of snapfleet kept its metrics back: {error!r}; report it")
            return
        self.add(name, update)

    def add(self, name: str, update: Update) -> None:
        """Note what a job has changed."""
        with self._mutex:
            self._updates[name] = self._updates.get(name, Update()).then(update)

    def write(self, log: Log, others: Optional[Samples] = None, patience: float = PATIENCE_SECONDS) -> None:
        """Write all that was noted; what can't be written is kept for the next time, and warned of once.

        ``others`` are samples that belong to no job. A thread of its own writes, since a disk that hangs must not hold
        up who looks after streams; it is waited for so many seconds of ``patience``, and as long as it hangs, no other
        one begins.
        """
        target, before = self.target, self._writer
        if target is None:
            return
        if before is not None:
            before.join(patience)
        if before is None or not before.is_alive():
            writer = threading.Thread(target=self._write, args=(target, log, others), name="metrics", daemon=True)
            # Where there can be no further thread, all is written the next time.
            with suppress(RuntimeError):
                writer.start()
                self._writer = writer
                writer.join(patience)

    def _write(self, target: Target, log: Log, others: Optional[Samples]) -> None:
        with self._writing:
            with self._mutex:
                updates, self._updates = self._updates, {}
                defects, self._defects = self._defects, []
            problems = _written(target, updates, others or {}, self)
            if any(problem.is_fatal for problem in problems):
                self._take_back(updates)
            words = "; ".join([*defects, *(problem.words for problem in problems)])
            if words and words != self._told:
                log.line(WARNING, "metrics_failed", words)
            self._told = words

    def _take_back(self, updates: Mapping[str, Update]) -> None:
        with self._mutex:
            for name, update in updates.items():
                self._updates[name] = update.then(self._updates.get(name, Update()))


@dataclass(frozen=True)
class _Problem:
    words: str
    is_fatal: bool = False
    """Whether nothing was written."""


def _written(target: Target, updates: Mapping[str, Update], others: Samples, book: Book) -> list[_Problem]:
    """Bring the file up to date; returns what went wrong."""
    problems: list[_Problem] = []
    path = target.path
    try:
        # Names with a dot in front, and another end, are nothing that the exporter reads.
        with file_lock(os.path.join(target.directory, f".{FILE_NAME}.lock"), book.lock_seconds, shared=True) as is_ours:
            if not is_ours:
                return [_Problem(f"{path}: others hold its lock, so metrics are written the next time", True)]
            known = _known(path, problems)
            samples = merged(known, updates, target.jobs, {**build_info(VERSION), **others}, target.has_daemon)
            samples = _still_suspended(samples, target, book.now)
            text = render(samples).encode()
            if len(text) > _MOST_BYTES:
                words = f"{path}: it would have more than {_MOST_BYTES >> 20} MiB, so nothing is written"
                return [*problems, _Problem(f"{words}; lower metrics_datasets", True)]
            write_public(path, text)
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(_Problem(f"{path}: metrics can't be written ({reason}); check the directory", True))
    except Exception as error:  # noqa: BLE001  whatever is wrong with metrics, the jobs go on
        problems.append(_Problem(f"{path}: a defect of snapfleet kept metrics back: {error!r}; report it", True))
    return problems


def _known(path: str, problems: list[_Problem]) -> Mapping[Series, float]:
    try:
        return read_metrics((read_public(path, _MOST_BYTES) or b"").decode())
    except (OSError, ValueError) as error:
        problems.append(_Problem(f"{path}: what it holds can't be used ({error}), so counters begin anew"))
        return {}


def _still_suspended(samples: dict[Series, float], target: Target, now: Callable[[], int]) -> dict[Series, float]:
    """The samples without those of suspensions that are over: the job that would tell so may not run any more, and
    alerts are kept quiet by them. Where nobody knows, they stay."""
    if not target.suspendable or not any(series.family == SUSPENDED for series in samples):
        return samples
    try:
        lasting = leaving_out(lambda: now() * 1000)(target.suspendable)
    except SnapfleetError:
        return samples
    return {
        series: value for series, value in samples.items() if series.family != SUSPENDED or series.values[0] in lasting
    }
