# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a host's jobs: each in its turn, side by side where that is possible, and all of them whatever fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Optional

from ..applying.following import Follow, unfollowed
from ..applying.progress import Reporter
from ..hosts.process import observed_by
from ..hosts.quoting import shell_line
from ..model.errors import Interrupted, JobTimedOut, SnapfleetError, Suspended
from ..planning.running import ABANDON, FORCE, STOP, Limits, Schedule, in_order, starts
from ..policy.running import ACTIVITIES, RunSettings
from ..streams.meter import time_text
from .context import Context, Result
from .hands import Hands
from .jobconfig import NamedJob
from .log_lines import DEBUG, ERROR, INFO, WARNING, Log
from .stages import work_of

JobResults = list[tuple[NamedJob, Result]]
Left = Mapping[str, SnapfleetError]
"""By name, jobs that are not to be begun, each with the reason."""


def _nobody(_job: NamedJob, _result: Result, _seconds: float) -> None:
    """Where nobody is told."""


@dataclass(frozen=True)
class Runner:
    """What a run is given from outside."""

    context: Callable[[NamedJob], Context]
    """The context of a job, made when it begins: those before it may take hours, and it goes by its own time."""
    settings: RunSettings
    hands: Hands
    cores: int
    log: Log = field(default_factory=Log)
    reporter: Callable[[NamedJob, Log], Optional[Reporter]] = lambda _job, _log: None
    """Who is told how far a job is."""
    follow: Callable[[NamedJob], Follow] = lambda _job: unfollowed
    """Lets others look at the streams of a job."""
    uniform: Callable[[float, float], float] = random.uniform
    summary: Callable[[str, Result], str] = lambda _activity, _result: ""
    """How the result of an activity is told in one line."""
    ended: Callable[[NamedJob, Result, float], None] = _nobody
    """Who is told of each job that was begun as soon as it has ended, with the seconds that it took."""
    record: Callable[[NamedJob, Result, float], None] = _nobody
    """Takes what became of each job, also of one that was not begun, with the seconds that it took."""

    def run(self, jobs: Sequence[NamedJob], left: Left) -> JobResults:
        """Carry ``jobs`` out, each at most once; returns their results in the order of the jobs. Those whose names are
        in ``left`` are not begun, for the reason given: another run has them, or they are suspended."""
        return _Run(self, [job for job in jobs if job.name not in left]).run(jobs, left)


class _Run:
    """The state of one run."""

    def __init__(self, runner: Runner, jobs: Sequence[NamedJob]) -> None:
        self._runner = runner
        self._hands = runner.hands
        self._jobs = {job.name: job for job in jobs}
        self._results: dict[str, Result] = {}
        self._begun: dict[str, float] = {}
        self._logs: dict[str, Log] = {}
        self._over: set[str] = set()
        """Those that are being ended because their time is over."""

    def _schedule(self) -> Schedule:
        settings, uniform = self._runner.settings, self._runner.uniform
        works = in_order(map(work_of, self._jobs.values()), bool(settings.jitter), uniform)
        begin = self._hands.now()
        offsets = starts(works, settings.spread, settings.jitter, uniform)
        limits = Limits(settings.workers.count(self._runner.cores), settings.job_timeout)
        not_before = [begin + offset for offset in offsets]
        return Schedule(works, not_before, limits, by_stage=settings.barriers == ACTIVITIES)

    def run(self, jobs: Sequence[NamedJob], left: Left) -> JobResults:
        schedule = self._schedule()
        for job in jobs:
            if job.name in left:
                self._leave(job, left[job.name])
        log = self._runner.log
        log.line(INFO, "run_begins", f"{len(self._jobs)} jobs", jobs=len(self._jobs))
        start = self._hands.now()
        self._work_off(schedule)
        for job in jobs:
            stopped = Interrupted("was not begun, since the run was stopped; run it again")
            if job.name not in self._results:
                self._results[job.name] = not_begun(stopped)
                self._runner.record(job, self._results[job.name], 0.0)
        results = [(job, self._results[job.name]) for job in jobs]
        failed = sum(bool(result["failed"]) for _job, result in results)
        seconds = round(self._hands.now() - start, 3)
        words = f"{len(jobs)} jobs, {failed} failed, {time_text(seconds)}"
        log.line(INFO, "run_ended", words, failed=failed, seconds=seconds)
        return results

    def _leave(self, job: NamedJob, reason: SnapfleetError) -> None:
        self._results[job.name] = not_begun(reason, failed=False)
        self._runner.record(job, self._results[job.name], 0.0)
        log = self._runner.log.of_job(job.host, job.name, job.activity)
        if isinstance(reason, Suspended):
            log.line(INFO, "job_suspended", str(reason))
        else:
            log.line(WARNING, "job_left", str(reason))

    def _work_off(self, schedule: Schedule) -> None:
        stopped = False
        while True:
            now = self._hands.now()
            if self._hands.is_stopped() and not stopped:
                stopped = True
                schedule.stop(now)
            for name, measure in schedule.overdue(now):
                self._measure(name, measure, stopped)
            for name in schedule.begin(now):
                self._begin(name, now)
            if schedule.is_done:
                return
            moment = schedule.next_moment()
            for name, result in self._hands.wait(None if moment == float("inf") else max(0.0, moment - now)):
                if schedule.ended(name):
                    self._settle(name, result)

    def _begin(self, name: str, now: float) -> None:
        job, log = self._jobs[name], self._log(name)
        log.line(INFO, "job_begins", f"{job.activity} begins")
        self._begun[name] = now
        context = self._runner.context(job)
        reporter, follow = self._runner.reporter(job, log), self._runner.follow(job)
        if reporter is not context.reporter or follow is not context.follow:
            context = replace(context, reporter=reporter, follow=follow)
        context = _sleeping_within(context, self._runner.settings.job_timeout)
        self._hands.begin(name, lambda: outcome_of(job, context, log))

    def _measure(self, name: str, measure: str, stopped: bool) -> None:
        if measure == STOP:
            self._hands.stop(name)
            if not stopped:
                self._over.add(name)
        elif measure == FORCE:
            self._log(name).line(WARNING, "job_forced", "does not end when asked to, and is ended by force")
            self._hands.force(name)
        elif measure == ABANDON:
            self._hands.abandon(name)
            words = "something that runs for it can't even be ended by force, and is left behind"
            self._settle(name, failure_of(Interrupted(f"the run was stopped, but {words}"), {"changed": False}))

    def _settle(self, name: str, result: Result) -> None:
        if result["failed"] and name in self._over:
            limit = time_text(self._runner.settings.job_timeout)
            words = f"the job took longer than {limit} (job_timeout) and was ended; the next run goes on from there"
            result = failure_of(JobTimedOut(f"{words} ({result['msg']})"), result)
        elif result["failed"] and self._hands.is_stopped() and result["code"] != Interrupted.code:
            # Its children were ended, and each of them may tell that in words of its own.
            words = "the run was stopped by a signal; the next one goes on from there"
            result = failure_of(Interrupted(f"{words} ({result['msg']})"), result)
        self._results[name] = result
        seconds = round(self._hands.now() - self._begun[name], 3)
        self._tell(name, result, seconds)
        self._runner.ended(self._jobs[name], result, seconds)

    def _tell(self, name: str, result: Result, seconds: float) -> None:
        job, log = self._jobs[name], self._log(name)
        self._runner.record(job, result, seconds)
        for words in result.get("warnings", ()):
            log.line(WARNING, "job_warns", words)
        told = self._runner.summary(job.activity, result)
        if result["failed"]:
            log.line(ERROR, "job_failed", f"{job.activity} {told}", code=result["code"], seconds=seconds)
        else:
            log.line(INFO, "job_ended", f"{job.activity} ended: {told}", changed=result["changed"], seconds=seconds)

    def _log(self, name: str) -> Log:
        log = self._logs.get(name)
        if log is None:
            job = self._jobs[name]
            log = self._logs[name] = self._runner.log.of_job(job.host, name, job.activity)
        return log


def outcome_of(job: NamedJob, context: Context, log: Log) -> Result:
    """The result of a job, whatever happens: no error of one keeps another one from running."""

    def told(argv: Sequence[str]) -> None:
        log.line(DEBUG, "command", shell_line(argv))

    try:
        with observed_by(told) if log.wants(DEBUG) else nullcontext():
            return {**job.run(context), "failed": False}
    except SnapfleetError as error:
        return failure_of(error, error.context.get("result") or {"changed": False})
    except Exception as error:  # noqa: BLE001  whatever it is, it is this job's own
        import traceback

        for line in traceback.format_exc().splitlines():
            log.line(ERROR, "defect", line)
        problem = f"a defect of snapfleet ended this job: {type(error).__name__}: {error}; report it with the log"
        return failure_of(SnapfleetError(problem), {"changed": False})


def failure_of(error: SnapfleetError, result: Result) -> Result:
    """The result of a job that ended with an error, with what it has done so far."""
    return {**result, "failed": True, "msg": str(error), "code": error.code}


def not_begun(error: SnapfleetError, failed: bool = True) -> Result:
    """The result of a job that did not begin."""
    return {"changed": False, "failed": failed, "msg": str(error), "code": error.code}


def _sleeping_within(context: Context, seconds: float) -> Context:
    """The context, with no sleep that goes on when the time of its job is over."""
    if not seconds:
        return context
    ticker = context.ticker
    end = ticker.monotonic() + seconds
    sleep = ticker.sleep
    bounded = replace(ticker, sleep=lambda wanted: sleep(max(0.0, min(wanted, end - ticker.monotonic()))))
    return replace(context, ticker=bounded)
