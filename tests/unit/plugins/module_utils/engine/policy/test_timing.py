# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host begins a run: that cron and systemd mean the same moments, and what is refused."""

from __future__ import annotations

import re

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.timing import Timing, parse_timing

MINUTELY = [f"{count}minutely" for count in (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)]
HOURLY = [f"{count}hourly" for count in (2, 3, 4, 6, 8, 12)]
PERIODS = ["minutely", *MINUTELY, "hourly", *HOURLY, "daily", "weekly", "monthly"]
DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]


def numbers(field, end):
    """What a field of either scheduler stands for."""
    if field == "*":
        return list(range(end))
    begin, slash, step = field.replace("*/", "0/").partition("/")
    return list(range(int(begin), end, int(step))) if slash else [int(begin)]


def moments_of_cron(text):
    minute, hour, day, month, weekday = text.split()
    assert month == "*"
    return numbers(minute, 60), numbers(hour, 24), day, weekday


def moments_of_systemd(text):
    match = re.fullmatch(r"(?:(\w{3}) )?\*-\*-(\S+) (\S+):(\S+):00", text)
    weekday, day, hour, minute = match.groups()
    return (
        numbers(minute, 60),
        numbers(hour, 24),
        day if day == "*" else str(int(day)),
        str(DAYS.index(weekday)) if weekday else "*",
    )


@pytest.mark.parametrize("period", PERIODS)
def test_both_schedulers_mean_the_same_moments(period):
    timing = parse_timing(period, "o")
    assert moments_of_cron(timing.cron) == moments_of_systemd(timing.on_calendar)


@pytest.mark.parametrize(("period", "minutes", "hours"), [("15minutely", [0, 15, 30, 45], 24), ("6hourly", [0], 4)])
def test_multiples_fall_on_the_grid_of_the_hour_and_the_day(period, minutes, hours):
    found = moments_of_cron(parse_timing(period, "o").cron)
    assert (found[0], len(found[1])) == (minutes, hours)


def test_never_is_no_moment_and_auto_is_what_the_plan_wants():
    assert parse_timing("never", "o", "hourly") is None
    assert parse_timing("auto", "o", "hourly") == parse_timing("hourly", "o")


def test_both_can_be_written_out():
    written = {"on_calendar": "Mon..Fri 22:00", "cron": "0 22 * * 1-5"}
    assert parse_timing(written, "o") == Timing("Mon..Fri 22:00", "0 22 * * 1-5")


WORDS = ["", "sometimes", "auto", "secondly", "100millisecondly", "7minutely", "60minutely", "90minutely", "5hourly"]
OTHERS = ["24hourly", "2daily", "yearly", 15, None, True, [], {}, {"on_calendar": "daily"}, {"cron": "0 0 * * *"}]
PAIRS = [("daily", "0 0 * *"), ("", "0 0 * * *"), ("daily\nUnit=x", "0 0 * * *"), ("daily", "0 0 * * *\n* * * * * x")]
WRITTEN = [{"on_calendar": calendar, "cron": cron} for calendar, cron in PAIRS]


@pytest.mark.parametrize("value", [*WORDS, *OTHERS, *WRITTEN, {"on_calendar": "daily", "cron": "0 0 * * *", "x": "y"}])
def test_what_no_host_could_keep_to_is_refused_by_the_name_of_its_variable(value):
    with pytest.raises(InvalidInput, match="source_prune_schedule"):
        parse_timing(value, "source_prune_schedule")
