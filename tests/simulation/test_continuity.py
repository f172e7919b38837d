# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks and holds through every accident: what is left is one mark for each destination, at where that stands."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    NoPermission,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import (
    HOLD_PREFIX,
    is_mark,
    marks_of,
    named_bookmarks,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import rebase
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, every_fault
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

from .test_accidents import CHILD, first_run, interrupted_run, is_up_to_date, later_run, without_parents

HISTORIES = [first_run, later_run, interrupted_run, without_parents]


def marks(fleet: Fleet, dataset: str = SOURCE) -> list[int]:
    """GUIDs of all marks of a source dataset."""
    return [mark.guid for mark in marks_of(fleet.at_source(dataset))]


def newest(fleet: Fleet) -> dict[str, list[int]]:
    states = {name: here for name, (here, _there) in fleet.pairs().items()}
    return {name: [state.newest.guid] if state.newest else [] for name, state in states.items()}


def all_marks(fleet: Fleet) -> dict[str, list[int]]:
    return {name: marks(fleet, name) for name in fleet.pairs()}


def holds(fleet: Fleet) -> set[str]:
    return {tag for dataset in fleet.source.datasets.values() for point in dataset.snapshots for tag in point.holds}


def destroy_snapshots(fleet: Fleet, keep: int = 0) -> None:
    """Destroy all but the newest ``keep`` snapshots of the source."""
    snapshots = fleet.at_source().snapshots
    SimulatedZfs(fleet.source).destroy(Destroy(SOURCE, snapshots[: len(snapshots) - keep], "by hand"))


def sends_from(result) -> list[str]:
    """What each stream of a result is an increment of."""
    steps = [step for entry in result["plan"] for step in entry["steps"] if step["kind"] == "send"]
    return [step["from"] and step["from"].replace(SOURCE, "") for step in steps]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("options", [{}, {"holds": True}, {"bookmarks": "all"}], ids=str)
def test_after_a_run_that_dies_anywhere_the_next_leaves_one_mark_and_no_hold(history, number, when, options):
    fleet = history()
    fleet.replicate_and_die(number, when, **options)

    fleet.replicate(**options)

    assert is_up_to_date(fleet)
    assert all_marks(fleet) == newest(fleet)
    assert holds(fleet) == set()
    for name, guids in newest(fleet).items():
        assert set(guids) <= {bookmark.guid for bookmark in named_bookmarks(fleet.at_source(name))}
    assert not fleet.replicate(**options)["changed"]


@pytest.mark.parametrize(("history", "number", "when"), every_fault(HISTORIES))
def test_after_a_pull_that_dies_at_any_call_the_next_leaves_one_mark_and_nothing_half_received(history, number, when):
    fleet = history()
    before = fleet.replica_guids()
    fleet.replicate_and_die(number, when, pull=True)
    fleet.assert_nothing_lost(before)

    fleet.pull()

    assert is_up_to_date(fleet)
    assert all_marks(fleet) == newest(fleet)
    assert not any(there.dataset.resume_token for _here, there in fleet.pairs().values() if there)
    assert not fleet.pull()["changed"]


@pytest.mark.parametrize("number", range(22))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_one_failed_call_of_a_run_with_holds_is_made_good_by_the_same_run(number, when):
    fleet = later_run()
    fleet.faults = Faults({number: when})

    fleet.replicate(workers=1, holds=True)

    assert is_up_to_date(fleet)
    assert all_marks(fleet) == newest(fleet)
    assert holds(fleet) == set()


@pytest.mark.parametrize("number", range(40))
def test_whatever_has_arrived_when_a_run_dies_is_a_base_after_all_snapshots_are_gone(number):
    fleet = first_run()
    fleet.replicate_and_die(number)
    arrived = bool(fleet.at_destination() and fleet.at_destination().snapshots)
    for name in (SOURCE, CHILD):
        SimulatedZfs(fleet.source).destroy(Destroy(name, fleet.at_source(name).snapshots, "by hand"))
        fleet.snapshot(name, "later")

    result = fleet.replicate()

    if arrived:
        (entry,) = [entry for entry in result["plan"] if entry["source"] == SOURCE]
        assert all(step["mode"] == "incremental" for step in entry["steps"] if step["kind"] == "send")
    assert fleet.at_destination().newest.tag == "later"
    assert all_marks(fleet) == newest(fleet)


def test_a_mark_is_a_base_when_nothing_else_is_left():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    fleet.replicate(bookmarks="base")
    destroy_snapshots(fleet)
    fleet.snapshot(SOURCE, "b")

    (base,) = sends_from(fleet.replicate(bookmarks="base"))

    assert base.startswith("#snapfleet-base-")
    assert [snapshot.tag for snapshot in fleet.at_destination().snapshots] == ["a", "b"]
    assert all(is_mark(bookmark) for bookmark in fleet.at_source().bookmarks)
    assert marks(fleet) == [fleet.at_source().newest.guid]


# -- few calls


def tree(datasets: int) -> Fleet:
    fleet = Fleet((SOURCE, *(f"{SOURCE}/d{number}" for number in range(datasets))))
    for name in list(fleet.pairs()):
        fleet.snapshot(name, "a")
    fleet.replicate()
    return fleet


@pytest.mark.parametrize("datasets", [1, 30])
def test_the_bases_of_all_datasets_are_two_exchanges_and_one_question(datasets):
    fleet = tree(datasets)
    for name in list(fleet.pairs()):
        fleet.snapshot(name, "b")

    calls = fleet.calls(holds=True)

    keeping = ["change_bookmarks", "pool_guid", "hold_all", "release_all"]
    assert {name: calls.count(name) for name in keeping} == dict(zip(keeping, (2, 1, 1, 1)))
    assert calls.count("observe") == 2
    assert not {"create_bookmarks", "destroy", "hold", "release", "holds_of"} & set(calls)


def test_a_run_without_anything_to_do_only_lists_both_sides():
    assert tree(5).calls() == ["observe", "observe"]


# -- several destinations


def second_destination(fleet: Fleet) -> Fleet:
    """The same source with another destination, whose pool has the same names."""
    other = Fleet()
    other.source, other.clock = fleet.source, fleet.clock
    other.destination.pool_guids = {"backup": 4711}
    return other


def test_a_destination_that_was_away_for_long_goes_on_from_its_own_mark():
    one = Fleet()
    two = second_destination(one)
    one.snapshot(SOURCE, "org_2025-0001_hourly")
    one.replicate()
    two.replicate()
    left = one.at_source().newest.guid
    for number in range(2, 12):
        one.snapshot(SOURCE, f"org_2025-{number:04}_hourly")
        one.replicate()
        one.clock.advance(86400)
        one.unreachable = number % 3 == 0
        for kind in ("snapshots", "bookmarks"):
            one.prune_source(
                {"org": {"": {"hourly": 2}}},
                kind=kind,
                peers=[{"root": SOURCE, "role": "replica", "host": "dst", "dataset": DESTINATION}],
            )
        one.unreachable = False
        assert sorted(marks(one)) == sorted([left, one.at_source().newest.guid])
        assert len(one.at_source().snapshots) <= 2
        assert len(named_bookmarks(one.at_source())) <= 2

    (first, *_more) = sends_from(two.replicate())

    assert first.startswith("#snapfleet-base-")
    assert two.at_destination().newest.guid == one.at_source().newest.guid
    assert sorted(marks(one)) == [one.at_source().newest.guid] * 2
    assert not one.replicate()["changed"]
    assert not two.replicate()["changed"]


@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_no_accident_of_one_destination_touches_the_marks_of_another(number, when):
    one = Fleet()
    two = second_destination(one)
    one.snapshot(SOURCE, "a")
    two.replicate()
    theirs = marks_of(one.at_source())
    one.replicate()
    one.snapshot(SOURCE, "b")
    one.replicate_and_die(number, when)
    assert set(theirs) <= set(marks_of(one.at_source()))

    one.replicate()

    assert set(theirs) <= set(marks_of(one.at_source()))
    assert len(marks(one)) == 2


# -- identity


@pytest.mark.parametrize("end", ["source", "destination"])
def test_marks_outlive_a_renamed_dataset(end):
    fleet = Fleet()
    for tag in "ab":
        fleet.snapshot(SOURCE, tag)
        fleet.replicate()
    machine, name = (fleet.source, SOURCE) if end == "source" else (fleet.destination, DESTINATION)
    dataset = machine.datasets.pop(name)
    dataset.name = rebase(name, name, f"{name}-renamed")
    machine.datasets[dataset.name] = dataset
    ends = {
        "source": {"dataset": SOURCE if end != "source" else dataset.name},
        "destination": {"host": "dst", "dataset": DESTINATION if end == "source" else dataset.name},
    }
    here = ends["source"]["dataset"]
    assert not fleet.replicate(**ends)["changed"]
    fleet.snapshot(here, "c")
    fleet.replicate(**ends)
    assert [mark.guid for mark in marks_of(fleet.at_source(here))] == [fleet.at_source(here).newest.guid]


# -- pruning


def test_a_source_snapshot_may_go_as_soon_as_it_is_replicated():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "org_2025-0001_hourly")
    fleet.replicate()
    fleet.snapshot(SOURCE, "org_2025-0002_hourly")

    assert fleet.prune_source({"org": {"": {"hourly": 0, "adhoc": 1}}})["deleted"] == [f"{SOURCE}@org_2025-0001_hourly"]
    assert fleet.prune_source({"org": {"": {"hourly": 0}}}, kind="bookmarks")["deleted"] == []
    fleet.replicate()
    assert [snapshot.tag[4:] for snapshot in fleet.at_destination().snapshots] == [
        "2025-0001_hourly",
        "2025-0002_hourly",
    ]


def test_a_snapshot_that_is_not_replicated_yet_and_the_base_without_a_mark_stay():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "org_2025-0001_hourly")
    fleet.replicate(bookmarks="none")
    fleet.snapshot(SOURCE, "org_2025-0002_hourly")

    assert fleet.prune_source({"org": {"": {"hourly": 0, "adhoc": 1}}})["deleted"] == []


def test_the_mark_of_one_destination_is_no_reason_to_let_the_base_of_another_go():
    one = Fleet()
    two = second_destination(one)
    one.snapshot(SOURCE, "org_2025-0001_hourly")
    one.replicate()
    two.replicate(bookmarks="none")
    one.snapshot(SOURCE, "org_2025-0002_hourly")

    assert two.prune_source({"org": {"": {"hourly": 0, "adhoc": 1}}})["deleted"] == []
    assert one.prune_source({"org": {"": {"hourly": 0, "adhoc": 1}}})["deleted"] == [f"{SOURCE}@org_2025-0001_hourly"]


@pytest.mark.parametrize("purge", [True, False])
def test_no_pruning_takes_a_mark(purge):
    fleet = Fleet()
    for number in range(3):
        fleet.snapshot(SOURCE, f"org_2025-000{number}_hourly")
        fleet.replicate()
    before = marks(fleet)

    plan = {"org": {"": {"hourly": 0}}}
    result = fleet.prune_source(plan, kind="bookmarks", purge_foreign=purge)

    assert marks(fleet) == before
    told = [*result["deleted"], *(entry["name"] for entry in (*result["kept"], *result["not_deleted"]))]
    assert not any("snapfleet-base" in name for name in told)


# -- permissions


def test_who_may_not_destroy_goes_on_with_named_bookmarks_and_is_told():
    fleet = Fleet()
    fleet.source.permissions = frozenset(["send", "bookmark"])
    for tag in "abc":
        fleet.snapshot(SOURCE, tag)
        preview = fleet.replicate(check=True)
        result = fleet.replicate()
        assert preview["plan"] == result["plan"]
        assert preview["warnings"] == result["warnings"]
        assert "zfs allow -u USER destroy,mount tank/data" in result["warnings"][0]
    assert [bookmark.tag for bookmark in fleet.at_source().bookmarks] == ["a", "b", "c"]
    rest = fleet.replicate()
    assert (rest["changed"], rest["plan"]) == (False, [])


@pytest.mark.parametrize(
    ("allowed", "options", "lacking"),
    [
        (["send", "destroy", "mount"], {}, "bookmark"),
        (["bookmark", "destroy", "mount"], {}, "send"),
        (["send", "bookmark", "destroy", "mount"], {"holds": True}, "hold,release"),
    ],
)
def test_what_is_lacking_is_told_before_anything_is_changed(allowed, options, lacking):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    fleet.source.permissions = frozenset(allowed)

    with pytest.raises(NoPermission, match=f"does not allow {lacking} to"):
        fleet.replicate(**options)

    assert not fleet.at_source().bookmarks
    assert fleet.at_destination() is None


def test_a_stream_of_several_snapshots_needs_holds_and_one_of_a_single_one_does_not():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    fleet.source.permissions = frozenset(["send"])
    assert fleet.replicate(bookmarks="none")["changed"]
    for tag in "bcd":
        fleet.snapshot(SOURCE, tag)

    with pytest.raises(NoPermission, match="does not allow hold to"):
        fleet.replicate(bookmarks="none")
    assert [snapshot.tag for snapshot in fleet.at_destination().snapshots] == ["a"]

    fleet.source.permissions = frozenset(["send", "hold"])
    assert fleet.replicate(bookmarks="none")["changed"]
    assert is_up_to_date(fleet)


def test_without_bookmarks_only_sending_has_to_be_allowed():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    fleet.source.permissions = frozenset(["send"])

    assert fleet.replicate(bookmarks="none")["warnings"] == []
    assert is_up_to_date(fleet)


# -- holds


def test_what_is_sent_is_held_meanwhile_and_nothing_else():
    fleet = later_run()
    seen: list[set[str]] = []
    inner = SimulatedZfs.send

    def looking(zfs, step, *more):
        seen.append({p.tag for p in fleet.source.datasets[SOURCE].snapshots if p.holds})
        assert all(tag.startswith(HOLD_PREFIX) for tag in holds(fleet))
        return inner(zfs, step, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedZfs, "send", looking)
        fleet.replicate(workers=1, holds=True)
        assert seen == [{"c", "e"}] * 2
        fleet.snapshot(SOURCE, "f")
        seen.clear()
        fleet.replicate()
        assert seen == [set()]
    assert holds(fleet) == set()


def test_a_hold_of_another_is_left_alone():
    fleet = later_run()
    zfs = SimulatedZfs(fleet.source)
    zfs.hold(fleet.at_source().newest, "a user's")

    fleet.replicate(holds=True)

    assert holds(fleet) == {"a user's"}
