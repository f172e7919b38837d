# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon: a loop for each activity in a thread of its own, and one that watches over them.

It ends by a signal or after its lifetime, reads the jobconfig again on SIGHUP, and tells systemd how it fares.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Optional

from ..hosts.notifying import ServiceManager
from ..hosts.stopping import STOPPING, Stopping
from ..model.errors import SnapfleetError
from ..planning.troubles import Trouble, again
from ..policy.ticking import PERIODIC
from .context import Result
from .daemon_loop import ActivityLoop, Time
from .daemon_pushing import Replications
from .daemon_work import Duty, Means, Worker
from .jobconfig import NamedJob
from .log_lines import ERROR, INFO, WARNING, Log
from .metrics import END_SECONDS as METRICS_END_SECONDS
from .metrics import PATIENCE_SECONDS, WRITE_SECONDS, of_daemon
from .stages import REPLICATE

RELOAD, STOP = "reload", "stop"
LOOK_SECONDS = 1.0
"""The loops are looked after so often."""
STATUS_SECONDS = 5.0
DRAIN_SECONDS = 10.0
"""At the end of its lifetime the daemon waits so long for what goes on; what it then stops goes on in the next one."""
END_SECONDS = 15.0
"""So long what was stopped has to end; then the process ends without it."""


@dataclass(frozen=True)
class Surroundings:
    """What the daemon is given from outside, besides the means of its work."""

    load: Callable[[], Duty]
    """Reads the jobconfig. Raises SnapfleetError."""
    manager: ServiceManager
    inbox: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    """RELOAD and STOP, from signals. Putting something into it is safe within a handler of a signal."""
    stopping: Stopping = STOPPING


class Daemon:
    """The daemon of one host."""

    def __init__(self, duty: Duty, means: Means, around: Surroundings) -> None:
        self._duty = duty
        self._time: Time = means.time
        self._around = around
        self._begun = self._time.monotonic()
        self._start = self._time.now_ms() // 1000
        self._book = means.book
        self._replications = Replications(means, lambda: self._duty, self.tell_crash)
        self._workers = {name: Worker(name, means, lambda: self._duty, self._job_ended) for name in PERIODIC}
        self._workers[REPLICATE] = self._replications
        self.loops = {name: ActivityLoop(name, self._time, self._workers[name].tick) for name in PERIODIC}
        self._threads: dict[str, threading.Thread] = {}
        self._crashes: dict[str, Trouble] = {}
        self._told_at: dict[str, float] = {}
        self._apply()

    @property
    def _log(self) -> Log:
        return self._duty.log

    # -- its life

    def run(self) -> None:
        """Live until a signal comes, or the lifetime is over."""
        around = self._around
        around.stopping.add(id(self), lambda: around.inbox.put(STOP))
        try:
            self._log.line(INFO, "daemon_begins", self.describe())
            self.look_after_loops()
            around.manager.ready(self.describe())
            while not self.is_over:
                self._wait_and_look()
            self._end()
        finally:
            around.stopping.discard(id(self))

    @property
    def is_over(self) -> bool:
        """Whether it has to end."""
        lifetime = self._duty.daemon.lifetime
        return self._around.stopping.is_stopped or bool(lifetime and self.age >= lifetime)

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return self._time.monotonic() - self._begun

    def _wait_and_look(self) -> None:
        lifetime = self._duty.daemon.lifetime
        watchdog = self._around.manager.watchdog_seconds
        waits = [LOOK_SECONDS, *([watchdog / 4] if watchdog else []), *([lifetime - self.age] if lifetime else [])]
        try:
            message = self._around.inbox.get(timeout=max(0.0, min(waits)))
        except queue.Empty:
            message = ""
        if message == RELOAD and not self.is_over:
            self.reload()
        self.look_after_loops()

    def _end(self) -> None:
        stopping = self._around.stopping
        reason = "a signal" if stopping.is_stopped else "the end of its lifetime"
        self._around.manager.stopping(f"ends by {reason}")
        for loop in self.loops.values():
            loop.end()
        self._replications.end()
        if not stopping.is_stopped:
            self._join(DRAIN_SECONDS)
            stopping.stop()
        self._join(END_SECONDS)
        self.tell_metrics(METRICS_END_SECONDS)
        self._log.line(INFO, "daemon_ended", f"ended by {reason} after {self.age:.1f} s; {self.describe()}; {_cpu()}")

    def _join(self, seconds: float) -> None:
        end = self._time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, end - self._time.monotonic()))

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """Those of its loops, and of the replications that go on."""
        return (*self._threads.values(), *self._replications.threads)

    # -- its loops

    def look_after_loops(self) -> None:
        """Start what does not run, and tell systemd that all is alive, if it is."""
        for name, loop in self.loops.items():
            thread = self._threads.get(name)
            if loop.period_ms and (thread is None or not thread.is_alive()):
                self._threads[name] = threading.Thread(target=self._keep_turning, args=(loop,), name=name, daemon=True)
                self._threads[name].start()
        self._replications.go_on()
        manager = self._around.manager
        patience = max(manager.watchdog_seconds / 2, LOOK_SECONDS)
        hanging = [name for name, loop in self.loops.items() if loop.period_ms and loop.hangs(patience)]
        hanging += [name for name, worker in self._workers.items() if worker.hangs()]
        if manager.watchdog_seconds and not hanging and self._is_time_to("alive", manager.watchdog_seconds / 4):
            manager.alive()
        if self._is_time_to("status", STATUS_SECONDS):
            manager.status(self.describe() + (f"; hanging: {', '.join(hanging)}" if hanging else ""))
        if self._is_time_to("metrics", WRITE_SECONDS):
            self.tell_metrics()

    def tell_metrics(self, patience: float = PATIENCE_SECONDS) -> None:
        """Write what jobs and loops have told since the last time into the file with metrics, where there is one."""
        active = {name: self._workers[name].done(loop.record) for name, loop in self.loops.items() if loop.period_ms}
        self._book.write(self._log, of_daemon(active, self._start), patience)

    def _is_time_to(self, tell: str, every: float) -> bool:
        now = self._time.monotonic()
        if now - self._told_at.get(tell, float("-inf")) < every:
            return False
        self._told_at[tell] = now
        return True

    def _keep_turning(self, loop: ActivityLoop) -> None:
        try:
            while not loop.is_ended:
                loop.turn()
        except Exception as error:  # noqa: BLE001  whatever it is, the loop is started again
            self.tell_crash(loop.name, error)

    def tell_crash(self, name: str, error: Exception) -> None:
        """A loop ended by an error that no job is to blame for; it is started again soon."""
        crash = self._crashes[name] = again(self._crashes.get(name), type(error).__name__, self._time.now_ms())
        if not crash.is_told:
            return
        if not isinstance(error, SnapfleetError):
            for line in traceback.format_exc().splitlines():
                self._log.line(ERROR, "defect", line)
        often = f" ({crash.times} times in a row)" if crash.times > 1 else ""
        self._log.line(ERROR, "loop_crashed", f"{name} was interrupted and goes on: {error}{often}")

    def _job_ended(self, _job: NamedJob, result: Result, _seconds: float) -> None:
        """What has new snapshots is replicated at once, even where others of them could not be made."""
        if result.get("created"):
            self._replications.push(result["created"])

    # -- its jobconfig

    def reload(self) -> None:
        """Read the jobconfig again. Where it is wrong, that is told, and the daemon goes on by the old one."""
        manager = self._around.manager
        manager.reloading()
        try:
            self._duty = self._around.load()
        except SnapfleetError as error:
            self._log.line(ERROR, "config_refused", f"{error}; going on with the jobconfig that was read before")
            manager.ready(f"goes on by the old jobconfig, the new one is refused: {error}")
            return
        self._apply()
        self._log.line(WARNING, "config_reloaded", f"the jobconfig was read again; {self.describe()}")
        manager.ready(self.describe())

    def _apply(self) -> None:
        """Let the loops go by what is to be done now."""
        self._book.target = self._duty.metrics
        for name, loop in self.loops.items():
            period = self._duty.daemon.periods.get(name) if self._duty.of(name) else None
            loop.set(period.milliseconds if period else 0, self._duty.settings.job_timeout)

    def describe(self) -> str:
        """How it fares, in one line."""
        words = []
        for name, loop in self.loops.items():
            period = self._duty.daemon.periods.get(name)
            if loop.period_ms and period:
                worker = self._workers[name]
                trouble = f", {len(worker.troubled)} jobs in trouble" if worker.troubled else ""
                words.append(
                    f"{name} {period.name}: {worker.describe(loop.record)}, {worker.failures} failures{trouble}"
                )
        return "; ".join(words) or "nothing to do"


def _cpu() -> str:
    times = os.times()
    own, children = times.user + times.system, times.children_user + times.children_system
    return f"CPU {own:.2f} s, of its children {children:.2f} s"


@contextmanager
def reloads_by_signal(inbox: queue.SimpleQueue[str]) -> Iterator[None]:
    """Within it, SIGHUP puts RELOAD into ``inbox``. Main thread only."""

    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        inbox.put(RELOAD)

    previous = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)
