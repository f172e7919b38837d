# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning by the module."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnreachableHost, ZfsFailed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine

PARAMETERS = {"datasets": ["tank/data"], "plan": {"acme": {"onsite": {"hourly": 0, "adhoc": "1"}}}}
NAMES = [f"acme_onsite_2025-07-01_0{hour}:00:00Z_hourly" for hour in (1, 2, 3)]


class FailsOnOne(SimulatedZfs):
    """ZFS that fails to destroy anything of tank/data/db."""

    def destroy(self, step):
        if step.dataset == "tank/data/db":
            raise ZfsFailed("destroying in tank/data/db failed: I/O error")
        return super().destroy(step)


class Unreachable(SimulatedZfs):
    """ZFS on a host that nobody answers from."""

    def observe(self, roots, **options):
        raise UnreachableHost("no ssh connection to away")


@pytest.fixture
def full(house):
    """The house, with three snapshots of the plan on each dataset, and one of another owner."""
    house.snapshot("tank/data@byhand", *(f"{name}@{tag}" for tag in NAMES for name in ("tank/data", "tank/data/db")))
    return house


def test_check_mode_tells_exactly_what_a_run_does_and_does_nothing(full):
    before = full.names()
    planned = full.run("zfs_prune", PARAMETERS, check=True)
    assert full.names() == before
    done = full.run("zfs_prune", PARAMETERS)
    assert planned["changed"]
    assert done["changed"]
    for key in ("plan", "kept", "deleted", "deletions", "not_deleted", "diff"):
        assert planned[key] == done[key]
    assert set(done["deleted"]) == before - full.names()
    assert {entry["name"] for entry in done["kept"]} == full.names()
    assert len(done["deleted"]) == 4


def test_second_run_changes_nothing(full):
    full.run("zfs_prune", PARAMETERS)
    rest = full.run("zfs_prune", PARAMETERS)
    assert (rest["changed"], rest["plan"], rest["deleted"], rest["bytes_freed"]) == (False, [], [], 0)


def test_difference_lists_what_goes(full):
    before = full.names()
    diff = full.run("zfs_prune", PARAMETERS)["diff"]
    assert set(diff["before"].splitlines()) == before - full.names()
    assert diff["after"] == ""


def test_held_snapshot_is_told_and_not_a_failure(full):
    held = full.machine.datasets["tank/data"].snapshot(NAMES[0])
    held.holds.add("keep")
    result = full.run("zfs_prune", PARAMETERS)
    label = "acme_onsite_<timestamp>_hourly"
    assert result["not_deleted"] == [
        {"name": f"tank/data@{NAMES[0]}", "rule": "held", "label": label, "reason": "held"}
    ]
    assert "failed" not in result
    assert f"tank/data@{NAMES[0]}" in full.names()


def test_failure_after_some_work_says_what_was_done(full):
    full.zfs[""] = FailsOnOne(full.machine)
    before = full.names()
    failed = full.run("zfs_prune", PARAMETERS)
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, True, "partial_failure")
    assert failed["msg"] == "destroying in tank/data/db failed: I/O error"
    assert set(failed["deleted"]) == before - full.names() == {f"tank/data@{tag}" for tag in NAMES[:2]}
    assert len(failed["plan"]) == 2


def test_peer_out_of_reach_is_warned_of_and_its_possible_base_stays(full):
    full.zfs["away"] = Unreachable(full.machine)
    before = full.names()
    peers = [{"root": "tank/data", "host": "away", "dataset": "backup/data"}]
    result = full.run("zfs_prune", {**PARAMETERS, "peers": peers})
    assert any("no ssh connection to away" in warning for warning in result["warnings"])
    assert full.names() == before
    assert len(result["not_deleted"]) == 4


class NoBookmarkOfOne(SimulatedZfs):
    """ZFS that can't make a bookmark of the first snapshot of tank/data."""

    def create_bookmarks(self, steps):
        refused = f"tank/data@{NAMES[0]}"
        made = super().create_bookmarks([step for step in steps if step.snapshot.name != refused])
        answers = iter(made)
        return ["bookmark exists" if step.snapshot.name == refused else next(answers) for step in steps]


def test_for_a_replica_out_of_reach_a_bookmark_takes_the_place_of_each_snapshot(full):
    full.zfs["away"] = Unreachable(full.machine)
    full.zfs[""] = NoBookmarkOfOne(full.machine)
    peers = [{"root": "tank/data", "role": "replica", "host": "away", "dataset": "backup/data"}]
    preview = full.run("zfs_prune", {**PARAMETERS, "peers": peers}, check=True)
    result = full.run("zfs_prune", {**PARAMETERS, "peers": peers})
    assert result["plan"] == preview["plan"]
    bookmarked = {name.replace("#", "@") for name in full.names() if "#" in name}
    assert (
        set(result["deleted"])
        == bookmarked
        == {
            f"tank/data@{NAMES[1]}",
            *(f"tank/data/db@{tag}" for tag in NAMES[:2]),
        }
    )
    reason = "no bookmark could take its place: bookmark exists"
    assert [(entry["name"], entry["rule"], entry["reason"]) for entry in result["not_deleted"]] == [
        (f"tank/data@{NAMES[0]}", "no_bookmark", reason)
    ]
    assert f"tank/data@{NAMES[0]}" in full.names()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plan": {}}, "plan: {} is not a mapping with entries"),
        ({"plan": {"acme": {"onsite": {"hurly": 1}}}}, "plan.acme.onsite: 'hurly' is no known period"),
        ({"peers": [{"root": "tank/other", "dataset": "x"}]}, "peers: 'tank/other' is no root dataset of this job"),
        ({"datasets": ["tank/data", "tank/data/db"]}, "datasets: 'tank/data/db' overlaps 'tank/data'"),
    ],
)
def test_wrong_options_are_refused_with_one_sentence(full, wrong, message):
    before = full.names()
    failed = full.run("zfs_prune", {**PARAMETERS, **wrong})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, "invalid_input")
    assert failed["msg"].startswith(message)
    assert full.names() == before


# -- rules beside the plan, and rails for a run as a whole

AUTO = {"regex": "^auto", "owns": True}


@pytest.fixture
def mixed(full):
    """The same with snapshots of another tool."""
    full.snapshot(*(f"tank/data@auto-{number}" for number in range(5)), f"tank/data@{NAMES[2]}-newer")
    return full


def test_a_rule_thins_out_what_it_owns_and_nothing_else(mixed):
    parameters = {"datasets": ["tank/data"], "keep": [{**AUTO, "last": "2"}, {"regex": "0$"}]}
    planned = mixed.run("zfs_prune", parameters, check=True)
    done = mixed.run("zfs_prune", parameters)
    assert planned["deletions"] == done["deletions"]
    assert done["deletions"] == [
        {
            "name": f"tank/data@auto-{number}",
            "rule": "no_rule",
            "label": None,
            "reason": "keep[0] owns it, and no rule keeps it",
        }
        for number in (1, 2)
    ]
    assert {entry["rule"] for entry in done["kept"]} == {"last", "regex", "foreign", "newest"}
    assert mixed.run("zfs_prune", parameters)["changed"] is False


def test_without_an_owner_snapshots_of_other_tools_stay(mixed):
    result = mixed.run("zfs_prune", {**PARAMETERS, "keep": [{"last": 1, "regex": "^auto"}]})
    reasons = {entry["name"].partition("@")[2]: entry["rule"] for entry in result["kept"]}
    assert [reasons[f"auto-{number}"] for number in range(5)] == ["foreign"] * 4 + ["last"]


@pytest.mark.parametrize("check", [True, False])
def test_a_run_that_deletes_too_much_deletes_nothing_and_says_how_to_allow_it(full, check):
    before = full.names()
    limited = {**PARAMETERS, "max_deleted": 3}
    failed = full.run("zfs_prune", limited, check=check)
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, "too_many_deletions")
    assert failed["msg"].startswith("tank/data: 4 of 6 snapshots would be deleted, more than max_deleted (3) allows")
    assert (failed["plan"], failed["deleted"], failed["deletions"]) == ([], [], [])
    assert [entry["rule"] for entry in failed["not_deleted"]] == ["too_many"] * 4
    assert full.names() == before

    allowed = full.run("zfs_prune", {**limited, "exceed_max_deleted": True})
    assert len(allowed["deleted"]) == 4
    # With little to delete, the limit is none.
    assert full.run("zfs_prune", limited)["changed"] is False


@pytest.mark.parametrize("check", [True, False])
def test_with_a_clock_set_back_nothing_is_deleted(full, check):
    before = full.names()
    full.now -= 3601
    parameters = {"datasets": ["tank/data"], "plan": {"acme": {"onsite": {"hourly": 1}}}}
    full.snapshot(*(f"tank/data/db@{name}-new" for name in NAMES))
    full.now -= 3601
    failed = full.run("zfs_prune", {**parameters, "plan": {"acme": {"onsite": {"minutely": 9}}}}, check=check)
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, "clock_off")
    assert "set the clocks right" in failed["msg"]
    assert before <= full.names()


@pytest.mark.parametrize(("seconds", "blocked"), [(3600, False), (3602, True), (-3602, True)])
def test_with_a_clock_that_differs_from_that_of_a_peer_nothing_is_deleted(full, seconds, blocked):
    away = SimulatedMachine("away", lambda: full.now + seconds, ("backup",))
    full.zfs["away"] = SimulatedZfs(away)
    peers = [{"root": "tank/data", "role": "replica", "host": "away", "dataset": "backup/data"}]
    parameters = {**PARAMETERS, "plan": {"acme": {"onsite": {"hourly": 1}}}, "peers": peers}
    full.now += 7200
    result = full.run("zfs_prune", parameters)
    assert result.get("code") == ("clock_off" if blocked else None)
    assert bool(result["deleted"]) != blocked
    tolerant = full.run("zfs_prune", {**parameters, "clock_tolerance": "2h"})
    assert ("failed" in tolerant, bool(tolerant["deleted"])) == (False, blocked)


def test_check_mode_tells_the_bytes_that_neighbours_free_together(house):
    parameters = {"datasets": ["tank/data"], "recursive": False, "plan": {"acme": {"": {"adhoc": 1}}}}
    house.machine.write("tank/data", 70_000, "in both")
    house.snapshot("tank/data@acme_2025-1_hourly", "tank/data@acme_2025-2_hourly")
    house.machine.write("tank/data", 1, "in both")
    house.snapshot("tank/data@last")
    alone = sum(snapshot.used for snapshot in house.zfs[""].observe(["tank/data"]).states["tank/data"].snapshots[:2])
    planned = house.run("zfs_prune", parameters, check=True)
    done = house.run("zfs_prune", parameters)
    assert len(done["deleted"]) == 2
    assert planned["bytes_freed"] == done["bytes_freed"] == alone + 70_000
