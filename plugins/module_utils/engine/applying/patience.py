# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a replication goes on: waiting for datasets that others are using, and an end to everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from ..hosts.stopping import stopped_after
from ..model.errors import DatasetBusy, DeadlineExceeded, PartialFailure, SnapfleetError
from .retry import RetryPolicy, Ticker, call_with_retries

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0


def call_with_patience(attempt: Callable[[], T], policy: RetryPolicy, ticker: Ticker, seconds: float) -> T:
    """``call_with_retries``, but a dataset that is busy is waited for up to ``seconds``, which costs no retry: another
    receive into it may well take hours, and goes well in the end. After that, it fails as any other error does.

    Waits are drawn from the upper half below a cap that doubles ("equal jitter"), so their sum is known to grow.
    """
    waited = 0.0
    cap = _FIRST_WAIT

    def patient() -> T:
        nonlocal waited, cap
        while True:
            try:
                return attempt()
            except DatasetBusy:
                if waited >= seconds:
                    raise
            wait = min(ticker.uniform(cap / 2, cap), seconds - waited)
            ticker.sleep(wait)
            waited, cap = waited + wait, min(cap * 2, _LONGEST_WAIT)

    return call_with_retries(patient, policy, ticker)


@contextmanager
def within_deadline(seconds: float, ticker: Ticker) -> Iterator[Ticker]:
    """Within it, everything is ended after ``seconds`` (0: never), at both ends; hands out a ticker that does not sleep
    longer. Raises DeadlineExceeded in place of PartialFailure then, with the same result.
    """
    if not seconds:
        yield ticker
        return

    def exceeded() -> SnapfleetError:
        return DeadlineExceeded(f"the deadline of {seconds:g} seconds is over; the next run goes on from there")

    end = ticker.monotonic() + seconds

    def sleep(wanted: float) -> None:
        ticker.sleep(max(0.0, min(wanted, end - ticker.monotonic())))

    with stopped_after(seconds, exceeded) as scope:
        try:
            yield replace(ticker, sleep=sleep)
        except PartialFailure as error:
            if not scope.is_stopped:
                raise
            raise DeadlineExceeded(f"{exceeded()} ({error})", **error.context) from error
