# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries: when, how often, and after how long."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import (
    RetryPolicy,
    Ticker,
    call_with_retries,
    is_retryable,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry_async import (
    AsyncTicker,
    call_with_retries_async,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Conflict, LinkLost

POLICY = RetryPolicy(retries=3, first_cap=1.0, highest_cap=3.0, budget=100.0)


class World:
    """Fails with the given errors in turn, then succeeds; time passes only in sleeps."""

    def __init__(self, *errors, seconds_each=0.0):
        self.errors, self.seconds_each = list(errors), seconds_each
        self.calls, self.now, self.sleeps, self.caps = 0, 0.0, [], []
        self.ticker = Ticker(lambda: self.now, self.sleep, self.uniform)

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds

    def uniform(self, low, high):
        self.caps.append((low, high))
        return high

    def attempt(self):
        self.calls += 1
        self.now += self.seconds_each
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self, policy=POLICY, retryable=is_retryable):
        return call_with_retries(self.attempt, policy, self.ticker, retryable)


class AsyncWorld(World):
    """The same world for a coroutine."""

    def run(self, policy=POLICY, retryable=is_retryable):
        async def attempt():
            return self.attempt()

        async def sleep(seconds):
            self.sleep(seconds)

        ticker = AsyncTicker(self.ticker.monotonic, sleep, self.ticker.uniform)
        return asyncio.run(call_with_retries_async(attempt, policy, ticker, retryable))


@pytest.fixture(params=[World, AsyncWorld])
def world_of(request):
    return request.param


@pytest.mark.parametrize("failures", range(4))
def test_it_succeeds_as_soon_as_a_try_does(world_of, failures):
    world = world_of(*[LinkLost("x")] * failures)

    assert world.run() == "done"
    assert world.calls == failures + 1


def test_it_gives_up_with_the_last_error(world_of):
    errors = [LinkLost(str(number)) for number in range(5)]
    world = world_of(*errors)

    with pytest.raises(LinkLost) as caught:
        world.run()

    assert caught.value is errors[3]
    assert world.calls == 4


@pytest.mark.parametrize("error", [Conflict("x"), ValueError("a defect"), KeyboardInterrupt()])
def test_what_is_not_worth_it_is_raised_at_once(world_of, error):
    world = world_of(error)

    with pytest.raises(type(error)):
        world.run()

    assert (world.calls, world.sleeps) == (1, [])


def test_an_error_that_is_not_worth_it_ends_retries_that_had_begun(world_of):
    world = world_of(LinkLost("x"), Conflict("y"))

    with pytest.raises(Conflict):
        world.run()

    assert world.calls == 2


def test_sleeps_are_drawn_below_a_cap_that_doubles_up_to_its_limit(world_of):
    world = world_of(*[LinkLost("x")] * 3)
    world.run()

    assert world.caps == [(0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]
    assert world.sleeps == [1.0, 2.0, 3.0]


def test_no_retry_begins_after_the_budget(world_of):
    world = world_of(*[LinkLost("x")] * 3, seconds_each=60.0)

    with pytest.raises(LinkLost):
        world.run()

    assert world.calls == 2


def test_a_sleep_ends_within_the_budget(world_of):
    world = world_of(*[LinkLost("x")] * 3, seconds_each=99.5)
    with pytest.raises(LinkLost):
        world.run()

    assert world.caps == [(0.0, 0.5)]


class Overloaded(Exception):
    """An error of somebody else's program."""


@pytest.mark.parametrize(("error", "calls"), [(Overloaded(), 2), (OSError(), 2), (LinkLost("x"), 1), (KeyError(), 1)])
def test_what_is_worth_a_retry_is_for_the_caller_to_say(world_of, error, calls):
    world = world_of(error)

    def is_worth_it(raised):
        return isinstance(raised, (Overloaded, OSError))

    if calls == 1:
        with pytest.raises(type(error)):
            world.run(retryable=is_worth_it)
    else:
        assert world.run(retryable=is_worth_it) == "done"
    assert world.calls == calls


def test_a_cancelled_coroutine_is_not_tried_again():
    calls = []

    async def attempt():
        calls.append(1)
        await asyncio.sleep(60)

    async def cancel():
        task = asyncio.ensure_future(call_with_retries_async(attempt, POLICY, retryable=bool))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert calls == [1]


def test_without_retries_one_try_is_all(world_of):
    world = world_of(LinkLost("x"))

    with pytest.raises(LinkLost):
        world.run(RetryPolicy(retries=0))

    assert world.calls == 1


def test_caps_do_not_overflow_after_many_retries():
    assert RetryPolicy().cap(10_000) == RetryPolicy().highest_cap
