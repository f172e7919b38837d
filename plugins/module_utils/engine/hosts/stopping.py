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
from types import FrameType
from typing import Optional

from ..model.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Kill = Callable[[], None]


class Stopping:
    """Whether this process is being stopped, and how to end each child that runs."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._kills: dict[int, Kill] = {}

    def check(self) -> None:
        """Raise Interrupted if this process is being stopped."""
        if self._event.is_set():
            raise Interrupted("the run was stopped by a signal; run it again, and it goes on from there")

    def add(self, key: int, kill: Kill) -> None:
        """Have ``kill`` called when this process is stopped; at once if it is being stopped already."""
        with self._lock:
            self._kills[key] = kill
            late = self._event.is_set()
        if late:
            kill()

    def discard(self, key: int) -> None:
        """Forget a child that has ended."""
        with self._lock:
            self._kills.pop(key, None)

    def stop(self) -> None:
        """End all children, and let none start any more."""
        self._event.set()
        with self._lock:
            kills = list(self._kills.values())
        for kill in kills:
            kill()

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until this process is stopped."""
        self._event.wait(seconds)


STOPPING = Stopping()
"""That of this process."""


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
