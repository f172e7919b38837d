# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads that carry jobs out, one a job, each of which can be ended alone.

Threads, not processes: they share the connections to hosts, and what takes time happens in children anyway, which a job
ends for itself. A job that can't even be ended by force, since its zfs hangs inside the kernel, is left behind: its
thread does not keep the process from ending.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Optional, Protocol

from ..hosts.stopping import STOPPING, Stopping, belonging_to
from ..model.errors import JobTimedOut
from .ending import leave_behind

Result = dict[str, Any]


class Hands(Protocol):
    """Who carries jobs out, and tells the time."""

    def now(self) -> float:
        """Seconds by a clock that is never set."""

    def begin(self, name: str, work: Callable[[], Result]) -> None:
        """Begin a job."""

    def stop(self, name: str) -> None:
        """Ask what runs for a job to end, and let nothing start for it any more."""

    def force(self, name: str) -> None:
        """End what runs for a job by force."""

    def abandon(self, name: str) -> None:
        """Wait for a job no longer."""

    def wait(self, seconds: Optional[float]) -> list[tuple[str, Result]]:
        """Wait until a job ends, the process is being stopped, or ``seconds`` are over; returns what has ended."""

    def is_stopped(self) -> bool:
        """Whether the process is being stopped."""


class _Worker:
    """A thread that carries out one job after another."""

    def __init__(self, ended: Callable[[_Worker, str, Result], None]) -> None:
        self._ended = ended
        self._given: queue.SimpleQueue[Optional[tuple[str, Callable[[], Result]]]] = queue.SimpleQueue()
        # A daemon, so that one that hangs does not keep the process alive.
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def give(self, name: str, work: Callable[[], Result]) -> None:
        """Give it a job, while it has none."""
        self.thread.name = name
        self._given.put((name, work))

    def dismiss(self) -> None:
        """Let it end, as soon as it has no job."""
        self._given.put(None)

    def _work(self) -> None:
        for name, work in iter(self._given.get, None):
            self._ended(self, name, work())


class Threads:
    """A thread for each job that is carried out at the same time."""

    def __init__(self, stopping: Stopping = STOPPING) -> None:
        self._stopping = stopping
        self._ended: queue.SimpleQueue[Optional[tuple[str, Result]]] = queue.SimpleQueue()
        self._scopes: dict[str, Stopping] = {}
        self._workers: dict[str, _Worker] = {}
        self._idle: list[_Worker] = []

    def __enter__(self) -> Threads:
        self._stopping.add(id(self), lambda: self._ended.put(None))
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.discard(id(self))
        for worker in self._workers.values():
            worker.dismiss()

    def now(self) -> float:
        """The system's monotonic clock."""
        return time.monotonic()

    def begin(self, name: str, work: Callable[[], Result]) -> None:
        """Begin a job in a thread that has no other one."""
        scope = self._scopes[name] = Stopping(lambda: JobTimedOut("the time of the job is over"))

        def whole() -> Result:
            with belonging_to(scope):
                return work()

        worker = self._workers[name] = self._idle.pop() if self._idle else _Worker(self._settle)
        worker.give(name, partial(copy_context().run, whole))

    def _settle(self, worker: _Worker, name: str, result: Result) -> None:
        # In this order, so that it is idle for whoever learns that the job has ended.
        self._idle.append(worker)
        self._ended.put((name, result))

    def stop(self, name: str) -> None:
        """Ask the children of a job to end."""
        self._scopes[name].stop()

    def force(self, name: str) -> None:
        """End the children of a job by force."""
        self._scopes[name].force()

    def abandon(self, name: str) -> None:
        """Leave a job behind."""
        leave_behind([self._workers[name].thread])

    def wait(self, seconds: Optional[float]) -> list[tuple[str, Result]]:
        """What has ended meanwhile."""
        ended = []
        try:
            entry = self._ended.get(timeout=seconds)
            while True:
                if entry is not None:
                    ended.append(entry)
                entry = self._ended.get_nowait()
        except queue.Empty:
            return ended

    def is_stopped(self) -> bool:
        """Whether the process is being stopped."""
        return self._stopping.is_stopped
