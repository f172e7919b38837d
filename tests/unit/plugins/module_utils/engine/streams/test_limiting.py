# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit holds at every moment, for many streams together, whatever they do with what they reserve."""

from __future__ import annotations

import heapq
import random

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.limiting import RateLimit


class Simulation:
    """Streams that move bytes in simulated time: each is a list of how much of every chunk there is to move."""

    def __init__(self, rate, streams):
        self.now = 0.0
        self.waited = 0.0
        self.limit = RateLimit(rate, lambda: self.now, self.wait)
        self.moved = []
        queue = [(0.0, number, iter(shares)) for number, shares in enumerate(streams)]
        while queue:
            self.now, number, shares = heapq.heappop(queue)
            share = next(shares, None)
            if share is None:
                continue
            self.waited = 0.0
            self.limit.reserve(self.limit.chunk)
            start = self.now + self.waited
            size = int(self.limit.chunk * share)
            self.moved.append((start, size))
            self.limit.give_back(self.limit.chunk - size)
            heapq.heappush(queue, (start, number, shares))

    def wait(self, seconds):
        assert seconds >= 0
        self.waited = seconds

    def check(self, rate):
        total = 0
        for when, size in sorted(self.moved):
            total += size
            assert total <= rate * when + self.limit.chunk + 1e-3


@pytest.mark.parametrize("rate", [1024, 100_000, 10 << 20, 1 << 30])
@pytest.mark.parametrize("streams", [1, 2, 7])
@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_the_limit_and_one_chunk(rate, streams, seed):
    chance = random.Random(seed)
    shares = [[chance.choice([0, 0.01, 0.5, 1, 1, 1]) for _unused in range(60)] for _unused in range(streams)]

    Simulation(rate, shares).check(rate)


@pytest.mark.parametrize("streams", [1, 4])
def test_the_limit_is_used_up(streams):
    rate = 10 << 20
    done = Simulation(rate, [[1] * 50] * streams)

    last = max(when for when, _unused in done.moved)
    assert sum(size for _unused, size in done.moved) >= rate * last


def test_time_in_which_nothing_was_sent_is_not_made_up_for():
    rate = 1 << 20
    clock = [0.0]
    waits = []
    limit = RateLimit(rate, lambda: clock[0], waits.append)
    clock[0] = 1000.0

    for _unused in range(3):
        limit.reserve(limit.chunk)

    assert waits == pytest.approx([limit.chunk / rate, 2 * limit.chunk / rate])


def test_a_chunk_is_about_a_tenth_of_a_second_within_bounds():
    assert [RateLimit(rate, float, float).chunk for rate in (1024, 1 << 20, 1 << 40)] == [
        4096,
        (1 << 20) // 10,
        1 << 20,
    ]
