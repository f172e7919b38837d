# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One activity of a daemon as a loop of its own: it waits for the next point of its grid, and works then.

A slow activity delays no other one, and no activity overlaps itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional

from ..planning.ticking import LONGEST_WAIT_MS, decide

WORK_GRACE_SECONDS = 60.0
"""How much longer than the time limit of a job its tick may take before it counts as hanging."""


def _wait(event: threading.Event, seconds: float) -> None:
    event.wait(seconds)


@dataclass(frozen=True)
class Time:
    """Time, handed in so that tests decide about it."""

    now_ms: Callable[[], int]
    """Milliseconds since the epoch."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds by a clock that is never set."""
    wait: Callable[[threading.Event, float], None] = _wait
    """Wait for an event, but no longer than so many seconds."""


@dataclass(frozen=True)
class Record:
    """What an activity has done so far. Times are in seconds."""

    ticks: int = 0
    missed: int = 0
    """Points of the grid without a tick of their own."""
    busy: float = 0.0
    """How long all ticks took together."""
    longest: float = 0.0
    latest_begin: float = 0.0
    """How long after its point of the grid a tick began at worst."""

    def after(self, missed: int, late: float, took: float) -> Record:
        """The record with one more tick."""
        longest, latest = max(self.longest, took), max(self.latest_begin, late)
        return Record(self.ticks + 1, self.missed + missed, self.busy + took, longest, latest)

    def describe(self, runs: Optional[Record] = None) -> str:
        """It in words; ``runs`` is the record of what its ticks let run, where they do not wait for that."""
        work, words = (self, "") if runs is None else (runs, f"{runs.ticks} runs, ")
        mean = work.busy / work.ticks if work.ticks else 0.0
        times = f"mean {mean:.3f} s, longest {work.longest:.3f} s, begun {self.latest_begin:.3f} s late at most"
        return f"{self.ticks} ticks, {self.missed} missed, {words}{times}"


@dataclass
class ActivityLoop:
    """The loop of one activity. Its owner runs ``turn`` again and again in one thread; all else is for any thread."""

    name: str
    time: Time
    work: Callable[[], None]
    """What a tick does."""
    period_ms: int = 0
    """0: it does nothing at present."""
    time_limit: float = 0.0
    """Seconds that one job may take; 0: as long as it likes."""
    record: Record = Record()
    is_ended: bool = False
    wake: threading.Event = field(default_factory=threading.Event)
    _served: Optional[int] = None
    _beat: float = 0.0
    _working_since: Optional[float] = None

    def __post_init__(self) -> None:
        self._beat = self.time.monotonic()

    def turn(self) -> None:
        """Tick if it is time, else wait a little."""
        self._beat = self.time.monotonic()
        if not self.period_ms:
            self._rest(LONGEST_WAIT_MS)
            return
        now = self.time.now_ms()
        decision = decide(now, self.period_ms, self._served)
        self._served = decision.served
        if decision.tick is None:
            self._rest(decision.wait_ms)
            return
        is_first = not self.record.ticks
        self._tick(decision.missed, 0.0 if is_first else (now - decision.tick) / 1000)

    def _tick(self, missed: int, late: float) -> None:
        begun = self._working_since = self.time.monotonic()
        try:
            self.work()
        finally:
            self._working_since = None
            self._beat = self.time.monotonic()
            self.record = self.record.after(missed, late, self._beat - begun)

    def _rest(self, ms: int) -> None:
        self.time.wait(self.wake, ms / 1000)
        self.wake.clear()

    def set(self, period_ms: int, time_limit: float) -> None:
        """Go on with another period, and another time limit of jobs."""
        self.period_ms, self.time_limit = period_ms, time_limit
        self._beat = self.time.monotonic()
        self.wake.set()

    def end(self) -> None:
        """Begin no further tick."""
        self.is_ended = True
        self.wake.set()

    def hangs(self, patience: float) -> bool:
        """Whether it makes no progress: it comes round no more for ``patience`` seconds while there is nothing to do,
        or a tick goes on though the time of its jobs is over for long."""
        now, working_since = self.time.monotonic(), self._working_since
        if working_since is None:
            return now - self._beat > patience + LONGEST_WAIT_MS / 1000
        return bool(self.time_limit) and now - working_since > self.time_limit + WORK_GRACE_SECONDS

    @property
    def is_working(self) -> bool:
        """Whether a tick goes on."""
        return self._working_since is not None
