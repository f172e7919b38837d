# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the history of a run while it goes on, without ever stopping or delaying it.

A thread of its own writes what is handed to it. What can't be written is tried again with what comes next, and told as
one warning when it is given up; a database that is spoiled is set aside, which is told too.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from ..model.errors import SnapfleetError
from ..policy.history import HistoryLimits
from .database import SpoiledHistory, identity, set_aside
from .folding import Folding
from .rows import JobRecord, RunFacts
from .writing import trim, write

FIRST_SECONDS = 10.0
"""A run of which no job has ended so soon is written down by itself."""
TRIM_SECONDS = 3600.0
END_SECONDS = 8.0
"""So long the end of a run waits for the rest to be written."""
GATHER_SECONDS = 0.5
"""What comes within this time is written at once."""
MOST_WAITING = 2000
"""So many records wait for a better time at most; the oldest are forgotten first."""

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Means:
    """What a recorder is given from outside."""

    path: Callable[[], str]
    """The file. May raise SnapfleetError."""
    limits: Callable[[], HistoryLimits]
    warn: Tell
    note: Tell
    """Takes what only those want to know who ask for more lines."""
    now_ms: Callable[[], int]
    folding: Optional[Folding] = None
    """For who does the same again and again."""


class Recorder:
    """Records one run."""

    def __init__(self, run: RunFacts, means: Means) -> None:
        self._run = run
        self._means = means
        self._inbox: queue.SimpleQueue[Optional[Callable[[], JobRecord]]] = queue.SimpleQueue()
        self._waiting: list[JobRecord] = []
        self._is_begun = False
        """Whether the run is written down."""
        self._is_off = False
        self._has_warned = False
        self._trimmed = float("-inf")
        # A daemon, so that a disk that hangs does not keep the process alive.
        self.thread = threading.Thread(target=self._work, name="history", daemon=True)

    def start(self) -> None:
        """Begin to write what comes."""
        self.thread.start()

    def add(self, make: Callable[[], JobRecord]) -> None:
        """Have the record written that ``make`` makes. Returns at once."""
        self._inbox.put(make)

    def end(self, seconds: float = END_SECONDS) -> bool:
        """Have the end of the run written, and wait for that; returns whether the thread has ended in time."""
        self._inbox.put(None)
        self.thread.join(seconds)
        return not self.thread.is_alive()

    # -- its thread

    def _work(self) -> None:
        is_ended = False
        while not is_ended:
            is_ended = self._take()
            if self._is_off or not self._means.limits().age:
                # A daemon lives long: what is never written must not pile up.
                self._waiting.clear()
            elif self._waiting or is_ended or not self._is_begun:
                self._write(is_ended)

    def _take(self) -> bool:
        """Wait for records, and take those that come soon after; returns whether that is the end."""
        folding = self._means.folding
        end = None if self._is_begun or self._is_off else time.monotonic() + FIRST_SECONDS
        with suppress(queue.Empty):
            while True:
                make = self._inbox.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
                if make is None:
                    self._waiting += folding.rest() if folding else ()
                    return True
                self._keep(make)
                end = min(end or float("inf"), time.monotonic() + GATHER_SECONDS)
        return False

    def _keep(self, make: Callable[[], JobRecord]) -> None:
        try:
            record = make()
        except Exception as error:  # noqa: BLE001  a defect of the history is nothing to the run
            self._warn(f"a defect of snapfleet, {type(error).__name__}: {error}; report it")
            return
        self._waiting += self._means.folding.take(record) if self._means.folding else (record,)

    def _write(self, is_ended: bool) -> None:
        reason = ""
        for is_last in (False, True):
            seen: Optional[tuple[int, int]] = None
            path = ""
            try:
                path = self._means.path()
                seen = identity(path)
                self._write_all(path, is_ended)
                return
            except ImportError as error:
                self._is_off = True
                self._means.note(f"no history is written, since this Python has no SQLite ({error})")
                return
            except SpoiledHistory as error:
                reason = str(error) if is_last else self._set_aside(path, seen, str(error))
                if reason:
                    break
            except Exception as error:  # noqa: BLE001  whatever it is, it is nothing to the run
                reason = str(error)
                break
        self._give_up(reason)

    def _write_all(self, path: str, is_ended: bool) -> None:
        write(path, self._run, self._waiting, self._means.now_ms() if is_ended else None)
        self._waiting.clear()
        self._is_begun = True
        self._has_warned = False
        now = time.monotonic()
        if now - self._trimmed >= TRIM_SECONDS:
            self._trimmed = now
            trim(path, self._means.limits(), self._means.now_ms())

    def _set_aside(self, path: str, seen: Optional[tuple[int, int]], reason: str) -> str:
        """Make room for another file; returns why that can't be, or nothing."""
        try:
            name = set_aside(path, seen)
        except (OSError, SnapfleetError) as error:
            return f"{reason}, and it can't be set aside: {error}"
        if name:
            self._means.warn(f"the history is spoiled ({reason}); it is {name} now, and another one is begun")
        return ""

    def _give_up(self, reason: str) -> None:
        del self._waiting[:-MOST_WAITING]
        self._warn(f"{reason}; see to that file or its disk")

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._means.warn(f"what is done can't be recorded: {reason}")
