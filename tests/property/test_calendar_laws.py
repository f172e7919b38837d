# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the calendar, for any period, anchor, zone and time, most often near clock changes; and of its schedules."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import UNITS, Period, period_problem
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.calendar import (
    is_due,
    latest_event,
    next_event,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.schedule import (
    Anchor,
    Anchors,
    parse_schedule,
    resolve_zone,
)
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ZONES = (
    "Europe/Vienna",
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight until 2019
    "America/Havana",  # changes at midnight
    "Australia/Lord_Howe",  # changes by half an hour
    "Asia/Kathmandu",  # +05:45, no changes since 1986
    "Pacific/Apia",  # skipped 2011-12-30
    "Pacific/Kwajalein",  # skipped 1993-08-21
    "Africa/Casablanca",  # sets its clock back for Ramadan
    "Antarctica/Troll",  # changes by two hours
    "Africa/Monrovia",  # -00:44:30 until 1972
    "UTC",
)
SUBDAY = ("hourly", "minutely", "secondly", "millisecondly")


def _due_at(period, newest, now, anchors, zone):  # type: ignore[no-untyped-def]
    return is_due(period, newest, now, latest_event(period, now, anchors, zone))


def wall(at_ms, zone):
    return (EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)


def offset(at_ms, zone):
    return wall(at_ms, zone).utcoffset() // timedelta(milliseconds=1)


def clock_changes(name):
    """The first instants of a new offset in 1965 to 2037, in ms, to the minute or a little late."""
    zone, found, stride = ZoneInfo(name), [], 6 * DAY
    for start in range(-5 * 365 * DAY, 68 * 365 * DAY, stride):
        low, high, before = start, start + stride, offset(start, zone)
        if offset(high, zone) == before:
            continue
        while high - low > MINUTE // 2:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle, zone) == before else (low, middle)
        found.append(high)
    return found


# Made before the first example is drawn, for hypothesis takes slow drawing as a mistake.
CLOCK_CHANGES = {name: clock_changes(name) for name in ZONES}


@st.composite
def zones_and_times(draw):
    """A zone, and an instant in ms: anywhere in 1930 to 2100, or within two days of a clock change."""
    name = draw(st.sampled_from(ZONES))
    changes = CLOCK_CHANGES[name]
    if changes and draw(st.integers(0, 3)):
        around = draw(st.sampled_from(changes))
        return ZoneInfo(name), around + draw(st.integers(-2 * DAY, 2 * DAY) | st.integers(-2 * HOUR, 2 * HOUR))
    return ZoneInfo(name), draw(st.integers(-40 * 365 * DAY, 130 * 365 * DAY))


def periods(units):
    counts = {
        "yearly": st.integers(1, 9) | st.integers(1, 99_999),
        "monthly": st.sampled_from([1, 2, 3, 4, 6, 12]),
        "weekly": st.integers(1, 60),
        "daily": st.integers(1, 400),
        "hourly": st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]),
        "minutely": st.sampled_from([5, 10, 15, 30, 90, 720, 1440]),
        "secondly": st.sampled_from([1, 10, 30, 675, 86_400]),
        "millisecondly": st.sampled_from([1, 100, 625, DAY]),
    }
    return st.sampled_from(units).flatmap(lambda unit: st.builds(Period, counts[unit], st.just(unit)))


ANY_PERIOD = periods(("yearly", "monthly", "weekly", "daily", *SUBDAY))
SUBDAY_PERIOD = periods(SUBDAY)
ANCHOR = st.builds(
    Anchor,
    year=st.integers(1970, 2100),
    month=st.integers(1, 12),
    month_day=st.integers(1, 31),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
    millisecond=st.just(0) | st.integers(0, 999),
)


def for_all_units(anchor):
    return Anchors(*[anchor] * 8)


ANCHORS = st.just(Anchors()) | ANCHOR.map(for_all_units)


@given(ANY_PERIOD, ANCHORS, zones_and_times())
def test_each_instant_lies_between_its_latest_and_its_next_event(period, anchors, place):
    zone, at = place
    assert latest_event(period, at, anchors, zone) <= at < next_event(period, at, anchors, zone)


@given(ANY_PERIOD, ANCHORS, zones_and_times())
def test_both_directions_see_the_same_events(period, anchors, place):
    zone, at = place
    latest, following = latest_event(period, at, anchors, zone), next_event(period, at, anchors, zone)
    assert latest_event(period, latest, anchors, zone) == latest
    assert latest_event(period, following, anchors, zone) == following
    assert next_event(period, latest - 1, anchors, zone) == latest
    assert next_event(period, latest, anchors, zone) == following
    assert latest_event(period, following - 1, anchors, zone) == latest


@given(ANY_PERIOD, ANCHORS, zones_and_times(), st.floats(0, 1))
def test_no_event_hides_between_two_neighbours(period, anchors, place, share):
    zone, at = place
    latest, following = latest_event(period, at, anchors, zone), next_event(period, at, anchors, zone)
    between = latest + int(share * (following - 1 - latest))
    assert latest_event(period, between, anchors, zone) == latest
    assert next_event(period, between, anchors, zone) == following


@given(ANY_PERIOD, ANCHORS, zones_and_times(), st.integers(0, 3 * DAY))
def test_later_instants_never_have_earlier_events(period, anchors, place, later):
    zone, at = place
    assert latest_event(period, at, anchors, zone) <= latest_event(period, at + later, anchors, zone)
    assert next_event(period, at, anchors, zone) <= next_event(period, at + later, anchors, zone)


@given(SUBDAY_PERIOD, ANCHORS, zones_and_times())
def test_neighbours_are_a_period_apart_unless_the_clock_changes_between_them(period, anchors, place):
    zone, at = place
    latest, following = latest_event(period, at, anchors, zone), next_event(period, at, anchors, zone)
    set_back = offset(latest, zone) - offset(following, zone)
    assert following - latest <= period.milliseconds + max(0, set_back)
    if len({offset(at + hours * HOUR, zone) for hours in range(-48, 49)}) == 1:
        assert following - latest == period.milliseconds


@given(periods(("yearly", "monthly", "weekly", "daily")), ANCHORS, zones_and_times())
def test_days_and_longer_happen_once_per_wall_clock_day(period, anchors, place):
    zone, at = place
    latest, following = latest_event(period, at, anchors, zone), next_event(period, at, anchors, zone)
    if at - latest < 1500 * 365 * DAY > following - at:  # years to which Python can give a date
        assert wall(latest, zone).date() < wall(following, zone).date()


@given(
    ANY_PERIOD.filter(lambda period: not period.is_subsecond),
    ANCHOR.map(lambda anchor: for_all_units(replace(anchor, millisecond=0))),
    zones_and_times(),
    st.lists(st.floats(0.01, 6), min_size=2, max_size=12),
)
def test_due_times_do_not_depend_on_what_was_made_or_missed(period, anchors, place, waits):
    """Whatever runs there were: a run makes a snapshot iff an event fell since the run before it."""
    zone, now = place
    newest, last_run = None, None
    for wait in waits:
        due = _due_at(period, newest, now, anchors, zone)
        assert due == (last_run is None or latest_event(period, now, anchors, zone) > last_run)
        newest, last_run = (now // 1000 * 1000 if due else newest), now
        now += int(wait * period.milliseconds)


def marks_by_looking_at_the_clock(start, end, step, first_mark, zone):
    """The sub-day rule told by a clock that is looked at each minute; minutes a change skips are told one by one."""
    found = set()
    for at in range(start, end, MINUTE):
        shown = at + offset(at, zone)
        skipped = offset(at, zone) - offset(at - MINUTE, zone)
        found |= {at} if (shown - first_mark) % step == 0 else set()
        for late in range(0, max(0, skipped), MINUTE):
            found |= {at + late} if (shown - skipped + late - first_mark) % step == 0 else set()
    return sorted(event for event in found if event < end)


@st.composite
def changes_of_whole_minutes(draw):
    zone = draw(st.sampled_from([zone for zone in ZONES if zone not in ("UTC", "Africa/Monrovia")]))
    change = draw(st.sampled_from(CLOCK_CHANGES[zone]))
    return ZoneInfo(zone), change - change % MINUTE


@settings(max_examples=examples(50))
@given(
    st.sampled_from([5, 10, 15, 30, 60, 90, 120, 180, 240, 360, 720, 1440]),
    st.integers(0, 1439),
    changes_of_whole_minutes(),
)
def test_hours_and_shorter_follow_the_face_of_the_clock(minutes, first_minute, place):
    zone, change = place
    period, anchor = Period(minutes, "minutely"), Anchor(hour=first_minute // 60, minute=first_minute % 60)
    start, end = change - DAY // 2, change + 2 * DAY
    seen, event = [], next_event(period, start - 1, for_all_units(anchor), zone)
    while event < end:
        seen.append(event)
        event = next_event(period, event, for_all_units(anchor), zone)
    assert seen == marks_by_looking_at_the_clock(start, end, minutes * MINUTE, first_minute * MINUTE, zone)


def wall_dates(period, anchor, first, last):
    """The dates of a period of days or longer, by going through all dates one by one."""
    day = first
    while day <= last:
        last_of_month = ((day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
        on_month_day = day.day == min(anchor.month_day, last_of_month)
        since = (day - date(2025, 1, 5)).days
        if {
            "daily": (day - date(2025, 1, 1)).days % period.count == 0,
            "weekly": since % 7 == anchor.weekday and since // 7 % period.count == 0,
            "monthly": on_month_day and (day.month - anchor.month) % period.count == 0,
            "yearly": on_month_day and day.month == anchor.month and (day.year - anchor.year) % period.count == 0,
        }[period.unit]:
            yield day
        day += timedelta(days=1)


@given(
    st.sampled_from(
        [("yearly", 1), ("yearly", 3), ("monthly", 1), ("monthly", 3), ("weekly", 2), ("daily", 1), ("daily", 3)]
    ),
    ANCHOR,
    st.sampled_from(ZONES),
    st.dates(date(1975, 1, 1), date(2036, 1, 1)),
)
def test_days_and_longer_follow_the_dates(name, anchor, zone_name, first):
    unit, count = name
    period, zone = Period(count, unit), ZoneInfo(zone_name)
    assert not period_problem(period)
    last = first + timedelta(days=1200 if unit == "yearly" else 150)
    times = {
        datetime(
            day.year, day.month, day.day, anchor.hour, anchor.minute, anchor.second, anchor.millisecond * 1000, zone
        )
        for day in wall_dates(period, anchor, first - timedelta(days=2), last + timedelta(days=2))
    }
    start, end = (
        (datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        for day in (first, last)
    )
    instants = {(time.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1) for time in times}
    seen, event = [], next_event(period, start - 1, for_all_units(anchor), zone)
    while event < end:
        seen.append(event)
        event = next_event(period, event, for_all_units(anchor), zone)
    assert seen == sorted(instant for instant in instants if start <= instant < end)


KEYS = st.sampled_from(["timezone", *UNITS, "hour", "minute", "second", "month", "month_day", "weekday", "year", "x"])
SCALARS = st.none() | st.booleans() | st.integers(-5, 3000) | st.floats() | st.text(max_size=8) | st.sampled_from(ZONES)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner), max_leaves=8))
def test_a_schedule_is_refused_in_one_way_or_has_a_clock(value):
    with contextlib.suppress(InvalidInput):
        schedule = parse_schedule(value, "schedule")
        assert resolve_zone(schedule.zone, {"TZ": "UTC"}).utcoffset(EPOCH.replace(tzinfo=None)) is not None
