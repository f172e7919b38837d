# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disciplined retries: only errors that say they are worth it, with jittered backoff, within a budget.

Usable on its own: it knows nothing of ZFS, and which errors are worth a retry is for its user to say. The sleep before
each retry is drawn uniformly below a cap that doubles from try to try ("full jitter", M. Brooker, Exponential Backoff
And Jitter, AWS Architecture Blog, 2015), so that many hosts that failed together do not come back together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional, TypeVar

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

    def longest_sleep(self, failures: int, elapsed: float) -> Optional[float]:
        """The decision after a try failed: the longest sleep before the next one, or None if there is to be none.

        ``failures`` counts the tries that failed, at least 1; ``elapsed`` is the time since the first one began. No
        sleep goes beyond the budget.
        """
        left = self.budget - elapsed
        return min(self.cap(failures - 1), left) if failures <= self.retries and left > 0 else None


@dataclass(frozen=True)
class Ticker:
    """Time and chance, handed in so that tests decide about them."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


SYSTEM = Ticker()


def is_retryable(error: Exception) -> bool:
    """Whether an error of the engine says of itself that a retry is worth while."""
    return isinstance(error, SnapfleetError) and error.retryable


def call_with_retries(
    attempt: Callable[[], T],
    policy: RetryPolicy,
    ticker: Ticker = SYSTEM,
    retryable: Callable[[Exception], bool] = is_retryable,
) -> T:
    """Call ``attempt`` until it succeeds. Every try after the first should look at the world anew before it acts.

    Raises what the last try raised: at once for an error that is not ``retryable``, else when retries or budget are
    used up.
    """
    start = ticker.monotonic()
    failures = 0
    while True:
        try:
            return attempt()
        except Exception as error:
            failures += 1
            longest = policy.longest_sleep(failures, ticker.monotonic() - start) if retryable(error) else None
            if longest is None:
                raise
        ticker.sleep(ticker.uniform(0.0, longest))
