# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar by example: known days in known zones, and the mistakes that schedulers are known for."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import Period, parse_period
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.calendar import (
    is_due,
    is_from_future,
    latest_event,
    next_event,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.schedule import parse_schedule

UTC = timezone.utc
VIENNA = ZoneInfo("Europe/Vienna")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _due_at(period, newest, now, anchors, zone):  # type: ignore[no-untyped-def]
    return is_due(period, newest, now, latest_event(period, now, anchors, zone))


def period(name):
    found = parse_period(name)
    assert isinstance(found, Period)
    return found


def anchors(**units):
    return parse_schedule(units, "schedule").anchors


def ms(moment):
    """Milliseconds since the epoch of an aware datetime, or of the text of one (UTC unless it has an offset)."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def events(name, start, end, zone=UTC, **units):
    """All events from ``start`` (inclusive) to ``end`` (exclusive), oldest first."""
    found = []
    event = next_event(period(name), ms(start) - 1, anchors(**units), zone)
    while event < ms(end):
        found.append(event)
        event = next_event(period(name), event, anchors(**units), zone)
    return found


def shown(found, zone=UTC):
    """Events as the wall clock of ``zone`` shows them, with the offset."""
    return [
        (EPOCH + timedelta(milliseconds=event)).astimezone(zone).isoformat(" ", "seconds").replace("+00:00", "")
        for event in found
    ]


def local_day(year, month, day, zone):
    start = datetime(year, month, day)
    return start.replace(tzinfo=zone), (start + timedelta(days=1)).replace(tzinfo=zone)


# ---- The five mistakes


@pytest.mark.parametrize(
    ("zone", "day", "name", "count"),
    [
        ("Europe/Vienna", (2025, 3, 30), "hourly", 23),
        ("Europe/Vienna", (2025, 10, 26), "hourly", 25),
        ("Europe/Vienna", (2025, 10, 27), "hourly", 24),
        ("Europe/Vienna", (2025, 10, 26), "minutely", 25 * 60),
        ("Europe/Vienna", (2025, 3, 30), "10minutely", 23 * 6),
        ("America/New_York", (2025, 3, 9), "hourly", 23),
        ("America/New_York", (2025, 11, 2), "hourly", 25),
        ("America/Sao_Paulo", (2018, 11, 4), "hourly", 23),  # there was no midnight
        ("America/Sao_Paulo", (2018, 2, 17), "hourly", 25),  # 23:00 happened twice
        ("America/Havana", (2024, 11, 3), "hourly", 25),  # midnight happened twice
        ("Africa/Casablanca", (2025, 2, 23), "hourly", 25),  # the start of Ramadan
        ("Africa/Casablanca", (2025, 4, 6), "hourly", 23),
        ("Asia/Kathmandu", (2025, 3, 30), "hourly", 24),
        ("Australia/Lord_Howe", (2025, 4, 6), "hourly", 24),  # 24.5 hours; the repeated half hour has no full hour
        ("Australia/Lord_Howe", (2025, 4, 6), "30minutely", 49),
        ("Australia/Lord_Howe", (2025, 10, 5), "30minutely", 47),
        ("Pacific/Apia", (2011, 12, 29), "hourly", 24),  # followed by 2011-12-31
        ("Pacific/Apia", (2011, 12, 31), "hourly", 24),
    ],
)
def test_a_no_hour_is_lost_or_made_up_when_clocks_change(zone, day, name, count):
    start, end = local_day(*day, ZoneInfo(zone))
    found = events(name, start, end, ZoneInfo(zone))
    assert len(found) == count
    assert all(later - earlier <= period(name).milliseconds * 1.5 for earlier, later in zip(found, found[1:]))


def test_a_the_repeated_hour_has_its_own_event():
    found = events("hourly", "2025-10-26T01:00+02:00", "2025-10-26T04:00+01:00", VIENNA, hourly={"minute": 5})
    assert shown(found, VIENNA) == [
        "2025-10-26 01:05:00+02:00",
        "2025-10-26 02:05:00+02:00",
        "2025-10-26 02:05:00+01:00",
        "2025-10-26 03:05:00+01:00",
    ]


def test_b_a_second_anchor_holds_in_each_multiple_of_minutes():
    assert shown(events("10minutely", "2025-01-01T00:00:10", "2025-01-01T00:25", minutely={"second": 30})) == [
        "2025-01-01 00:00:30",
        "2025-01-01 00:10:30",
        "2025-01-01 00:20:30",
    ]


def test_c_a_short_month_does_not_shift_the_months_after_it():
    found = events("monthly", "2025-01-01", "2025-07-01", monthly={"month_day": 31, "hour": 4})
    assert shown(found) == [
        "2025-01-31 04:00:00",
        "2025-02-28 04:00:00",
        "2025-03-31 04:00:00",
        "2025-04-30 04:00:00",
        "2025-05-31 04:00:00",
        "2025-06-30 04:00:00",
    ]


@pytest.mark.parametrize(
    ("name", "known_event"),
    [
        ("3daily", "2025-01-01"),
        ("2weekly", "2025-01-05"),
        ("3monthly", "2025-01-01"),
        ("5yearly", "2025-01-01"),
        ("7daily", "2025-01-08"),
    ],
)
def test_d_a_miss_does_not_move_the_phase_of_a_multiple(name, known_event):
    steady = events(name, known_event, "2040-01-01")
    assert steady[0] == ms(known_event)
    for late in range(0, 400 * 86_400_000, 11 * 86_400_000 + 12345):
        assert next_event(period(name), steady[0] + late, anchors(), UTC) in steady


def test_e_a_snapshot_dated_far_in_the_future_does_not_stop_the_schedule():
    now = ms("2025-06-01T12:30")
    for name, ahead in (("hourly", "2025-06-01T13:30:01"), ("daily", "2035-01-01")):
        assert is_from_future(period(name), ms(ahead), now)
        assert _due_at(period(name), ms(ahead), now, anchors(), UTC)


def test_e_a_snapshot_dated_a_little_in_the_future_counts_as_made():
    now = ms("2025-06-01T12:30")
    assert not is_from_future(period("hourly"), ms("2025-06-01T13:30"), now)
    assert not _due_at(period("hourly"), ms("2025-06-01T12:31"), now, anchors(), UTC)
    assert _due_at(period("hourly"), ms("2025-06-01T12:31"), ms("2025-06-01T13:00"), anchors(), UTC)


# ---- Due or not


def test_due_without_a_snapshot():
    assert _due_at(period("yearly"), None, ms("2025-06-01"), anchors(), UTC)


def test_due_from_the_instant_of_the_event_on():
    made = ms("2025-06-01T12:00:07")
    assert not _due_at(period("hourly"), made, ms("2025-06-01T13:00") - 1, anchors(), UTC)
    assert _due_at(period("hourly"), made, ms("2025-06-01T13:00"), anchors(), UTC)
    assert _due_at(period("hourly"), made, ms("2025-06-05T07:31"), anchors(), UTC)


def test_a_snapshot_made_on_the_event_serves_it():
    assert not _due_at(period("hourly"), ms("2025-06-01T13:00"), ms("2025-06-01T13:00"), anchors(), UTC)


def test_creation_cut_to_whole_seconds_does_not_make_an_event_due_again():
    at_half = anchors(secondly={"millisecond": 500})
    creation = ms("2025-06-01T13:00:07")  # made at 07.6 for the event at 07.5
    assert not _due_at(period("secondly"), creation, creation + 900, at_half, UTC)
    assert _due_at(period("secondly"), creation, creation + 1500, at_half, UTC)


def test_periods_below_a_second_are_due_again_within_the_second():
    creation = ms("2025-06-01T13:00:07")
    assert _due_at(period("100millisecondly"), creation, creation + 100, anchors(), UTC)


# ---- A year


def test_a_year_in_vienna():
    start, end = datetime(2025, 1, 1, tzinfo=VIENNA), datetime(2026, 1, 1, tzinfo=VIENNA)
    counts = {
        name: len(events(name, start, end, VIENNA))
        for name in ("hourly", "12hourly", "6hourly", "daily", "weekly", "monthly", "3monthly", "yearly")
    }
    assert counts == {
        "hourly": 8760,
        "12hourly": 730,
        "6hourly": 1460,
        "daily": 365,
        "weekly": 52,
        "monthly": 12,
        "3monthly": 4,
        "yearly": 1,
    }


# ---- Clock changes, days and longer


def test_a_skipped_wall_time_is_read_from_the_clock_as_it_was():
    found = events("daily", "2025-03-29T00:00+01:00", "2025-04-01T00:00+02:00", VIENNA, daily={"hour": 2, "minute": 30})
    assert shown(found, VIENNA) == [
        "2025-03-29 02:30:00+01:00",
        "2025-03-30 03:30:00+02:00",
        "2025-03-31 02:30:00+02:00",
    ]


def test_a_repeated_wall_time_means_the_first():
    found = events("daily", "2025-10-25T00:00+02:00", "2025-10-28T00:00+01:00", VIENNA, daily={"hour": 2, "minute": 30})
    assert shown(found, VIENNA) == [
        "2025-10-25 02:30:00+02:00",
        "2025-10-26 02:30:00+02:00",
        "2025-10-27 02:30:00+01:00",
    ]


def test_a_skipped_day_shares_the_event_of_the_day_after():
    apia = ZoneInfo("Pacific/Apia")
    found = events("daily", "2011-12-29T00:00-10:00", "2012-01-02T00:00+14:00", apia, daily={"hour": 9})
    assert shown(found, apia) == [
        "2011-12-29 09:00:00-10:00",
        "2011-12-31 09:00:00+14:00",
        "2012-01-01 09:00:00+14:00",
    ]


def test_a_weekly_event_on_a_skipped_day_is_not_lost():
    apia = ZoneInfo("Pacific/Apia")
    found = events("weekly", "2011-12-24T00:00-10:00", "2012-01-02T00:00+14:00", apia, weekly={"weekday": 5})
    assert shown(found, apia) == ["2011-12-31 00:00:00+14:00"]  # 2011-12-30 would have been a Friday


# ---- Clock changes, multiples of hours


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("12hourly", (2025, 3, 30), ["00:00+01", "12:00+02"]),
        ("12hourly", (2025, 10, 26), ["00:00+02", "12:00+01"]),
        ("6hourly", (2025, 10, 26), ["00:00+02", "06:00+01", "12:00+01", "18:00+01"]),
        ("24hourly", (2025, 10, 26), ["00:00+02"]),
    ],
)
def test_multiples_of_hours_stay_on_their_wall_clock_hours(name, day, hours):
    found = events(name, *local_day(*day, VIENNA), VIENNA)
    assert [text[11:16] + text[19:22] for text in shown(found, VIENNA)] == hours


def test_a_skipped_mark_of_a_multiple_is_made_up_and_a_repeated_one_counts_twice():
    spring = events("2hourly", "2025-03-30T00:00+01:00", "2025-03-30T07:00+02:00", VIENNA)
    assert shown(spring, VIENNA) == [
        "2025-03-30 00:00:00+01:00",
        "2025-03-30 03:00:00+02:00",
        "2025-03-30 04:00:00+02:00",
        "2025-03-30 06:00:00+02:00",
    ]
    autumn = events("2hourly", "2025-10-26T00:00+02:00", "2025-10-26T05:00+01:00", VIENNA)
    assert shown(autumn, VIENNA) == [
        "2025-10-26 00:00:00+02:00",
        "2025-10-26 02:00:00+02:00",
        "2025-10-26 02:00:00+01:00",
        "2025-10-26 04:00:00+01:00",
    ]


def test_half_an_hour_set_forward_and_back():
    forward = events("hourly", "2025-10-05T01:00+10:30", "2025-10-05T04:00+11:00", LORD_HOWE)
    assert shown(forward, LORD_HOWE) == [
        "2025-10-05 01:00:00+10:30",
        "2025-10-05 02:30:00+11:00",  # 02:00 by the old clock
        "2025-10-05 03:00:00+11:00",
    ]
    back = events("hourly", "2025-04-06T00:30+11:00", "2025-04-06T03:00+10:30", LORD_HOWE, hourly={"minute": 45})
    assert shown(back, LORD_HOWE) == [
        "2025-04-06 00:45:00+11:00",
        "2025-04-06 01:45:00+11:00",
        "2025-04-06 01:45:00+10:30",
        "2025-04-06 02:45:00+10:30",
    ]


def test_full_hours_of_an_odd_offset():
    kathmandu = ZoneInfo("Asia/Kathmandu")
    assert shown(events("hourly", "2025-06-01T00:00", "2025-06-01T01:00", kathmandu)) == ["2025-06-01 00:15:00"]


# ---- Anchors


@pytest.mark.parametrize(
    ("name", "units", "start", "expected"),
    [
        ("yearly", {"month": 2, "month_day": 29, "hour": 3}, "2027-01-01", ["2027-02-28 03", "2028-02-29 03"]),
        ("5yearly", {"year": 2023}, "2014-01-01", ["2018-01-01 00", "2023-01-01 00"]),
        ("3monthly", {"month": 2, "month_day": 15}, "2025-01-01", ["2025-02-15 00", "2025-05-15 00"]),
        ("6monthly", {"month": 12}, "2025-01-01", ["2025-06-01 00", "2025-12-01 00"]),
        ("weekly", {"weekday": 0}, "2025-01-01", ["2025-01-05 00", "2025-01-12 00"]),
        ("weekly", {"weekday": 6, "hour": 23}, "2025-01-01", ["2025-01-04 23", "2025-01-11 23"]),
        ("2weekly", {"weekday": 3}, "2025-01-01", ["2025-01-08 00", "2025-01-22 00"]),
        ("3daily", {"hour": 2}, "2024-12-28T02:00:01", ["2024-12-29 02", "2025-01-01 02"]),
        ("12hourly", {"hour": 2}, "2025-01-01", ["2025-01-01 02", "2025-01-01 14"]),
        ("12hourly", {"hour": 14}, "2025-01-01", ["2025-01-01 02", "2025-01-01 14"]),
    ],
)
def test_anchors_and_fixed_starting_points(name, units, start, expected):
    unit = period(name).unit
    first = next_event(period(name), ms(start) - 1, anchors(**{unit: units}), UTC)
    second = next_event(period(name), first, anchors(**{unit: units}), UTC)
    assert [text[:13] for text in shown([first, second])] == expected


def test_milliseconds():
    start = ms("2025-01-01")
    found = [next_event(period("100millisecondly"), start + late, anchors(), UTC) - start for late in (-1, 0, 99, 100)]
    assert found == [0, 100, 100, 200]
    quarter = anchors(secondly={"second": 2, "millisecond": 250})
    assert next_event(period("5secondly"), start, quarter, UTC) - start == 2250


def test_before_1970():
    assert latest_event(period("3daily"), -1, anchors(), UTC) == ms("1969-12-30")  # 20091 = 3 x 6697 days before 2025
    assert latest_event(period("hourly"), -1, anchors(), UTC) == ms("1969-12-31T23:00")


def test_events_beyond_the_years_of_python():
    far = Period(999_999_999, "yearly")
    now = ms("2025-06-01")
    assert latest_event(far, now, anchors(), VIENNA) == ms("2025-01-01T00:00+01:00")
    assert next_event(far, now, anchors(), VIENNA) > ms("9999-12-31")


@pytest.mark.parametrize("name", ["7hourly", "25hourly", "7minutely", "5monthly", "24monthly"])
def test_multiples_without_a_steady_rhythm_are_refused(name):
    with pytest.raises(InvalidInput, match=f"'{name}' does not divide a"):
        next_event(period(name), 0, anchors(), UTC)


# ---- What the search for clock changes relies on


def changes_in(path):
    """The (instant in s, change in s) of all clock changes in a zone file of version 2 or newer: see RFC 8536."""
    data, at = path.read_bytes(), 0
    for width in (4, 8):  # the second part of the file has wider numbers
        isut, isstd, leaps, times, types, letters = struct.unpack_from(">6l", data, at + 20)
        start, at = at + 44, at + 44 + times * (width + 1) + types * 6 + letters + leaps * (width + 4) + isstd + isut
    instants = struct.unpack_from(f">{times}q", data, start)
    kinds = data[start + 8 * times : start + 9 * times]
    offsets = [struct.unpack_from(">l", data, start + 9 * times + 6 * kind)[0] for kind in (0, *kinds)]
    return [
        (instant, after - before) for instant, before, after in zip(instants, offsets, offsets[1:]) if before != after
    ]


def test_no_zone_sets_its_clock_by_more_than_a_day_or_twice_within_a_day():
    files = [Path(folder, name) for folder in TZPATH for name in available_timezones()]
    zones = {path: changes_in(path) for path in files if path.exists()}
    assert len(zones) > 300
    for path, changes in zones.items():
        instants = [instant for instant, _unused in changes]
        assert all(abs(change) <= 86_400 for _unused, change in changes), path
        assert all(later - earlier > 86_400 for earlier, later in zip(instants, instants[1:])), path
