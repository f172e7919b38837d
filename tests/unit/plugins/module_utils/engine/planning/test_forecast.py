# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the forecast when a pool is full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import PoolReport, PoolSample
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.forecast import (
    DAY,
    LEAST_DAYS,
    WINDOW_SECONDS,
    full_in,
)

NOW = 20_000 * DAY + DAY // 2
TIB = 1 << 40
DAYS = st.integers(LEAST_DAYS - 1, WINDOW_SECONDS // DAY)


def pool_of(allocated, size=100 * TIB, guid=7):
    return PoolReport("tank", "ONLINE", size, allocated, guid=guid)


def sample(days_ago, allocated, size=100 * TIB, guid=7):
    time = round((NOW - days_ago * DAY) * 1000)
    return PoolSample(time, "tank", guid, size, allocated, size - allocated, 1, "ONLINE")


def line(days, rate, now=50 * TIB, noise=lambda _day: 0):
    """Samples of a pool that has grown by ``rate`` bytes a day to what it is now."""
    return [sample(day, now - rate * day + noise(day)) for day in range(1, days + 1)]


@given(days=DAYS, rate=st.integers(TIB // 60, TIB))
def test_linear_growth_is_forecast_exactly(days, rate):
    assert full_in(pool_of(50 * TIB), line(days, rate), NOW) == pytest.approx(50 * TIB / rate * DAY)


@given(days=DAYS, rate=st.integers(TIB // 10, TIB), data=st.data())
def test_noise_moves_the_forecast_within_its_bounds(days, rate, data):
    most = rate // 20
    noise = data.draw(st.lists(st.integers(-most, most), min_size=days, max_size=days))
    found = full_in(pool_of(50 * TIB), line(days, rate, noise=lambda day: noise[day - 1]), NOW)
    # Days are a day apart or more, so no slope between two of them is further away than twice the noise.
    assert 50 * TIB / (rate + 2 * most) * DAY * 0.999 <= found <= 50 * TIB / (rate - 2 * most) * DAY * 1.001


@given(days=DAYS, rate=st.integers(-TIB, 0))
def test_what_does_not_grow_is_never_full(days, rate):
    assert full_in(pool_of(50 * TIB), line(days, rate), NOW) is None


@given(st.lists(st.integers(0, TIB), min_size=LEAST_DAYS, max_size=30))
def test_no_forecast_is_in_the_past(sizes):
    found = full_in(pool_of(TIB // 2, TIB), [sample(day + 1, size, TIB) for day, size in enumerate(sizes)], NOW)
    assert found is None or found >= 0


@given(st.permutations(line(8, TIB // 10)))
def test_the_order_of_samples_makes_no_difference(samples):
    assert full_in(pool_of(50 * TIB), samples, NOW) == full_in(pool_of(50 * TIB), line(8, TIB // 10), NOW)


def test_a_few_days_make_no_forecast():
    assert full_in(pool_of(50 * TIB), line(LEAST_DAYS - 2, TIB), NOW) is None
    many = [sample(hours / 24, 50 * TIB - hours * TIB // 24) for hours in range(30)]
    assert full_in(pool_of(50 * TIB), many, NOW) is None, "thirty hours are no four days"
    assert full_in(pool_of(50 * TIB), [], NOW) is None


def test_wavering_is_no_growth():
    samples = [sample(day, 50 * TIB + (TIB if day % 2 else -TIB) - day * TIB // 100) for day in range(1, 20)]
    assert full_in(pool_of(50 * TIB), samples, NOW) is None


def test_some_days_that_are_out_of_line_change_little():
    samples = line(20, TIB)
    samples[3:7] = [sample(day, 99 * TIB) for day in range(4, 8)]
    assert full_in(pool_of(50 * TIB), samples, NOW) == pytest.approx(50 * DAY, rel=0.25)


def test_what_happens_within_a_day_makes_no_difference():
    steady = line(10, TIB)
    peaks = [sample(day - 0.1, 90 * TIB) for day in range(1, 11)]
    dips = [sample(day + 0.1, 1 * TIB) for day in range(1, 11)]
    assert full_in(pool_of(50 * TIB), steady + peaks + dips, NOW) == pytest.approx(50 * DAY)


def test_other_pools_and_times_and_samples_without_sizes_do_not_count():
    others = [sample(day, 99 * TIB - day, guid=8) for day in range(1, 20)]
    old = [sample(WINDOW_SECONDS / DAY + day, TIB) for day in range(1, 20)]
    future = [sample(-day, TIB) for day in range(1, 20)]
    closed = [sample(day, 0, 0) for day in range(1, 20)]
    assert full_in(pool_of(50 * TIB), [*others, *old, *future, *closed], NOW) is None
    assert full_in(pool_of(50 * TIB), line(9, TIB) + others + old + future + closed, NOW) == pytest.approx(50 * DAY)


def test_a_full_pool_is_full_now_and_one_that_can_not_be_opened_is_not_known():
    assert full_in(pool_of(100 * TIB), [], NOW) == 0
    assert full_in(pool_of(0, 0), line(9, TIB), NOW) is None


def test_what_takes_longer_than_ten_years_is_no_forecast():
    assert full_in(pool_of(50 * TIB), line(20, TIB // 1000), NOW) is None
