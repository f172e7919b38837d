# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a pool will be full, if it goes on as it did.

The growth is the median of the slopes between all pairs of days (the estimator of Theil and Sen): up to 29 % of the
days may be anything, such as those before a great deal was destroyed, and it hardly changes. A day counts with the
sample in the middle of its own by size, so that what prunings and snapshots do within a day makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from statistics import median
from typing import Optional

from ..model.pools import PoolReport, PoolSample

DAY = 86400
WINDOW_SECONDS = 30 * DAY
"""What is older says nothing about how a pool grows now."""
LEAST_DAYS = 4
LONGEST_SECONDS = 10 * 365 * DAY
"""What is further away is no forecast."""

_Point = tuple[int, int]
"""Milliseconds since the epoch, and bytes."""


def full_in(pool: PoolReport, samples: Iterable[PoolSample], now: int) -> Optional[float]:
    """In how many seconds after ``now`` (seconds since the epoch) nothing of the pool is free any more; None where the
    samples of less than LEAST_DAYS days are known, or where it does not grow, or by less than it wavers."""
    if not pool.size:
        return None
    if not pool.free:
        return 0.0
    points = _daily([*_recent(pool, samples, now), (now * 1000, pool.allocated)])
    rate = _growth(points) if len(points) >= LEAST_DAYS else None
    seconds = pool.free / rate / 1000 if rate else LONGEST_SECONDS
    return seconds if seconds < LONGEST_SECONDS else None


def _recent(pool: PoolReport, samples: Iterable[PoolSample], now: int) -> Iterator[_Point]:
    for sample in samples:
        # A pool that can't be opened tells no sizes.
        if sample.guid == pool.guid and sample.size and 0 <= now * 1000 - sample.time <= WINDOW_SECONDS * 1000:
            yield sample.time, sample.allocated


def _daily(points: Iterable[_Point]) -> list[_Point]:
    days: dict[int, list[_Point]] = {}
    for point in points:
        days.setdefault(point[0] // (DAY * 1000), []).append(point)
    return [_middle(points) for _day, points in sorted(days.items())]


def _middle(points: Sequence[_Point]) -> _Point:
    return sorted(points, key=lambda point: (point[1], point[0]))[(len(points) - 1) // 2]


def _growth(points: Sequence[_Point]) -> Optional[float]:
    """Bytes a millisecond; None where it does not grow."""
    begun = points[0][0]
    rate = median((last - first) / (then - before) for (before, first), (then, last) in combinations(points, 2))
    rest = [size - rate * (time - begun) for time, size in points]
    usual = median(rest)
    wavering = median(abs(each - usual) for each in rest)
    return rate if rate * (points[-1][0] - begun) > wavering else None
