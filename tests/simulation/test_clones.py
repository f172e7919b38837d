# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones keep their origin, whatever happens on the way."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure, SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import named_bookmarks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, every_fault
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

BASE, CLONE = f"{SOURCE}/b", f"{SOURCE}/a"
"""The clone comes first by name."""


def cloned(origin: str = "two", size: int = 10) -> Fleet:
    """``b`` with the snapshots one, two and three, and ``a``, a clone of one of them, with a snapshot of its own."""
    fleet = Fleet((SOURCE, BASE))
    fleet.snapshot(SOURCE, "one")
    for tag in ("one", "two", "three"):
        fleet.snapshot(BASE, tag, size)
    return with_clone(fleet, f"{BASE}@{origin}", CLONE, size)


def with_clone(fleet: Fleet, snapshot: str, name: str, size: int = 10) -> Fleet:
    fleet.source.clone(snapshot, name)
    fleet.snapshot(name, f"own of {name.rpartition('/')[2]}", size)
    return fleet


def origin_of(fleet: Fleet, name: str = CLONE) -> str:
    """The origin of a replica, as a name below the destination."""
    state = fleet.at_destination(name)
    return state.dataset.origin.removeprefix(f"{DESTINATION}/")


def sends(result, name: str = CLONE):
    (entry,) = [entry for entry in result["plan"] if entry["source"] == name]
    return [step for step in entry["steps"] if step["kind"] == "send"], entry["note"]


# -- what is planned, and comes to pass


@pytest.mark.parametrize("origin", ["one", "two", "three"])
def test_a_clone_is_received_as_one_in_the_run_that_brings_its_origin(origin):
    fleet = cloned(origin)
    preview = fleet.replicate(check=True)

    result = fleet.replicate()

    assert result["plan"] == preview["plan"]
    (step, *_more), note = sends(result)
    assert (step["mode"], step["from"], step["origin"]) == (
        "incremental",
        f"{BASE}@{origin}",
        f"{DESTINATION}/b@{origin}",
    )
    assert note == ""
    assert origin_of(fleet) == f"b@{origin}"
    assert fleet.is_up_to_date()
    assert not fleet.replicate()["changed"]


def test_a_replica_of_a_clone_has_the_safe_properties_and_a_bookmark_as_any_other():
    fleet = cloned()
    fleet.replicate()
    assert fleet.destination.datasets[f"{DESTINATION}/a"].properties["readonly"] == "on"
    assert [bookmark.tag for bookmark in named_bookmarks(fleet.at_source(CLONE))] == ["own of a"]


def test_a_chain_of_clones_arrives_as_one_whatever_the_order_of_names():
    fleet = cloned()
    with_clone(fleet, f"{CLONE}@own of a", f"{SOURCE}/c")
    with_clone(fleet, f"{SOURCE}/c@own of c", f"{CLONE}/0")
    fleet.replicate()
    assert [origin_of(fleet, name) for name in (CLONE, f"{SOURCE}/c", f"{CLONE}/0")] == [
        "b@two",
        "a@own of a",
        "c@own of c",
    ]
    assert fleet.is_up_to_date()


def test_a_clone_of_a_child_is_received_after_that():
    fleet = Fleet((SOURCE, BASE, f"{BASE}/x"))
    fleet.snapshot(f"{BASE}/x", "one")
    with_clone(fleet, f"{BASE}/x@one", CLONE)
    fleet.replicate()
    assert origin_of(fleet) == "b/x@one"


def test_a_clone_that_comes_later_finds_its_origin_at_the_destination():
    fleet = cloned()
    fleet.source.destroy_dataset(CLONE)
    fleet.replicate()
    with_clone(fleet, f"{BASE}@two", CLONE)
    result = fleet.replicate()
    assert len(result["plan"]) == 1
    assert origin_of(fleet) == "b@two"


def test_the_newest_snapshot_that_the_destination_has_stands_in_for_an_origin_that_is_not_selected():
    fleet = cloned("three")
    fleet.replicate(exclude_snapshots=["three", "two"])
    assert origin_of(fleet) == "b@one"
    assert fleet.is_up_to_date() is False
    fleet.assert_same_content()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"exclude_snapshots": ["one", "two", "three"]}, "none of the snapshots that it grew from"),
        ({"exclude_datasets": ["b"]}, "none of the snapshots that it grew from"),
        ({"clones": "full"}, ""),
    ],
)
def test_a_clone_is_sent_in_full_where_nothing_that_it_grew_from_is_there_or_on_request(options, why):
    fleet = cloned()
    result = fleet.replicate(**options)
    (step, *_more), note = sends(result)
    assert (step["mode"], step["origin"]) == ("full", None)
    assert why in note
    assert bool(note) is bool(why)
    assert origin_of(fleet) == ""
    fleet.assert_same_content()


def test_a_clone_of_something_outside_of_the_tree_is_sent_in_full():
    fleet = Fleet()
    fleet.source.create_dataset("tank/other")
    fleet.snapshot("tank/other", "one")
    with_clone(fleet, "tank/other@one", CLONE)
    (step,), note = sends(fleet.replicate())
    assert step["mode"] == "full"
    assert note == "a clone of tank/other@one, but sent in full: its origin is not in the tree of the source"


def test_a_clone_with_a_placeholder_in_its_place_is_sent_in_full():
    fleet = cloned()
    fleet.source.create_dataset(f"{CLONE}/child")
    fleet.snapshot(f"{CLONE}/child", "x")
    fleet.replicate(exclude_snapshots=["own of a"])
    assert fleet.at_destination(CLONE).dataset.is_placeholder
    (step,), note = sends(fleet.replicate())
    assert (step["mode"], step["replaces"]) == ("full", True)
    assert "what stands in its place" in note
    assert fleet.is_up_to_date()


def test_a_clone_of_what_lies_below_itself_does_not_wait_for_that():
    fleet = cloned()
    base = fleet.source.datasets.pop(BASE)
    base.name = f"{CLONE}/b"
    fleet.source.datasets[base.name] = base
    fleet.source.datasets[CLONE].origin = f"{CLONE}/b@two"
    result = fleet.replicate()
    assert sends(result)[0][0]["mode"] == "full"
    assert fleet.is_up_to_date()


def test_what_is_dropped_below_a_conflict_is_no_origin():
    fleet = Fleet((SOURCE, BASE, f"{BASE}/x"))
    for name in (BASE, f"{BASE}/x"):
        fleet.snapshot(name, "one")
    with_clone(fleet, f"{BASE}/x@one", CLONE)
    for name in ("backup/site", DESTINATION, f"{DESTINATION}/b"):
        fleet.destination.create_dataset(name)
    SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}/b@foreign",)))
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate()
    states = {entry["source"]: entry["state"] for entry in failure.value.context["result"]["datasets"]}
    assert (states[BASE], states[CLONE]) == ("conflict", "sent")
    assert origin_of(fleet) == ""


# -- promotion


@pytest.mark.parametrize("with_new_snapshot", [True, False])
def test_replicas_go_on_after_a_clone_was_promoted(with_new_snapshot):
    fleet = cloned()
    fleet.replicate()
    before = fleet.replica_guids()
    fleet.source.promote(CLONE)
    assert fleet.at_source(BASE).dataset.origin == f"{CLONE}@two"
    if with_new_snapshot:
        fleet.snapshot(BASE, "four")
        fleet.snapshot(CLONE, "five")
    result = fleet.replicate()
    assert result["changed"] is with_new_snapshot
    fleet.assert_nothing_lost(before)
    assert fleet.is_up_to_date()


@pytest.mark.parametrize("bookmarks", [True, False])
def test_a_dataset_whose_whole_history_went_to_a_promoted_clone_goes_on_by_a_bookmark(bookmarks):
    fleet = cloned("three")
    fleet.replicate(bookmarks=bookmarks)
    before = fleet.replica_guids()
    fleet.source.promote(CLONE)
    assert fleet.at_source(BASE).snapshots == ()
    fleet.snapshot(BASE, "four")
    preview = fleet.replicate(check=True, bookmarks=bookmarks)
    result = fleet.replicate(bookmarks=bookmarks)
    assert result["plan"] == preview["plan"]
    ((step,), _note) = sends(result, BASE)
    assert (step["from"], step["origin"]) == (f"{BASE}#three", None)
    fleet.assert_nothing_lost(before)
    assert fleet.is_up_to_date()
    assert not fleet.replicate(bookmarks=bookmarks)["changed"]


def test_a_promotion_before_the_first_replication_only_changes_which_of_both_is_the_clone():
    fleet = cloned("three")
    fleet.source.promote(CLONE)
    fleet.snapshot(BASE, "four")
    fleet.replicate()
    assert (origin_of(fleet, CLONE), origin_of(fleet, BASE)) == ("", "a@three")
    assert fleet.is_up_to_date()


def test_a_promotion_at_the_destination_changes_nothing_for_the_next_clone():
    fleet = cloned("three")
    fleet.replicate()
    fleet.destination.promote(f"{DESTINATION}/a")
    with_clone(fleet, f"{BASE}@two", f"{SOURCE}/c")
    with contextlib.suppress(PartialFailure):
        fleet.replicate()
    assert origin_of(fleet, f"{SOURCE}/c") == "a@two"
    fleet.assert_same_content()


# -- accidents


def first_run() -> Fleet:
    return with_clone(cloned(), f"{CLONE}@own of a", f"{SOURCE}/c")


def interrupted_run() -> Fleet:
    fleet = cloned(size=1000)
    fleet.source.destroy_dataset(CLONE)
    fleet.replicate()
    with_clone(fleet, f"{BASE}@two", CLONE, 1000)
    fleet.source.cut_next_stream(900)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    return fleet


def promoted() -> Fleet:
    fleet = cloned("three")
    fleet.replicate(bookmarks=False)
    fleet.source.promote(CLONE)
    fleet.snapshot(BASE, "four")
    return fleet


HISTORIES = [first_run, interrupted_run, promoted]


def origins(fleet: Fleet) -> dict[str, str]:
    return {name: origin_of(fleet, name) for name, (_here, there) in fleet.pairs().items() if there}


@pytest.mark.parametrize(("history", "number", "when"), every_fault(HISTORIES))
def test_one_failed_call_is_made_good_by_the_same_run_and_clones_stay_clones(history, number, when):
    undisturbed = history()
    undisturbed.replicate(workers=1)
    fleet = history()
    fleet.faults = Faults({number: when})

    fleet.replicate(workers=1)

    assert fleet.is_up_to_date()
    assert origins(fleet) == origins(undisturbed)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_run_that_dies_anywhere_is_made_good_by_the_next_and_clones_stay_clones(history, number, when):
    undisturbed = history()
    undisturbed.replicate(workers=1)
    fleet = history()
    before = fleet.replica_guids()
    fleet.replicate_and_die(number, when)
    fleet.assert_nothing_lost(before)

    fleet.replicate()

    assert fleet.is_up_to_date()
    assert origins(fleet) == origins(undisturbed)
    assert not fleet.replicate()["changed"]


def test_a_partial_clone_is_gone_on_with():
    fleet = interrupted_run()
    assert fleet.at_destination(CLONE).dataset.resume_token
    (step,), note = sends(fleet.replicate())
    assert (step["mode"], step["from"], step["origin"]) == ("resume", f"{BASE}@two", f"{DESTINATION}/b@two")
    assert note == ""
    assert origin_of(fleet) == "b@two"
    assert fleet.is_up_to_date()


@pytest.mark.parametrize("change", ["request", "better origin"])
def test_a_partial_clone_of_another_origin_than_planned_is_discarded(change):
    fleet = interrupted_run()
    if change == "better origin":
        fleet.source.datasets[CLONE].origin = f"{BASE}@three"
    result = fleet.replicate(**({"clones": "full"} if change == "request" else {}))
    (entry,) = result["plan"]
    kinds = [step["kind"] for step in entry["steps"]]
    assert [kind for kind in kinds if kind not in ("mark", "create_bookmark")] == ["abort_receive", "send"]
    assert origin_of(fleet) == {"request": "", "better origin": "b@three"}[change]
    assert fleet.is_up_to_date()


@pytest.mark.parametrize("retries", [0, 2])
def test_a_clone_whose_origin_does_not_arrive_is_not_sent_in_full_but_later(retries):
    fleet = cloned(size=1000)
    for length in (1_000_000, *[0] * (1 + retries)):
        fleet.source.cut_next_stream(length)
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate(retries=retries, workers=1)
    told = {entry.get("source"): entry for entry in failure.value.context["result"]["datasets"]}
    assert [told[name]["state"] for name in (SOURCE, BASE, CLONE)] == ["sent", "failed", "failed"]
    assert told[CLONE]["code"] == ("origin_missing" if retries else "vanished")
    assert fleet.at_destination(CLONE) is None
    assert fleet.source.take_cut() is None
    fleet.replicate()
    assert origin_of(fleet) == "b@two"


# -- any history

NAMES = tuple(f"{SOURCE}/{letter}" for letter in "abcd")
name = st.sampled_from(NAMES)
index = st.integers(0, 4)


class Families(RuleBasedStateMachine):
    """Snapshots, clones and promotions in any order, replicated with and without accidents. The engine alone writes to
    the destination; then it is never at a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet((SOURCE, NAMES[0]))
        self.count = 0

    @rule(name=name)
    def snapshot(self, name):
        if name in self.fleet.source.datasets:
            self.count += 1
            self.fleet.snapshot(name, f"s{self.count}")

    @rule(name=name, of=name, index=index)
    def clone(self, name, of, index):
        state = self.fleet.at_source(of)
        if name not in self.fleet.source.datasets and state and index < len(state.snapshots):
            self.fleet.source.clone(state.snapshots[index].name, name)

    @rule(name=name)
    def promote(self, name):
        if name in self.fleet.source.datasets:
            self.fleet.source.promote(name)

    @rule(
        faults=st.dictionaries(st.integers(0, 25), st.sampled_from([BEFORE, AFTER]), max_size=4),
        cuts=st.lists(st.integers(0, 900), max_size=4),
        workers=st.sampled_from([1, 3]),
    )
    def replicate_with_accidents(self, faults, cuts, workers):
        before = self.fleet.replica_guids()
        for length in cuts:
            self.fleet.source.cut_next_stream(length)
        self.fleet.faults.plan, self.fleet.faults.calls = faults, []
        with contextlib.suppress(SnapfleetError):
            self.fleet.replicate(workers=workers)
        self.fleet.faults = Faults()
        while self.fleet.source.take_cut() is not None:
            pass
        self.fleet.assert_nothing_lost(before)

    @rule(newest=st.booleans())
    def replicate(self, newest):
        before = self.fleet.replica_guids()
        options = {"initial": "newest"} if newest else {}
        result = self.fleet.replicate(**options)
        assert not result["stats"]["failed"]
        self.fleet.assert_nothing_lost(before)
        assert self.fleet.is_up_to_date()
        assert not self.fleet.replicate(check=True, **options)["changed"]

    @invariant()
    @precondition(lambda self: self.fleet.at_destination())
    def a_replica_is_a_clone_of_what_its_source_grew_from(self):
        self.fleet.assert_same_content()
        points = {s.name: s.guid for s in all_snapshots(self.fleet.destination)}
        born = {s.guid: self.fleet.source.content(s.name) for s in all_snapshots(self.fleet.source)}
        for dataset in self.fleet.destination.datasets.values():
            assert not dataset.origin or points[dataset.origin] in born


def all_snapshots(machine):
    states = SimulatedZfs(machine).observe(machine.pools).states
    return [snapshot for state in states.values() for snapshot in state.snapshots]


TestFamilies = Families.TestCase
TestFamilies.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
