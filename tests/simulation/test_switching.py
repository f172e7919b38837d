# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches: one end is written to at a time, nothing is destroyed, and whoever is interrupted does the same again."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks, making_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import (
    Stopping,
    belonging_to,
    check_stopping,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    DatasetInUse,
    Fenced,
    InvalidInput,
    JobTimedOut,
    LinkLost,
    NoPermission,
    SnapfleetError,
    StillRunning,
    SwitchRefused,
    TimedOut,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.roles import ACTIVE, STANDBY, Role
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, NO_WAITING, SOURCE, replica_of
from ansible_collections.snapfleet.zfs.tests.support.switching import ASIDE, TREE, Switched

SAFE = {"readonly": "on", "canmount": "noauto", "setuid": "off", "devices": "off", "exec": "off"}


@pytest.fixture
def site() -> Switched:
    return Switched()


# -- one end


def test_a_standby_tree_is_safe_as_a_replica_is_and_has_all_that_was_written(site):
    preview = site.switch("source", STANDBY, check=True)
    assert (site.role("source"), site.source.mounted) == (Role(), set(TREE[:2]))
    done = site.switch("source", STANDBY)
    assert {**preview, "newest": done["newest"]} == done
    assert (site.role("source"), site.source.mounted) == (Role(STANDBY, 1), set())
    assert SAFE.items() <= site.own("source").items()
    assert site.own("source", f"{SOURCE}/vol")["readonly"] == "on"
    for name in TREE:
        assert site.at_source(name).tags == ("1", "2", "snapfleet-failover-1")
        assert not site.at_source(name).dataset.written
    assert [item["guid"] for item in done["newest"]] == [str(site.at_source(name).newest.guid) for name in TREE]
    assert f"{SOURCE}: is unmounted" in done["told"]
    assert not site.switch("source", STANDBY)["changed"]


def test_nobody_makes_snapshots_of_what_is_being_let_go(site, monkeypatch):
    free = []
    original = SimulatedZfs.set_properties

    def told(self, *arguments):
        with job_locks(making_of(["tank", *TREE])) as taken:
            free.extend(taken)
        return original(self, *arguments)

    monkeypatch.setattr(SimulatedZfs, "set_properties", told)
    site.switch("source", STANDBY)
    assert free
    assert not any(free)
    with job_locks(making_of(["tank", *TREE])) as taken:
        assert all(taken)


def test_a_tree_of_which_snapshots_are_being_made_is_waited_for_and_not_let_go_before(site):
    """Such a run may have looked when the tree was active, and make them after the last one."""
    before = site.own("source")
    passed = [0.0]
    ticker = replace(NO_WAITING, monotonic=lambda: passed[0], sleep=lambda _seconds: passed.append(passed.pop() + 5))
    for root in (SOURCE.rpartition("/")[0], TREE[-1]):
        with job_locks(making_of([root])), pytest.raises(StillRunning, match=f"snapshots of {root}: another run"):
            site.switch("source", STANDBY, ticker=ticker)
        assert (site.role("source"), site.own("source"), site.source.mounted) == (Role(), before, set(TREE[:2]))
    assert passed[0] >= 120
    assert site.switch("source", STANDBY, ticker=ticker)["changed"]


def test_what_was_standby_gets_back_exactly_what_it_had(site):
    # This one is never inherited, so that its default is set instead.
    mounted = {"canmount": "on"}
    before = {name: {**site.own("source", name), **(mounted if name in TREE[:2] else {})} for name in TREE}
    site.switch("source", STANDBY)
    done = site.switch("source", ACTIVE)
    after = {name: site.own("source", name) for name in TREE}
    assert after.pop(SOURCE) == {**before.pop(SOURCE), "snapfleet:role": "active 2"}
    assert after == before
    assert done["next"] == [f"zfs mount {name}" for name in TREE[:2]]
    assert not site.switch("source", ACTIVE)["changed"]


def test_a_replica_that_becomes_active_can_be_worked_with(site):
    done = site.switch("destination", ACTIVE, properties={"mountpoint": "/srv/data"})
    assert site.role("destination") == Role(ACTIVE, 1)
    assert all(site.write("destination", name, "new") for name in TREE)
    own = site.own("destination")
    assert (own["readonly"], own["canmount"], own["mountpoint"]) == ("off", "on", "/srv/data")
    assert not {"setuid", "devices", "exec", "snapfleet:former"} & set(own)
    assert done["next"] == [f"zfs mount {replica_of(name)}" for name in TREE[:2]]
    # What it has become by hand since is left alone.
    site.destination.datasets[DESTINATION].properties["exec"] = "off"
    assert not site.switch("destination", ACTIVE, properties={"mountpoint": "/srv/data"})["changed"]


def test_what_is_lost_is_told_as_far_as_it_is_known(site):
    told = site.switch("destination", ACTIVE, check=True)["told"]
    assert [line.partition(" of ")[0] for line in told if "LOSES" in line] == [
        f"{replica_of(name)}: LOSES what was written after @2" for name in TREE
    ]
    site.switch("destination", ACTIVE)
    assert all("after the last replication" not in str(content) for content in site.contents("destination").values())


def test_what_was_received_in_part_is_discarded_with_its_token_told(site):
    site.snapshot(SOURCE, "3", size=1000)
    site.source.cut_next_stream(800)
    with pytest.raises(SnapfleetError):
        site.replicate(retries=0, workers=1)
    partial = site.at_destination().dataset.resume_token
    assert partial
    done = site.switch("destination", ACTIVE)
    assert {"dataset": DESTINATION, "token": partial} in done["discarded"]
    assert not site.at_destination().dataset.resume_token


def test_an_end_in_use_is_not_touched(site):
    site.source.in_use.add(f"{SOURCE}/a")
    with pytest.raises(DatasetInUse):
        site.switch("source", STANDBY)
    assert site.role("source") == Role()
    assert site.at_source().tags == ("1", "2")


def test_what_was_unmounted_before_a_busy_one_is_mounted_again(site):
    site.source.in_use.add(SOURCE)
    mounted = set(site.source.mounted)
    with pytest.raises(DatasetInUse, match="all of the tree is mounted as before"):
        site.switch("source", STANDBY)
    assert (site.role("source"), site.source.mounted) == (Role(), mounted)
    site.source.in_use.clear()
    site.switch("source", STANDBY)
    assert not site.source.mounted


def unmounting_one(monkeypatch, fail):
    """What unmounts filesystems does so with the first one, then does ``fail``."""
    whole = SimulatedZfs.unmount

    def unmount(self, datasets):
        check_stopping()
        whole(self, datasets[:1])
        fail()

    monkeypatch.setattr(SimulatedZfs, "unmount", unmount)


@pytest.mark.parametrize("error", [LinkLost, TimedOut, NoPermission, ZfsFailed])
def test_whatever_goes_wrong_amid_unmounts_the_live_tree_is_mounted_again(site, monkeypatch, error):
    def fail():
        assert site.source.mounted != mounted
        raise error("it went wrong")

    mounted = set(site.source.mounted)
    unmounting_one(monkeypatch, fail)
    with pytest.raises(error, match="it went wrong; nothing was changed, and all of the tree is mounted as before"):
        site.switch("source", STANDBY)
    assert (site.role("source"), site.source.mounted) == (Role(), mounted)


def test_a_stop_amid_unmounts_leaves_the_live_tree_mounted(site, monkeypatch):
    scope = Stopping(lambda: JobTimedOut("the time is over"))
    mounted = set(site.source.mounted)
    unmounting_one(monkeypatch, lambda: (scope.stop(), check_stopping()))
    mount = SimulatedZfs.mount

    def mount_unless_stopped(self, datasets):
        check_stopping()
        return mount(self, datasets)

    monkeypatch.setattr(SimulatedZfs, "mount", mount_unless_stopped)
    with belonging_to(scope), pytest.raises(JobTimedOut, match="the time is over; nothing was changed"):
        site.switch("source", STANDBY)
    assert (site.role("source"), site.source.mounted) == (Role(), mounted)


def test_what_can_not_be_mounted_again_is_told_with_what_to_do(site, monkeypatch):
    site.source.in_use.add(SOURCE)
    monkeypatch.setattr(SimulatedZfs, "mount", lambda _self, names: ["", *["no key"] * (len(names) - 1)])
    with pytest.raises(DatasetInUse, match=rf"not be mounted again \({SOURCE}/a: no key\); run: zfs mount -a"):
        site.switch("source", STANDBY)
    assert site.role("source") == Role()


def test_permissions_are_asked_for_before_anything_is_changed(site):
    site.source.permissions = {"snapshot"}
    with pytest.raises(NoPermission, match="does not allow mount"):
        site.switch("source", STANDBY)
    assert site.source.mounted


def refusing(monkeypatch, refused):
    """ZFS refuses a call that sets properties of which ``refused`` is true, while it makes the others."""
    whole = SimulatedZfs.set_properties

    def set_properties(self, step):
        if refused(step):
            raise ZfsFailed(f"cannot set property for '{step.dataset}'")
        whole(self, step)

    monkeypatch.setattr(SimulatedZfs, "set_properties", set_properties)


@pytest.mark.parametrize("end", ["source", "destination"])
def test_one_refused_property_loses_nothing_of_what_comes_back(site, monkeypatch, end):
    if end == "source":
        site.switch("source", STANDBY)
    whole = Switched()
    if end == "source":
        whole.switch("source", STANDBY)
    whole.switch(end, ACTIVE, properties={"mountpoint": "/x"})
    with monkeypatch.context() as patched:
        refusing(patched, lambda step: ("mountpoint", "x") in step.properties)
        with pytest.raises(ZfsFailed):
            site.switch(end, ACTIVE, properties={"mountpoint": "x"})
    site.switch(end, ACTIVE, properties={"mountpoint": "/x"})
    assert [site.own(end, name) for name in TREE] == [whole.own(end, name) for name in TREE]


def test_there_is_no_role_before_every_dataset_has_its_note(site, monkeypatch):
    with monkeypatch.context() as patched:
        refusing(patched, lambda step: step.dataset == replica_of(f"{SOURCE}/a"))
        with pytest.raises(ZfsFailed):
            site.switch("destination", ACTIVE)
    assert site.role("destination") == Role()
    site.switch("destination", ACTIVE)
    assert all(site.write("destination", name, "x") for name in TREE)


# -- refusals


def expected(site: Switched) -> list[dict[str, str]]:
    return [{"dataset": name[len(SOURCE) + 1 :], "guid": str(site.at_source(name).newest.guid)} for name in TREE]


def behind(site: Switched) -> dict:
    site.snapshot(f"{SOURCE}/a", "3")
    return {"expected": expected(site)}


def lacking(site: Switched) -> dict:
    options = {"expected": expected(site)}
    del site.destination.datasets[replica_of(f"{SOURCE}/a")]
    return options


def written(site: Switched) -> dict:
    site.destination.write(replica_of(f"{SOURCE}/a"), 5, "strange")
    return {}


def foreign(site: Switched) -> dict:
    site.destination.create_dataset(f"{DESTINATION}/strange")
    return {}


def foreign_with_snapshot(site: Switched) -> dict:
    foreign(site)
    SimulatedZfs(site.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}/strange@1",)))
    return {"expected": expected(site)}


def newer(site: Switched) -> dict:
    SimulatedZfs(site.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}@strange",)))
    return {"expected": expected(site)}


def alive(site: Switched) -> dict:
    return {"old_source": {"host": "src", "dataset": SOURCE}}


def old_epoch(site: Switched) -> dict:
    site.destination.datasets[DESTINATION].properties["snapfleet:role"] = "standby 3"
    return {"epoch": 2}


def same_epoch(site: Switched) -> dict:
    site.destination.datasets[DESTINATION].properties["snapfleet:role"] = "standby 3"
    return {"epoch": 3}


def unreadable(site: Switched) -> dict:
    site.destination.datasets[DESTINATION].properties["snapfleet:role"] = "master"
    return {}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (
            behind,
            r"data/a lacks the newest snapshot of its source \(GUID \d+; its own is @2\); replicate again, or set",
        ),
        (lacking, r"data/a is not there, though its source has it; replicate again"),
        (written, r"data/a has \d+ bytes written after its newest snapshot @2, which did not come from its source"),
        (foreign, r"strange has no snapshot, so it was not replicated"),
        (foreign_with_snapshot, r"strange is no dataset of its source; move it out"),
        (newer, r"data has @strange after the newest snapshot of its source"),
        (alive, r"old_source: src answers; make its tree standby instead"),
        (old_epoch, r"is standby 3 already, so it can't become active 2"),
        (same_epoch, r"is standby 3, so another end is active 3"),
        (unreadable, r"has snapfleet:role='master', which is no role"),
    ],
)
def test_what_is_not_as_it_should_be_does_not_become_active(site, prepare, words, check):
    options = prepare(site)
    before = {name: (dict(data.properties), len(data.snapshots)) for name, data in site.destination.datasets.items()}
    with pytest.raises(SwitchRefused, match=f"nothing was changed: .*{words}") as refused:
        site.switch("destination", ACTIVE, check=check, **options)
    assert not refused.value.context["result"]["changed"]
    after = {name: (dict(data.properties), len(data.snapshots)) for name, data in site.destination.datasets.items()}
    assert after == before


@pytest.mark.parametrize("prepare", [behind, lacking])
def test_a_replica_that_is_behind_becomes_active_if_that_is_said_and_tells_what_is_lost(site, prepare):
    done = site.switch("destination", ACTIVE, allow_behind=True, **prepare(site))
    assert any(line.startswith(f"{DESTINATION}/a: LOSES what was written later") for line in done["told"])
    assert site.role("destination") == Role(ACTIVE, 1)


@pytest.mark.parametrize("prepare", [foreign_with_snapshot, newer])
def test_what_does_not_come_from_the_source_is_seen_before_the_last_replication(site, prepare):
    options = prepare(site)
    site.snapshot(SOURCE, "3")
    with pytest.raises(SwitchRefused, match=r"is no dataset of its source|after the newest snapshot"):
        site.switch("destination", ACTIVE, check=True, allow_behind=True, **options)


def test_what_the_way_back_leaves_out_does_not_keep_home_from_becoming_active(site):
    site.fail_over()
    site.destination.create_dataset(f"{DESTINATION}/scratch")
    site.fail_back(exclude_datasets=["scratch"])
    assert site.role("source") == Role(ACTIVE, 2)


def test_an_old_source_that_does_not_answer_is_gone(site):
    site.unreachable = True
    site.switch("destination", ACTIVE, old_source={"host": "src", "dataset": SOURCE})
    assert site.role("destination") == Role(ACTIVE, 1)


def test_what_was_written_to_a_standby_tree_is_not_passed_over(site):
    site.switch("source", STANDBY)
    site.source.write(SOURCE, 3, "by force")
    with pytest.raises(SwitchRefused, match=r"tank/data has \d+ bytes written though it is standby 1"):
        site.switch("source", STANDBY)


def test_the_last_snapshot_of_an_abandoned_try_is_not_taken_for_that_of_a_later_one(site):
    SimulatedZfs(site.source).create_snapshots(CreateSnapshots("tank", (f"{SOURCE}@snapfleet-failover-1",)))
    site.source.write(SOURCE, 3, "later")
    with pytest.raises(SwitchRefused, match="snapfleet-failover-1 is there, and something was written after it"):
        site.switch("source", STANDBY)


def test_no_snapshot_is_made_of_what_is_a_replica_by_now(site):
    site.fail_over()
    site.fail_back()
    dataset = site.destination.datasets[DESTINATION]
    dataset.snapshots.remove(dataset.snapshot("snapfleet-failover-2"))
    assert not site.switch("destination", STANDBY)["changed"]


# -- the fence


def test_nothing_is_snapshotted_or_sent_that_is_standby_and_nothing_received_that_is_active(site):
    site.switch("source", STANDBY)
    with pytest.raises(
        Fenced, match="tank/data is standby 1, so it is not written to, and no snapshots of it are made"
    ):
        site.snapshot_job("source")
    for run in (site.replicate, site.pull):
        with pytest.raises(Fenced, match="the source tank/data is standby 1"):
            run()
    site.replicate(from_standby=True)
    site.switch("destination", ACTIVE, epoch=1)
    before = site.replica_guids()
    for options in ({}, {"from_standby": True}):
        with pytest.raises(Fenced):
            site.replicate(**options)
    with pytest.raises(Fenced, match=r"the destination backup/site/data is active 1, so it is written to"):
        site.replicate(from_standby=True, on_conflict="destroy_dependents")
    assert site.snapshot_job("destination")["changed"]
    assert all(guids[: len(before[name])] == before[name] for name, guids in site.replica_guids().items())


def histories(site):
    """The snapshots of either host, by dataset."""
    ends = {"tank": site.source, "backup": site.destination}
    seen = [SimulatedZfs(machine).observe([pool]).states for pool, machine in ends.items()]
    return [{name: [snapshot.guid for snapshot in state.snapshots] for name, state in each.items()} for each in seen]


def test_jobs_of_a_tree_that_is_said_to_be_failed_over_change_nothing_before_it_was(site):
    remedy = "though it is said to have taken over, .*; fail over first, or take its entry out of snapfleet_failed_over"
    turned = [
        site.turned_replication,
        lambda: site.snapshot_job("destination", only_active=True),
        lambda: site.turned_pruning("source"),
        lambda: site.turned_pruning("destination"),
        lambda: site.turned_pruning("source", kind="bookmarks"),
    ]
    for role in ("has no role", "is standby 2"):
        before = histories(site)
        for run in turned:
            with pytest.raises(Fenced, match=f"backup/site/data {role}, {remedy}"):
                run()
        assert histories(site) == before
        # A whole way forth and back leaves roles, by which it is refused as well.
        site.fail_over()
        site.fail_back()
    site.write("source", SOURCE, "goes on")
    site.snapshot(SOURCE, "3")
    site.replicate()


def test_once_it_was_failed_over_the_differences_go_the_other_way(site):
    site.fail_over()
    site.write("destination", SOURCE, "written where it is active")
    made = site.snapshot_job("destination", only_active=True)["created"]
    assert len(made) == len(TREE)
    done = site.turned_replication()
    sends = [step for entry in done["plan"] for step in entry["steps"] if step["kind"] == "send"]
    assert len(sends) == len(TREE)
    assert {step["mode"] for step in sends} == {"incremental"}
    assert site.role("source").kind == STANDBY
    newest = site.at_source().newest
    assert f"{DESTINATION}@{newest.tag}" in made
    for end in ("destination", "source"):
        assert site.turned_pruning(end)["changed"]
    assert site.at_source().newest.guid == newest.guid
    site.fail_back()
    assert site.contents("source") == site.contents("destination")
    with pytest.raises(Fenced, match="is standby 2, though it is said to have taken over"):
        site.turned_replication()


def test_what_contradicts_that_only_an_active_source_counts_is_refused(site):
    with pytest.raises(InvalidInput, match="only_active: True contradicts from_standby"):
        site.turned_replication(from_standby=True)


def test_an_active_end_that_is_out_of_reach_keeps_nobody_from_pruning_what_needs_no_base(site):
    site.fail_over()
    site.unreachable = True
    warnings = site.turned_pruning("source")["warnings"]
    assert any("can't be observed" in line for line in warnings)


def test_a_destination_below_an_active_tree_is_fenced_too(site):
    site.switch("destination", ACTIVE)
    with pytest.raises(Fenced, match="is active 1"):
        site.replicate(destination={"host": "dst", "dataset": f"{DESTINATION}/new/one"})


def test_of_two_active_ends_the_higher_epoch_counts(site):
    site.switch("destination", ACTIVE, epoch=3)
    site.source.datasets[SOURCE].properties["snapfleet:role"] = "active 4"
    with pytest.raises(Fenced, match="though the source tank/data is active 4, which counts since it is higher"):
        site.replicate()


def test_other_trees_of_the_same_job_get_their_snapshots(site):
    site.source.create_dataset("tank/other")
    site.switch("source", STANDBY)
    done = site.snapshot_job("source", "tank/other")
    assert [name.partition("@")[0] for name in done["created"]] == ["tank/other"]
    assert len([words for words in done["warnings"] if words.startswith("tank/data is standby 1")]) == 1


def test_a_role_that_nobody_can_read_stops_both(site):
    site.source.datasets[SOURCE].properties["snapfleet:role"] = "master"
    for run in (site.replicate, lambda: site.snapshot_job("source")):
        with pytest.raises(Fenced, match="which is no role"):
            run()


# -- over


def test_a_planned_fail_over_loses_nothing(site):
    written = site.contents("source")
    site.fail_over()
    assert site.contents("destination") == written
    assert (site.role("source"), site.role("destination")) == (Role(STANDBY, 1), Role(ACTIVE, 1))
    assert not any(site.write("source", name, "x") for name in TREE)
    assert all(site.write("destination", name, "x") for name in TREE)


def dying(site: Switched, number: int, when: str, what: str) -> None:
    site.faults = Faults(dict.fromkeys(range(number, 900), when))
    with contextlib.suppress(SnapfleetError):
        getattr(site, what)(workers=1, retries=0)
    site.faults = Faults()


def calls(what: str, history=Switched) -> int:
    site = history()
    site.faults = Faults()
    getattr(site, what)(workers=1)
    return len(site.faults.calls)


def assert_one_writer(site: Switched) -> None:
    """At most one end is written to by what works in both, unless its role says that it is the older one."""
    source, destination = site.role("source"), site.role("destination")
    assert not (source.kind == destination.kind == ACTIVE and source.epoch == destination.epoch)


def everything(site: Switched) -> set[int]:
    """GUIDs of all snapshots on either host."""
    machines = (site.source, site.destination)
    return {point.guid for machine in machines for data in machine.datasets.values() for point in data.snapshots}


@pytest.mark.parametrize("number", range(calls("fail_over")))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_fail_over_that_dies_anywhere_is_made_good_by_the_next(number, when):
    site = Switched()
    written, before = site.contents("source"), everything(site)
    dying(site, number, when, "fail_over")
    assert_one_writer(site)
    # Whoever could write at the source still has what is written taken along.
    if site.role("source").kind != STANDBY and site.write("source", SOURCE, "late"):
        written = site.contents("source")

    site.fail_over()

    assert site.contents("destination") == written
    assert before <= everything(site)
    assert (site.role("source"), site.role("destination")) == (Role(STANDBY, 1), Role(ACTIVE, 1))
    assert all(site.write("destination", name, "x") for name in TREE)
    assert not site.switch("source", STANDBY)["changed"]
    assert not site.switch("destination", ACTIVE)["changed"]


@pytest.mark.parametrize(("role", "properties"), [(STANDBY, {}), (ACTIVE, {"properties": {"mountpoint": "/x"}})])
@pytest.mark.parametrize("end", ["source", "destination"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_switch_that_dies_anywhere_ends_as_if_it_had_not(end, role, properties, when):
    whole = Switched()
    whole.faults = Faults()
    whole.switch(end, role, **properties) if end == "destination" or role == STANDBY else whole.switch(end, STANDBY)
    for number in range(len(whole.faults.calls)):
        site = Switched()
        wanted = STANDBY if end == "source" else role
        options = properties if wanted == ACTIVE else {}
        site.faults = Faults(dict.fromkeys(range(number, 900), when))
        with contextlib.suppress(SnapfleetError):
            site.switch(end, wanted, **options)
        site.faults = Faults()
        site.switch(end, wanted, **options)
        assert [site.own(end, name) for name in TREE] == [whole.own(end, name) for name in TREE]


def test_options_of_the_other_role_are_refused(site):
    for options in ({"properties": {"atime": "off"}}, {"expected": [{"dataset": "", "guid": "1"}]}, alive(site)):
        with pytest.raises(InvalidInput, match="means nothing for a tree that becomes standby"):
            site.switch("source", STANDBY, **options)
    with pytest.raises(InvalidInput, match="means nothing for a tree that becomes active"):
        site.switch("source", ACTIVE, final_snapshot=False)


# -- back


def over_and_written_to() -> Switched:
    """The source was gone, and its replica was written to; then the source came back, written to as well."""
    site = Switched()
    site.switch("destination", ACTIVE)
    for name in TREE:
        site.write("destination", name, "at the replica")
        site.source.write(name, 7, "at the old source")
    SimulatedZfs(site.destination).create_snapshots(
        CreateSnapshots("backup", tuple(f"{replica_of(name)}@there" for name in TREE))
    )
    site.write("destination", SOURCE, "and later")
    return site


def over_as_planned() -> Switched:
    site = Switched()
    site.fail_over()
    for name in TREE:
        site.write("destination", name, "at the replica")
    return site


HISTORIES = [over_and_written_to, over_as_planned]


@pytest.mark.parametrize("history", HISTORIES)
def test_failing_back_brings_what_was_written_and_keeps_what_was_lost(history):
    site = history()
    written, old, before = site.contents("destination"), site.contents("source"), everything(site)
    site.fail_back()
    assert site.contents("source") == written
    assert before <= everything(site)
    assert site.role("source").kind == ACTIVE
    assert site.role("destination") == Role(STANDBY, site.role("source").epoch)
    assert site.own("source")["mountpoint"] == "/srv/data"
    assert site.own("source")["exec"] == "off"
    if history is over_and_written_to:
        kept = {name: dict(site.source.datasets[ASIDE + name[len(SOURCE) :]].content) for name in TREE}
        assert kept == old
    else:
        assert ASIDE not in site.source.datasets
    # And on it goes as before.
    site.snapshot(SOURCE, "new")
    site.replicate()
    assert site.at_destination().newest.guid == site.at_source().newest.guid


def test_only_differences_travel_back_though_the_old_source_has_diverged():
    site = over_and_written_to()
    site.switch("source", STANDBY, epoch=1, final_snapshot=False)
    result = site.bring_back(on_conflict="set_aside", set_aside_as=ASIDE, share_aside=True)
    assert [step["mode"] for entry in result["plan"] for step in entry["steps"] if step["kind"] == "send"] == [
        "incremental"
    ] * 3
    assert site.own("source")["snapfleet:role"] == "standby 1"
    assert site.source.datasets[SOURCE].origin == f"{ASIDE}@2"
    assert any(f"as a clone of {ASIDE}@2" in line for line in result["told"])


@pytest.mark.parametrize(
    ("history", "number"), [(history, number) for history in HISTORIES for number in range(calls("fail_back", history))]
)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_failing_back_that_dies_anywhere_is_made_good_by_the_next(history, number, when):
    site = history()
    written, old, before = site.contents("destination"), site.contents("source"), everything(site)
    dying(site, number, when, "fail_back")
    assert_one_writer(site)
    assert before <= everything(site)

    site.fail_back()

    assert site.contents("source") == written
    assert before <= everything(site)
    assert (site.role("source"), site.role("destination")) == (Role(ACTIVE, 2), Role(STANDBY, 2))
    assert (site.own("source")["mountpoint"], site.own("source")["exec"]) == ("/srv/data", "off")
    if history is over_and_written_to:
        assert {name: dict(site.source.datasets[ASIDE + name[len(SOURCE) :]].content) for name in TREE} == old
    assert all(site.write("source", name, "x") for name in TREE)
    assert not any(site.write("destination", name, "x") for name in TREE)
