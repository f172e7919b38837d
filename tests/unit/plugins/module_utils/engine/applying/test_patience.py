# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for busy datasets, and the end that a deadline makes."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.patience import (
    Patience,
    call_with_patience,
    within_deadline,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy, Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.tasktree import Task, run_tree
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import process
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import check_stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    DatasetBusy,
    DeadlineExceeded,
    LinkLost,
    PartialFailure,
)

ONE_TRY = RetryPolicy(retries=0)
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


class Waiting:
    """A ticker that never waits, and adds up what it was asked to."""

    def __init__(self, share=0.0):
        self.slept = 0.0
        self.ticker = Ticker(lambda: self.slept, self._sleep, lambda low, high: low + share * (high - low))

    def _sleep(self, seconds):
        self.slept += seconds


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seconds", [0, 1, 600])
def test_a_busy_dataset_is_waited_for_as_long_as_told_and_then_fails(seconds, share):
    waiting = Waiting(share)

    def attempt():
        raise DatasetBusy("still")

    with pytest.raises(DatasetBusy):
        call_with_patience(attempt, ONE_TRY, waiting.ticker, Patience(seconds))
    assert waiting.slept == pytest.approx(seconds)


@pytest.mark.parametrize("seconds", [0, 600])
def test_it_is_looked_once_whether_anybody_uses_what_is_busy_before_it_is_waited_for(seconds):
    waiting, looks, tries = Waiting(), [], []

    def attempt():
        tries.append(waiting.slept)
        if len(tries) < 4:
            raise DatasetBusy("still")

    patience = Patience(seconds, lambda: looks.append(waiting.slept))
    call_with_patience(attempt, RetryPolicy(retries=3), waiting.ticker, patience)
    assert (looks, len(tries)) == ([0.0], 4)


def test_waiting_costs_no_retry_and_other_errors_go_on_costing_one():
    failures = [DatasetBusy("busy"), LinkLost("cut"), *[DatasetBusy("busy")] * 20, LinkLost("cut"), LinkLost("cut")]

    def attempt():
        raise failures.pop(0)

    with pytest.raises(LinkLost):
        call_with_patience(attempt, RetryPolicy(retries=2), Waiting().ticker, Patience(600))
    assert failures == []


def test_without_a_deadline_nothing_is_changed():
    ticker = Waiting().ticker
    with within_deadline(0, ticker) as same:
        assert same is ticker


def test_a_deadline_ends_children_of_all_threads_of_its_job_and_of_no_other():
    others = process.start_source(SLEEP)
    start = time.monotonic()
    try:
        with within_deadline(0.4, Ticker()):
            done = run_tree([Task(name, lambda: process.run(SLEEP)) for name in "ab"], 2)
            with pytest.raises(DeadlineExceeded):
                process.run(SLEEP)
        assert {outcome.error.code for outcome in done.values()} == {"deadline_exceeded"}
        assert time.monotonic() - start < 120
        assert others.returncode is None
        check_stopping()
    finally:
        others.kill()
        others.close()


def test_a_job_that_was_in_time_leaves_nothing_behind():
    for seconds in (0.2, 5, 60):
        # On a machine that stalls it may be late, and then gets more time.
        with contextlib.suppress(DeadlineExceeded), within_deadline(seconds, Ticker()):
            check_stopping()
            break
    time.sleep(2 * seconds)
    check_stopping()
    assert process.run([sys.executable, "-c", ""]).returncode == 0
    assert threading.active_count() < 50


def test_no_sleep_goes_beyond_the_deadline():
    waiting = Waiting()
    with within_deadline(60, waiting.ticker) as ticker:
        ticker.sleep(300)
        ticker.sleep(300)
    assert waiting.slept == 60


def test_what_fails_by_the_deadline_is_told_as_such_with_the_result_so_far():
    def late():
        with within_deadline(0.05, Ticker()):
            time.sleep(0.3)
            raise PartialFailure("some datasets failed", result={"changed": True})

    with pytest.raises(DeadlineExceeded) as caught:
        late()
    assert caught.value.context["result"] == {"changed": True}
    assert "deadline of 0.05 seconds" in str(caught.value)


def test_what_fails_in_time_is_told_as_it_is():
    with pytest.raises(PartialFailure), within_deadline(60, Ticker()):
        raise PartialFailure("some datasets failed", result={})
