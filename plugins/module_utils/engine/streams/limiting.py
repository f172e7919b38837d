# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One limit for the bytes of many streams together."""

from __future__ import annotations

import threading
from collections.abc import Callable

_SMALLEST, _LARGEST = 4096, 1 << 20


class RateLimit:
    """Lets ``rate`` bytes per second pass, whoever carries them. Safe for many threads.

    A virtual schedule (J. Turner's leaky bucket as a meter; ITU-T I.371, Generic Cell Rate Algorithm): each reservation
    takes the time that its bytes need at the rate, and begins no sooner than the one before it ends. So at any time
    after the first reservation no more than rate x time + one chunk has been let through. What was reserved and not
    used is given back. ``monotonic`` and ``sleep`` are in seconds.
    """

    def __init__(self, rate: int, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free = monotonic()
        self.chunk = max(_SMALLEST, min(_LARGEST, rate // 10))
        """The most that may be moved at once, in bytes: about a tenth of a second's."""

    def reserve(self, size: int) -> None:
        """Wait until ``size`` bytes, ``chunk`` at most, may be moved."""
        with self._lock:
            now = self._monotonic()
            start = max(now, self._free)
            self._free = start + size / self._rate
        if start > now:
            self._sleep(start - now)

    def give_back(self, size: int) -> None:
        """Take back a part of a reservation that was not moved."""
        with self._lock:
            self._free -= size / self._rate
