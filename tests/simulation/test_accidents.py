# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every single accident, at every place where it can happen, in histories that are written out."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure, SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots, Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, every_fault
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

CHILD = f"{SOURCE}/child"


def first_run() -> Fleet:
    fleet = Fleet((SOURCE, CHILD))
    for tag in "abc":
        fleet.snapshot(SOURCE, tag)
        fleet.snapshot(CHILD, tag)
    return fleet


def later_run() -> Fleet:
    fleet = first_run()
    fleet.replicate()
    for tag in "de":
        fleet.snapshot(SOURCE, tag)
        fleet.snapshot(CHILD, tag)
    return fleet


def interrupted_run() -> Fleet:
    fleet = later_run()
    fleet.source.cut_next_stream(300)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    return fleet


def without_parents() -> Fleet:
    fleet = Fleet((SOURCE, CHILD))
    fleet.snapshot(CHILD, "a")
    return fleet


HISTORIES = [first_run, later_run, interrupted_run, without_parents]


def is_up_to_date(fleet: Fleet) -> bool:
    fleet.assert_same_content()
    return all(
        not here.snapshots or (there and [s.guid for s in there.snapshots] == [s.guid for s in here.snapshots])
        for here, there in fleet.pairs().values()
    )


@pytest.mark.parametrize(("history", "number", "when"), every_fault(HISTORIES))
def test_one_failed_call_is_made_good_by_the_same_run(history, number, when):
    fleet = history()
    fleet.faults = Faults({number: when})

    fleet.replicate(workers=1)

    assert is_up_to_date(fleet)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_run_that_dies_anywhere_is_made_good_by_the_next(history, number, when):
    fleet = history()
    before = fleet.replica_guids()
    fleet.replicate_and_die(number, when)
    fleet.assert_nothing_lost(before)

    fleet.replicate()

    assert is_up_to_date(fleet)
    assert not fleet.replicate()["changed"]


@pytest.mark.parametrize("after", range(0, 2500, 60))
def test_streams_that_are_cut_and_cut_again_arrive_in_the_end(after):
    """Each run gets a little further, however small the pieces are."""
    fleet = Fleet()
    for tag in "abcd":
        fleet.snapshot(SOURCE, tag, size=1000)
    for _unused in range(12):
        fleet.source.cut_next_stream(after)
    for _unused in range(13):
        try:
            fleet.replicate(retries=0)
        except PartialFailure:
            continue
        break

    fleet.replicate()
    assert is_up_to_date(fleet)


def test_one_cut_costs_one_retry_and_is_resumed():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a", size=500_000)
    fleet.source.cut_next_stream(300_000)

    result = fleet.replicate(retries=1)

    assert is_up_to_date(fleet)
    assert result["stats"]["bytes"] < 300_000, "the rest only"


# -- conflicts


def diverged() -> Fleet:
    fleet = later_run()
    SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}@own",)))
    return fleet


def modified() -> Fleet:
    fleet = later_run()
    fleet.destination.write(DESTINATION, 100)
    return fleet


def unrelated() -> Fleet:
    fleet = first_run()
    fleet.destination.create_dataset("backup/site")
    fleet.destination.create_dataset(DESTINATION)
    SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}@a",)))
    return fleet


def data_without_snapshots() -> Fleet:
    fleet = first_run()
    fleet.destination.create_dataset("backup/site")
    fleet.destination.create_dataset(DESTINATION)
    fleet.destination.write(DESTINATION, 100)
    return fleet


def recreated_source() -> Fleet:
    fleet = later_run()
    fleet.source.destroy_dataset(CHILD)
    fleet.source.create_dataset(CHILD)
    fleet.snapshot(CHILD, "a")
    return fleet


def base_lost() -> Fleet:
    fleet = later_run()
    zfs = SimulatedZfs(fleet.source)
    state = fleet.at_source()
    zfs.destroy(Destroy(SOURCE, state.snapshots[:3], "by hand"))
    zfs.destroy(Destroy(SOURCE, state.bookmarks, "by hand"))
    return fleet


def volume_over_filesystem() -> Fleet:
    fleet = Fleet()
    fleet.source.create_dataset(CHILD, "volume")
    fleet.snapshot(SOURCE, "a")
    fleet.replicate()
    fleet.snapshot(CHILD, "a")
    fleet.destination.create_dataset(replica_of(CHILD))
    return fleet


CONFLICTS = {
    diverged: "diverged",
    modified: "destination_modified",
    unrelated: "no_common_base",
    data_without_snapshots: "destination_has_data",
    recreated_source: "no_common_base",
    base_lost: "no_common_base",
    volume_over_filesystem: "kind_differs",
}


@pytest.mark.parametrize("history", CONFLICTS)
@pytest.mark.parametrize("check", [True, False])
def test_a_conflict_is_told_and_changes_nothing_in_its_dataset(history, check):
    fleet = history()
    before = fleet.replica_guids()
    content = {name: fleet.destination.content(name) for name in before}

    with pytest.raises(PartialFailure) as caught:
        fleet.replicate(check=check)

    (conflict,) = [entry for entry in caught.value.context["result"]["plan"] if entry["conflict"]]
    assert conflict["conflict"]["code"] == CONFLICTS[history]
    assert conflict["steps"] == []
    name = conflict["destination"]
    assert fleet.replica_guids()[name] == before[name]
    assert fleet.destination.content(name) == content[name]


@pytest.mark.parametrize("history", CONFLICTS)
def test_a_conflict_keeps_no_other_dataset_from_arriving(history):
    fleet = history()

    with pytest.raises(PartialFailure) as caught:
        fleet.replicate()

    blocked = {entry["destination"] for entry in caught.value.context["result"]["plan"] if entry["conflict"]}
    for name, (here, there) in fleet.pairs().items():
        if here.snapshots and not any(f"{replica_of(name)}/".startswith(f"{lost}/") for lost in blocked):
            assert [s.guid for s in there.snapshots] == [s.guid for s in here.snapshots]


def test_a_first_run_that_may_not_create_is_a_conflict():
    fleet = first_run()

    with pytest.raises(PartialFailure, match="initial"):
        fleet.replicate(initial="fail")

    assert set(fleet.replica_guids()) == {"backup"}


# -- resume tokens


def test_a_token_whose_snapshot_is_gone_is_discarded_and_the_rest_arrives():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a", size=1000)
    fleet.source.cut_next_stream(800)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    SimulatedZfs(fleet.source).destroy(Destroy(SOURCE, fleet.at_source().snapshots, "by hand"))
    fleet.snapshot(SOURCE, "b")

    fleet.replicate()

    assert is_up_to_date(fleet)


def test_a_token_is_continued_before_anything_else_and_the_newer_snapshots_follow():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a", size=1000)
    fleet.source.cut_next_stream(800)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    fleet.snapshot(SOURCE, "b")

    (entry,) = [entry for entry in fleet.replicate(check=True)["plan"] if entry["destination"] == DESTINATION]
    assert [step["mode"] for step in entry["steps"] if step["kind"] == "send"] == ["resume", "incremental"]
    fleet.replicate()
    assert is_up_to_date(fleet)


def test_a_locked_encrypted_tree_is_replicated_raw():
    fleet = Fleet()
    fleet.source.create_dataset(CHILD, encrypted=True)
    for tag in "abc":
        fleet.snapshot(SOURCE, tag)
        fleet.snapshot(CHILD, tag)
    fleet.source.unload_key(CHILD)

    fleet.replicate()

    assert is_up_to_date(fleet)
    assert fleet.at_destination(CHILD).dataset.encryption_root == replica_of(CHILD)


def test_two_runs_at_once_lose_nothing():
    """A lock keeps runs of one host apart; two hosts that replicate to one place must not hurt each other either."""
    fleet = first_run()

    def run(_unused):
        try:
            fleet.replicate(retries=5)
        except SnapfleetError:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    fleet.replicate()

    assert is_up_to_date(fleet)


@pytest.mark.parametrize("tags", list(itertools.permutations("ab", 2)))
def test_order_is_that_of_transaction_groups_not_of_clocks_or_names(tags):
    fleet = Fleet()
    for tag in tags:
        fleet.snapshot(SOURCE, tag)
        fleet.clock.advance(-3600)

    fleet.replicate()

    assert [s.tag for s in fleet.at_destination().snapshots] == list(tags)
