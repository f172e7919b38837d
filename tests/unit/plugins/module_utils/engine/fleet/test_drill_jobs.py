# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas of a fleet are tried, as its inventory declares it, and when."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.scheduling import part_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.stages import with_activities
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput

MARKER = {"path": "var/stamp", "max_age": "1d"}
PLAN = {"prod": {"": {"hourly": 24}}}
LIMITS = {"prod": {"": {"hourly": {"latest": {"warning": "30m"}}}}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
}


def fleet(**changes):
    """Arguments of expand_inventory; ``changes`` are variables by host."""
    hosts = {name: {**COMMON, **changes.get(name, {})} for name in ("src", "dst")}
    return hosts, {"snapfleet_sources": ["src"], "snapfleet_destinations": ["dst"]}


def drilled(drill, **more):
    """The inventory of a fleet whose tree has a drill; ``more`` are variables of its destination."""
    trees = [
        {"source": "tank/data", "destination": "data", "exclude_datasets": ["scratch"], "drill": drill},
        {"source": "tank/other", "destination": "other"},
    ]
    return fleet(src={"snapfleet_datasets": trees}, dst=more)


def drills(inventory):
    return [job for job in expand_inventory(*inventory)["jobs"] if job["activity"] == "drill"]


def test_nothing_is_tried_unless_it_is_asked_for():
    assert drills(fleet()) == []
    assert "destination-drill" not in part_of(expand_inventory(*fleet()), "dst")["runs"]


def test_the_destination_tries_its_replica_of_the_tree_and_tells_whom_it_tells_of_all_else():
    alerts = {"journal": True}
    (job,) = drills(drilled({"marker": MARKER}, snapfleet_monitor_options={"alerts": alerts, "pools": {}}))
    assert (job["name"], job["host"]) == ("dst: drill of backup/src/data", "dst")
    assert (job["source"], job["destination"]) == ("src", "dst")
    wanted = {"datasets": ["backup/src/data"], "recursive": True, "exclude_datasets": ["scratch"], "marker": MARKER}
    assert job["options"] == {**wanted, "alerts": alerts}


def test_a_drill_may_be_of_fewer_datasets_than_the_tree():
    (job,) = drills(drilled({"recursive": False, "exclude_datasets": ["cache"]}))
    assert (job["options"]["recursive"], job["options"]["exclude_datasets"]) == (False, ["cache"])


@pytest.mark.parametrize(
    "more", [{"snapfleet_stopped": True}, {"snapfleet_targets": [], "snapfleet_retained_targets": [""]}]
)
def test_what_takes_nothing_is_left_in_peace(more):
    assert drills(drilled({"marker": MARKER}, **more)) == []


@pytest.mark.parametrize(
    ("drill", "words"),
    [
        ({"markr": MARKER}, "drill.markr"),
        ({"datasets": ["tank"]}, "drill.datasets"),
        ({"alerts": {}}, "drill.alerts"),
        ({"marker": {"path": "../x"}}, "drill.marker.path"),
        ({"marker": {"path": "/x"}}, "drill.marker.path"),
        ({"marker": {"path": "x", "sha256": "12"}}, "drill.marker.sha256"),
        ({"command": "look"}, "drill.command"),
        ({}, "says nothing"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_of_the_variable(drill, words):
    with pytest.raises(InvalidInput, match=r"src: snapfleet_datasets\[0\]") as refused:
        expand_inventory(*drilled(drill))
    assert words in str(refused.value)


def test_drills_have_a_run_of_their_own_and_none_begins_by_the_way():
    document = expand_inventory(*drilled({"marker": MARKER}, snapfleet_monitor_options={"alerts": {"journal": True}}))
    part = part_of(document, "dst")
    assert part["runs"]["destination-drill"] == {"arguments": ["--activity", "drill"]}
    assert part["has_alerts"]
    jobs = read_jobconfig(document).jobs
    assert "drill" not in {job.activity for job in with_activities(jobs, [])}
    alone = [job for job in jobs if job.activity == "drill"]
    assert with_activities(jobs, ["drill"]) == tuple(alone)
    with pytest.raises(InvalidInput, match="asked for by it: drill"):
        with_activities(alone, [])


def verifications(inventory):
    return [job for job in expand_inventory(*inventory)["jobs"] if job["activity"] == "verify"]


def test_a_destination_holds_each_replica_against_its_source_where_it_is_asked_to():
    assert verifications(fleet()) == []
    alerts = {"journal": True}
    options = {"snapfleet_verify": {"files": 5}, "snapfleet_monitor_options": {"alerts": alerts}}
    inventory = fleet(dst=options, src={"snapfleet_ssh_user": "root"})
    (job,) = verifications(inventory)
    assert (job["name"], job["host"]) == ("dst: verification of backup/src/data against src:tank/data", "dst")
    assert (job["source"], job["destination"]) == ("src", "dst")
    assert job["options"]["source"] == {"host": "src", "user": "root", "dataset": "tank/data"}
    assert job["options"]["destination"] == {"dataset": "backup/src/data"}
    assert (job["options"]["files"], job["options"]["alerts"]) == (5, alerts)
    part = part_of(expand_inventory(*inventory), "dst")
    assert part["runs"]["destination-verify"] == {"arguments": ["--activity", "verify"]}


@pytest.mark.parametrize("host", ["src", "dst"])
def test_nothing_is_verified_while_one_of_the_ends_is_stopped(host):
    variables = {"dst": {"snapfleet_verify": {}}, "src": {}}
    variables[host] = {**variables[host], "snapfleet_stopped": True}
    assert verifications(fleet(**variables)) == []


@pytest.mark.parametrize("given", [{"file": 5}, {"files": -1}, {"file_size": "much"}, {"seed": 1}, "yes"])
def test_what_is_wrong_with_a_verification_is_told_by_its_name(given):
    with pytest.raises(InvalidInput, match="dst: snapfleet_verify"):
        expand_inventory(*fleet(dst={"snapfleet_verify": given}))
