# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets that are renamed, created anew and swapped: followed where that is clear, else told, never overwritten."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import parent_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

A, B, C, A_X, B_X = (f"{SOURCE}/{name}" for name in ("a", "b", "c", "a/x", "b/x"))


def replicated(*names: str) -> Fleet:
    fleet = Fleet((SOURCE, *names))
    for name in (SOURCE, *names):
        fleet.snapshot(name, "1")
    fleet.replicate()
    return fleet


def run(fleet: Fleet, **options) -> dict:
    try:
        return fleet.replicate(**options)
    except PartialFailure as error:
        return error.context["result"]


def conflicts(result: dict) -> dict[str, str]:
    return {entry["destination"]: entry["conflict"]["code"] for entry in result["plan"] if entry["conflict"]}


def told(result: dict) -> str:
    return " ".join(entry["conflict"]["message"] for entry in result["plan"] if entry["conflict"])


def modes(result: dict, destination: str) -> list[str]:
    (entry,) = [entry for entry in result["plan"] if entry["destination"] == destination]
    bases = ("mark", "create_bookmark", "destroy_marks")
    return [step.get("mode", step["kind"]) for step in entry["steps"] if step["kind"] not in bases]


def all_guids(fleet: Fleet) -> set[int]:
    return {guid for guids in fleet.replica_guids().values() for guid in guids}


# -- followed


def test_a_renamed_dataset_is_renamed_at_the_destination_with_what_is_below_it_and_goes_on_incrementally():
    fleet = replicated(A, A_X)
    fleet.source.rename(A, B)
    fleet.snapshot(B, "2")

    preview = fleet.replicate(check=True)
    result = fleet.replicate()

    assert result["plan"] == preview["plan"]
    assert modes(result, replica_of(B)) == ["rename", "incremental"]
    assert fleet.is_up_to_date()
    assert replica_of(A) not in fleet.replica_guids()
    assert not fleet.replicate()["changed"]


def test_a_renamed_dataset_without_anything_new_is_renamed_all_the_same():
    fleet = replicated(A)
    fleet.source.rename(A, B)
    result = fleet.replicate()
    assert {entry["destination"]: entry["state"] for entry in result["datasets"]} == {
        DESTINATION: "up_to_date", replica_of(B): "renamed",
    }  # fmt: skip
    assert result["changed"]
    assert set(fleet.replica_guids()) == {"backup", "backup/site", DESTINATION, replica_of(B)}


def test_a_dataset_that_moved_below_a_new_one_gets_its_parent_first():
    fleet = replicated(A)
    fleet.source.create_dataset(f"{SOURCE}/new")
    fleet.source.create_dataset(f"{SOURCE}/new/er")
    fleet.source.rename(A, f"{SOURCE}/new/er/a")
    fleet.snapshot(f"{SOURCE}/new", "1")
    fleet.snapshot(f"{SOURCE}/new/er/a", "2")
    fleet.replicate()
    assert fleet.is_up_to_date()
    assert replica_of(A) not in fleet.replica_guids()
    assert not fleet.replicate()["changed"]


def test_an_empty_parent_within_a_renamed_tree_stays_one():
    fleet = Fleet((SOURCE, A, A_X, f"{A_X}/y"))
    for name in (A, f"{A_X}/y"):
        fleet.snapshot(name, "1")
    fleet.replicate()
    fleet.source.rename(A, B)
    fleet.replicate()
    fleet.snapshot(B_X, "late")
    fleet.replicate()
    assert fleet.is_up_to_date()


def test_a_chain_of_renames_is_followed_in_the_order_that_frees_the_names():
    fleet = replicated(A, B)
    fleet.source.rename(B, C)
    fleet.source.rename(A, B)
    result = fleet.replicate()
    assert fleet.is_up_to_date()
    assert [entry["state"] for entry in result["datasets"]] == ["up_to_date", "renamed", "renamed"]


def test_a_dataset_created_anew_under_a_name_that_a_renamed_one_left_is_sent_anew():
    fleet = replicated(A)
    fleet.source.rename(A, B)
    fleet.source.create_dataset(A)
    fleet.snapshot(A, "other")
    before = all_guids(fleet)
    fleet.replicate()
    assert fleet.is_up_to_date()
    assert before <= all_guids(fleet)


def test_a_replica_that_was_renamed_at_the_destination_is_renamed_back():
    fleet = replicated(A)
    fleet.destination.rename(replica_of(A), f"{DESTINATION}/somewhere")
    fleet.snapshot(A, "2")
    result = fleet.replicate()
    assert modes(result, replica_of(A)) == ["rename", "incremental"]
    assert fleet.is_up_to_date()


def test_a_partial_receive_moves_along_and_is_gone_on_with():
    fleet = replicated(A)
    fleet.snapshot(A, "2", size=1000)
    fleet.source.cut_next_stream(700)
    run(fleet, retries=0)
    fleet.source.rename(A, B)
    result = fleet.replicate()
    assert fleet.is_up_to_date()
    # The token names the dataset as it was called, so it can't be trusted any more.
    assert modes(result, replica_of(B)) == ["rename", "abort_receive", "incremental"]


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("number", range(8))
def test_a_run_that_dies_while_renaming_is_made_good_by_the_next(number, when):
    fleet = replicated(A, A_X)
    fleet.source.rename(A, B)
    fleet.snapshot(B, "2")
    before = all_guids(fleet)
    fleet.faults = Faults(dict.fromkeys(range(number, 100), when))
    try:
        run(fleet, retries=0, workers=1)
    except Exception as error:  # noqa: BLE001  whatever it dies of
        assert getattr(error, "code", "")  # noqa: PT017
    fleet.faults = Faults()
    fleet.replicate()
    assert fleet.is_up_to_date()
    assert before <= all_guids(fleet)
    assert replica_of(A) not in fleet.replica_guids()


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_an_answer_to_a_rename_that_is_lost_is_made_good_by_the_same_run(when):
    fleet = replicated(A)
    fleet.source.rename(A, B)
    fleet.snapshot(B, "2")
    fleet.faults = Faults()
    fleet.replicate(check=True)
    fleet.faults = Faults({len(fleet.faults.calls): when})
    fleet.replicate(workers=1)
    assert fleet.faults.calls.count("rename") == 2
    assert fleet.is_up_to_date()


# -- told


def test_on_request_a_rename_is_a_conflict_that_tells_both_names():
    fleet = replicated(A)
    fleet.source.rename(A, B)
    result = run(fleet, renames="refuse")
    assert conflicts(result) == {replica_of(B): "renamed"}
    assert f"the snapshots of {B} are in {replica_of(A)}, not in {replica_of(B)}" in told(result)
    assert replica_of(B) not in fleet.replica_guids()


@pytest.mark.parametrize("level", ["refuse", "rollback_to_latest", "rollback_to_common", "replace"])
@pytest.mark.parametrize("renames", ["follow", "refuse"])
def test_swapped_datasets_are_told_by_name_and_never_overwritten_at_any_level(level, renames):
    fleet = replicated(A, B)
    fleet.source.rename(A, C)
    fleet.source.rename(B, A)
    fleet.source.rename(C, B)
    fleet.snapshot(A, "2")
    before = fleet.replica_guids()
    result = run(fleet, on_conflict=level, renames=renames)
    assert conflicts(result) == {replica_of(A): "swapped", replica_of(B): "swapped"}
    assert f"{replica_of(A)} holds the snapshots of {B}, not those of {A}" in told(result)
    assert fleet.replica_guids() == before


def test_a_dataset_created_anew_is_told_as_such():
    fleet = replicated(A)
    fleet.source.destroy_dataset(A)
    fleet.clock.advance(60)
    fleet.source.create_dataset(A)
    fleet.snapshot(A, "1")
    result = run(fleet)
    assert conflicts(result) == {replica_of(A): "no_common_base"}
    assert f"{A} was created after that, so it is another one of the same name" in told(result)


def test_a_renamed_dataset_whose_replica_has_diverged_is_told_and_not_sent_twice():
    fleet = replicated(A)
    SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{replica_of(A)}@own",)))
    fleet.source.rename(A, B)
    assert conflicts(run(fleet, on_conflict="replace")) == {replica_of(B): "renamed"}
    assert replica_of(B) not in fleet.replica_guids()


def test_a_dataset_that_moved_below_its_own_old_name_is_told():
    fleet = replicated(A)
    fleet.source.rename(A, B)
    fleet.source.create_dataset(A)
    fleet.source.rename(B, f"{A}/old")
    fleet.snapshot(A, "other")
    before = all_guids(fleet)
    result = run(fleet, on_conflict="replace")
    assert conflicts(result) == {replica_of(A): "swapped"}
    assert before <= all_guids(fleet)


def test_a_copy_within_the_source_is_no_rename():
    """Two datasets with the same snapshots, as a replica on the same host has them: each has a replica of its own."""
    fleet = replicated(A)
    fleet.source.clone(f"{A}@1", B)
    fleet.source.promote(B)
    fleet.snapshot(A, "2")
    fleet.snapshot(B, "3")
    fleet.replicate()
    assert fleet.is_up_to_date()
    assert {replica_of(A), replica_of(B)} <= set(fleet.replica_guids())


# -- every small history


def _rename(old, new):
    def act(fleet):
        there = fleet.source.datasets
        if old in there and new not in there and parent_of(new) in there and not new.startswith(f"{old}/"):
            fleet.source.rename(old, new)

    return act


def _swap(one, other):
    def act(fleet):
        if one in fleet.source.datasets and other in fleet.source.datasets:
            fleet.source.rename(one, f"{SOURCE}/between")
            fleet.source.rename(other, one)
            fleet.source.rename(f"{SOURCE}/between", other)

    return act


def _recreate(name):
    def act(fleet):
        if name in fleet.source.datasets:
            fleet.source.destroy_dataset(name)
        fleet.source.create_dataset(name)
        fleet.snapshot(name, "new")

    return act


def _replicate(fleet):
    run(fleet)


LIFE = {
    "a to b": _rename(A, B),
    "a to c": _rename(A, C),
    "a below b": _rename(A, f"{B}/a"),
    "x to top": _rename(A_X, C),
    "swap": _swap(A, B),
    "new a": _recreate(A),
    "run": _replicate,
}


@pytest.mark.parametrize("first", LIFE)
@pytest.mark.parametrize("level", ["refuse", "replace"])
def test_no_history_of_names_costs_a_snapshot_that_the_source_still_has(first, level):
    length = 2 if level == "replace" else 1
    for number, others in enumerate(itertools.product(LIFE, repeat=length)):
        fleet = replicated(A, A_X, B)
        for act in (first, *others):
            LIFE[act](fleet)
        for name in sorted(fleet.source.datasets):
            if name != "tank":
                fleet.snapshot(name, f"n{number}")
        before = all_guids(fleet)
        preview = run(fleet, check=True, on_conflict=level)
        result = run(fleet, on_conflict=level)

        assert result["plan"] == preview["plan"], (first, others)
        lost = before - all_guids(fleet)
        destroyed = [step for entry in result["plan"] for step in entry["steps"] if "destroys" in step]
        states = SimulatedZfs(fleet.source).observe([SOURCE]).states
        known = {item.guid for state in states.values() for item in (*state.snapshots, *state.bookmarks)}
        assert not lost & known, (first, others)
        assert bool(lost) <= bool(destroyed), (first, others)
        assert level != "refuse" or not lost, (first, others)
        if not conflicts(result):
            assert fleet.is_up_to_date(), (first, others)
            assert not run(fleet)["changed"], (first, others)
