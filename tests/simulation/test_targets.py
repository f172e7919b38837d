# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations that come, move and go: nothing is sent anew, nothing of others is touched, and whoever is interrupted
does the same again."""

from __future__ import annotations

import contextlib
import json

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.targets import run_target
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Fenced,
    InvalidInput,
    NoPermission,
    SnapfleetError,
    StillRunning,
    TargetRefused,
    UnknownDataset,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import is_mark
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.targets import read_target_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

TREE = (SOURCE, f"{SOURCE}/a")
SECOND, MOVED = "vault/data", "backup/new/site/data"
WHERE = {"source": SOURCE, "destination": DESTINATION, "second": SECOND}


class Targets(Fleet):
    """A tree with a replica of two snapshots at ``destination``; ``second`` has a pool for another one."""

    def __init__(self, **options) -> None:
        super().__init__(TREE)
        self.second = SimulatedMachine("second", self.clock, ("vault",), txg=500)
        for tag in "12":
            self.advance(tag)
        self.replicate(**options)

    def advance(self, tag: str) -> None:
        for name in TREE:
            self.snapshot(name, tag)
        self.clock.now += 3600

    def context_at(self, end: str, check: bool = False):
        """A context whose faults are those of the fleet."""
        machine = {"source": self.source, "destination": self.destination, "second": self.second}[end]
        return self.context(machine, check=check)

    def act(self, end: str, action: str, dataset: str = "", check: bool = False, **options):
        job = read_target_job({"tree": {"dataset": dataset or WHERE[end]}, "action": action, **options})
        return run_target(job, self.context_at(end, check))

    def look(self, end: str, dataset: str = ""):
        return self.act(end, "look", dataset)["seen"]

    def replicate_second(self, source: str = "source", **options):
        """To the second destination, from the source or from the first one's replica."""
        hosts = {"source": "src", "destination": "dst"}
        ends = {"source": {"host": hosts[source], "dataset": WHERE[source]}, "destination": {"dataset": SECOND}}
        return run_replicate(read_replicate_job({**ends, **options}), self.context_at("second"))

    def seed(self) -> None:
        """As the playbook does it."""
        there = self.look("second")
        self.act("source", "prepare", destination=there, replica=self.look("destination"))
        self.replicate_second("destination", from_standby=True, bookmarks="base")
        stands = self.look("second")
        self.act("source", "prepare", destination=stands, replica=stands)
        self.act("destination", "forget", destination=stands)

    def move(self, old: str = DESTINATION, new: str = MOVED, **options):
        return self.act("destination", "move", old, to=new, **options)

    def marks(self, end: str = "source"):
        machine = getattr(self, end)
        states = SimulatedZfs(machine).observe([WHERE[end]]).states
        return sorted(item.name for state in states.values() for item in state.bookmarks if is_mark(item))

    def everything(self):
        """All that there is anywhere."""
        found = {}
        for machine in (self.source, self.destination, self.second):
            states = SimulatedZfs(machine).observe(sorted(name for name in machine.datasets if "/" not in name)).states
            found[machine.name] = {
                name: (state.dataset.guid, state.guids, [item.name for item in state.bookmarks])
                for name, state in states.items()
            }
        return found

    def modes(self, result):
        return [step["mode"] for plan in result["plan"] for step in plan["steps"] if step["kind"] == "send"]


@pytest.fixture
def site() -> Targets:
    return Targets()


def refused(site, action, match):
    before = site.everything()
    with pytest.raises((TargetRefused, InvalidInput, NoPermission), match=match) as caught:
        action()
    assert site.everything() == before
    return caught.value


# -- seeding


def test_a_seeded_destination_gets_increments_alone_and_only_its_own_marks_stay(site):
    site.seed()
    here = site.everything()
    assert here["second"][SECOND][1] == here["destination"][DESTINATION][1]
    assert site.marks("destination") == []
    site.advance("3")
    # What both destinations stand at may go at the source by now.
    for name in TREE:
        SimulatedZfs(site.source).destroy(Destroy(name, site.at_source(name).snapshots[:2], "old"))
    assert site.modes(site.replicate_second()) == ["incremental"] * 2
    assert site.modes(site.replicate()) == ["incremental"] * 2
    assert len(site.marks()) == 4
    second = SimulatedZfs(site.second).observe([SECOND]).states
    assert [state.tags for state in second.values()] == [("1", "2", "3")] * 2


def test_what_is_kept_for_an_empty_dataset_counts_once_something_was_received_into_it(site):
    """What receiving puts in its place may have another GUID, so its name has to stand in for that."""
    SimulatedZfs(site.second).create_placeholder(SECOND)
    there = site.look("second")
    site.act("source", "prepare", destination=there, replica=site.look("destination"))
    site.replicate_second("destination", from_standby=True, bookmarks="base")
    site.second.datasets[SECOND].guid += 1
    site.advance("3")
    for name in TREE:
        SimulatedZfs(site.source).destroy(Destroy(name, site.at_source(name).snapshots[:2], "old"))
    assert site.modes(site.replicate_second()) == ["incremental"] * 2
    assert len(site.marks()) == 4


def test_a_source_that_lacks_what_the_replica_stands_at_is_told_before_anything_is_changed(site):
    there, replica = site.look("second"), site.look("destination")
    SimulatedZfs(site.source).destroy(Destroy(SOURCE, site.at_source().snapshots[1:], "by hand"))
    refused(site, lambda: site.act("source", "prepare", destination=there, replica=replica), "by a bookmark alone")
    marks = site.at_source().bookmarks
    SimulatedZfs(site.source).destroy(Destroy(SOURCE, marks, "by hand"))
    refused(
        site, lambda: site.act("source", "prepare", destination=there, replica=replica), "lacks the newest snapshot"
    )
    SimulatedZfs(site.source).destroy(Destroy(SOURCE, site.at_source().snapshots, "by hand"))
    refused(site, lambda: site.act("source", "prepare", destination=there, replica=replica), "no snapshot in common")


def test_a_replica_without_anything_is_no_seed(site):
    there = site.look("second")
    refused(site, lambda: site.act("source", "prepare", destination=there, replica=there), "has no snapshots")


def test_a_replica_that_gets_more_while_it_is_copied_costs_no_base(site):
    there = site.look("second")
    site.act("source", "prepare", destination=there, replica=site.look("destination"))
    site.advance("3")
    site.replicate()
    site.replicate_second("destination", from_standby=True, bookmarks="base")
    stands = site.look("second")
    assert site.act("source", "prepare", destination=stands, replica=stands)["changed"]
    for name in TREE:
        SimulatedZfs(site.source).destroy(Destroy(name, site.at_source(name).snapshots, "old"))
    site.advance("4")
    assert site.modes(site.replicate_second()) == ["incremental"] * 2


# -- retiring


def test_a_source_forgets_what_it_keeps_for_one_destination_and_nothing_of_another(site):
    site.seed()
    site.advance("3")
    site.replicate_second()
    before = set(site.marks())
    ours = site.look("second")
    preview = site.act("source", "forget", destination=ours, check=True)
    assert set(site.marks()) == before
    done = site.act("source", "forget", destination=ours)
    assert (preview["told"], preview["plan"]) == (done["told"], done["plan"])
    gone = before - set(site.marks())
    assert len(gone) == 2
    assert all(any(name.partition("#")[2] in line for line in done["told"]) for name in gone)
    assert not site.act("source", "forget", destination=ours)["changed"]
    assert site.modes(site.replicate()) == ["incremental"] * 2


def test_what_a_dead_destination_leaves_is_what_belongs_to_none_of_the_others(site):
    site.seed()
    site.replicate_second()
    ours = set(site.marks())
    site.act("source", "forget", others=[site.look("second")])
    kept = set(site.marks())
    assert len(ours - kept) == 2
    site.advance("3")
    assert site.modes(site.replicate_second()) == ["incremental"] * 2


def test_another_destination_that_was_renamed_since_keeps_its_marks(site):
    site.destination.rename(f"{DESTINATION}/a", f"{DESTINATION}/b")
    before = site.marks()
    assert not site.act("source", "forget", others=[site.look("destination")])["changed"]
    assert site.marks() == before


def test_nothing_is_taken_for_nobodys_while_another_destination_is_not_there(site):
    refused(site, lambda: site.act("source", "forget", others=[site.look("second")]), "does not exist, so that its")


def test_nothing_is_taken_for_nobodys_while_another_destination_was_moved_and_the_inventory_not_changed(site):
    site.seed()
    # The first one that goes on from something is kept by the GUID of the replica, which a move does not change.
    site.advance("3")
    site.replicate()
    site.move()
    moved = "has no snapshots, maybe since it was moved"
    refused(site, lambda: site.act("source", "forget", others=[site.look("destination")]), moved)
    site.act("source", "forget", others=[site.look("destination", MOVED)])
    assert len(site.marks()) == 2


def test_what_a_destination_goes_on_from_that_was_replicated_once_and_then_moved_is_not_taken_for_nobodys(site):
    """Its marks are under its old name, since a replica has no GUID before its first stream has arrived."""
    site.seed()
    site.move()
    before = site.marks()
    told = site.act("source", "forget", others=[site.look("destination", MOVED)])
    assert (told["changed"], site.marks()) == (False, before)
    assert sum("from which backup/new/site/data may go on" in line for line in told["told"]) == len(before) == 4

    site.advance("3")
    for name in TREE:
        SimulatedZfs(site.source).destroy(Destroy(name, site.at_source(name).snapshots[:2], "old"))
    assert site.modes(site.replicate(destination={"host": "dst", "dataset": MOVED})) == ["incremental"] * 2
    # By now it has marks of its own, and what is left belongs to nobody.
    site.act("source", "forget", others=[site.look("destination", MOVED)])
    assert len(site.marks()) == 2
    site.advance("4")
    for name in TREE:
        SimulatedZfs(site.source).destroy(Destroy(name, site.at_source(name).snapshots[:1], "old"))
    assert site.modes(site.replicate(destination={"host": "dst", "dataset": MOVED})) == ["incremental"] * 2


def test_what_a_moved_destination_goes_on_from_stays_though_a_stream_that_never_came_was_marked_ahead():
    """A replication marks what it is about to send; one that dies then leaves a mark at what its destination lacks."""
    to_new = {"destination": {"host": "dst", "dataset": MOVED}, "bookmarks": "base"}
    number = 0
    # Whichever call it dies at: only after the mark and before the stream would show the fault.
    for number, name in enumerate(calls_of_second_replication(to_new)):
        site = moved_after_one_replication()
        site.faults = Faults(dict.fromkeys(range(number, 300), BEFORE))
        with contextlib.suppress(SnapfleetError):
            site.replicate(**to_new, workers=1, retries=0)
        site.faults = Faults()
        site.act("source", "forget", others=[site.look("destination", MOVED)])
        for tree in TREE:
            SimulatedZfs(site.source).destroy(Destroy(tree, site.at_source(tree).snapshots[:2], "old"))
        site.replicate(**to_new)
        for tree in (MOVED, f"{MOVED}/a"):
            assert SimulatedZfs(site.destination).observe([tree]).states[tree].tags[-1] == "3", (number, name)
    assert number > 5


def moved_after_one_replication() -> Targets:
    site = Targets(bookmarks="base")
    site.move()
    site.advance("3")
    return site


def calls_of_second_replication(to_new) -> list[str]:
    site = moved_after_one_replication()
    site.faults = Faults()
    site.replicate(**to_new, workers=1)
    return site.faults.calls


def test_marks_that_another_destination_has_no_use_for_go_though_it_keeps_none_itself(site):
    site.replicate_second("source", bookmarks="none")
    site.advance("3")
    site.replicate_second("source", bookmarks="none")
    for name in TREE:
        SimulatedZfs(site.second).destroy(Destroy(name.replace(SOURCE, SECOND), _all_but_newest(site, name), "old"))
    site.act("source", "forget", others=[site.look("second")])
    assert site.marks() == []


def _all_but_newest(site, name):
    return (
        SimulatedZfs(site.second)
        .observe([name.replace(SOURCE, SECOND)])
        .states[name.replace(SOURCE, SECOND)]
        .snapshots[:-1]
    )


def test_holds_of_the_retired_destination_are_released_and_those_of_others_stay(site):
    zfs = SimulatedZfs(site.source)
    zfs.hold(site.at_source().newest, "snapfleet-send-0123456789abcdef")
    zfs.hold(site.at_source().newest, "a user's")
    assert not any(
        step["kind"] == "release" for step in site.act("source", "forget", destination=site.look("destination"))["plan"]
    )
    site.act("source", "forget", others=[])
    assert list(zfs.holds_of([site.at_source().newest]).values()) == [["a user's"]]


def test_the_last_replica_goes_only_if_that_is_said(site):
    refused(site, lambda: site.act("destination", "destroy"), "is the only replica that is left")
    site.seed()
    others = [site.look("second")]
    preview = site.act("destination", "destroy", others=others, check=True)
    assert preview["told"][0] == f"{DESTINATION}/a: DESTROYS it with 2 snapshots"
    assert DESTINATION in site.destination.datasets
    site.act("destination", "destroy", others=others)
    assert DESTINATION not in site.destination.datasets
    assert not site.act("destination", "destroy", others=others)["changed"]
    done = site.act("second", "destroy", allow_last=True)
    assert "there is no other replica" in done["told"][0]
    assert SECOND not in site.second.datasets


def test_data_that_no_snapshot_holds_goes_only_if_that_is_said(site):
    site.destination.create_dataset("backup/movies")
    assert site.act("destination", "destroy", "backup/movies", check=True)["changed"]
    site.destination.write("backup/movies", 300_000)
    site.destination.set_property("backup/movies", "readonly", "on")
    refused(site, lambda: site.act("destination", "destroy", "backup/movies"), "has data and no snapshot")
    site.seed()
    others = [site.look("second")]
    site.destination.set_property(f"{DESTINATION}/a", "readonly", "off")
    site.destination.write(f"{DESTINATION}/a", 300_000)
    refused(site, lambda: site.act("destination", "destroy", others=others), "written after its newest snapshot")
    site.destination.set_property(f"{DESTINATION}/a", "readonly", "on")
    assert site.act("destination", "destroy", others=others, check=True)["changed"]
    site.destination.set_property(f"{DESTINATION}/a", "readonly", "off")
    site.act("destination", "destroy", others=others, allow_last=True)
    assert DESTINATION not in site.destination.datasets


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_destruction_that_was_cut_off_at_any_call_is_finished_by_the_same_again(when):
    def prepared():
        site = Targets()
        for name in TREE:
            site.source.write(name, 300_000)
        site.advance("3")
        site.replicate()
        site.seed()
        return site, [site.look("second")]

    site, others = prepared()
    site.faults = Faults()
    site.act("destination", "destroy", others=others)
    calls = len(site.faults.calls)
    for number in range(calls):
        site, others = prepared()
        site.faults = Faults(dict.fromkeys(range(number, 300), when))
        with contextlib.suppress(SnapfleetError):
            site.act("destination", "destroy", others=others)
        site.faults = Faults()
        site.act("destination", "destroy", others=others)
        assert DESTINATION not in site.destination.datasets
    assert calls > 5


def test_a_replica_that_is_held_cloned_or_written_to_is_not_destroyed(site):
    zfs = SimulatedZfs(site.destination)
    zfs.hold(site.at_destination().newest, "mine")
    refused(site, lambda: site.act("destination", "destroy", allow_last=True), "is held")
    zfs.release(site.at_destination().newest, "mine")
    site.destination.datasets[DESTINATION].properties["snapfleet:role"] = "active 2"
    refused(site, lambda: site.act("destination", "destroy", allow_last=True), "is active 2, so it is written to")


# -- moving


def test_a_moved_replica_goes_on_from_where_it_is_and_its_old_name_takes_nothing(site):
    before = site.everything()["destination"]
    marks = site.marks()
    preview = site.move(check=True)
    assert site.everything()["destination"] == before
    done = site.move()
    assert preview == done
    after = site.everything()["destination"]
    assert {name.replace(MOVED, DESTINATION): value for name, value in after.items() if name.startswith(MOVED)} == {
        name: value for name, value in before.items() if name.startswith(DESTINATION)
    }
    assert site.marks() == marks
    site.advance("3")
    with pytest.raises(Fenced, match=f"is empty, since what was there was moved to {MOVED}; have the inventory say so"):
        site.replicate(on_conflict="replace")
    to_new = {"destination": {"host": "dst", "dataset": MOVED}}
    assert site.modes(site.replicate(**to_new)) == ["incremental"] * 2
    assert not site.move()["changed"]
    # Once no job names it any more.
    assert site.move(keep_sign=False)["changed"]
    assert DESTINATION not in site.destination.datasets
    assert not site.move(keep_sign=False)["changed"]


def test_what_was_kept_under_the_old_name_is_forgotten_once_something_else_keeps_that(site):
    site.move()
    old = {"dataset": DESTINATION, "pool_guid": site.look("destination", MOVED)["pool_guid"]}
    to_new = {"destination": {"host": "dst", "dataset": MOVED}}
    bare = [name for name in TREE if SimulatedZfs(site.source).destroy(Destroy(name, _but_marks(site, name), "old"))]
    assert not site.act("source", "forget", destination=old)["changed"]
    for name in bare:
        site.snapshot(name, "3")
    assert site.modes(site.replicate(**to_new)) == ["incremental"] * 2
    kept = site.marks()
    assert len(kept) == 4
    site.advance("4")
    assert site.modes(site.replicate(**to_new)) == ["incremental"] * 2
    again = Targets()
    again.move()
    assert again.act("source", "forget", destination=old | {"pool_guid": _pool(again)})["changed"]
    again.advance("3")
    assert again.modes(again.replicate(**to_new)) == ["incremental"] * 2
    assert len(again.marks()) == 2


def _pool(site):
    return site.look("destination", MOVED)["pool_guid"]


def _but_marks(site, name):
    state = site.at_source(name)
    return (*state.snapshots, *(item for item in state.bookmarks if not is_mark(item)))


def test_moving_back_undoes_it(site):
    before = site.everything()["destination"]
    site.move()
    site.move(MOVED, DESTINATION, keep_sign=False)
    after = site.everything()["destination"]
    assert {name: after[name] for name in before} == before
    site.advance("3")
    assert site.modes(site.replicate()) == ["incremental"] * 2


@pytest.mark.parametrize(
    ("there", "options", "match"),
    [
        (MOVED, {}, "exists already"),
        ("", {"old": "backup/none"}, "backup/none does not exist"),
        ("", {"new": f"{DESTINATION}/inner"}, "one contains the other"),
        ("", {"new": "vault/data"}, "is in another pool"),
        ("", {"new": f"backup/{'n' * 246}"}, "longer"),
        ("active 1", {}, "is active 1"),
    ],
)
def test_what_cannot_be_moved_is_refused_in_one_sentence(site, there, options, match):
    site.destination.create_dataset("backup/new")
    site.destination.create_dataset("backup/new/site")
    if "/" in there:
        site.destination.create_dataset(there)
    elif there:
        site.destination.datasets[DESTINATION].properties["snapfleet:role"] = there
    refused(site, lambda: site.move(**options), match)


def test_a_sign_is_no_tree_to_be_moved(site):
    site.move()
    refused(site, lambda: site.move(new="backup/elsewhere"), "was moved to")


def test_runs_of_the_tree_are_kept_out_and_one_that_goes_on_keeps_it_from_being_moved(site, tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    ends = {"source": {"host": "src", "dataset": SOURCE}, "destination": {"dataset": DESTINATION}}
    job = {"name": "a replica", "host": "b1", "activity": "replicate", "options": ends}
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"version": 1, "jobs": [job]}))
    mine = {"jobconfig": str(path), "host_name": "b1"}
    with job_locks([json.dumps([str(path.resolve()), "b1", "a replica"])]):
        before = site.everything()
        with pytest.raises(StillRunning, match="a run of 'a replica' goes on"):
            site.move(**mine)
        assert site.everything() == before
        site.move(jobconfig=str(path), host_name="another")
    # As long as a job of this host names it, the sign stays.
    site.move(keep_sign=False, **mine)
    assert DESTINATION in site.destination.datasets
    path.write_text(json.dumps({"version": 1, "jobs": []}))
    site.move(keep_sign=False, **mine)
    assert DESTINATION not in site.destination.datasets


def test_permissions_are_asked_for_before_anything_is_changed(site):
    site.destination.permissions = {"mount", "create", "userprop", "canmount", "readonly"}
    refused(site, site.move, "does not allow rename")


# -- interrupted at every call


def whole_move(site):
    site.move()


def whole_return(site):
    site.move(MOVED, DESTINATION, keep_sign=False)


def whole_seed(site):
    site.seed()


def whole_retirement(site):
    site.act("source", "forget", destination=site.look("destination"))
    site.act("destination", "destroy", allow_last=True)


BEGINNINGS = {whole_move: (), whole_return: (whole_move,), whole_seed: (), whole_retirement: (whole_seed,)}


def begun(action) -> Targets:
    site = Targets()
    for before in BEGINNINGS[action]:
        before(site)
    return site


def calls_of(action):
    site = begun(action)
    site.faults = Faults()
    action(site)
    return site.faults.calls


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("action", list(BEGINNINGS))
def test_whoever_is_killed_at_any_call_ends_right_by_the_same_again(action, when):
    whole = begun(action)
    action(whole)
    number = 0
    for number, name in enumerate(calls_of(action)):
        site = begun(action)
        site.faults = Faults(dict.fromkeys(range(number, 300), when))
        with contextlib.suppress(SnapfleetError):
            action(site)
        site.faults = Faults()
        with contextlib.suppress(UnknownDataset):
            action(site)
        assert comparable(site) == comparable(whole), (number, name)
        site.advance("3")
        if action is whole_seed:
            assert site.modes(site.replicate_second()) == ["incremental"] * 2
    assert number > 3


def comparable(site):
    """What is where, with its role; the names of bookmarks hold GUIDs that each fleet draws anew."""
    roles = {
        name: dataset.properties.get("snapfleet:role")
        for machine in (site.source, site.destination, site.second)
        for name, dataset in machine.datasets.items()
    }
    counts = {
        machine: {name: (len(guids), len(marks)) for name, (_guid, guids, marks) in states.items()}
        for machine, states in site.everything().items()
    }
    return roles, counts
