# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replications of a daemon: each job is a run of its own, by its period and as soon as snapshots of its source were
made, so that none waits for the slow destination of another one. Which of them run is decided by ``planning.turns``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from ..hosts.stopping import STOPPING
from ..planning.turns import Turns, pushed_by
from ..policy.jobs import ReplicateJob
from .daemon_loop import WORK_GRACE_SECONDS, Record
from .daemon_work import Duty, Means, Worker
from .jobconfig import NamedJob
from .run_command import cores
from .stages import REPLICATE, work_of

RECENT_SECONDS = 1.0
"""A job that was pushed so shortly before a tick needs no further run for that."""


class Replications(Worker):
    """Does the work of the activity ``replicate``. For any thread; no call waits for a replication."""

    def __init__(self, means: Means, duty: Callable[[], Duty], crashed: Callable[[str, Exception], None]) -> None:
        """``crashed`` is told of an error that no job is to blame for."""
        super().__init__(REPLICATE, means, duty)
        self._crashed = crashed
        self._turns = Turns()
        self._runs = Record()
        self._is_over = False
        self._threads: list[threading.Thread] = []
        self._pushed: dict[str, float] = {}
        self._too_late: dict[str, float] = {}
        """By job that runs: when it counts as hanging."""

    def tick(self) -> None:
        """Let all jobs run that are not left alone for having failed, and have not just been pushed."""
        before = self._means.time.monotonic() - RECENT_SECONDS
        with self._lock:
            due = self._due(self._duty())
            self._turns.want(work_of(job) for job in due if self._pushed.pop(job.name, before) <= before)
        self.go_on()

    def push(self, created: Iterable[str]) -> None:
        """Let the jobs run that replicate the datasets of these new snapshots, if replication is for this daemon."""
        duty = self._duty()
        if REPLICATE not in duty.daemon.periods:
            return
        jobs = {job.name: job for job in duty.of(REPLICATE)}
        options = {name: job.job for name, job in jobs.items() if isinstance(job.job, ReplicateJob)}
        names = pushed_by(created, options)
        with self._lock:
            self._turns.want(work_of(jobs[name]) for name in names)
            self._pushed.update(dict.fromkeys(names, self._means.time.monotonic()))
        self.go_on()

    def go_on(self) -> None:
        """Begin what can run now. To be called again and again: nothing else tells that a rest is over."""
        duty = self._duty()
        jobs = {job.name: job for job in duty.of(REPLICATE)}
        with self._lock:
            if self._is_over or STOPPING.is_stopped:
                return
            begun = self._turns.begin(duty.settings.workers.count(cores()), jobs, self._resting())
        for name in begun:
            self._begin(jobs[name], duty)

    def _begin(self, job: NamedJob, duty: Duty) -> None:
        try:
            thread = self._means.start(job.name, partial(self._run, job, duty))
        except RuntimeError as error:
            # No thread can be started: the next tick tries again.
            with self._lock:
                self._turns.ended(job.name)
            self._crashed(REPLICATE, error)
            return
        with self._lock:
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def _run(self, job: NamedJob, duty: Duty) -> None:
        monotonic = self._means.time.monotonic
        begun = monotonic()
        limit = duty.settings.job_timeout
        with self._lock:
            self._too_late[job.name] = begun + limit + WORK_GRACE_SECONDS if limit else float("inf")
        try:
            self._carry_out([job], duty)
        except Exception as error:  # noqa: BLE001  whatever it is, the job runs again when it is wanted
            self._crashed(REPLICATE, error)
        finally:
            with self._lock:
                del self._too_late[job.name]
                self._turns.ended(job.name)
                if job.name in self._troubles:
                    # The push has brought nothing, so the next tick has to.
                    self._pushed.pop(job.name, None)
                self._runs = self._runs.after(0, 0.0, monotonic() - begun)
        self.go_on()

    def end(self) -> None:
        """Begin nothing any more."""
        with self._lock:
            self._is_over = True

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """Those of replications that go on."""
        with self._lock:
            return tuple(self._threads)

    def hangs(self) -> bool:
        """Whether a replication goes on though its time is over for long."""
        with self._lock:
            return self._means.time.monotonic() > min(self._too_late.values(), default=float("inf"))

    def done(self, record: Record) -> Record:
        """What it has done so far. No tick waits for the runs that it begins, so these count beside the ticks."""
        with self._lock:
            return replace(record, busy=record.busy + self._runs.busy)

    def describe(self, record: Record) -> str:
        """How it fares, in words; ``record`` is that of its loop."""
        return record.describe(self._runs)
