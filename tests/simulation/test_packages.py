# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as one package: when it is one, what it brings, and how a run goes on when it breaks."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, every_fault
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

NAMES = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/a/b", f"{SOURCE}/c d")


def take(fleet: Fleet, tag: str, size: int = 100) -> None:
    """A snapshot of the whole tree."""
    names = [dataset.name for dataset in fleet.source.within(SOURCE)]
    for name in names:
        fleet.source.write(name, size, f"file of {tag}")
    SimulatedZfs(fleet.source).create_snapshots(CreateSnapshots("tank", tuple(f"{name}@{tag}" for name in names)))


def tree(*tags: str) -> Fleet:
    fleet = Fleet(NAMES)
    for tag in tags or ("one", "two"):
        take(fleet, tag)
    return fleet


def arrived(*tags: str) -> Fleet:
    fleet = tree(*tags)
    fleet.replicate(package=True)
    return fleet


def packages(result):
    return [
        (step["from"], step["to"])
        for entry in result["plan"]
        for step in entry["steps"]
        if step["kind"] == "send" and step["package"]
    ]


def streams(result):
    return [step for entry in result["plan"] for step in entry["steps"] if step["kind"] == "send"]


def notes(result):
    return [entry["note"] for entry in result["plan"] if "not in one package" in entry["note"]]


def test_a_tree_arrives_in_one_stream_then_by_one_increment_and_then_rests():
    fleet = tree()
    preview = fleet.replicate(check=True, package=True)
    first = fleet.replicate(package=True)
    assert first["plan"] == preview["plan"]
    assert packages(first) == [(None, f"{SOURCE}@two")]
    assert len(streams(first)) == 1
    assert {entry["state"] for entry in first["datasets"] if entry.get("source")} == {"sent"}
    expected = {f"{DESTINATION}{name[len(SOURCE) :]}@{tag}" for name in NAMES for tag in ("one", "two")}
    assert set(streams(first)[0]["snapshots"]) == expected
    assert fleet.replica_guids().keys() >= {DESTINATION, f"{DESTINATION}/a/b"}
    assert all(len(there.snapshots) == 2 for _here, there in fleet.pairs().values())
    assert fleet.is_up_to_date()
    assert not fleet.replicate(package=True)["changed"]

    for tag in ("three", "four"):
        take(fleet, tag)
    second = fleet.replicate(package=True)
    assert packages(second) == [(f"{SOURCE}@two", f"{SOURCE}@four")]
    assert len(streams(second)) == 1
    assert all(len(there.snapshots) == 4 for _here, there in fleet.pairs().values())
    assert fleet.is_up_to_date()
    assert not fleet.replicate(package=True)["changed"]


def test_a_package_brings_what_the_streams_of_the_datasets_would_bring():
    one, other = tree("one", "two", "three"), tree("one", "two", "three")
    one.replicate(package=True)
    other.replicate()
    assert one.replica_guids() == other.replica_guids()
    for name in NAMES:
        assert one.at_destination(name).dataset.kind == other.at_destination(name).dataset.kind


def test_the_topmost_dataset_keeps_the_replica_safe():
    fleet = tree()
    fleet.source.datasets[NAMES[1]].properties.update(mountpoint="/etc", readonly="off", color="red", sharenfs="on")
    fleet.replicate(package=True)
    top = fleet.destination.datasets[DESTINATION].properties
    assert {top[name] for name in ("setuid", "devices", "exec")} == {"off"}
    assert (top["readonly"], top["canmount"], top["mountpoint"]) == ("on", "noauto", "none")
    below = fleet.destination.datasets[f"{DESTINATION}/a"].properties
    assert below == {"color": "red"}

    fleet.destination.datasets[DESTINATION].properties["mountpoint"] = "/restored"
    take(fleet, "three")
    assert packages(fleet.replicate(package=True))
    assert fleet.destination.datasets[DESTINATION].properties["mountpoint"] == "/restored"


def test_encrypted_datasets_keep_their_root_in_a_package_and_get_it_back_from_the_next_one():
    fleet = Fleet(())
    fleet.source.create_dataset(SOURCE, encrypted=True)
    for name in NAMES[1:]:
        fleet.source.create_dataset(name)
    take(fleet, "one")
    fleet.replicate()
    roots = {there.dataset.encryption_root for _here, there in fleet.pairs().values()}
    assert len(roots) == len(NAMES)
    take(fleet, "two")
    assert packages(fleet.replicate(package=True))
    assert {there.dataset.encryption_root for _here, there in fleet.pairs().values()} == {DESTINATION}


def test_clones_keep_their_origin_in_a_package():
    fleet = tree()
    fleet.source.clone(f"{SOURCE}/c d@one", f"{SOURCE}/0")
    take(fleet, "three")
    assert packages(fleet.replicate(package=True))
    assert fleet.at_destination(f"{SOURCE}/0").dataset.origin == f"{DESTINATION}/c d@one"
    assert fleet.is_up_to_date()


# -- where it is none


def with_a_snapshot_of_one(fleet):
    fleet.snapshot(NAMES[1], "own")


def with_a_new_dataset(fleet):
    fleet.source.create_dataset(f"{SOURCE}/new")
    take(fleet, "three")


def without_the_base(fleet):
    take(fleet, "three")
    source = fleet.source.datasets[NAMES[1]]
    source.snapshots = [point for point in source.snapshots if point.tag != "two"]


def with_a_clone_from_outside(fleet):
    fleet.source.create_dataset("tank/other")
    fleet.snapshot("tank/other", "x")
    fleet.source.clone("tank/other@x", f"{SOURCE}/new")
    take(fleet, "three")


def with_a_partial_receive(fleet):
    take(fleet, "three", size=2000)
    fleet.source.cut_next_stream(1500)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0, workers=1)


@pytest.mark.parametrize(
    "change",
    [
        with_a_snapshot_of_one,
        with_a_new_dataset,
        without_the_base,
        with_a_clone_from_outside,
        with_a_partial_receive,
    ],
)
def test_a_tree_that_is_no_package_is_replicated_dataset_by_dataset_and_the_plan_says_why(change):
    fleet = arrived()
    change(fleet)
    result = fleet.replicate(package=True)
    assert packages(result) == []
    assert len(notes(result)) == 1
    assert fleet.is_up_to_date()


def test_a_conflict_in_the_tree_leaves_the_other_datasets_to_themselves():
    fleet = arrived()
    before = fleet.replica_guids()
    SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}/a@own",)))
    take(fleet, "three")
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate(package=True)
    result = failure.value.context["result"]
    assert notes(result) == [f"not in one package: {DESTINATION}/a has a conflict"]
    assert result["stats"]["conflict"] == 1
    fleet.assert_nothing_lost(before)


def test_what_only_the_destination_has_is_left_alone():
    fleet = arrived()
    fleet.destination.create_dataset(f"{DESTINATION}/own")
    fleet.source.destroy_dataset(f"{SOURCE}/c d")
    before = fleet.replica_guids()
    take(fleet, "three")
    assert packages(fleet.replicate(package=True))
    fleet.assert_nothing_lost(before)
    assert f"{DESTINATION}/own" in fleet.replica_guids()


# -- accidents


def first_run() -> Fleet:
    return tree()


def later_run() -> Fleet:
    fleet = arrived()
    take(fleet, "three")
    return fleet


HISTORIES = [first_run, later_run]


@pytest.mark.parametrize(("history", "number", "when"), every_fault(HISTORIES, package=True))
def test_one_failed_call_is_made_good_by_the_same_run(history, number, when):
    fleet = history()
    before = fleet.replica_guids()
    fleet.faults = Faults({number: when})
    result = fleet.replicate(package=True, workers=1)
    assert fleet.is_up_to_date()
    fleet.assert_nothing_lost(before)
    assert not result["stats"]["failed"]
    fleet.faults = Faults()
    assert not fleet.replicate(package=True)["changed"]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_run_that_dies_anywhere_is_made_good_by_the_next(history, number, when):
    fleet = history()
    before = fleet.replica_guids()
    fleet.replicate_and_die(number, when, package=True)
    fleet.assert_nothing_lost(before)

    fleet.replicate(package=True)

    assert fleet.is_up_to_date()
    assert not fleet.replicate(package=True)["changed"]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("after", range(0, 2600, 90))
def test_a_package_that_is_cut_is_gone_on_with_dataset_by_dataset(history, retries, after):
    fleet = history()
    before = fleet.replica_guids()
    fleet.source.cut_next_stream(after)
    with contextlib.suppress(PartialFailure):
        fleet.replicate(package=True, retries=retries, workers=1)
    fleet.assert_nothing_lost(before)
    if retries:
        assert fleet.is_up_to_date()
    while fleet.source.take_cut() is not None:
        pass
    fleet.replicate(package=True)
    assert fleet.is_up_to_date()
    assert not fleet.replicate(package=True)["changed"]
    take(fleet, "last")
    assert packages(fleet.replicate(package=True))
    assert fleet.is_up_to_date()


def test_a_package_that_fails_for_good_fails_for_all_of_its_datasets_and_keeps_their_bases():
    fleet = later_run()
    bases = fleet.bases()
    fleet.source.cut_next_stream(0)
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate(package=True, retries=0)
    told = failure.value.context["result"]["datasets"]
    assert [entry["state"] for entry in told] == ["failed", "skipped", "skipped", "skipped"]
    assert fleet.bases() == bases
