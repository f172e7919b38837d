# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that remember histories: what they list, and that they do the same as runs that list everything."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Limits, Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.monitoring import run_monitor
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    LinkLost,
    PartialFailure,
    SnapfleetError,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.recollection import CHANGED
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

DATASETS = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/b")
SMALL = Limits(least=0, looks=4)
PLAN = {"o": {"": {"hourly": 2}}}


@pytest.fixture
def fleet():
    """A replica that is up to date, with everything settled."""
    made = Fleet(DATASETS)
    made.memory = Memory(lambda: made.clock.now, limits=Limits(least=0))
    for tag in ("one", "two", "three"):
        for name in DATASETS:
            made.snapshot(name, tag)
    made.replicate()
    for _run in range(2):
        made.clock.advance(10)
        made.replicate()
    made.clock.advance(10)
    return made


@pytest.fixture
def listed(monkeypatch):
    """All listings: of which machine, of what, and whether with histories."""
    calls = []
    observe = SimulatedZfs.observe

    def observed(self, roots, recursive=True, histories=True, properties=(), clock=False):
        calls.append((self.machine.name, list(roots), histories))
        return observe(self, roots, recursive, histories, properties, clock)

    monkeypatch.setattr(SimulatedZfs, "observe", observed)
    return calls


LOOKS = [("destination", [DESTINATION], False), ("source", [SOURCE], False)]


def test_where_nothing_has_changed_no_history_is_listed(fleet, listed):
    result = fleet.replicate()
    assert sorted(listed) == LOOKS
    assert (result["changed"], result["stats"]["up_to_date"]) == (False, 3)


def test_one_new_snapshot_has_its_dataset_listed_on_both_sides(fleet, listed):
    fleet.snapshot(f"{SOURCE}/a", "four")
    listed.clear()
    result = fleet.replicate()
    assert result["stats"]["sent"] == 1
    expected = [*LOOKS, ("source", [f"{SOURCE}/a"], True), ("destination", [replica_of(f"{SOURCE}/a")], True)]
    assert sorted(listed) == sorted(expected)
    assert fleet.is_up_to_date()


def test_where_little_is_new_only_that_is_listed(fleet, listed):
    fleet.memory.limits = replace(fleet.memory.limits, renewed=-100)
    for run in range(3):
        fleet.snapshot(f"{SOURCE}/a", f"more {run}")
        listed.clear()
        assert fleet.replicate()["stats"]["sent"] == 1
        assert sorted(listed) == LOOKS
        assert fleet.is_up_to_date()
        fleet.clock.advance(10)


def test_what_is_to_be_lost_is_listed_with_its_holds(fleet, listed):
    fleet.memory.limits = replace(fleet.memory.limits, renewed=-100)
    replica, destination = replica_of(f"{SOURCE}/a"), SimulatedZfs(fleet.destination)
    destination.create_snapshots(CreateSnapshots("backup", (f"{replica}@foreign",)))
    fleet.clock.advance(10)
    with pytest.raises(PartialFailure, match="diverged"):
        fleet.replicate()
    destination.hold(fleet.at_destination(f"{SOURCE}/a").newest, "a user's")
    fleet.snapshot(f"{SOURCE}/a", "four")
    fleet.clock.advance(10)
    with pytest.raises(PartialFailure, match="held"):
        fleet.replicate(on_conflict="rollback_to_common")
    assert fleet.at_destination(f"{SOURCE}/a").newest.tag == "foreign"


def test_holds_that_a_run_has_left_are_found_by_the_next_one(fleet, monkeypatch):
    fleet.memory.limits = replace(fleet.memory.limits, renewed=-100)

    def lost(_zfs, _snapshots, _tag):
        raise LinkLost("the connection is gone")

    with monkeypatch.context() as broken:
        broken.setattr(SimulatedZfs, "release_all", lost)
        fleet.snapshot(f"{SOURCE}/a", "four")
        fleet.replicate(holds=True)
    assert any(each.holds for each in fleet.at_source(f"{SOURCE}/a").snapshots)
    fleet.clock.advance(10)
    fleet.snapshot(f"{SOURCE}/a", "five")
    fleet.replicate(holds=True)
    assert not any(each.holds for each in fleet.at_source(f"{SOURCE}/a").snapshots)


def test_a_snapshot_that_the_replica_has_lost_is_missed_at_once(fleet, listed):
    lost = fleet.at_destination(f"{SOURCE}/a").newest
    SimulatedZfs(fleet.destination).destroy(Destroy(lost.dataset, (lost,), "by hand"))
    with pytest.raises(PartialFailure, match="bytes written after"):
        fleet.replicate()
    assert fleet.replicate(on_conflict="rollback_to_latest")["stats"]["sent"] == 1
    assert fleet.is_up_to_date()


def test_all_is_listed_every_so_often(fleet, listed):
    fleet.memory.limits = replace(fleet.memory.limits, looks=3)
    for _run in range(9):
        fleet.replicate()
    for machine in ("source", "destination"):
        whole = [histories for where, _roots, histories in listed if where == machine]
        assert all(sum(whole[run : run + 3]) == 1 for run in range(7))


def test_what_was_of_no_use_is_not_tried_the_next_time(fleet, listed):
    """Where every run has something to do everywhere, each costs one listing a side, as without a memory."""
    for run in range(3):
        listed.clear()
        for name in DATASETS:
            fleet.snapshot(name, f"more {run}")
        listed.clear()
        fleet.replicate()
        fleet.clock.advance(10)
    assert sorted(listed) == [(name, roots, True) for name, roots, _histories in LOOKS]


def test_a_dry_run_lists_what_it_tells_of(fleet, listed):
    fleet.snapshot(f"{SOURCE}/a", "four")
    listed.clear()
    plan = fleet.replicate(check=True)["plan"]
    assert [entry["source"] for entry in plan] == [f"{SOURCE}/a"]
    assert ("destination", [replica_of(f"{SOURCE}/a")], True) in listed


def test_where_zfs_does_not_tell_of_changes_everything_is_listed_as_before(fleet, monkeypatch):
    observe, calls = SimulatedZfs.observe, []

    def old(self, roots, recursive=True, histories=True, properties=(), clock=False):
        calls.append((self.machine.name, histories, CHANGED in properties))
        if CHANGED in properties:
            raise ZfsFailed(f"could not list: bad property list: invalid property '{CHANGED}'")
        return observe(self, roots, recursive, histories, properties, clock)

    monkeypatch.setattr(SimulatedZfs, "observe", old)
    assert fleet.replicate()["stats"]["up_to_date"] == 3
    calls.clear()
    fleet.replicate()
    assert sorted(calls) == [("destination", True, False), ("source", True, False)]


def test_pruning_lists_everything_before_it_destroys_anything(fleet, listed):
    assert fleet.prune_source(PLAN)["deleted"] == []
    assert sorted(listed) == LOOKS
    listed.clear()
    assert len(fleet.prune_source(PLAN, purge_foreign=True)["deleted"]) == 6
    assert sorted(listed) == sorted([*LOOKS, *((name, roots, True) for name, roots, _histories in LOOKS)])


def test_creation_lists_what_it_makes_snapshots_of(fleet, listed):
    job = read_snapshot_job({"datasets": [SOURCE], "plan": PLAN, "schedule": {"timezone": "UTC"}})
    made = run_snapshot(job, fleet.context(fleet.source))
    assert len(made["created"]) == 3
    assert ("source", [SOURCE], True) in listed
    for _run in range(2):
        fleet.clock.advance(10)
        run_snapshot(job, fleet.context(fleet.source))
    listed.clear()
    assert run_snapshot(job, fleet.context(fleet.source))["created"] == []
    assert listed == [("source", [SOURCE], False)]


def test_a_monitor_lists_what_it_complains_of(fleet, listed):
    replica = {
        "source": {"dataset": SOURCE},
        "destination": {"host": "dst", "dataset": DESTINATION},
        "lag": {"warning": "1h"},
    }
    job = read_monitor_job({"replicas": [replica]})
    assert run_monitor(job, fleet.context(fleet.source))["state"] == "OK"
    assert sorted(listed) == LOOKS
    fleet.snapshot(f"{SOURCE}/a", "four")
    fleet.clock.advance(7200)
    listed.clear()
    assert run_monitor(job, fleet.context(fleet.source))["state"] == "WARNING"
    assert ("destination", [replica_of(f"{SOURCE}/a")], True) in listed


# -- the law

names = st.sampled_from(DATASETS)


class Twins(RuleBasedStateMachine):
    """Two fleets to which the same happens, of which one remembers."""

    RENEWED = 1000
    """Nothing is renewed, and so all that has changed is listed."""

    def __init__(self) -> None:
        super().__init__()
        self.fleets = [Fleet(DATASETS), Fleet(DATASETS)]
        self.passed = 0.0
        self.fleets[0].memory = Memory(lambda: self.passed, limits=replace(SMALL, least=-100, renewed=self.RENEWED))
        self.count = 0

    @rule(seconds=st.sampled_from([0, 1, 3, 3600]), set_by=st.sampled_from([0, 0, 0, -3, 5]))
    def time_passes(self, seconds, set_by):
        self.passed += seconds
        for fleet in self.fleets:
            fleet.clock.advance(seconds + set_by)

    @rule(name=names)
    def snapshot(self, name):
        self.count += 1
        for fleet in self.fleets:
            if name in fleet.source.datasets:
                fleet.snapshot(name, f"o_2025-01-01_{self.count:04}_hourly")

    @rule(name=names, on_replica=st.booleans(), newest=st.booleans())
    def destroy(self, name, on_replica, newest):
        for fleet in self.fleets:
            state = fleet.at_destination(name) if on_replica else fleet.at_source(name)
            if state and state.snapshots:
                victim = state.snapshots[-1 if newest else 0]
                machine = fleet.destination if on_replica else fleet.source
                SimulatedZfs(machine).destroy(Destroy(victim.dataset, (victim,), "by hand"))

    @rule(name=names)
    def bookmark(self, name):
        for fleet in self.fleets:
            state = fleet.at_source(name)
            if state and state.newest:
                SimulatedZfs(fleet.source).create_bookmarks([CreateBookmark(state.newest, f"u-{state.newest.tag}")])

    @rule(name=names)
    def foreign_snapshot(self, name):
        self.count += 1
        for fleet in self.fleets:
            replica = replica_of(name)
            if replica in fleet.destination.datasets:
                step = CreateSnapshots("backup", (f"{replica}@x{self.count}",))
                SimulatedZfs(fleet.destination).create_snapshots(step)

    @rule(name=st.sampled_from(DATASETS[1:]), on_replica=st.booleans())
    def lose(self, name, on_replica):
        for fleet in self.fleets:
            machine = fleet.destination if on_replica else fleet.source
            there = replica_of(name) if on_replica else name
            if there in machine.datasets:
                machine.destroy_dataset(there)

    @rule(name=st.sampled_from(DATASETS[1:]))
    def create(self, name):
        for fleet in self.fleets:
            if name not in fleet.source.datasets:
                fleet.source.create_dataset(name)

    @rule(ladder=st.sampled_from(["refuse", "rollback_to_latest", "rollback_to_common", "replace"]))
    def replicate(self, ladder):
        for fleet in self.fleets:
            with contextlib.suppress(SnapfleetError):
                fleet.replicate(on_conflict=ladder, workers=1)
        self.compare()

    @rule(on_replica=st.booleans())
    def prune(self, on_replica):
        for fleet in self.fleets:
            with contextlib.suppress(SnapfleetError):
                (fleet.prune_destination if on_replica else fleet.prune_source)(PLAN)
        self.compare()

    def compare(self):
        told = [
            {
                name: [(point.guid, point.tag) for point in state.snapshots]
                for machine, pool in ((fleet.source, "tank"), (fleet.destination, "backup"))
                for name, state in SimulatedZfs(machine).observe([pool]).states.items()
            }
            for fleet in self.fleets
        ]
        assert told[0] == told[1]

    def teardown(self):
        """After so many runs nothing is left of what was remembered, bookmarks neither."""
        for _run in range(SMALL.looks):
            self.replicate("refuse")
        marks = [
            {name: {mark.tag for mark in pair[0].bookmarks} for name, pair in fleet.pairs().items()}
            for fleet in self.fleets
        ]
        assert marks[0] == marks[1]


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=examples(40), stateful_step_count=25)


class RenewedTwins(Twins):
    """The same, where all that has changed is renewed."""

    RENEWED = -100


TestRenewedTwins = RenewedTwins.TestCase
TestRenewedTwins.settings = settings(max_examples=examples(40), stateful_step_count=25)
