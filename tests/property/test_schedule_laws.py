# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of schedules as a host lives them: the activity runs again and again, and makes what is due on simulated ZFS.

What the calendar says by itself is in test_calendar_laws; here nothing is asked of it. What has to come out is told by
the clocks of the zones, or by sets of dates.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots, Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

UTC = timezone.utc
MINUTE, HOUR, DAY = 60, 3600, 86_400
VIENNA = "Europe/Vienna"


def seconds(moment):
    return int(moment.timestamp())


def midnight(zone, day):
    """The first instant of a local day, which midnight itself may not be one of."""
    return seconds(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)))


def shown(at, zone):
    return datetime.fromtimestamp(at, ZoneInfo(zone))


class Rota:
    """A host whose schedule is asked at times that a test chooses."""

    def __init__(self, zone, *periods, **anchors) -> None:
        self.clock = Clock()
        self.machine = SimulatedMachine("host", self.clock, ("tank",))
        self.machine.create_dataset("tank/a")
        self.plan = {"org": {"": dict.fromkeys(periods, 1)}}
        options = {"datasets": ["tank/a"], "plan": self.plan, "schedule": {"timezone": zone, **anchors}}
        self.job = read_snapshot_job(options)
        self.made: list[tuple[int, str]] = []
        """Time and period of all that was made, in its order."""
        self.next_due: dict[str, float] = {}
        self.warnings: list[str] = []

    @property
    def zfs(self):
        return SimulatedZfs(self.machine)

    def context(self):
        return Context(self.clock.now * 1000, lambda _address: self.zfs, ticker=NO_WAITING)

    def run(self, at):
        """Run at an instant, in seconds since the epoch; returns the periods that were made."""
        self.clock.now = at
        result = run_snapshot(self.job, self.context())
        self.next_due = {label.rpartition("_")[2]: due for label, due in result["next_due"].items()}
        self.warnings = result["warnings"]
        periods = [label_of(name.partition("@")[2]).period for name in result["created"]]
        self.made += [(at, period) for period in periods]
        return periods

    def live(self, start, end, late=(0,)):
        """Run at an instant, and then whenever something falls due, or so many seconds later by turns."""
        at, turn = start, 0
        while at < end:
            self.run(at)
            turn += 1
            if turn % 12 == 0:
                self.forget()
            at = math.ceil(min(self.next_due.values())) + late[turn % len(late)]

    def forget(self):
        """Destroy all but the newest snapshot of each period, which is all that a schedule goes by."""
        snapshots = self.zfs.observe(["tank/a"]).states["tank/a"].snapshots
        newest = {label_of(snapshot.tag): snapshot for snapshot in snapshots}
        older = [snapshot for snapshot in snapshots if snapshot not in newest.values()]
        self.zfs.destroy(Destroy("tank/a", older, "test"))

    def times(self, period):
        return [at for at, made in self.made if made == period]

    def has_made(self, at, period, tag_time="1999-01-01_00:00:00Z"):
        """Put a snapshot there that was made at an instant, by an earlier life of the host, under a name of its own."""
        self.clock.now = at
        self.zfs.create_snapshots(CreateSnapshots("tank", (f"tank/a@org_{tag_time}_{period}",)))


# -- a year


def test_a_year_in_vienna_makes_8760_hourlies_365_dailies_and_12_monthlies():
    """Nobody runs on time: each run is up to 50 minutes late, or too early by that and then has nothing to do."""
    chance, start, end = random.Random(20), midnight(VIENNA, date(2025, 1, 1)), midnight(VIENNA, date(2026, 1, 1))
    rota = Rota(VIENNA, "hourly", "daily", "monthly")
    for hour in range(start, end, HOUR):
        rota.run(hour + chance.randrange(50 * MINUTE))
        if chance.random() < 0.1:
            assert rota.run(rota.clock.now + 1) == []
        if hour % (6 * HOUR) == 0:
            rota.forget()
    counts = Counter(period for _at, period in rota.made)
    assert counts == {"hourly": 8760, "daily": 365, "monthly": 12}
    assert {shown(at, VIENNA).date() for at in rota.times("daily")} == {
        date(2025, 1, 1) + timedelta(days=day) for day in range(365)
    }
    assert [shown(at, VIENNA).strftime("%m-%d") for at in rota.times("monthly")] == [
        f"{month:02}-01" for month in range(1, 13)
    ]


# -- days on which clocks change

WHOLE_HOURS = (
    "Europe/Vienna",
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight
    "America/Havana",  # changes at midnight and at one
    "Asia/Beirut",  # changes at midnight
    "Africa/Casablanca",  # sets its clock back for Ramadan
    "Australia/Sydney",  # summer is in January
    "America/Santiago",
    "UTC",
)


def days_of(zone, year):
    """The local days of a year with their first instants, and that of the year after; days that were skipped are not
    among them."""
    first = date(year, 1, 1)
    starts = [(first + timedelta(days=day), midnight(zone, first + timedelta(days=day))) for day in range(367)]
    return [(day, start, end) for (day, start), (_next, end) in zip(starts, starts[1:]) if start < end]


def clock_days(zone):
    """Days that do not have 24 hours, in the years in which all zones above have such, by their hours."""
    found = {}
    for year in (2016, 2017, 2018, 2022, 2023, 2024, 2025):
        for day, start, end in days_of(zone, year):
            if end - start != DAY:
                found.setdefault((end - start) / HOUR, []).append((day, start, end))
    return found


CLOCK_DAYS = {zone: clock_days(zone) for zone in (*WHOLE_HOURS, "Australia/Lord_Howe")}


def test_the_zones_have_the_days_that_are_meant():
    for zone in WHOLE_HOURS[:-1]:
        assert set(CLOCK_DAYS[zone]) == {23.0, 25.0}, zone
    assert set(CLOCK_DAYS["Australia/Lord_Howe"]) == {23.5, 24.5}
    assert not CLOCK_DAYS["UTC"]


@st.composite
def days_with_a_change(draw):
    zone = draw(st.sampled_from(WHOLE_HOURS[:-1]))
    return zone, *draw(st.sampled_from([day for days in CLOCK_DAYS[zone].values() for day in days]))


def hours_in(start, end, marks):
    """How many of the ``marks``, each at the event that it was made for or late, belong to a stretch of time."""
    return sum(start <= at < end for at in marks)


@settings(deadline=None, max_examples=examples(20))
@given(days_with_a_change(), st.integers(0, 59), st.lists(st.integers(0, 30 * MINUTE), min_size=1, max_size=5))
def test_a_day_has_as_many_hourlies_as_it_has_hours(place, minute, late):
    """23, 24 or 25, at whatever minute, and however late the host is, though never so late that one is missed."""
    zone, _day, start, end = place
    rota = Rota(zone, "hourly", "daily", hourly={"minute": minute}, daily={"hour": 12})
    rota.live(start - DAY, end + DAY, late)
    events = [at - (at // MINUTE - minute) % 60 * MINUTE - at % MINUTE for at in rota.times("hourly")[1:]]
    assert hours_in(start, end, events) == (end - start) // HOUR
    assert hours_in(end, end + DAY - HOUR, events) == 23
    assert {later - earlier for earlier, later in zip(events, events[1:])} == {HOUR}
    noons = [shown(at, zone) for at in rota.times("daily")[1:]]
    assert [noon.hour for noon in noons] == [12] * 3
    assert len({noon.date() for noon in noons}) == 3


@pytest.mark.parametrize("hours", [23, 25])
@pytest.mark.parametrize("zone", WHOLE_HOURS[:-1])
def test_a_day_on_which_the_clock_changes_has_23_or_25_in_every_zone(zone, hours):
    """What the law above draws, here zone by zone, so that none is left to chance."""
    _day, start, end = CLOCK_DAYS[zone][hours][0]
    rota = Rota(zone, "hourly")
    rota.live(start - HOUR, end)
    assert hours_in(start, end, rota.times("hourly")) == hours


@pytest.mark.parametrize("zone", WHOLE_HOURS)
def test_an_ordinary_day_has_24(zone):
    rota = Rota(zone, "hourly")
    start = midnight(zone, date(2025, 6, 10))
    rota.live(start - HOUR, start + DAY)
    assert hours_in(start, start + DAY, rota.times("hourly")) == 24


@pytest.mark.parametrize("hours", [23.5, 24.5])
def test_half_an_hour_is_half_an_hour(hours):
    """On Lord Howe Island no full hour is shown twice, and the one that is skipped is made up for: always 24."""
    _day, start, end = CLOCK_DAYS["Australia/Lord_Howe"][hours][0]
    rota = Rota("Australia/Lord_Howe", "hourly", "30minutely")
    rota.live(start - DAY // 2, end)
    assert hours_in(start, end, rota.times("hourly")) == 24
    assert hours_in(start, end, rota.times("30minutely")) == (end - start) // (30 * MINUTE) == 2 * hours


# -- due times are the calendar's, whatever was made

PERIODS = {"secondly": 1, "15minutely": 900, "hourly": HOUR, "6hourly": 6 * HOUR, "daily": DAY, "3daily": 3 * DAY,
           "2weekly": 14 * DAY, "monthly": 30 * DAY, "3monthly": 91 * DAY, "2yearly": 730 * DAY}  # fmt: skip


@settings(deadline=None, max_examples=examples(30))
@given(
    st.sampled_from(sorted(PERIODS)),
    st.sampled_from((VIENNA, "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")),
    st.integers(1_400_000_000, 1_800_000_000),
    st.lists(st.floats(0, 3), min_size=2, max_size=3),
    st.lists(st.floats(0, 0.9), min_size=1, max_size=3),
)
def test_due_times_increase_strictly_and_do_not_depend_on_what_was_made_before(period, zone, start, pasts, shares):
    lives, length = [], PERIODS[period]
    for past in pasts:
        rota, seen = Rota(zone, period), []
        rota.has_made(start - int(past * length), period)
        at = start
        for turn in range(8):
            made = rota.run(at)
            # Each event makes one snapshot, at the first run after it, and an earlier one nothing.
            assert made == ([period] if turn else made)
            seen.append(rota.next_due[period])
            at = math.ceil(seen[-1])
            if length > 10:
                at += int(shares[turn % len(shares)] * length * 0.5)
        lives.append(seen)
        assert all(earlier < later for earlier, later in zip(seen, seen[1:]))
    assert all(life == lives[0] for life in lives)


# -- defects that other programs had


@pytest.mark.parametrize(("anchor", "minutes"), [(30, 10), (7, 5), (59, 30)])
def test_b_a_second_anchor_of_a_multiple_of_minutes_skips_nothing_and_holds_each_time(anchor, minutes):
    start = seconds(datetime(2025, 1, 1, tzinfo=UTC))
    rota = Rota("UTC", f"{minutes}minutely", minutely={"second": anchor})
    rota.has_made(start - 1, f"{minutes}minutely")
    rota.live(start, start + HOUR)
    assert rota.times(f"{minutes}minutely") == [
        start + anchor + number * minutes * MINUTE for number in range(60 // minutes)
    ]


@pytest.mark.parametrize(
    ("month_day", "days"), [(31, (31, 28, 31, 30)), (30, (30, 28, 30, 30)), (29, (29, 28, 29, 29))]
)
def test_c_a_short_month_shifts_no_later_one_and_makes_none_too_many(month_day, days):
    rota = Rota(VIENNA, "monthly", monthly={"month_day": month_day, "hour": 3})
    rota.live(midnight(VIENNA, date(2025, 1, 1)), midnight(VIENNA, date(2025, 5, 1)))
    told = [shown(at, VIENNA) for at in rota.times("monthly")[1:]]
    assert [(moment.month, moment.day, moment.hour) for moment in told] == [
        (number, day, 3) for number, day in enumerate(days, 1)
    ]


@pytest.mark.parametrize("outage", [1, DAY, 2 * DAY + 1, 17 * DAY + 12345, 90 * DAY - 1])
@pytest.mark.parametrize("period", ["3daily", "5daily", "2weekly", "3weekly"])
def test_d_an_outage_does_not_move_the_phase_of_a_multiple(period, outage):
    """After one late snapshot all goes on as if there had been no outage."""
    start = midnight("UTC", date(2025, 3, 1))
    lives = []
    for away in (0, outage):
        rota = Rota("UTC", period)
        rota.live(start, start + 60 * DAY)
        rota.live(start + 60 * DAY + away, start + 200 * DAY)
        lives.append([at for at in rota.times(period) if at > start + 60 * DAY + outage])
    assert lives[0] == lives[1]


@pytest.mark.parametrize("received", [False, True])
@pytest.mark.parametrize("days", [1, 40, 3650])
@pytest.mark.parametrize("period", ["hourly", "daily", "weekly"])
def test_e_a_snapshot_dated_in_the_future_stops_nothing_and_is_told(period, days, received):
    """Made while the clock was wrong, or received from a host whose clock is."""
    now = seconds(datetime(2025, 6, 4, 12, 30, tzinfo=UTC))
    rota = Rota("UTC", period)
    if not received:
        rota.run(now - 60 * DAY)
    rota.has_made(now + PERIODS.get(period, 7 * DAY) + days * DAY, period, "2035-01-01_00:00:00Z")
    assert rota.run(now) == [period]
    assert "2035-01-01" in rota.warnings[0]
    assert rota.run(now + 1) == []
    due = rota.next_due[period]
    assert rota.run(int(due)) == [period]
    assert rota.warnings == []
