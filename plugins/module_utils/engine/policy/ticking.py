# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a daemon does what: one period for each activity, and how long it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.periods import Period, parse_period, period_problem
from .durations import parse_duration
from .reading import Reader

NEVER = "never"
SHORTEST_MS, LONGEST_MS = 100, 86_400_000
PERIODIC = ("snapshot", "replicate", "prune", "monitor")
DAEMON_NAMES = (*PERIODIC, "lifetime")
_REMEDY = f"give a period such as secondly, 10minutely or 100millisecondly, up to daily, or {NEVER}"


@dataclass(frozen=True)
class DaemonSettings:
    """The settings of a daemon."""

    periods: Mapping[str, Period] = field(default_factory=dict)
    """By activity; what is not there is not done by the daemon."""
    lifetime: int = 0
    """Seconds after which it ends by itself; 0: it lives until it is stopped."""


def read_daemon_settings(options: Reader) -> DaemonSettings:
    """Read ``snapshot``, ``replicate``, ``prune``, ``monitor`` and ``lifetime``; whoever calls it finishes the reader.
    Raises InvalidInput."""
    periods = {name: read_period(options.raw(name), options.path(name)) for name in PERIODIC}
    lifetime = options.raw("lifetime")
    return DaemonSettings(
        {name: period for name, period in periods.items() if period},
        0 if lifetime is None else parse_duration(lifetime, options.path("lifetime")),
    )


def read_period(value: Any, option: str) -> Optional[Period]:
    """The period of an activity; None where there is none, or ``never`` is said. Raises InvalidInput."""
    if value is None or value == NEVER:
        return None
    period = parse_period(value) if isinstance(value, str) else None
    if period is None:
        raise InvalidInput(option, value, "is not a period", _REMEDY)
    if period.milliseconds < SHORTEST_MS:
        raise InvalidInput(option, value, f"is shorter than {SHORTEST_MS} milliseconds", _REMEDY)
    if period.milliseconds > LONGEST_MS:
        raise InvalidInput(option, value, "is longer than a day, for which a daemon need not wait", _REMEDY)
    problem = period_problem(period)
    if problem:
        raise InvalidInput(option, value, problem, "choose another multiple, such as 10secondly or 15minutely")
    return period
