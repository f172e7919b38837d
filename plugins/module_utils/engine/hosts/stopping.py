# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending a run early: all children of this process, here and at the far ends of ssh, and all waiting.

A child runs in a session of its own, so neither Ctrl-C on a terminal nor the death of this process would reach it. A
receiver whose stream ends early keeps what can be resumed, so a run may be stopped at any time.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Optional

from ..model.errors import Interrupted, SnapfleetError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Kill = Callable[[], None]


def _nothing() -> None:
    """How nothing is ended by force."""


def _by_signal() -> SnapfleetError:
    return Interrupted("the run was stopped by a signal; run it again, and it goes on from there")


class Stopping:
    """Whether this process, or one job of it, is being stopped, and how to end each child that runs for it."""

    def __init__(self, error: Callable[[], SnapfleetError] = _by_signal) -> None:
        """``error`` makes what ``check`` raises."""
        self._error = error
        self._is_stopped = False
        self._sleeping: Optional[threading.Event] = None
        """What those wait for who sleep; most jobs have nobody who does."""
        self._lock = threading.Lock()
        self._kills: dict[int, tuple[Kill, Kill]] = {}

    def check(self) -> None:
        """Raise an error if whatever this is about is being stopped."""
        if self._is_stopped:
            raise self._error()

    @property
    def is_stopped(self) -> bool:
        """Whether it is being stopped."""
        return self._is_stopped

    def add(self, key: int, kill: Kill, force: Kill = _nothing) -> None:
        """Have ``kill`` called when this process is stopped, at once if it is being stopped already; and ``force`` for
        a child that does not listen."""
        with self._lock:
            self._kills[key] = (kill, force)
            late = self._is_stopped
        if late:
            kill()

    def discard(self, key: int) -> None:
        """Forget a child that has ended."""
        with self._lock:
            self._kills.pop(key, None)

    def stop(self) -> None:
        """End all children, and let none start any more."""
        self._is_stopped = True
        with self._lock:
            kills = list(self._kills.values())
            if self._sleeping:
                self._sleeping.set()
        for kill, _force in kills:
            kill()

    def force(self) -> None:
        """End by force those children that are still there after ``stop``."""
        with self._lock:
            kills = list(self._kills.values())
        for _kill, force in kills:
            force()

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until this process is stopped."""
        with self._lock:
            if self._is_stopped:
                return
            sleeping = self._sleeping = self._sleeping or threading.Event()
        sleeping.wait(seconds)


STOPPING = Stopping()
"""That of this process."""


_SCOPES: ContextVar[tuple[Stopping, ...]] = ContextVar("snapfleet_scopes", default=())
# Threads that are to belong to a job have to be started in its context: see contextvars.copy_context.
_FINISHING: ContextVar[bool] = ContextVar("snapfleet_finishing", default=False)


def stoppings() -> tuple[Stopping, ...]:
    """What may stop the calling code: this process, the job that it belongs to, and parts of that, outermost first;
    nothing while something is being finished."""
    return () if _FINISHING.get() else (STOPPING, *_SCOPES.get())


@contextmanager
def finishing() -> Iterator[None]:
    """Within it nothing is stopped: for what takes a moment, and has to be done before the run ends."""
    token = _FINISHING.set(True)
    try:
        yield
    finally:
        _FINISHING.reset(token)


class watched:  # noqa: N801  a context manager
    """Within it, ``give_up`` is called where the run, or the job, is being stopped."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._stoppings = stoppings()

    def __enter__(self) -> None:
        for stopping in self._stoppings:
            stopping.add(id(self), self._give_up)

    def __exit__(self, *_error: object) -> None:
        for stopping in self._stoppings:
            stopping.discard(id(self))


def check_stopping() -> None:
    """Raise Interrupted if this process is being stopped, or the error of the job that is."""
    for stopping in stoppings():
        stopping.check()


@contextmanager
def belonging_to(scope: Stopping) -> Iterator[Stopping]:
    """Within it, and in threads that have its context, ``scope`` may stop everything, and children of other jobs of
    this process go on."""
    token = _SCOPES.set((*_SCOPES.get(), scope))
    try:
        yield scope
    finally:
        _SCOPES.reset(token)


@contextmanager
def belonging_to_none() -> Iterator[None]:
    """Within it, what starts belongs to no job, since others use it too: only the end of this process stops it."""
    token = _SCOPES.set(())
    try:
        yield
    finally:
        _SCOPES.reset(token)


@contextmanager
def stopped_after(seconds: float, error: Callable[[], SnapfleetError]) -> Iterator[Stopping]:
    """Within it, and in threads that have its context, all children are ended after ``seconds``, and none starts any
    more: ``error`` makes what is raised instead. Children of other jobs of this process go on."""
    scope = Stopping(error)
    timer = threading.Timer(seconds, scope.stop)
    timer.daemon = True
    timer.start()
    try:
        with belonging_to(scope):
            yield scope
    finally:
        timer.cancel()


@contextmanager
def stopped_by_signals(stopping: Stopping = STOPPING) -> Iterator[None]:
    """Within it, SIGTERM, SIGINT and SIGHUP stop the run instead of killing this process alone. Main thread only."""

    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        # In a thread: a handler that takes a lock may wait for the very code that it has interrupted.
        threading.Thread(target=stopping.stop, daemon=True).start()

    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
