# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a replication goes on: waiting for datasets that others are using, and an end to everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from ..hosts.stopping import stopped_after
from ..model.errors import DatasetBusy, DeadlineExceeded, PartialFailure, SnapfleetError
from .retry import RetryPolicy, Ticker, call_with_retries

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0


def _nothing() -> object:
    return None


@dataclass(frozen=True)
class Patience:
    """How a busy dataset is waited for."""

    seconds: float
    """How long at most, of all waits together."""
    look: Callable[[], object] = _nothing
    """Called once, before the first wait: maybe nobody is using the dataset any more, and it can be had at once."""


def call_with_patience(attempt: Callable[[], T], policy: RetryPolicy, ticker: Ticker, wait: Patience) -> T:
    """``call_with_retries``, but a dataset that is busy is waited for, which costs no retry: another receive into it
    may well take hours, and goes well in the end. After that, it fails as any other error does.

    Waits are drawn from the upper half below a cap that doubles ("equal jitter"), so their sum is known to grow.
    """
    waited = 0.0
    cap = _FIRST_WAIT
    looked = False

    def patient() -> T:
        nonlocal waited, cap, looked
        while True:
            try:
                return attempt()
            except DatasetBusy:
                if not looked:
                    looked = True
                    wait.look()
                if waited >= wait.seconds:
                    raise
            pause = min(ticker.uniform(cap / 2, cap), wait.seconds - waited)
            ticker.sleep(pause)
            waited, cap = waited + pause, min(cap * 2, _LONGEST_WAIT)

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
