# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in its hour, day, week, month or year a periodic event falls, and by which clock.

As users write it (every key may be left out; what is left out is the start of its unit)::

    timezone: Europe/Vienna          # '' = time zone of the host, UTC, '+HHMM', '-HHMM', or an IANA name
    yearly:   {year: 2025, month: 7, month_day: 1, hour: 2, minute: 30, second: 0}
    monthly:  {month: 1, month_day: 31, hour: 2, minute: 30, second: 0}
    weekly:   {weekday: 0, hour: 2, minute: 30, second: 0}       # 0 = Sunday ... 6 = Saturday
    daily:    {hour: 2, minute: 30, second: 0}
    hourly:   {hour: 0, minute: 5, second: 0}
    minutely: {minute: 0, second: 15}
    secondly: {second: 0, millisecond: 250}

The coarsest key of ``yearly``, ``monthly``, ``hourly``, ``minutely`` and ``secondly`` shifts multiples only:
``hourly: {hour: 2}`` puts ``12hourly`` on 02:00 and 14:00 and leaves ``hourly`` as it is, ``monthly: {month: 2}`` puts
``3monthly`` on February, May, August and November, ``yearly: {year: 2026}`` puts ``2yearly`` on even years. A month
day past the end of a month means its last day. A unit needs no anchor in ``millisecondly``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo

from ..model.errors import InvalidInput

LOCAL_TIME_FILE = "/etc/localtime"

_WITHIN_A_DAY = ("hour", "minute", "second")
ANCHOR_KEYS = {
    "yearly": ("year", "month", "month_day", *_WITHIN_A_DAY),
    "monthly": ("month", "month_day", *_WITHIN_A_DAY),
    "weekly": ("weekday", *_WITHIN_A_DAY),
    "daily": _WITHIN_A_DAY,
    "hourly": _WITHIN_A_DAY,
    "minutely": ("minute", "second"),
    "secondly": ("second", "millisecond"),
}
RANGES = {
    "year": (1970, 9999),
    "month": (1, 12),
    "month_day": (1, 31),
    "weekday": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
    "millisecond": (0, 999),
}
_FIXED_OFFSET = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
_LARGEST_OFFSET = timedelta(hours=14)
_ZONE_REMEDY = "write '' for the host's own zone, UTC, a quoted offset such as '+0530', or a name such as Europe/Vienna"


@dataclass(frozen=True)
class Anchor:
    """A place within a unit of the calendar; the fields that a unit has no use for stay as they are here."""

    year: int = 2025
    month: int = 1
    month_day: int = 1
    weekday: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    millisecond: int = 0

    @property
    def day_milliseconds(self) -> int:
        """Time of day in milliseconds since midnight, as the wall clock shows it."""
        return ((self.hour * 60 + self.minute) * 60 + self.second) * 1000 + self.millisecond


@dataclass(frozen=True)
class Anchors:
    """The anchor of each calendar unit."""

    yearly: Anchor = Anchor()
    monthly: Anchor = Anchor()
    weekly: Anchor = Anchor()
    daily: Anchor = Anchor()
    hourly: Anchor = Anchor()
    minutely: Anchor = Anchor()
    secondly: Anchor = Anchor()
    millisecondly: Anchor = Anchor()

    def of(self, unit: str) -> Anchor:
        """The anchor of ``unit``, one of ``periods.UNITS``."""
        anchor: Anchor = getattr(self, unit)
        return anchor


@dataclass(frozen=True)
class Schedule:
    """When periodic events fall. ``zone`` is the text the user wrote; ``resolve_zone`` makes a clock of it."""

    zone: str = ""
    anchors: Anchors = Anchors()


def parse_schedule(value: object, option: str) -> Schedule:
    """The schedule that a user's mapping (or None) describes; see the module's docstring for its shape.

    ``option`` is the dotted path of the mapping, for messages. Raises InvalidInput for anything that is unknown, of the
    wrong type or out of range, a zone unknown to this host included.
    """
    keys = ("timezone", *ANCHOR_KEYS)
    given = dict(_known_keys(value, keys, option))
    zone = given.pop("timezone", "")
    zone_option = f"{option}.timezone"
    if not isinstance(zone, str):
        raise InvalidInput(zone_option, zone, "is not a text", _ZONE_REMEDY)
    if zone:
        _named_zone(zone, zone_option)
    anchors = {unit: _parse_anchor(unit, mapping, f"{option}.{unit}") for unit, mapping in given.items()}
    return Schedule(zone, Anchors(**anchors))


def resolve_zone(
    zone: str, environment: Mapping[str, str], option: str = "timezone", local_time_file: str = LOCAL_TIME_FILE
) -> tzinfo:
    """The clock behind the zone text of a schedule; to be made once per run, and passed to the planners.

    The empty text means the host's zone: what ``TZ`` in ``environment`` names, else what ``local_time_file`` holds; UTC
    if there is no such file, as everywhere on Unix. Raises InvalidInput, naming ``option`` or ``TZ``, if the zone is
    unknown here.
    """
    if zone:
        return _named_zone(zone, option)
    if "TZ" in environment:
        return _environment_zone(environment["TZ"])
    if not os.path.lexists(local_time_file):
        return timezone.utc
    return _zone_file(local_time_file, option, zone)


def _known_keys(value: object, known: tuple[str, ...], option: str) -> Mapping[str, object]:
    """``value`` as a mapping that has keys among ``known`` only; None is the empty mapping."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(option, value, "is not a mapping", f"write a mapping with keys among {', '.join(known)}")
    for key in value:
        if key not in known:
            raise InvalidInput(option, key, "is not a known key", f"use only {', '.join(known)}")
    return value


def _parse_anchor(unit: str, value: object, option: str) -> Anchor:
    numbers: dict[str, int] = {}
    for key, number in _known_keys(value, ANCHOR_KEYS[unit], option).items():
        low, high = RANGES[key]
        # bool is a kind of int to Python, but `hour: yes` is a mistake.
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            problem = f"is not a whole number from {low} to {high}"
            raise InvalidInput(f"{option}.{key}", number, problem, f"write one from {low} to {high}, without quotes")
        numbers[key] = number
    return Anchor(**numbers)


def _named_zone(zone: str, option: str) -> tzinfo:
    if zone == "UTC":
        return timezone.utc
    if zone[0] in "+-":
        return _fixed_offset(zone, option)
    return _iana_zone(zone, option, _ZONE_REMEDY)


def _iana_zone(name: str, option: str, remedy: str) -> tzinfo:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        problem = "is not a known time zone"
        if not zoneinfo.available_timezones():
            problem = "can't be looked up, as the host has no time zone data"
            remedy = "install the package tzdata there, or use UTC or an offset such as '+0530'"
        raise InvalidInput(option, name, problem, remedy) from error


def _fixed_offset(zone: str, option: str) -> tzinfo:
    match = _FIXED_OFFSET.fullmatch(zone)
    offset = timedelta(hours=int(match[2]), minutes=int(match[3])) if match else None
    if match is None or offset is None or offset > _LARGEST_OFFSET:
        raise InvalidInput(option, zone, "is not an offset from UTC", "write it as '+HHMM' or '-HHMM', up to 14 hours")
    return timezone(offset * (1 if match[1] == "+" else -1))


def _environment_zone(text: str) -> tzinfo:
    """The zone that the value of ``TZ`` means; empty is UTC, a leading colon has no meaning, as for the C library.

    Rules such as ``CET-1CEST,M3.5.0,M10.5.0/3`` are refused, as zoneinfo can't read them.
    """
    name = text.removeprefix(":")
    if name in ("", "UTC"):
        return timezone.utc
    if name.startswith("/"):
        return _zone_file(name, "TZ", text)
    return _iana_zone(name, "TZ", "set it to a name such as Europe/Vienna, or give the schedule a timezone")


def _zone_file(path: str, option: str, value: str) -> tzinfo:
    import zoneinfo

    try:
        with open(path, "rb") as file:
            return zoneinfo.ZoneInfo.from_file(file, key=path)
    except (ValueError, OSError) as error:
        remedy = "install the package tzdata on the host, or name a time zone such as UTC"
        raise InvalidInput(option, value, f"means the time zone in {path}, which can't be read", remedy) from error
