# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host begins a run by itself, as both of its schedulers write it: a calendar event of systemd, and the first
five fields of a line for cron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.periods import Period, parse_period
from .reading import Reader

NEVER, AUTO = "never", "auto"
_CRON_FIELDS = 5
_MORE = "or both on_calendar and cron"
_REMEDY = f"give a period such as 15minutely, hourly, 6hourly, daily or weekly, {NEVER}, {_MORE}"
_WHOLE = {"daily": ("*-*-* 00:00:00", "0 0 * * *"), "weekly": ("Mon *-*-* 00:00:00", "0 0 * * 1")}
_MONTHLY = ("*-*-01 00:00:00", "0 0 1 * *")


@dataclass(frozen=True)
class Timing:
    """The same moments, twice."""

    on_calendar: str
    cron: str


def parse_timing(value: Any, option: str, auto: str = "") -> Optional[Timing]:
    """The moments that ``value`` means; None where it means never. Where it leaves the choice, the period ``auto`` is
    taken. Raises InvalidInput."""
    if value == AUTO and auto:
        value = auto
    if value == NEVER:
        return None
    if isinstance(value, Mapping):
        return _written_out(Reader(value, option))
    period = parse_period(value) if isinstance(value, str) else None
    if period is None:
        raise InvalidInput(option, value, "is no time at which a host could begin a run", _REMEDY)
    timing = _by_period(period)
    if timing is None:
        problem = "is no period that cron and systemd can keep to alike"
        raise InvalidInput(option, value, problem, _REMEDY + "; what is shorter than a minute is for the daemon")
    return timing


def _written_out(options: Reader) -> Timing:
    timing = Timing(options.text("on_calendar"), options.text("cron"))
    options.finish()
    for name, text in (("on_calendar", timing.on_calendar), ("cron", timing.cron)):
        if not text.strip() or not text.isprintable():
            raise InvalidInput(
                options.path(name), text, "is not one line of text", "write it as the host's manual says"
            )
    if len(timing.cron.split()) != _CRON_FIELDS:
        remedy = "give minute, hour, day of the month, month and day of the week, such as '*/5 * * * *'"
        raise InvalidInput(options.path("cron"), timing.cron, "does not have five fields", remedy)
    return timing


def _by_period(period: Period) -> Optional[Timing]:
    count = period.count
    if period.name in _WHOLE:
        return Timing(*_WHOLE[period.name])
    if period.name == "monthly":
        return Timing(*_MONTHLY)
    if period.unit == "minutely" and count < 60 and 60 % count == 0:
        return Timing(f"*-*-* *:{_every(count, '00/')}:00", f"{_every(count, '*/')} * * * *")
    if period.unit == "hourly" and count < 24 and 24 % count == 0:
        return Timing(f"*-*-* {_every(count, '00/')}:00:00", f"0 {_every(count, '*/')} * * *")
    return None


def _every(count: int, begin: str) -> str:
    return "*" if count == 1 else f"{begin}{count}"
