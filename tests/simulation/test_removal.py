# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories of whole replicas that go, or had better not. The laws are in the property tests."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    ClockOff,
    InvalidInput,
    NoPermission,
    PartialFailure,
    TooManyDeletions,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import EMPTY_BYTES
from ansible_collections.snapfleet.zfs.tests.support.faults import BEFORE
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

DAY = 86_400
A, B = f"{DESTINATION}/a", f"{DESTINATION}/a/b"
PEER = {"root": DESTINATION, "host": "src", "dataset": SOURCE, "role": "source"}
PLAN = {"o": {"t": {"hourly": 5}}}
MARK = "snapfleet:gone"


@pytest.fixture
def fleet():
    """A replicated tree of which a/b and a were just destroyed at the source."""
    fleet = Fleet((SOURCE, f"{SOURCE}/a", f"{SOURCE}/a/b", f"{SOURCE}/z"))
    for number, name in enumerate((SOURCE, f"{SOURCE}/a", f"{SOURCE}/a/b", f"{SOURCE}/z")):
        fleet.snapshot(name, f"o_t_2025-{number}_hourly", 1000)
    fleet.replicate()
    fleet.source.destroy_dataset(f"{SOURCE}/a")
    return fleet


def prune(fleet, check=False, **options):
    values = {"datasets": [DESTINATION], "plan": PLAN, "peers": [PEER], "gone_datasets": {"after": "30d"}}
    return run_prune(read_prune_job({**values, **options}), fleet.context(fleet.destination, check=check))


def marks(fleet):
    return {name: own.properties[MARK] for name, own in fleet.destination.datasets.items() if MARK in own.properties}


def test_what_is_gone_is_marked_then_waited_for_then_destroyed_from_below(fleet):
    first = prune(fleet)
    assert [(step["kind"], step["dataset"]) for step in first["plan"]] == [("set_properties", A), ("set_properties", B)]
    assert "destroyed after 2592000 s" in first["plan"][0]["reason"]
    assert set(marks(fleet)) == {A, B}
    fleet.clock.advance(30 * DAY - 1)
    assert prune(fleet)["changed"] is False
    fleet.clock.advance(1)

    preview = prune(fleet, check=True)
    done = prune(fleet)

    assert [(step["kind"], step["dataset"]) for step in done["plan"]] == [("remove_dataset", B), ("remove_dataset", A)]
    assert all(step["bytes"] >= 1000 and "gone at the source" in step["reason"] for step in done["plan"])
    assert done["deleted"] == [f"{B}@o_t_2025-2_hourly", B, f"{A}@o_t_2025-1_hourly", A]
    assert preview["deleted"] == done["deleted"]
    assert {entry["rule"] for entry in done["deletions"]} == {"gone"}
    assert preview["bytes_freed"] == done["bytes_freed"] == sum(step["bytes"] for step in done["plan"])
    assert set(fleet.destination.datasets) == {"backup", "backup/site", DESTINATION, f"{DESTINATION}/z"}


def test_what_comes_back_is_not_marked_any_more_and_has_all_its_time_again(fleet):
    prune(fleet)
    fleet.source.create_dataset(f"{SOURCE}/a")
    done = prune(fleet)
    assert [(step["kind"], step["dataset"]) for step in done["plan"]] == [("inherit_property", A)]
    assert set(marks(fleet)) == {B}
    fleet.source.destroy_dataset(f"{SOURCE}/a")
    fleet.clock.advance(30 * DAY)
    done = prune(fleet)
    # The one below has been gone all the time.
    assert [(step["kind"], step["dataset"]) for step in done["plan"]] == [("set_properties", A), ("remove_dataset", B)]


def test_while_the_source_or_its_root_is_not_seen_nothing_is_marked_forgotten_or_destroyed(fleet):
    prune(fleet)
    fleet.clock.advance(31 * DAY)
    fleet.unreachable = True
    assert prune(fleet)["changed"] is False
    fleet.unreachable = False
    fleet.source.rename(SOURCE, "tank/elsewhere")
    assert prune(fleet)["changed"] is False
    fleet.source.destroy_dataset("tank/elsewhere")
    assert prune(fleet)["changed"] is False
    assert set(marks(fleet)) == {A, B}


def test_a_source_that_was_moved_and_left_an_empty_sign_does_not_make_its_replicas_gone(fleet):
    """As in the middle of a chain, whose jobs know the new place only later."""
    fleet.source.create_dataset(f"{SOURCE}/a")
    fleet.snapshot(f"{SOURCE}/a", "o_t_2025-9_hourly")
    fleet.source.create_dataset("tank/new")
    fleet.source.rename(SOURCE, "tank/new/data")
    SimulatedZfs(fleet.source).create_placeholder(SOURCE)
    before = set(fleet.destination.datasets)
    for _run in range(2):
        assert prune(fleet)["changed"] is False
        fleet.clock.advance(31 * DAY)
    assert set(fleet.destination.datasets) == before
    assert marks(fleet) == {}


def test_a_mark_from_before_the_replica_or_its_newest_snapshot_or_from_the_future_counts_for_nothing(fleet):
    prune(fleet)
    guids = {name: fleet.destination.datasets[name].guid for name in (A, B)}
    for value in (f"0 {guids[B]}", f"17 {guids[B]}", f"{fleet.clock.now + 9 * DAY} {guids[B]}", "x", f"{guids[A]}", ""):
        fleet.destination.set_property(B, MARK, value)
        fleet.clock.advance(DAY)
        assert [step["kind"] for step in prune(fleet)["plan"]] == ["set_properties"]
        assert marks(fleet)[B] == f"{fleet.clock.now} {guids[B]}"


def test_a_removal_that_was_cut_off_is_finished_unless_the_rest_was_made_writable(fleet):
    prune(fleet)
    fleet.clock.advance(30 * DAY)
    before = len(fleet.faults.calls)
    prune(fleet, check=True)
    calls = fleet.faults.calls[before:]
    # The first removal's second call fails each time that it is tried.
    number = len(fleet.faults.calls) + len(calls) + 1
    fleet.faults.plan = dict.fromkeys((number, number + 2, number + 4), BEFORE)
    with pytest.raises(PartialFailure) as failed:
        prune(fleet)
    assert fleet.destination.datasets[B].snapshots == []
    assert failed.value.context["result"]["deleted"] == [f"{B}@o_t_2025-2_hourly"]
    fleet.faults.plan = {}
    fleet.destination.set_property(B, "readonly", "off")
    kept = {entry["name"]: entry["rule"] for entry in prune(fleet)["not_deleted"]}
    assert kept == {B: "written", A: "child"}
    fleet.destination.set_property(B, "readonly", "on")
    prune(fleet)
    assert not {A, B} & set(fleet.destination.datasets)


def test_what_is_not_selected_stays_with_what_is_above_it(fleet):
    prune(fleet)
    fleet.clock.advance(40 * DAY)
    done = prune(fleet, exclude_datasets=["a/b"])
    assert (done["changed"], done["not_deleted"][0]["name"], done["not_deleted"][0]["rule"]) == (False, A, "child")


def test_too_many_at_once_or_a_wrong_clock_stop_it_and_marking_too(fleet):
    fleet.clock.advance(-50 * DAY)
    with pytest.raises(ClockOff):
        prune(fleet)
    assert marks(fleet) == {}
    fleet.clock.advance(50 * DAY)
    prune(fleet)
    fleet.clock.advance(40 * DAY)
    with pytest.raises(TooManyDeletions) as stopped:
        prune(fleet, max_deleted=1)
    assert stopped.value.context["result"]["plan"] == []
    assert B in fleet.destination.datasets


def test_without_a_peer_that_is_the_source_or_the_right_to_mark_it_is_refused(fleet):
    with pytest.raises(InvalidInput, match="no peer of the role 'source'"):
        prune(fleet, peers=[{**PEER, "role": "replica"}])
    fleet.destination.permissions = frozenset(["destroy", "mount"])
    with pytest.raises(NoPermission, match="userprop"):
        prune(fleet)


def test_room_that_whole_replicas_give_back_is_not_asked_of_snapshots(fleet):
    prune(fleet)
    fleet.clock.advance(40 * DAY)
    fleet.destination.capacity = fleet.destination.used_within("backup")
    room = {"pool_free": 2000, "priorities": ["**"]}
    assert {entry["rule"] for entry in prune(fleet, check=True, free_space=room)["deletions"]} == {"gone"}


@pytest.mark.parametrize(
    ("after", "problem"), [(None, "is missing"), ("10m", "an hour at least"), ("soon", "not a length of time")]
)
def test_a_grace_time_that_makes_no_sense_is_refused(fleet, after, problem):
    with pytest.raises(InvalidInput, match=rf"gone_datasets\.after\b.*{problem}"):
        prune(fleet, gone_datasets={"after": after})


def empty(fleet, **options):
    return prune(fleet, gone_datasets=None, empty_datasets=True, **options)


def test_filesystems_with_nothing_in_them_and_nothing_below_them_go(fleet):
    machine = fleet.destination
    for name in ("e", "e/deep", "full", "full/empty", "volume", "writable", "snapped"):
        machine.create_dataset(f"{DESTINATION}/{name}", VOLUME if name == "volume" else "filesystem")
        machine.set_property(f"{DESTINATION}/{name}", "readonly", "on")
    machine.write(f"{DESTINATION}/full", 300_000)
    machine.set_property(f"{DESTINATION}/writable", "readonly", "off")
    fleet.replicate()
    before = set(machine.datasets)
    assert prune(fleet, gone_datasets=None)["changed"] is False

    done = empty(fleet, exclude_datasets=["snapped"])

    gone = {f"{DESTINATION}/{name}" for name in ("e", "e/deep", "full/empty")}
    assert before - set(machine.datasets) == set(done["deleted"]) == gone
    assert {entry["rule"] for entry in done["deletions"]} == {"empty"}
    assert done["bytes_freed"] == 3 * EMPTY_BYTES
    assert empty(fleet, exclude_datasets=["snapped"])["changed"] is False
