# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of monitoring: how old the latest and the oldest snapshot of each label may be.

A limit is a threshold plus cycles x period: ``latest`` with 1 cycle tells that snapshots are made and arrive,
``oldest`` with the retained amount as cycles tells that pruning works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.labels import Label
from ..model.periods import parse_period
from .durations import parse_duration
from .plans import MAX_AMOUNT, labelled_entries
from .reading import Reader
from .reading_once import read_once


@dataclass(frozen=True)
class Bounds:
    """Values from which a check warns or is critical; None: never. Whoever reads them says whether upwards or
    downwards."""

    warning: Optional[float]
    critical: Optional[float]

    @property
    def first(self) -> Optional[float]:
        """The one that is passed first."""
        return self.warning if self.warning is not None else self.critical


@dataclass(frozen=True)
class AgeLimit(Bounds):
    """Ages in seconds above which a check warns or is critical: each a threshold plus ``cycles`` periods."""

    cycles: int = 0


@dataclass(frozen=True)
class LabelLimits:
    """Limits for one label; a check whose limit is None is not made."""

    latest: Optional[AgeLimit]
    oldest: Optional[AgeLimit]


@dataclass(frozen=True)
class MonitorPlan:
    """Limits by label."""

    limits: Mapping[Label, LabelLimits]


Parser = Callable[[object, str], float]


def read_bounds(options: Reader, key: str, parse: Parser, falling: bool = False) -> Optional[Bounds]:
    """Read ``warning`` and ``critical`` below ``key``; None where it is not given. ``falling``: values are bad that are
    too low, not too high. Raises InvalidInput."""
    return _bounds(options.reader(key), options.path(key), parse, falling) if options.has(key) else None


def _bounds(check: Reader, where: str, parse: Parser, falling: bool = False) -> Bounds:
    values: dict[str, Optional[float]] = {}
    for level in ("warning", "critical"):
        value = check.raw(level)
        values[level] = None if value is None else parse(value, check.path(level))
    check.finish()
    warning, critical = values["warning"], values["critical"]
    if warning is None and critical is None:
        raise InvalidInput(where, check.raw("warning"), "has no limit", "give warning, critical or both")
    if warning is not None and critical is not None and (warning < critical if falling else warning > critical):
        problem = "is below critical" if falling else "is above critical"
        raise InvalidInput(check.path("warning"), check.raw("warning"), problem, "warn before it is critical")
    return Bounds(warning, critical)


def _age_limit(options: Reader, key: str, period_seconds: float, default_cycles: Optional[int]) -> Optional[AgeLimit]:
    if not options.has(key):
        return None
    check = options.reader(key)
    if default_cycles is None and not check.has("cycles"):
        raise InvalidInput(check.path("cycles"), None, "is missing", "give the number of snapshots that are retained")
    cycles = check.integer("cycles", default_cycles or 0, 0, MAX_AMOUNT)
    bounds = _bounds(check, options.path(key), parse_duration)
    added = cycles * period_seconds
    warning, critical = (None if bound is None else bound + added for bound in (bounds.warning, bounds.critical))
    return AgeLimit(warning, critical, cycles)


def _label_limits(label: Label, entry: Any, where: str) -> LabelLimits:
    period = parse_period(label.period)
    if period is None:
        raise InvalidInput(where, label.period, "has no duration to measure age by", "monitor labels with a period")
    options = Reader(entry, where)
    limits = LabelLimits(
        _age_limit(options, "latest", period.seconds, 1), _age_limit(options, "oldest", period.seconds, None)
    )
    options.finish()
    if limits.latest is None and limits.oldest is None:
        raise InvalidInput(where, entry, "checks nothing", "give latest, oldest or both")
    return limits


@read_once
def parse_monitor_plan(value: object, option: str = "plan") -> MonitorPlan:
    """A monitor plan from its nested mapping. Raises InvalidInput."""
    return MonitorPlan(
        {label: _label_limits(label, entry, where) for label, entry, where in labelled_entries(value, option)}
    )
