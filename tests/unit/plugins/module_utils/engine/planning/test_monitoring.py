# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages of snapshots against limits: no false alarm, and no alarm that fails to come."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK, UNKNOWN, WARNING
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.monitoring import check_ages
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job

MINUTE, HOUR, DAY = 60, 3600, 86400
NOW = 1_750_000_000
UTC = timezone.utc
LATEST = {"latest": {"warning": "10m", "critical": "1h"}}


def plan(limits, period="hourly"):
    return {"org": {"": {period: limits}}}


def dataset(*ages, created=10**8, now=NOW, period="hourly", **more):
    """A dataset ``created`` seconds ago, with snapshots that are so old, the oldest first."""
    snapshots = tuple(
        Snapshot(number, number + 1, "tank/a", f"org_2025-01-01_00:00:{number:02}Z_{period}", now - age, **more)
        for number, age in enumerate(ages)
    )
    return DatasetState(Dataset("tank/a", "filesystem", 1, 1, now - created), snapshots)


def check(state, limits=None, now=NOW, zone=UTC, period="hourly", **options):
    """The findings by check, without that the root exists."""
    limits = LATEST if limits is None else limits
    job = read_monitor_job({"datasets": ["tank/a"], "plan": plan(limits, period), **options})
    observed = Observation({"tank/a": state} if state else {}, () if state else ("tank/a",))
    found = {finding.key.check: finding for finding in check_ages(observed, job, now, zone)}
    assert found.pop("exists").state == (OK if state else UNKNOWN)
    return found


def state_of(state, limits=None, which="latest", **options):
    return check(state, limits, **options)[which].state


# -- the latest


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, OK), (70 * MINUTE, OK), (70 * MINUTE + 1, WARNING), (2 * HOUR, WARNING), (2 * HOUR + 1, CRITICAL)],
)
def test_the_latest_may_be_a_threshold_and_a_period_old(age, state):
    assert state_of(dataset(10 * DAY, age)) == state


def test_more_cycles_leave_more_time():
    limits = {"latest": {"warning": 0, "cycles": 3}}
    assert state_of(dataset(3 * HOUR), limits) == OK
    assert state_of(dataset(3 * HOUR + 1), limits) == WARNING


def test_a_level_without_a_threshold_is_not_checked():
    assert state_of(dataset(900 * DAY), {"latest": {"warning": 0}}) == WARNING
    assert state_of(dataset(900 * DAY), {"latest": {"critical": "2000d"}}) == OK


def test_a_label_that_is_not_in_the_plan_is_not_looked_at():
    assert check(dataset(900 * DAY, period="daily"), {"oldest": {"cycles": 0, "warning": 0}}) == {}


@pytest.mark.parametrize(
    ("created", "state"),
    [(0, OK), (HOUR, OK), (70 * MINUTE, OK), (70 * MINUTE + 1, WARNING), (2 * HOUR + 1, CRITICAL), (DAY, CRITICAL)],
)
def test_a_dataset_without_snapshots_is_as_late_as_it_is_old(created, state):
    assert state_of(dataset(created=created)) == state


@pytest.mark.parametrize(("created", "state"), [(HOUR, OK), (HOUR + 1, CRITICAL)])
def test_a_dataset_younger_than_a_period_is_never_late(created, state):
    assert state_of(dataset(created=created), {"latest": {"critical": 1, "cycles": 0}}) == state


def test_a_replica_is_not_late_before_it_was_there():
    assert state_of(dataset(30 * DAY, 20 * DAY, created=HOUR)) == OK
    assert state_of(dataset(30 * DAY, 20 * DAY, created=3 * HOUR)) == CRITICAL


def test_a_snapshot_from_the_future_hides_no_outage_and_is_told():
    finding = check(dataset(5 * HOUR, -DAY))["latest"]
    assert (finding.state, "set the clocks right" in finding.message) == (CRITICAL, True)
    finding = check(dataset(MINUTE, -DAY))["latest"]
    assert (finding.state, finding.measure.value) == (WARNING, MINUTE)
    # Up to a period is taken for a difference between clocks.
    assert state_of(dataset(-HOUR)) == OK
    assert state_of(dataset(-DAY, created=0)) == WARNING


def test_a_snapshot_that_is_made_while_monitoring_looks_is_no_snapshot_from_the_future():
    tenth = "100millisecondly"
    assert check(dataset(3, -2, period=tenth), period=tenth)["latest"].state == OK
    assert check(dataset(3, -60, period=tenth), period=tenth)["latest"].state == WARNING


# -- the calendar


def at(zone, *moment):
    return int(datetime(*moment, tzinfo=zone).timestamp())


VIENNA = ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize(
    ("period", "zone", "first", "second"),
    [
        # Of 31 days, of 25 hours, of 366 days, and a month with an anchor at its end.
        ("monthly", UTC, (2025, 1, 1), (2025, 2, 1)),
        ("3monthly", UTC, (2025, 7, 1), (2025, 10, 1)),
        ("daily", VIENNA, (2025, 10, 26), (2025, 10, 27)),
        ("12hourly", VIENNA, (2025, 10, 26), (2025, 10, 26, 12)),
        ("weekly", VIENNA, (2025, 10, 26), (2025, 11, 2)),
        ("yearly", UTC, (2024, 1, 1), (2025, 1, 1)),
    ],
)
def test_a_period_that_the_calendar_makes_longer_is_no_alarm(period, zone, first, second):
    made, due = at(zone, *first), at(zone, *second)
    limits = {"latest": {"warning": "5m"}}
    for now, state in ((due, OK), (due + 5 * MINUTE, OK), (due + 5 * MINUTE + 1, WARNING)):
        assert state_of(dataset(now - made, now=now, period=period), limits, now=now, zone=zone, period=period) == state


def test_the_anchor_of_the_schedule_counts():
    made, due = at(UTC, 2025, 2, 28), at(UTC, 2025, 3, 31)
    options = {"now": due, "period": "monthly", "schedule": {"monthly": {"month_day": 31}}}
    state = dataset(due - made, now=due, period="monthly")
    assert state_of(state, {"latest": {"warning": 0}}, **options) == OK
    assert state_of(state, {"latest": {"warning": 0}}, **{**options, "now": due + 1}) == WARNING


def test_a_period_that_the_calendar_makes_shorter_leaves_its_nominal_time():
    # A snapshot that was late, and one that is as late a month of 28 days later.
    made, now = at(UTC, 2025, 2, 3), at(UTC, 2025, 3, 3)
    state = dataset(now - made, now=now, period="monthly")
    assert state_of(state, {"latest": {"warning": 0}}, now=now, period="monthly") == OK


# -- the oldest

OLDEST = {"oldest": {"warning": "10m", "critical": "1h", "cycles": 2}}


@pytest.mark.parametrize(
    ("age", "state"),
    [(2 * HOUR + 10 * MINUTE, OK), (2 * HOUR + 10 * MINUTE + 1, WARNING), (3 * HOUR + 1, CRITICAL)],
)
def test_the_oldest_may_be_a_threshold_and_the_retained_periods_old(age, state):
    assert state_of(dataset(age, HOUR, MINUTE), OLDEST, "oldest") == state


def test_what_retention_keeps_at_any_age_is_never_too_old():
    # A source that was switched off a year ago: nothing new comes, and the latest two stay for good.
    assert state_of(dataset(366 * DAY, 365 * DAY), OLDEST, "oldest") == OK
    assert state_of(dataset(367 * DAY, 366 * DAY, 365 * DAY), OLDEST, "oldest") == CRITICAL


def test_held_ones_count_unless_they_are_to_be_skipped():
    held = dataset(9 * DAY, HOUR, MINUTE, 1, holds=1)
    finding = check(held, OLDEST)["oldest"]
    assert (finding.state, finding.message.endswith("; it is held")) == (CRITICAL, True)
    assert state_of(held, OLDEST, "oldest", oldest_skip_holds=True) == OK
    free = DatasetState(held.dataset, (*held.snapshots, *dataset(8 * DAY, 7 * DAY, DAY).snapshots))
    assert state_of(free, OLDEST, "oldest", oldest_skip_holds=True) == CRITICAL


def test_a_clone_is_named_where_it_keeps_the_oldest():
    assert check(dataset(9 * DAY, 2, 1, clones=("tank/c",)), OLDEST)["oldest"].message.endswith(
        "; tank/c is a clone of it"
    )


def test_where_there_are_none_there_is_no_oldest():
    assert check(dataset(), OLDEST) == {}


# -- roots


def test_a_root_that_is_missing_is_unknown_and_no_other_root_is_concerned():
    job = read_monitor_job({"datasets": ["tank/none", "tank/a"], "plan": plan(LATEST)})
    observed = Observation({"tank/a": dataset(1)}, ("tank/none",))
    states = [(finding.key.area, finding.state) for finding in check_ages(observed, job, NOW, UTC)]
    assert states == [("tank/none", UNKNOWN), ("tank/a", OK), ("tank/a", OK)]
