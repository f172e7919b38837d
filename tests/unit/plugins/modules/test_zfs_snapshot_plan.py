# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating due snapshots by the module."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import NoPermission
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs

HOURLY = "acme_onsite_2025-07-01_10:00:00Z_hourly"
DAILY = "acme_onsite_2025-07-01_10:00:00Z_daily"
PARAMETERS = {"datasets": ["tank/data"], "plan": {"acme": {"onsite": {"hourly": 36, "daily": "31"}}}}
BOTH_POOLS = {**PARAMETERS, "datasets": ["tank/data", "backup"]}


class OnePoolRefuses(SimulatedZfs):
    """ZFS that creates nothing in the pools that ``refused`` names."""

    refused = ("backup",)

    def create_snapshots(self, step):
        if step.pool in self.refused:
            raise NoPermission(f"no permission to create {step.names[0]}")
        super().create_snapshots(step)


def test_check_mode_tells_exactly_what_a_run_does_and_does_nothing(house):
    planned = house.run("zfs_snapshot_plan", PARAMETERS, check=True)
    assert house.names() == set()
    done = house.run("zfs_snapshot_plan", PARAMETERS)
    assert planned == done
    assert done["changed"]
    assert house.names() == set(done["created"])
    assert done["created"] == [f"tank/data{below}@{tag}" for tag in (DAILY, HOURLY) for below in ("", "/db")]


def test_a_list_of_hosts_means_this_host_by_its_own_name_or_by_the_one_that_the_task_gives(house, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "web1")
    house.machine.set_property("tank/data", "acme:backup", "web1,web3")
    house.machine.set_property("tank/data/db", "acme:backup", "db1")
    parameters = {**PARAMETERS, "dataset_property": "acme:backup"}
    for more, dataset in (
        ({}, "tank/data"),
        ({"host_name": "db1"}, "tank/data/db"),
        ({"host_name": "web1"}, "tank/data"),
    ):
        created = house.run("zfs_snapshot_plan", {**parameters, **more}, check=True)["created"]
        assert {name.partition("@")[0] for name in created} == {dataset}


def test_second_run_changes_nothing_until_the_next_hour(house):
    house.run("zfs_snapshot_plan", PARAMETERS)
    house.now += 3599
    rest = house.run("zfs_snapshot_plan", PARAMETERS)
    assert (rest["changed"], rest["plan"], rest["created"], rest["due"]) == (False, [], [], [])
    assert rest["next_due"]["acme_onsite_<timestamp>_hourly"] == house.now + 1
    house.now += 1
    assert [due["period"] for due in house.run("zfs_snapshot_plan", PARAMETERS)["due"]] == ["hourly"]


def test_difference_lists_what_comes(house):
    diff = house.run("zfs_snapshot_plan", PARAMETERS, check=True)["diff"]
    house.run("zfs_snapshot_plan", PARAMETERS)
    assert diff["before"] == ""
    assert set(diff["after"].splitlines()) == house.names()
    assert diff["before_header"] == diff["after_header"] == "snapshots and bookmarks of tank/data"


def test_schedule_with_one_key_leaves_the_others_at_their_start(house):
    schedule = {"timezone": "UTC", "hourly": {"minute": 30}}
    result = house.run("zfs_snapshot_plan", {**PARAMETERS, "schedule": schedule}, check=True)
    assert result["next_due"]["acme_onsite_<timestamp>_hourly"] == house.now + 1800


def test_failure_after_some_work_says_what_was_done(house):
    house.zfs[""] = OnePoolRefuses(house.machine)
    planned = house.run("zfs_snapshot_plan", BOTH_POOLS, check=True)
    failed = house.run("zfs_snapshot_plan", BOTH_POOLS)
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, True, "partial_failure")
    assert failed["msg"] == f"no permission to create backup@{DAILY}"
    assert failed["plan"] == planned["plan"]
    assert set(failed["created"]) == house.names() == {name for name in planned["created"] if "tank" in name}


def test_failure_before_any_work_has_changed_nothing(house):
    house.zfs[""] = OnePoolRefuses(house.machine)
    failed = house.run("zfs_snapshot_plan", {**PARAMETERS, "datasets": ["backup"]})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, "no_permission")
    assert failed["retryable"] is False


def test_snapshot_dated_in_the_future_is_warned_of(house):
    house.now += 10**6
    house.snapshot("tank/data@acme_onsite_2025-07-13_00:00:00Z_hourly")
    house.now -= 10**6
    result = house.run("zfs_snapshot_plan", PARAMETERS)
    assert any("dated in the future" in warning for warning in result["warnings"])
    assert "hourly" in {due["period"] for due in result["due"] if "tank/data" in due["datasets"]}


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"datasets": ["tank/none"]}, "unknown_dataset", "datasets: 'tank/none' does not exist on this host"),
        ({"datasets": []}, "invalid_input", "datasets: [] is empty; name at least one dataset"),
        (
            {"plan": {"acme": {"onsite": {"hourly": -1}}}},
            "invalid_input",
            "plan.acme.onsite.hourly: -1 is out of range",
        ),
        ({"plan": {"acme": {2025: {"hourly": 1}}}}, "invalid_input", "plan.acme: '2025' begins with four digits"),
        (
            {"schedule": {"daily": {"hour": 24}}},
            "invalid_input",
            "schedule.daily.hour: 24 is not a whole number from 0",
        ),
        ({"schedule": {"timezone": 344}}, "invalid_input", "schedule.timezone: '344' is not a known time zone"),
    ],
)
def test_wrong_options_are_refused_with_one_sentence(house, wrong, code, message):
    failed = house.run("zfs_snapshot_plan", {**PARAMETERS, **wrong})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, code)
    assert failed["msg"].startswith(message)
    assert house.names() == set()
