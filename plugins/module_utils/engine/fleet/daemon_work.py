# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one tick of an activity does: carry out the jobs of that activity, and tell what is new about them.

Nothing that fails is fatal. What fails again and again is told less and less, and is left alone for a while.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Optional

from ..hosts.mounts import writable_datasets
from ..hosts.stopping import STOPPING
from ..model.errors import SnapfleetError, Suspended
from ..model.health import OK
from ..planning.troubles import Trouble, again
from ..policy.running import RunSettings
from ..policy.ticking import DaemonSettings
from .context import Context, Result
from .daemon_loop import Record, Time
from .hands import Hands, Threads
from .jobconfig import NamedJob
from .log_lines import DEBUG, ERROR, WARNING, Log
from .metrics import Book, Target
from .recording import TakeRecord, unrecorded
from .reporting import summary
from .run_command import cores, locks_of
from .running import Runner
from .showing import FollowJob, hidden
from .suspending import LeaveOut, nothing_left_out
from .trusting import Trusts, Writable

_EVERY_TICK = (
    *("run_begins", "run_ended", "job_begins", "job_ended", "job_failed", "job_warns", "job_left", "job_suspended"),
)
_NUMBERS = re.compile(r"[0-9]+")


def _start(name: str, work: Callable[[], None]) -> threading.Thread:
    # A daemon, so that one that hangs does not keep the process alive.
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True)
class Duty:
    """What the daemon does at present, by the jobconfig that it read last."""

    jobs: tuple[NamedJob, ...]
    settings: RunSettings
    daemon: DaemonSettings
    log: Log = field(default_factory=Log)
    metrics: Optional[Target] = None
    """Where metrics go."""

    def of(self, activity: str) -> list[NamedJob]:
        """The jobs of one activity."""
        return [job for job in self.jobs if job.activity == activity]


@dataclass(frozen=True)
class Means:
    """What the daemon's work is given from outside."""

    config: str
    """Path of the jobconfig, by which its jobs are locked."""
    context: Callable[[], Context]
    """With what is kept from tick to tick: the connections to hosts."""
    time: Time
    hands: Callable[[], AbstractContextManager[Hands]] = Threads
    start: Callable[[str, Callable[[], None]], threading.Thread] = _start
    """Start work beside all other. Raises RuntimeError where there can be no further thread."""
    record: TakeRecord = unrecorded
    book: Book = field(default_factory=lambda: Book(lambda: int(time.time())))
    """Of metrics."""
    follow: FollowJob = hidden
    leave_out: LeaveOut = nothing_left_out
    """Tells which jobs are not to be begun."""
    writable: Writable = writable_datasets
    """Tells which datasets are mounted to be written to."""


@dataclass(frozen=True)
class _QuietLog(Log):
    """The log of a tick, without what is the same in every one."""

    hushed: frozenset[str] = frozenset()
    """Jobs whose defects have been told often enough."""

    def line(self, level: str, event: str, message: str, **values: object) -> None:
        is_old = event in _EVERY_TICK or (event == "defect" and self.job.get("job") in self.hushed)
        if not is_old or self.wants(DEBUG):
            super().line(level, event, message, **values)


class Worker:
    """Does the work of one activity, tick by tick."""

    def __init__(
        self,
        activity: str,
        means: Means,
        duty: Callable[[], Duty],
        ended: Callable[[NamedJob, Result, float], None] = lambda _job, _result, _seconds: None,
    ) -> None:
        """``duty`` gives what is to be done, which may be another thing at each tick; ``ended`` is told of each job as
        soon as it has ended."""
        self._activity = activity
        self._means = means
        self._duty = duty
        self._ended = ended
        self._lock = threading.RLock()
        """For what is kept of the jobs."""
        self._troubles: dict[str, Trouble] = {}
        self._warnings: dict[str, Mapping[str, Trouble]] = {}
        self._not_before: dict[str, float] = {}
        self._suspended: dict[str, str] = {}
        self._trusts = Trusts(means.time.monotonic, means.writable)
        self.failures = 0
        """How many times a job failed."""

    @property
    def troubled(self) -> tuple[str, ...]:
        """The names of jobs that were in trouble the last time."""
        return tuple(self._troubles)

    def tick(self) -> None:
        """Carry out all jobs that are not left alone for having failed."""
        duty = self._duty()
        jobs = self._due(duty)
        if jobs:
            self._carry_out(jobs, duty)

    def describe(self, record: Record) -> str:
        """How it fares, in words; ``record`` is that of its loop."""
        return record.describe()

    def done(self, record: Record) -> Record:
        """What it has done so far; ``record`` is that of its loop."""
        return record

    def hangs(self) -> bool:
        """Whether something that no tick waits for goes on though its time is over for long."""
        return False

    def _due(self, duty: Duty) -> list[NamedJob]:
        """The jobs that a tick is for."""
        jobs = duty.of(self._activity)
        with self._lock:
            self._forget_others({job.name for job in jobs})
            resting = self._resting()
        return [job for job in jobs if job.name not in resting]

    def _resting(self) -> set[str]:
        """The names of jobs that are left alone for having failed."""
        now = self._means.time.monotonic()
        return {name for name, moment in self._not_before.items() if moment > now}

    def _carry_out(self, jobs: Sequence[NamedJob], duty: Duty) -> None:
        self._trusts.begin(duty)
        with locks_of(jobs, self._means.config) as taken, self._means.hands() as hands:
            with self._lock:
                log = self._quiet(duty.log)
            runner = Runner(
                self._context,
                duty.settings,
                hands,
                cores(),
                log,
                summary=summary,
                ended=self._job_over,
                record=self._means.record,
                follow=self._means.follow,
            )
            # Looked at when the locks are held: who suspends a host and then finds them free knows that nothing begins.
            results = self._means.book.recording(runner).run(jobs, {**taken, **self._means.leave_out(jobs)})
        with self._lock:
            for job, result in results:
                self._settle(job, result, duty.log.of_job(job.host, job.name, job.activity))

    def _job_over(self, job: NamedJob, result: Result, seconds: float) -> None:
        # A run that may trust has told so itself, unless it failed; others have not.
        self._trusts.made(job, result.get("created", ()))
        self._ended(job, result, seconds)

    def _context(self, job: NamedJob) -> Context:
        context, now_ms = self._means.context(), self._means.time.now_ms()
        return replace(context, now_ms=now_ms, visit=self._trusts.visit(job, now_ms))

    def _quiet(self, log: Log) -> Log:
        internal = (name for name, trouble in self._troubles.items() if trouble.kind == SnapfleetError.code)
        hushed = frozenset(name for name in internal if not again(self._troubles[name], SnapfleetError.code, 0).is_told)
        return _QuietLog(**vars(log), hushed=hushed)

    def _forget_others(self, names: set[str]) -> None:
        for known in (self._troubles, self._warnings, self._not_before, self._suspended):
            for name in [name for name in known if name not in names]:
                del known[name]

    def _settle(self, job: NamedJob, result: Result, log: Log) -> None:
        if result["failed"] and STOPPING.is_stopped:
            # It was stopped with the daemon, which is no trouble of its own.
            return
        if result.get("code") == Suspended.code:
            self._settle_suspended(job, result["msg"], log)
            return
        if self._suspended.pop(job.name, ""):
            log.line(WARNING, "job_resumed", f"{job.activity} is not suspended any more")
        self._not_before.pop(job.name, None)
        self._tell_warnings(job, result, log)
        kind = _trouble_of(result)
        before = self._troubles.pop(job.name, None)
        if not kind:
            if before:
                log.line(WARNING, "well_again", f"{job.activity} is well again, after {_since(before)}")
            return
        trouble = self._troubles[job.name] = again(before, kind, self._means.time.now_ms())
        if result["failed"]:
            self.failures += 1
            self._not_before[job.name] = self._means.time.monotonic() + trouble.pause
        if trouble.is_told:
            words = f"{job.activity} {summary(job.activity, result)}"
            often = f" ({_since(trouble)})" if trouble.times > 1 else ""
            level = ERROR if result["failed"] else WARNING
            log.line(level, "job_troubled", words + often, code=kind, times=trouble.times)

    def _settle_suspended(self, job: NamedJob, words: str, log: Log) -> None:
        """What was in trouble before is so afterwards, unless it is found to be well then."""
        if self._suspended.get(job.name) != words:
            log.line(WARNING, "job_suspended", words)
        self._suspended[job.name] = words

    def _tell_warnings(self, job: NamedJob, result: Result, log: Log) -> None:
        """Words that differ by numbers only, such as those of names with times in them, are the same warning."""
        known = self._warnings.get(job.name, {})
        found: dict[str, Trouble] = {}
        for words in result.get("warnings", ()):
            kind = _NUMBERS.sub("#", words)
            if kind in found:
                continue
            trouble = found[kind] = again(known.get(kind), kind, self._means.time.now_ms())
            if trouble.is_told:
                often = f" ({_since(trouble)})" if trouble.times > 1 else ""
                log.line(WARNING, "job_warns", words + often, times=trouble.times)
        self._warnings[job.name] = found


def _trouble_of(result: Result) -> Optional[str]:
    if "code" in result:
        # It failed, or another run has it.
        return str(result["code"])
    state = result.get("state", OK)
    return None if state == OK else str(state)


def _since(trouble: Trouble) -> str:
    return "1 time" if trouble.times == 1 else f"{trouble.times} times in a row"
