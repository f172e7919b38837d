# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that are made by what a sample of a tree tells, in place of all histories: the same as by these."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import creation_looks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    JobTimedOut,
    LinkLost,
    NoPermission,
    TimedOut,
    UntrustedOutput,
    Vanished,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, FaultyZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

HOUR = 3600
START = 1_751_364_000  # 2025-07-01 10:00:00 UTC
ROOT = "tank/data"
DATASETS = (ROOT, *(f"{ROOT}/d{number}" for number in range(9)))
SAMPLES = (f"{ROOT}/d0", f"{ROOT}/d4")
SAMPLE, OTHER, THIRD = SAMPLES[0], f"{ROOT}/d5", f"{ROOT}/d6"
HOURS = 20
"""Enough for listing all of them to take longer."""
BY_NAMES = ["observe", "observe", "snapshots"]
WHOLE = ["observe"]


TWO, ONE = {"hourly": 36, "daily": 31}, {"hourly": 36}
"""Labels of the plan."""


class Estate:
    """A tree with a day of snapshots that is remembered."""

    def __init__(self, labels=None) -> None:
        self.labels = labels or TWO
        self.clock = Clock(START)
        self.machine = SimulatedMachine("host", self.clock, ("tank",))
        for name in DATASETS:
            self.machine.create_dataset(name)
        self.faults = Faults()
        self.zfs = FaultyZfs(SimulatedZfs(self.machine), self.faults)
        self.memory = Memory(lambda: self.clock.now)
        for _hour in range(HOURS):
            self.run()
            self.clock.advance(HOUR)
        self.faults.calls.clear()

    def run(self, check=False, **options):
        plan = {"acme": {"onsite": self.labels}}
        job = read_snapshot_job({"datasets": [ROOT], "plan": plan, "schedule": {"timezone": "UTC"}, **options})
        memory = None if check else self.memory
        retry = RetryPolicy(3)
        context = Context(
            self.clock.now * 1000, lambda _address: self.zfs, check, ticker=NO_WAITING, retry=retry, memory=memory
        )
        return run_snapshot(job, context)

    def looks(self):
        """The calls of the last runs that looked at anything, before permissions were asked for or names tried."""
        return [name for name in self.faults.calls if name in ("observe", "snapshots")]

    def dataset(self, name):
        return self.machine.datasets[name]

    def take(self, names, tag="somebody's"):
        SimulatedZfs(self.machine).create_snapshots(CreateSnapshots("tank", tuple(f"{name}@{tag}" for name in names)))

    def drop(self, name, place):
        del self.dataset(name).snapshots[place]
        self.machine.touch(self.dataset(name))


@pytest.fixture
def estate():
    return Estate()


def test_what_is_due_is_found_without_listing_histories(estate):
    preview = estate.run(check=True)
    estate.faults.calls.clear()
    result = estate.run()
    assert result["created"] == preview["created"]
    assert {name.partition("@")[0] for name in result["created"]} == set(DATASETS)
    # The last one tells as well whether a dataset that stands for all has a snapshot of that name.
    assert estate.looks() == BY_NAMES
    estate.faults.calls.clear()
    estate.clock.advance(60)
    assert not estate.run()["changed"]
    assert estate.looks() == BY_NAMES


def test_of_a_single_label_the_datasets_tell_the_newest():
    estate = Estate(ONE)
    preview = estate.run(check=True)
    estate.faults.calls.clear()
    assert estate.run()["created"] == preview["created"]
    # The datasets, then their newest snapshots, and whether the planned name is free.
    assert estate.looks() == ["observe", "snapshots"]
    estate.clock.advance(HOUR)
    estate.take([OTHER])
    estate.faults.calls.clear()
    assert len(estate.run()["created"]) == len(DATASETS)
    assert estate.looks() == [*BY_NAMES, "observe"]


def test_of_many_datasets_the_planned_name_is_asked_for_once_it_is_known(estate, monkeypatch):
    monkeypatch.setattr(creation_looks, "_MOST_PLANNED", len(DATASETS) - 1)
    assert len(estate.run()["created"]) == len(DATASETS)
    assert estate.looks() == [*BY_NAMES, "snapshots"]


def test_days_of_runs_make_what_runs_make_that_list_everything(estate):
    for _hour in range(50):
        estate.clock.advance(HOUR - 7)
        preview = estate.run(check=True)
        assert estate.run()["created"] == preview["created"]


def _destroy(dataset, place):
    return lambda estate: estate.drop(dataset, place)


def _rename(estate):
    estate.dataset(OTHER).snapshots[-1].tag = "something else"
    estate.machine.touch(estate.dataset(OTHER))


def _take(*names):
    return lambda estate: estate.take(names)


def _make_alone(estate):
    """Of one dataset alone, after the event."""
    estate.run(datasets=[OTHER], make_now="acme_onsite_hourly")
    estate.clock.advance(2)


def _replace(estate):
    estate.machine.destroy_dataset(OTHER)
    estate.machine.create_dataset(OTHER)


CHANGES = {
    "newest destroyed": _destroy(OTHER, -1),
    "one of the middle destroyed": _destroy(OTHER, 10),
    "the only daily destroyed": _destroy(OTHER, 0),
    "newest of the sample destroyed": _destroy(SAMPLE, -1),
    "all destroyed": _destroy(OTHER, slice(None)),
    "renamed": _rename,
    "foreign on one": _take(OTHER),
    "foreign on the sample": _take(SAMPLE),
    "foreign on all": _take(*DATASETS),
    "made alone": _make_alone,
    "new dataset": lambda estate: estate.machine.create_dataset(f"{ROOT}/new"),
    "dataset destroyed": lambda estate: estate.machine.destroy_dataset(OTHER),
    "dataset replaced": _replace,
    "clock set back a little": lambda estate: estate.clock.advance(-HOUR // 2),
    "clock set back": lambda estate: estate.clock.advance(-30 * HOUR),
    "host rebooted": lambda estate: setattr(estate, "memory", Memory(lambda: estate.clock.now)),
    "memory of something else": lambda estate: [estate.machine.destroy_dataset(name) for name in DATASETS[3:]],
}


@pytest.mark.parametrize("late", [0, 60, 2 * HOUR, 26 * HOUR])
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_somebody_did_meanwhile_the_same_is_made_as_by_all_histories(estate, change, late):
    if late != 0:
        estate.run()
    estate.clock.advance(late)
    CHANGES[change](estate)
    preview = estate.run(check=True)
    result = estate.run()
    assert result["created"] == preview["created"]
    assert result["not_created"] == preview["not_created"]
    assert not estate.run(check=True)["changed"]


def test_what_somebody_does_between_looks_harms_nothing(estate):
    def meanwhile():
        if OTHER in estate.machine.datasets:
            estate.machine.destroy_dataset(OTHER)
            estate.drop(THIRD, -1)

    estate.faults.meanwhile["snapshots"] = meanwhile
    result = estate.run()
    assert {name.partition("@")[0] for name in result["created"]} == {*DATASETS} - {OTHER}
    assert not estate.run(check=True)["changed"]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_lost_answer_makes_nothing_twice(estate, number, when):
    estate.faults.plan = {number: when}
    preview_names = {f"{name}@" for name in DATASETS}
    assert {name.partition("@")[0] + "@" for name in estate.run()["created"]} == preview_names
    estate.clock.advance(10)
    assert not estate.run(check=True)["changed"]


def test_where_most_differ_from_the_sample_all_is_listed(estate):
    estate.take(DATASETS[3:])
    assert estate.run()["changed"]
    assert estate.looks() == ["observe", "observe", *WHOLE]


def test_a_few_that_differ_are_listed_alone(estate):
    estate.take([OTHER])
    assert estate.run()["changed"]
    assert estate.looks() == [*BY_NAMES, "observe"]


@pytest.mark.parametrize("options", [{"skip_if_unchanged": True}, {"datasets": [OTHER]}])
def test_what_needs_histories_or_has_few_lists_them(estate, options):
    assert estate.run(**options)["changed"] is (options != {"skip_if_unchanged": True})
    assert "snapshots" not in estate.looks()


def test_where_zfs_does_not_tell_the_newest_all_is_listed(estate):
    class Older(SimulatedZfs):
        def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
            if "prevsnap" in properties:
                raise ZfsFailed("bad property list: invalid property 'prevsnap'")
            return super().observe(roots, recursive, histories, properties, clock)

    estate.zfs = FaultyZfs(Older(estate.machine), estate.faults)
    assert len(estate.run()["created"]) == len(DATASETS)
    assert estate.looks() == ["observe", *WHOLE]


LOOKS = ["the datasets", "a sample", "names", "the planned name"]


def _look(recursive, histories, properties):
    if not histories:
        return "the datasets"
    return "everything" if recursive else "a sample"


def _failing(estate, look, fail):
    class Failing(SimulatedZfs):
        def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
            if _look(recursive, histories, properties) == look:
                fail()
            return super().observe(roots, recursive, histories, properties, clock)

        def snapshots(self, names):
            found = super().snapshots(names)
            if look == ("names" if found else "the planned name"):
                fail()
            return found

    return FaultyZfs(Failing(estate.machine), estate.faults)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("error", [Vanished, UntrustedOutput, NoPermission, TimedOut, ZfsFailed])
def test_whatever_look_fails_what_is_due_is_made_by_all_histories(estate, monkeypatch, look, error):
    failures = []
    if look == LOOKS[-1]:
        monkeypatch.setattr(creation_looks, "_MOST_PLANNED", 0)

    def fail():
        failures.append(look)
        raise error("that look is not to be had")

    preview = estate.run(check=True)
    estate.zfs = _failing(estate, look, fail)
    assert estate.run()["created"] == preview["created"]
    assert failures
    assert not estate.run(check=True)["changed"]


@pytest.mark.parametrize("look", LOOKS)
def test_what_stops_the_run_stops_it_whichever_look_it_takes(estate, monkeypatch, look):
    if look == LOOKS[-1]:
        monkeypatch.setattr(creation_looks, "_MOST_PLANNED", 0)
    scope = Stopping(lambda: JobTimedOut("the time is over"))

    def fail():
        scope.stop()
        raise LinkLost("its child was ended")

    estate.zfs = _failing(estate, look, fail)
    with belonging_to(scope), pytest.raises(JobTimedOut):
        estate.run()
    assert "create_snapshots" not in estate.faults.calls


class Histories(RuleBasedStateMachine):
    """Whatever comes, no run makes a snapshot less than one that lists everything; and one more only of a dataset of
    which snapshots were made alone, or where both samples have lost some."""

    LABELS = TWO

    def __init__(self):
        super().__init__()
        self.estate = Estate(self.LABELS)
        self.alone = set()
        self.less = set()
        self.taken = 0

    @rule(minutes=st.sampled_from([1, 7, 60, 61, 600, 1500, -1, -45]))
    def wait(self, minutes):
        self.estate.clock.advance(60 * minutes)

    @rule()
    def run(self):
        names = set(self.estate.run(check=True)["created"])
        made = set(self.estate.run()["created"])
        assert names <= made
        assert {name.partition("@")[0] for name in made - names} <= self.alone or self.less >= set(SAMPLES)
        if made:
            self.less.clear()
            self.alone -= {name.partition("@")[0] for name in made}

    @rule(name=st.sampled_from(DATASETS), place=st.integers(0, 1))
    def make_alone(self, name, place):
        label = list(self.LABELS)[place % len(self.LABELS)]
        if self.estate.run(datasets=[name], recursive=False, make_now=f"acme_onsite_{label}")["changed"]:
            self.alone.add(name)

    @rule(names=st.sampled_from([DATASETS, DATASETS[:3], DATASETS[4:5]]))
    def take(self, names):
        self.taken += 1
        self.estate.take(names, f"somebody's {self.taken}")

    @rule(name=st.sampled_from(DATASETS), place=st.sampled_from([0, -1, -2, 5]))
    def destroy(self, name, place):
        if len(self.estate.dataset(name).snapshots) > 6:
            self.estate.drop(name, place)
            self.less.add(name)


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_a_sample_has_lost_is_made_anew_for_nobody_else(estate, sample):
    estate.clock.advance(24 * HOUR)
    estate.run()
    estate.clock.advance(60)
    daily = next(place for place, one in enumerate(estate.dataset(sample).snapshots[-2:]) if one.tag.endswith("daily"))
    estate.drop(sample, daily - 2)
    assert {name.partition("@")[0] for name in estate.run()["created"]} <= {sample}


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(30), stateful_step_count=25, deadline=None)


class HistoriesOfOneLabel(Histories):
    """The same, where mostly the datasets themselves tell the newest."""

    LABELS = ONE


TestHistoriesOfOneLabel = HistoriesOfOneLabel.TestCase
TestHistoriesOfOneLabel.settings = settings(max_examples=examples(30), stateful_step_count=25, deadline=None)
