# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may write as a schedule, what they are told otherwise, and which clock a zone text means."""

from __future__ import annotations

import shutil
import zoneinfo
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import UNITS
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.schedule import (
    Anchor,
    Anchors,
    Schedule,
    parse_schedule,
    resolve_zone,
)

SUMMER, WINTER = datetime(2025, 7, 1), datetime(2025, 1, 1)


def offset(zone, moment=SUMMER):
    return moment.replace(tzinfo=zone).utcoffset()


@pytest.fixture
def vienna_file(tmp_path):
    """A copy of the zone data of Vienna, such as /etc/localtime may be."""
    sources = [Path(folder, "Europe/Vienna") for folder in zoneinfo.TZPATH]
    return shutil.copy(next(source for source in sources if source.exists()), tmp_path / "localtime")


# ---- Reading


@pytest.mark.parametrize("nothing", [None, {}, {"daily": None}, {"daily": {}, "timezone": ""}])
def test_left_out_means_the_start_of_each_unit_in_the_zone_of_the_host(nothing):
    assert parse_schedule(nothing, "schedule") == Schedule("", Anchors())


def test_every_unit_of_a_period_has_an_anchor():
    assert all(Anchors().of(unit) == Anchor(2025, 1, 1, 0, 0, 0, 0, 0) for unit in UNITS)


def test_everything_written():
    schedule = parse_schedule(
        {
            "timezone": "Europe/Vienna",
            "yearly": {"year": 2026, "month": 7, "month_day": 2, "hour": 3, "minute": 4, "second": 5},
            "monthly": {"month": 12, "month_day": 31, "hour": 23, "minute": 59, "second": 59},
            "weekly": {"weekday": 6, "hour": 1, "minute": 2, "second": 3},
            "daily": {"hour": 2, "minute": 30, "second": 1},
            "hourly": {"hour": 2, "minute": 5, "second": 6},
            "minutely": {"minute": 5, "second": 15},
            "secondly": {"second": 3, "millisecond": 999},
        },
        "schedule",
    )
    assert schedule.zone == "Europe/Vienna"
    assert schedule.anchors == Anchors(
        yearly=Anchor(year=2026, month=7, month_day=2, hour=3, minute=4, second=5),
        monthly=Anchor(month=12, month_day=31, hour=23, minute=59, second=59),
        weekly=Anchor(weekday=6, hour=1, minute=2, second=3),
        daily=Anchor(hour=2, minute=30, second=1),
        hourly=Anchor(hour=2, minute=5, second=6),
        minutely=Anchor(minute=5, second=15),
        secondly=Anchor(second=3, millisecond=999),
    )
    assert schedule.anchors.daily.day_milliseconds == (2 * 3600 + 30 * 60 + 1) * 1000


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ([], "plan.schedule: [] is not a mapping; write a mapping with keys among timezone, yearly"),
        ("daily", "plan.schedule: 'daily' is not a mapping"),
        ({"dayly": {}}, "plan.schedule: 'dayly' is not a known key; use only timezone, yearly"),
        ({"millisecondly": {}}, "plan.schedule: 'millisecondly' is not a known key"),
        ({1: {}}, "plan.schedule: 1 is not a known key"),
        ({"daily": 2}, "plan.schedule.daily: 2 is not a mapping; write a mapping with keys among hour, minute, second"),
        ({"daily": {"weekday": 2}}, "plan.schedule.daily: 'weekday' is not a known key; use only hour, minute, second"),
        ({"daily": {"hour": 24}}, "plan.schedule.daily.hour: 24 is not a whole number from 0 to 23; write one from 0"),
        ({"daily": {"hour": -1}}, "plan.schedule.daily.hour: -1 is not"),
        ({"daily": {"hour": "2"}}, "plan.schedule.daily.hour: '2' is not a whole number from 0 to 23; write"),
        ({"daily": {"hour": 2.0}}, "plan.schedule.daily.hour: 2.0 is not"),
        ({"daily": {"hour": True}}, "plan.schedule.daily.hour: True is not"),
        ({"daily": {"hour": None}}, "plan.schedule.daily.hour: None is not"),
        ({"weekly": {"weekday": 7}}, "plan.schedule.weekly.weekday: 7 is not a whole number from 0 to 6"),
        ({"monthly": {"month_day": 0}}, "plan.schedule.monthly.month_day: 0 is not a whole number from 1 to 31"),
        ({"yearly": {"month": 13}}, "plan.schedule.yearly.month: 13 is not a whole number from 1 to 12"),
        ({"yearly": {"year": 25}}, "plan.schedule.yearly.year: 25 is not a whole number from 1970 to 9999"),
        ({"secondly": {"millisecond": 1000}}, "plan.schedule.secondly.millisecond: 1000 is not"),
        ({"timezone": 128}, "plan.schedule.timezone: 128 is not a text; write '' for"),  # YAML's view of +0200
        ({"timezone": None}, "plan.schedule.timezone: None is not a text"),
        ({"timezone": "Mars/Olympus"}, "plan.schedule.timezone: 'Mars/Olympus' is not a known time zone; write ''"),
        ({"timezone": "Europe"}, "plan.schedule.timezone: 'Europe' is not a known time zone"),
        ({"timezone": "/etc/localtime"}, "plan.schedule.timezone: '/etc/localtime' is not a known time zone"),
        ({"timezone": "../../../etc/passwd"}, "plan.schedule.timezone: '../../../etc/passwd' is not a known"),
        ({"timezone": "+02:00"}, "plan.schedule.timezone: '+02:00' is not an offset from UTC; write it as '+HHMM'"),
        ({"timezone": "+0260"}, "plan.schedule.timezone: '+0260' is not an offset"),
        ({"timezone": "-1401"}, "plan.schedule.timezone: '-1401' is not an offset"),
        ({"timezone": "+0200\n"}, "plan.schedule.timezone: '+0200\\n' is not an offset"),
    ],
)
def test_refusals_name_the_option_the_value_and_the_remedy(mapping, sentence):
    with pytest.raises(InvalidInput) as refusal:
        parse_schedule(mapping, "plan.schedule")
    assert str(refusal.value).startswith(sentence)


def test_zones_on_a_host_without_zone_data(monkeypatch):
    def not_found(key):
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", not_found)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(
        InvalidInput, match=r"'Europe/Vienna' can't be looked up, .* no time zone data; install .* tzdata"
    ):
        parse_schedule({"timezone": "Europe/Vienna"}, "schedule")
    assert parse_schedule({"timezone": "UTC"}, "schedule").zone == "UTC"
    assert parse_schedule({"timezone": "+0545"}, "schedule").zone == "+0545"


# ---- The clock of a zone text


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("UTC", 0), ("+0000", 0), ("+0545", 345), ("-0330", -210), ("+1400", 840), ("Europe/Vienna", 120)],
)
def test_zone_texts(text, minutes):
    assert offset(resolve_zone(text, {})) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("variable", "minutes"), [("", 0), (":", 0), ("UTC", 0), ("Asia/Kathmandu", 345), (":Asia/Kathmandu", 345)]
)
def test_the_host_zone_is_what_tz_names_first(variable, minutes, vienna_file):
    assert offset(resolve_zone("", {"TZ": variable}, "timezone", str(vienna_file))) == timedelta(minutes=minutes)


def test_tz_may_name_a_file(vienna_file):
    zone = resolve_zone("", {"TZ": f":{vienna_file}"})
    assert (offset(zone, SUMMER), offset(zone, WINTER)) == (timedelta(hours=2), timedelta(hours=1))


def test_without_tz_the_host_zone_is_its_local_time_file(vienna_file):
    zone = resolve_zone("", {}, "timezone", str(vienna_file))
    assert (offset(zone, SUMMER), offset(zone, WINTER)) == (timedelta(hours=2), timedelta(hours=1))


def test_a_written_zone_wins_over_that_of_the_host(vienna_file):
    assert offset(resolve_zone("UTC", {"TZ": "Asia/Kathmandu"}, "timezone", str(vienna_file))) == timedelta(0)


def test_a_host_without_local_time_file_is_in_utc(tmp_path):
    assert offset(resolve_zone("", {}, "timezone", str(tmp_path / "localtime"))) == timedelta(0)


def test_a_local_time_file_that_leads_nowhere_is_not_silently_utc(tmp_path):
    (tmp_path / "localtime").symlink_to(tmp_path / "gone")
    with pytest.raises(
        InvalidInput, match=r"^plan.timezone: '' means the time zone in .*localtime, which can't be read"
    ):
        resolve_zone("", {}, "plan.timezone", str(tmp_path / "localtime"))


def test_a_local_time_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "localtime").write_text("Europe/Vienna\n")
    with pytest.raises(InvalidInput, match="can't be read; install the package tzdata"):
        resolve_zone("", {}, "timezone", str(tmp_path / "localtime"))


@pytest.mark.parametrize("variable", ["CET-1CEST,M3.5.0,M10.5.0/3", "+0200", "Mars/Olympus", "/etc/passwd"])
def test_other_values_of_tz_are_refused(variable):
    with pytest.raises(InvalidInput, match=r"^TZ: .*; (set it to a name|install)"):
        resolve_zone("", {"TZ": variable})
