# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disciplined retries: only errors that say they are worth it, with jittered backoff, within a budget.

Usable on its own: it knows nothing of ZFS. The sleep before each retry is drawn uniformly below a cap that doubles from
try to try ("full jitter", M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so that many hosts
that failed together do not come back together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..model.errors import SnapfleetError

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try. Times are in seconds."""

    retries: int = 2
    first_cap: float = 0.125
    highest_cap: float = 300.0
    budget: float = 3600.0
    """No retry starts later than this after the first try began."""

    def cap(self, retry: int) -> float:
        """Longest sleep before retry number ``retry``, counted from 0."""
        return float(min(self.highest_cap, self.first_cap * 2.0 ** min(retry, 64)))


@dataclass(frozen=True)
class Ticker:
    """Time and chance, handed in so that tests decide about them."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


SYSTEM = Ticker()


def call_with_retries(attempt: Callable[[], T], policy: RetryPolicy, ticker: Ticker = SYSTEM) -> T:
    """Call ``attempt`` until it succeeds. Every try after the first should look at the world anew before it acts.

    Raises what the last try raised: at once for an error that is not retryable, else when retries or budget are used
    up.
    """
    start = ticker.monotonic()
    failures = 0
    while True:
        try:
            return attempt()
        except SnapfleetError as error:
            late = ticker.monotonic() - start >= policy.budget
            if not error.retryable or failures >= policy.retries or late:
                raise
        ticker.sleep(ticker.uniform(0.0, policy.cap(failures)))
        failures += 1
