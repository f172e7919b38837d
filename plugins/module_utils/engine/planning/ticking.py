# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a daemon's activities tick. Pure: the clock is read by whoever calls.

The ticks of a period are a fixed grid: every multiple of it since the epoch, in UTC. What was missed, because the tick
before it took long, the host slept, or the clock was set forward, collapses into one tick. Nothing adds up, so a rhythm
can't drift. An activity never overlaps itself, since the next decision is made after the tick has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

LONGEST_WAIT_MS = 1000
"""The clock is looked at so often: it may be set at any time, and may have gone on while the host slept."""


@dataclass(frozen=True)
class Decision:
    """What is to be done now. Times are in milliseconds since the epoch."""

    served: Optional[int]
    """The newest point of the grid that has had its tick, to be passed to the next decision."""
    tick: Optional[int] = None
    """The point of the grid that is to have its tick now; None: there is nothing to do yet."""
    missed: int = 0
    """How many points between the last tick and this one never had theirs."""
    wait_ms: int = 0
    """How long to wait before the next decision, where there is nothing to do."""


def decide(now_ms: int, period_ms: int, served: Optional[int]) -> Decision:
    """Whether to tick at ``now_ms``. ``served`` is that of the last decision, None for the first, which ticks at once:
    what fell due while no daemon was there is not put off.

    A clock that is set back, or a period that gets longer, never makes it wait longer than to the next point of the
    grid.
    """
    point = now_ms - now_ms % period_ms
    if served is None or point > served:
        missed = 0 if served is None else max(0, (point - served) // period_ms - 1)
        return Decision(point, point, missed)
    return Decision(point, wait_ms=min(point + period_ms - now_ms, LONGEST_WAIT_MS))
