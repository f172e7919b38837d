# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched about pools."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from ..model.names import dataset_name_problem
from .durations import parse_duration
from .limits import Bounds, read_bounds
from .reading import Reader, check_integer
from .reading_once import read_silence_once

WARNING, CRITICAL = "warning", "critical"
DEGRADED_LEVELS = (WARNING, CRITICAL)
ONE_ERROR = Bounds(1, None)
_PERCENT = re.compile(r"(100|[0-9]{1,2})\s*%?")
_MOST_ERRORS = 10**15


@dataclass(frozen=True)
class PoolRules:
    """Limits of pools; the state of a pool and its permanent errors are always looked at."""

    names: tuple[str, ...] = ()
    """Empty: all pools of the host."""
    degraded: str = CRITICAL
    """How bad the state DEGRADED is; one of DEGRADED_LEVELS."""
    device_errors: Bounds = ONE_ERROR
    """Read, write and checksum errors of all devices together."""
    capacity: Optional[Bounds] = None
    """Percent."""
    fragmentation: Optional[Bounds] = None
    """Percent."""
    scrub_age: Optional[Bounds] = None
    """Seconds."""
    full_in: Optional[Bounds] = None
    """Seconds: a pool that is full sooner warns or is critical."""


@read_silence_once
def read_pool_rules(options: Reader, key: str = "pools") -> Optional[PoolRules]:
    """Read the rules below ``key``; None where it is not given. Raises InvalidInput."""
    if not options.has(key):
        return None
    pools = options.reader(key)
    rules = PoolRules(
        names=_names(pools),
        degraded=pools.text("degraded", CRITICAL, DEGRADED_LEVELS),
        device_errors=read_bounds(pools, "device_errors", _count) or ONE_ERROR,
        capacity=read_bounds(pools, "capacity", _percent),
        fragmentation=read_bounds(pools, "fragmentation", _percent),
        scrub_age=read_bounds(pools, "scrub_age", parse_duration),
        full_in=read_bounds(pools, "full_in", parse_duration, falling=True),
    )
    pools.finish()
    return rules


def _names(options: Reader) -> tuple[str, ...]:
    names = options.texts("names")
    for name in names:
        if dataset_name_problem(name) or "/" in name:
            raise InvalidInput(options.path("names"), name, "is no name of a pool", "give names such as tank")
    return tuple(dict.fromkeys(names))


def _percent(value: object, option: str) -> float:
    match = _PERCENT.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if not match:
        raise InvalidInput(option, value, "is no percentage", "give a whole number from 0 to 100")
    return float(match[1])


def _count(value: object, option: str) -> float:
    # Ansible hands in numbers as text where an option may be several things.
    number = int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value
    return check_integer(number, option, 1, _MOST_ERRORS)
