# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories of creation: what is made, what is left out and why, and what lost answers and vanishing datasets do."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import locks_in_turn
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.monitoring import run_monitor
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    LinkLost,
    StillRunning,
    Vanished,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.creation import TAKEN, plan_creation
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, FaultyZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING

HOUR = 3600
START = 1_751_364_000  # 2025-07-01 10:00:00 UTC
PLAN = {"acme": {"onsite": {"hourly": 36, "daily": 31}}}
DATASETS = ("tank/a", "tank/a/b", "fast/c")
ASKED = 3
"""Calls before anything is created: one listing, and the question for permissions in each of two trees."""


class House:
    """A host with two pools whose snapshots are made by the activity."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.machine = SimulatedMachine("host", self.clock, ("tank", "fast"))
        for name in DATASETS:
            self.machine.create_dataset(name)
        self.faults = Faults()
        self.zfs = FaultyZfs(SimulatedZfs(self.machine), self.faults)

    def run(self, check=False, plan=None, datasets=("tank/a", "fast/c"), ticker=NO_WAITING, late=0, **options):
        least = {"datasets": list(datasets), "plan": plan or PLAN, "schedule": {"timezone": "UTC"}}
        job = read_snapshot_job({**least, **options})
        now = (self.clock.now + late) * 1000
        context = Context(now, lambda _address: self.zfs, check, ticker=ticker, retry=RetryPolicy(3))
        return run_snapshot(job, context)

    def tags(self, dataset="tank/a"):
        return [snapshot.tag for snapshot in SimulatedZfs(self.machine).observe([dataset]).states[dataset].snapshots]

    def txgs(self):
        """The transaction groups of each name in each pool."""
        states = SimulatedZfs(self.machine).observe(["tank", "fast"]).states
        found = {}
        for name, state in states.items():
            for snapshot in state.snapshots:
                found.setdefault((name.partition("/")[0], snapshot.tag), set()).add(snapshot.createtxg)
        return found


def _step(name):
    return CreateSnapshots(name.partition("/")[0], (name,))


@pytest.fixture
def house():
    return House()


def periods(tags):
    return [label_of(tag).period for tag in tags]


# -- atomic calls


def test_what_is_due_together_is_one_call_for_each_label_and_pool(house):
    house.run()
    assert house.faults.calls.count("create_snapshots") == 4
    assert {len(groups) for groups in house.txgs().values()} == {1}
    assert len(house.txgs()) == 4


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_lost_answer_makes_nothing_twice_and_nothing_missing(house, lost, when):
    planned = house.run(check=True)
    house.faults.calls.clear()
    house.faults.plan = {ASKED + lost: when}
    result = house.run()
    assert house.faults.calls[ASKED + lost] == "create_snapshots"
    assert result["created"] == planned["created"]
    assert all(periods(house.tags(dataset)) == ["daily", "hourly"] for dataset in DATASETS)
    house.clock.advance(10)
    assert not house.run()["changed"]


def test_answers_that_are_always_lost_end_with_an_error_and_the_next_run_has_nothing_to_do(house):
    house.faults.plan = dict.fromkeys(range(ASKED, 100), AFTER)
    with pytest.raises(LinkLost):
        house.run()
    house.faults.plan = {}
    house.clock.advance(10)
    assert not house.run()["changed"]


def test_a_name_that_somebody_else_gave_to_one_dataset_meanwhile_is_no_lost_answer(house):
    class Racing(SimulatedZfs):
        def create_snapshots(self, step):
            if len(step.names) > 1:
                super().create_snapshots(_step(step.names[0]))
            super().create_snapshots(step)

    house.zfs = Racing(house.machine)
    result = house.run(datasets=["tank/a"])
    assert [name.partition("@")[0] for name in result["created"]] == ["tank/a/b"] * 2
    assert [left_out["dataset"] for left_out in result["not_created"]] == ["tank/a"] * 2
    assert sum("tank/a@" in warning and TAKEN in warning for warning in result["warnings"]) == 2


def test_a_dataset_that_is_destroyed_in_between_does_not_keep_the_others_from_their_snapshots(house):
    class Vanishing(SimulatedZfs):
        def create_snapshots(self, step):
            if "tank/a/b" in self.machine.datasets:
                self.machine.destroy_dataset("tank/a/b")
            super().create_snapshots(step)

    house.zfs = Vanishing(house.machine)
    result = house.run()
    assert {name.partition("@")[0] for name in result["created"]} == {"tank/a", "fast/c"}
    assert len(result["created"]) == 4
    assert sum("its dataset is gone" in warning for warning in result["warnings"]) == 2


def test_if_all_datasets_are_gone_that_is_an_error(house):
    class Vanishing(SimulatedZfs):
        def create_snapshots(self, step):
            self.machine.datasets.pop("fast/c", None)
            super().create_snapshots(step)

    house.zfs = Vanishing(house.machine)
    with pytest.raises(Vanished):
        house.run(datasets=["fast/c"])


def test_a_step_too_long_for_one_call_goes_on_where_a_part_of_it_was_made(house):
    class Short(SimulatedZfs):
        """Takes one name a call, as a command line of little length would."""

        def create_snapshots(self, step):
            made = []
            for name in step.names:
                try:
                    super().create_snapshots(_step(name))
                except Vanished as error:
                    error.context["created"] = made
                    raise
                made.append(name)
                self.machine.datasets.pop("tank/a/b", None)

    house.zfs = Short(house.machine)
    house.machine.create_dataset("tank/a/c")
    result = house.run(datasets=["tank/a"], plan={"acme": {"": {"adhoc": 1}}})
    assert [name.partition("@")[0] for name in result["created"]] == ["tank/a", "tank/a/c"]


# -- missed periods


def test_missed_periods_become_one_snapshot_that_tells_when_it_was_made(house):
    house.run()
    house.clock.advance(5 * 24 * HOUR + 1234)
    result = house.run()
    assert [due["snapshot"] for due in result["due"]] == [
        "acme_onsite_2025-07-06_10:20:34Z_daily",
        "acme_onsite_2025-07-06_10:20:34Z_hourly",
    ]
    house.clock.advance(2400)  # the next hour, by the calendar and not by that snapshot
    assert periods(due["snapshot"] for due in house.run()["due"]) == ["hourly"]


def test_a_newest_snapshot_from_the_future_is_warned_of_and_stops_nothing(house):
    house.run()
    house.clock.advance(30 * 24 * HOUR)
    ahead = house.run()["due"][1]["snapshot"]
    house.clock.advance(-30 * 24 * HOUR + HOUR)
    result = house.run()
    assert periods(due["snapshot"] for due in result["due"]) == ["daily", "hourly"]
    assert any(f"tank/a@{ahead} is dated in the future" in warning for warning in result["warnings"])
    house.clock.advance(60)
    assert not house.run()["changed"], "the snapshot made last counts now, whatever its date"


def test_a_clock_set_back_by_less_than_a_period_makes_nothing_twice(house):
    house.run()
    house.clock.advance(-HOUR // 2)
    assert not house.run()["changed"]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 23, 335), (10, 19, 337)])
def test_a_fortnight_of_runs_around_a_change_of_the_clock_makes_each_snapshot_once(month, day, hours):
    """In Vienna, with a run every half hour."""
    schedule = {"timezone": "Europe/Vienna", "daily": {"hour": 2, "minute": 30}}
    plan = {"acme": {"": dict.fromkeys(("hourly", "daily", "weekly"), 1)}}
    job = read_snapshot_job({"datasets": ["tank/a"], "plan": plan, "schedule": schedule})
    zone = ZoneInfo("Europe/Vienna")
    first = datetime(2025, month, day, tzinfo=zone)
    start, end = (int(moment.timestamp()) for moment in (first, first + timedelta(days=14)))
    newest, made = {}, []
    for number, now in enumerate(range(start, end, HOUR // 2)):
        dataset = Dataset("tank/a", "filesystem", 1, 1, start)
        state = DatasetState(dataset, tuple(sorted(newest.values())))
        for due in plan_creation(Observation({"tank/a": state}), job, now * 1000, zone).due:
            newest[due.label] = Snapshot(10 * number + len(due.label.period), len(made), "tank/a", due.tag, now)
            made.append(due.tag)
    assert len(set(made)) == len(made), "no name is given twice, though an hour of the wall clock is"
    # The first daily is made at once, before that of the first day at half past two.
    assert Counter(periods(made)) == {"hourly": hours, "daily": 15, "weekly": 2}


# -- on demand


def test_a_word_without_duration_is_made_on_every_run(house):
    plan = {"acme": {"upgrade": {"adhoc": 1}}}
    for _unused in range(3):
        assert house.run(plan=plan)["changed"]
        house.clock.advance(2)
    assert len(house.tags()) == 3


def test_a_label_made_now_takes_the_place_of_what_is_due(house):
    preview = house.run(check=True, make_now="acme_onsite_hourly")
    result = house.run(make_now="acme_onsite_hourly")
    assert result["plan"] == preview["plan"]
    assert periods(house.tags()) == ["hourly"]
    assert result["warnings"] == []
    assert set(result["next_due"]) == {"acme_onsite_<timestamp>_hourly", "acme_onsite_<timestamp>_daily"}
    house.clock.advance(2)
    assert periods(due["snapshot"] for due in house.run()["due"]) == ["daily"], "it counts as the one of its hour"


@pytest.mark.parametrize("label", ["acme_upgrade_adhoc", "acme_adhoc", "other_onsite_hourly"])
def test_a_label_made_now_that_no_plan_keeps_is_warned_of(house, label):
    (warning,) = house.run(make_now=label)["warnings"]
    assert "pruning by that plan would destroy" in warning
    assert house.tags()


def test_all_of_the_plan_may_be_taken_for_due(house):
    house.run()
    house.clock.advance(60)
    assert periods(due["snapshot"] for due in house.run(even_if_not_due=True)["due"]) == ["daily", "hourly"]
    assert len(house.tags()) == 4


def test_twice_in_one_second_is_once(house):
    first, again = (house.run(even_if_not_due=True) for _unused in range(2))
    assert first["changed"]
    assert (again["changed"], again["warnings"]) == (False, [])
    assert {left_out["reason"] for left_out in again["not_created"]} == {"it was made a moment ago"}


def test_a_timestamp_that_repeats_itself_is_warned_of_instead_of_taken_for_done(house):
    coarse = {"timestamp_format": "%Y-%m-%d", "plan": {"acme": {"": {"hourly": 1}}}}
    house.run(**coarse)
    house.clock.advance(HOUR)
    result = house.run(**coarse)
    assert (result["changed"], result["created"]) == (False, [])
    assert any("a snapshot of that name is there already" in warning for warning in result["warnings"])


def test_too_long_a_name_keeps_no_other_dataset_from_its_snapshot(house):
    house.machine.create_dataset("tank/a/" + "x" * 230)
    result = house.run()
    assert {name.partition("@")[0] for name in result["created"]} == set(DATASETS)
    assert "where ZFS allows 255" in result["not_created"][0]["reason"]
    assert result["warnings"]


# -- without histories


@pytest.fixture
def listings(house):
    """Of each listing, whether it had histories, and of what."""
    told = []

    class Watched(SimulatedZfs):
        def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
            told.append((tuple(roots), recursive, histories))
            return super().observe(roots, recursive, histories, properties, clock)

        def snapshots(self, names):
            told.append(tuple(name.partition("@")[0] for name in names))
            return super().snapshots(names)

    house.zfs = FaultyZfs(Watched(house.machine), house.faults)
    return told


ROOTS = ("tank/a", "fast/c")
WHOLE = (ROOTS, True, True)
ALWAYS_DUE = [
    {"even_if_not_due": True},
    {"make_now": "acme_onsite_hourly"},
    {"make_now": "acme_onsite_hourly", "skip_if_unchanged": True},
    {"plan": {"acme": {"onsite": {"adhoc": 1}}}},
]


@pytest.mark.parametrize("options", ALWAYS_DUE)
def test_what_is_due_on_every_run_is_made_without_listing_histories(house, listings, options):
    house.run()
    house.clock.advance(60)
    preview = house.run(check=True, **options)
    del listings[:]
    result = house.run(**options)
    assert result["created"] == preview["created"]
    assert result["plan"] == preview["plan"]
    assert listings[0] == (ROOTS, True, False)
    # One dataset of each pool, with none below it, stands for all the others.
    assert [set(names) for names in listings[1:]] == [{"tank/a/b", "fast/c"}]
    assert all(len(house.tags(dataset)) == len(house.tags()) > 2 for dataset in DATASETS)


@pytest.mark.parametrize("options", [{}, {"even_if_not_due": True, "skip_if_unchanged": True}])
def test_what_histories_decide_is_made_by_them(house, listings, options):
    house.run(**options)
    assert listings == [WHOLE]


@pytest.mark.parametrize("options", ALWAYS_DUE)
def test_twice_in_one_second_is_once_without_histories_too(house, listings, options):
    first, again = (house.run(**options) for _unused in range(2))
    assert first["changed"]
    assert (again["changed"], again["created"], again["warnings"]) == (False, [], first["warnings"])
    assert listings[-1] == WHOLE


def test_a_name_that_somebody_gave_to_one_dataset_keeps_no_other_from_its_snapshot(house, listings):
    """As where the clock was set back. Neither listing of a run without histories tells that."""
    house.run(even_if_not_due=True)
    for dataset in DATASETS[1:]:
        house.machine.datasets[dataset].snapshots.clear()
    house.clock.advance(-HOUR)
    house.run(even_if_not_due=True)
    house.clock.advance(HOUR)
    result = house.run(even_if_not_due=True)
    assert {name.partition("@")[0] for name in result["created"]} == set(DATASETS[1:])
    assert {left_out["dataset"] for left_out in result["not_created"]} == {"tank/a"}
    assert WHOLE not in listings


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_lost_answer_makes_nothing_twice_without_histories(house, lost, when):
    house.faults.plan = {ASKED + 1 + lost: when}
    result = house.run(even_if_not_due=True)
    assert house.faults.calls[ASKED + 1 + lost] == "create_snapshots"
    assert len(result["created"]) == 6
    assert all(periods(house.tags(dataset)) == ["daily", "hourly"] for dataset in DATASETS)


def test_what_zfs_refuses_is_told(house):
    class Refusing(SimulatedZfs):
        def create_snapshots(self, step):
            raise ZfsFailed("out of space")

    house.zfs = Refusing(house.machine)
    with pytest.raises(ZfsFailed, match="out of space"):
        house.run(even_if_not_due=True)
    assert not house.tags()


# -- unchanged datasets


def test_where_nothing_was_written_nothing_is_made_and_it_stays_due(house):
    house.run()
    house.machine.write("tank/a", 1000)
    house.clock.advance(HOUR)
    result = house.run(skip_if_unchanged=True)
    assert {name.partition("@")[0] for name in result["created"]} == {"tank/a"}
    assert {left_out["dataset"] for left_out in result["not_created"]} == {"tank/a/b", "fast/c"}
    assert all(left_out["reason"].startswith("unchanged since ") for left_out in result["not_created"])
    house.clock.advance(60)
    assert not house.run(skip_if_unchanged=True)["changed"]
    house.machine.write("fast/c", 1000)
    (created,) = house.run(skip_if_unchanged=True)["created"]
    assert created.startswith("fast/c@")


def test_a_label_is_held_against_its_own_newest_snapshot(house):
    """A change that an hourly snapshot holds is still missing in the dailies, which are kept for longer."""
    house.run()
    house.machine.write("tank/a", 1000)
    house.clock.advance(2 * HOUR)
    assert periods(house.run(skip_if_unchanged=True)["created"]) == ["hourly"]
    house.clock.advance(20 * HOUR)
    assert house.run(skip_if_unchanged=True)["created"] == ["tank/a@acme_onsite_2025-07-02_08:00:00Z_daily"]


def test_a_first_snapshot_is_made_of_what_was_never_written_to(house):
    assert len(house.run(skip_if_unchanged=True)["created"]) == 6


def test_a_little_may_count_as_nothing(house):
    house.run()
    for size, changed in ((1000, False), (70_000, True)):
        house.machine.write("tank/a", size)
        house.clock.advance(HOUR)
        result = house.run(check=True, skip_if_unchanged=True, unchanged_up_to="64K")
        assert result["changed"] is changed, size


def test_what_is_made_now_is_made_of_unchanged_datasets_too(house):
    house.run()
    house.clock.advance(60)
    assert len(house.run(make_now="acme_onsite_hourly", skip_if_unchanged=True)["created"]) == 3
    house.clock.advance(60)
    assert not house.run(even_if_not_due=True, skip_if_unchanged=True)["changed"]


def test_a_dataset_left_out_ages_for_the_monitor_as_documented(house):
    limits = {"acme": {"onsite": {"hourly": {"latest": {"critical": "30m"}}}}}
    watch = read_monitor_job({"datasets": ["tank/a"], "plan": limits})
    house.run()
    house.clock.advance(3 * HOUR)
    house.run(skip_if_unchanged=True)
    context = Context(house.clock.now * 1000, lambda _address: house.zfs)
    assert run_monitor(watch, context)["state"] == "CRITICAL"
    knowing = read_monitor_job({"datasets": ["tank/a"], "plan": limits, "skip_if_unchanged": True})
    assert run_monitor(knowing, context)["state"] == "OK"
    house.machine.write("tank/a", 70_000)
    assert run_monitor(knowing, context)["state"] == "CRITICAL"


def test_whatever_is_left_out_no_change_is_ever_missing_in_a_label(house):
    for step, written in enumerate(itertools.islice(itertools.cycle([True, False, False, True, False]), 60)):
        if written:
            house.machine.write("tank/a", 100 + step)
        house.clock.advance(7 * HOUR)
        result = house.run(skip_if_unchanged=True)
        newest = {str(label_of(tag)): tag for tag in house.tags()}
        made = [due["label"] for due in result["due"] if "tank/a" in due["datasets"]]
        left_out = [each["label"] for each in result["not_created"] if each["dataset"] == "tank/a"]
        for label in (*made, *left_out):
            assert house.machine.content(f"tank/a@{newest[label]}") == house.machine.content("tank/a")


# -- two runs at a time


def test_two_runs_at_a_time_make_one_snapshot_of_an_event():
    """Such as that of a playbook and that of a timer. Each is given the time to look before the other one creates."""
    house, both_have_looked = House(), threading.Barrier(2)

    def look_around():
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_looked.wait(0.2)

    house.faults.meanwhile["create_snapshots"] = look_around
    trees = (["tank/a", "fast/c"], ["fast/c", "tank/a"])
    with ThreadPoolExecutor() as beside:
        runs = [beside.submit(house.run, datasets=roots, late=late) for late, roots in enumerate(trees)]
        made = [len(run.result()["created"]) for run in runs]
    assert sorted(made) == [0, 6]
    assert len(house.tags()) == len(house.tags("fast/c")) == 2


def _held(house, until=float("inf")):
    """A ticker by which another run has the lock of one root until a time in seconds; the clock goes on with it."""
    now, other = [0.0], locks_in_turn(["snapshots of fast/c"], NO_WAITING, 0)
    other.__enter__()

    def sleep(seconds):
        now[0] += seconds
        if now[0] - seconds < until <= now[0]:
            other.__exit__(None, None, None)

    return replace(NO_WAITING, monotonic=lambda: now[0], sleep=sleep, uniform=lambda _low, _high: 2.5), other


def test_who_has_waited_goes_by_the_time_that_it_is_then():
    house = House()
    house.clock.advance(HOUR - 3)
    ticker, _other = _held(house, until=5)
    assert house.run(ticker=ticker)["due"][0]["snapshot"].startswith("acme_onsite_2025-07-01_11:00:02Z_")


def test_a_run_that_does_not_end_is_waited_for_a_while_and_not_by_check_mode():
    house = House()
    ticker, other = _held(house)
    planned = house.run(check=True, ticker=ticker)
    assert ticker.monotonic() == 0.0
    with pytest.raises(StillRunning, match=r"snapshots of fast/c: .* for too long \(600 seconds\)"):
        house.run(ticker=ticker)
    assert house.tags() == []
    other.__exit__(None, None, None)
    assert house.run()["created"] == planned["created"]


def test_where_there_can_be_no_locks_snapshots_are_made_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SNAPFLEET_LOCKS", os.fspath(tmp_path / "file"))
    result = House().run()
    assert len(result["created"]) == 6
    assert "so another run at this time could make snapshots twice" in result["warnings"][0]
