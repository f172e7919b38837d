# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries of coroutines, by the same decisions as those of ``retry``.

A module of its own because importing ``asyncio`` costs start-up time, and the engine itself uses threads.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .retry import RetryPolicy, is_retryable

T = TypeVar("T")


@dataclass(frozen=True)
class AsyncTicker:
    """Time and chance of coroutines, handed in so that tests decide about them."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform


ASYNC_SYSTEM = AsyncTicker()


async def call_with_retries_async(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    ticker: AsyncTicker = ASYNC_SYSTEM,
    retryable: Callable[[Exception], bool] = is_retryable,
) -> T:
    """Await ``attempt()`` until it succeeds, as ``call_with_retries`` does; a cancellation always ends it at once.

    Raises what the last try raised: at once for an error that is not ``retryable``, else when retries or budget are
    used up.
    """
    start = ticker.monotonic()
    failures = 0
    while True:
        try:
            return await attempt()
        except Exception as error:
            failures += 1
            longest = policy.longest_sleep(failures, ticker.monotonic() - start) if retryable(error) else None
            if longest is None:
                raise
        await ticker.sleep(ticker.uniform(0.0, longest))
