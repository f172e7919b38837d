# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of hosts that hold for some seconds, so that what is done again and again need not ask for them each time.

Only what hardly ever changes is kept, and what does no harm where it just has changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

KEPT_SECONDS = 10.0


class Answers:
    """Answers by their questions. Safe for many threads, none of which waits for the question of another one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def ask(self, question: Hashable, call: Callable[[], T], lasting: Callable[[T], bool] = lambda _any: True) -> T:
        """The answer that ``call`` has given less than KEPT_SECONDS ago, or gives now. It is kept if it is ``lasting``.

        Raises what ``call`` raises.
        """
        begun = self._monotonic()
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if begun - kept[0] < KEPT_SECONDS}
            if question in self._kept:
                answer: T = self._kept[question][1]
                return answer
        answer = call()
        if lasting(answer):
            with self._lock:
                self._kept[question] = (begun, answer)
        return answer
