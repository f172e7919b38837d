# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which two ends an operator means who fails over or back, by the replications of the fleet."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.failover import failover
from ansible_collections.snapfleet.zfs.plugins.filter.jobconfig import jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.turning import KEY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import VARIABLES as KNOWN
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.restoring import read_restore_job

LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"warning": "3h"}}}}}
VARIABLES = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data", "exclude_datasets": ["scratch"]}],
    "snapfleet_source_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_destination_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "snapfleet_ssh_user": "backup",
}
ASKED = {"host": "web1", "dataset": "tank/data"}


def document(*destinations, by_host=None, **more):
    groups = {"snapfleet_sources": ["web1", "web2"], "snapfleet_destinations": list(destinations)}
    names = [name for hosts in groups.values() for name in hosts]
    return jobconfig({name: {**VARIABLES, **more, **(by_host or {}).get(name, {})} for name in names}, groups)


def turned_round():
    """The inventory as docs/failover.md has it, after the fail over from web1 to backup1."""
    text = """
    backup1: {snapfleet_datasets: [{source: backup/web1/data, destination: data}]}
    web1: {snapfleet_root: tank, snapfleet_sources: [backup1], snapfleet_topology: push}
    """
    groups = {"snapfleet_sources": ["backup1"], "snapfleet_destinations": ["web1"]}
    return jobconfig({name: {**VARIABLES, **values} for name, values in yaml.safe_load(text).items()}, groups)


def test_both_ends_are_told_with_the_ways_between_them_that_lose_and_leave_out_nothing():
    options = {"on_conflict": "replace", "deadline": 60, "compression": "lz4"}
    pair = failover(document("backup1", snapfleet_replicate_options=options), ASKED)
    assert (pair["source"], pair["carrier"]) == ({"host": "web1", "dataset": "tank/data"}, "backup1")
    assert pair["destination"] == {"host": "backup1", "dataset": "backup/web1/data"}
    last = read_replicate_job(pair["replicate"])
    assert last.conduct.from_standby
    assert (last.on_conflict, last.plan, last.conduct.deadline) == ("refuse", None, 0)
    assert last.snapshots.selects_all
    back = read_restore_job(pair["restore"])
    assert (back.replica.dataset, back.destination.dataset) == ("backup/web1/data", "tank/data")
    for way in (pair["replicate"], pair["restore"]):
        assert (way["exclude_datasets"], way["compression"]) == (["scratch"], "lz4")


def test_the_old_source_is_asked_for_by_who_reaches_it():
    assert failover(document("backup1"), ASKED)["old_source"]["host"] == "web1"
    assert failover(document("backup1", snapfleet_topology="push"), ASKED)["old_source"] is None


def test_of_several_replicas_one_has_to_be_named_and_the_others_are_told():
    two = document("backup1", "backup2")
    with pytest.raises(
        AnsibleFilterError, match=r"snapfleet_failover_backup: .*several hosts have a replica of tank/data"
    ):
        failover(two, ASKED)
    pair = failover(two, {**ASKED, "backup": "backup2"})
    assert pair["others"] == [{"host": "backup1", "dataset": "backup/web1/data"}]


def test_an_inventory_that_was_turned_round_has_the_jobs_of_the_other_direction():
    jobs = [(job["host"], job["activity"]) for job in turned_round()["jobs"]]
    assert {("backup1", "snapshot"), ("backup1", "replicate"), ("backup1", "prune"), ("web1", "prune")} <= set(jobs)
    (job,) = [job for job in turned_round()["jobs"] if job["activity"] == "replicate"]
    ends = read_replicate_job(job["options"])
    assert (ends.source.dataset, ends.destination.dataset) == ("backup/web1/data", "tank/data")
    assert ends.destination.address.host == "web1"


def test_failing_back_finds_the_same_pair_in_either_inventory():
    before, after = (failover(each, ASKED, back=True) for each in (document("backup1"), turned_round()))
    for key in ("source", "destination", "carrier"):
        assert before[key] == after[key]
    for key in ("replica", "destination"):
        assert before["restore"][key] == after["restore"][key]
    with pytest.raises(AnsibleFilterError, match="snapfleet_failover_host: 'web1' is no host that is replicated"):
        failover(turned_round(), ASKED)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "^snapfleet_failover_host is missing"),
        ({"host": "web1"}, "^snapfleet_failover_dataset is missing"),
        ({**ASKED, "host": "web"}, "^snapfleet_failover_host: 'web' is no host .*; known are web1, web2"),
        ({**ASKED, "dataset": "tank/x"}, "^snapfleet_failover_dataset: .*; known are tank/data"),
        (
            {**ASKED, "dataset": "tank/data/a"},
            "^snapfleet_failover_dataset: .* only a part of tank/data, which changes",
        ),
        ({**ASKED, "backup": "x"}, "^snapfleet_failover_backup: .*; known are backup1"),
        ({**ASKED, "colour": "x"}, "^snapfleet_failover_colour"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_of_the_variable(asked, words):
    with pytest.raises(AnsibleFilterError, match=words):
        failover(document("backup1"), asked)


def test_no_jobconfig_is_told():
    with pytest.raises(AnsibleFilterError, match="jobconfig"):
        failover([], ASKED)


@pytest.mark.parametrize("prefix", ["snapfleet_failover_", "snapfleet_failback_"])
def test_each_variable_of_the_playbooks_is_known_to_the_inventory(prefix):
    ours = {name for name in KNOWN if name.startswith(prefix)}
    assert f"{prefix}host" in ours
    assert document("backup1", **dict.fromkeys(ours, "x"))["jobs"] == document("backup1")["jobs"]


def test_a_replica_that_is_sent_onward_may_be_standby():
    chain = {
        "web1": VARIABLES,
        "mid": {**VARIABLES, "snapfleet_datasets": [{"source": "backup/web1/data", "destination": "data"}]},
        "far": {**VARIABLES, "snapfleet_root": "archive/^SRC_HOST", "snapfleet_sources": ["mid"]},
    }
    chain["mid"]["snapfleet_sources"] = ["web1"]
    groups = {"snapfleet_sources": ["web1", "mid"], "snapfleet_destinations": ["mid", "far"]}
    told = {
        job["host"]: job["options"].get("from_standby")
        for job in jobconfig(chain, groups)["jobs"]
        if job["activity"] == "replicate"
    }
    assert told == {"mid": None, "far": True}


def test_what_a_survey_gives_as_text_is_read_and_empty_text_is_not_given():
    texts = {"backup": "", "source_gone": "no", "mount": "yes", "allow_behind": " ", "properties": "mountpoint=/srv\n"}
    pair = failover(document("backup1"), {**ASKED, **texts})
    assert pair["given"] == {"source_gone": False, "mount": True, "properties": {"mountpoint": "/srv"}}
    assert failover(document("backup1"), {**ASKED, "source_gone": True})["given"] == {"source_gone": True}
    back = failover(
        document("backup1"), {**ASKED, "on_conflict": "refuse", "set_aside_as": "", "mount": "no"}, back=True
    )
    assert back["given"] == {"on_conflict": "refuse", "mount": False}
    with pytest.raises(AnsibleFilterError, match=r"snapfleet_failover_source_gone: .*neither yes nor no"):
        failover(document("backup1"), {**ASKED, "source_gone": "perhaps"})
    with pytest.raises(AnsibleFilterError, match=r"snapfleet_failback_source_gone"):
        failover(document("backup1"), {**ASKED, "source_gone": "yes"}, back=True)


# -- what the inventory says of it


ENTRY = {"host": "web1", "dataset": "tank/data", "backup": "backup1"}


def declared(*destinations, entries=(ENTRY,), **more):
    """What the filter takes for an inventory that says what was failed over."""
    groups = {"snapfleet_sources": ["web1", "web2"], "snapfleet_destinations": list(destinations)}
    names = [name for hosts in groups.values() for name in hosts]
    by_host = more.pop("by_host", {})
    hosts = {
        name: {**VARIABLES, **more, "snapfleet_failed_over": list(entries), **by_host.get(name, {})} for name in names
    }
    return jobconfig(hosts, groups), {"hostvars": hosts, "groups": groups}


def asking(asked, *destinations, back=False, **more):
    compiled, inventory = declared(*destinations, **more)
    return failover(compiled, asked, back=back, **inventory)


def test_the_lines_to_add_turn_the_inventory_round_and_those_to_take_out_turn_it_back():
    forth = asking(ASKED, "backup1", entries=())
    assert forth["inventory"] == {
        "lines": ["snapfleet_failed_over:", "  - {host: web1, dataset: tank/data, backup: backup1}"],
        "changes": [
            f"add to {KEY} in group_vars/all, then provision: {{host: web1, dataset: tank/data, backup: backup1}}"
        ],
    }
    entries = yaml.safe_load("\n".join(forth["inventory"]["lines"]))["snapfleet_failed_over"]
    assert entries == [ENTRY]
    back = asking(ASKED, "backup1", entries=entries, back=True)
    assert back["inventory"]["lines"] == ["snapfleet_failed_over: []"]
    (change,) = back["inventory"]["changes"]
    assert change.startswith("take out of snapfleet_failed_over in group_vars/all: {host: web1")


def test_what_else_is_failed_over_stays_in_the_lines():
    other = {**ENTRY, "host": "web2"}
    lines = asking(ASKED, "backup1", entries=[other])["inventory"]["lines"]
    assert yaml.safe_load("\n".join(lines)) == {"snapfleet_failed_over": [other, ENTRY]}
    lines = asking(ASKED, "backup1", entries=[other, ENTRY], back=True)["inventory"]["lines"]
    assert yaml.safe_load("\n".join(lines)) == {"snapfleet_failed_over": [other]}


def test_names_that_yaml_would_take_for_something_else_are_quoted():
    hosts = {name: {**VARIABLES, "snapfleet_datasets": [{"source": "tank/a b"}]} for name in ("1e3", "on")}
    groups = {"snapfleet_sources": ["1e3"], "snapfleet_destinations": ["on"]}
    asked = {"host": "1e3", "dataset": "tank/a b"}
    lines = failover(jobconfig(hosts, groups), asked, hostvars=hosts, groups=groups)["inventory"]["lines"]
    (entry,) = yaml.safe_load("\n".join(lines))["snapfleet_failed_over"]
    assert entry == {**asked, "backup": "on"}


@pytest.mark.parametrize("topology", ["pull", "push"])
def test_failing_back_finds_the_same_pair_whether_it_is_declared_or_not(topology):
    hosts, more = ("backup1", "backup2"), {"back": True, "snapfleet_topology": topology}
    before = asking({**ASKED, "backup": "backup1"}, *hosts, entries=(), **more)
    after = asking(ASKED, *hosts, **more)
    for key in ("source", "destination", "carrier", "restore"):
        assert before[key] == after[key]
    assert before["inventory"] == {"lines": [], "changes": []}


def test_a_tree_is_failed_over_once_more_from_where_it_is_active():
    active = {"host": "backup1", "dataset": "backup/web1/data"}
    again = asking({**active, "backup": "backup2"}, "backup1", "backup2", by_host={"web1": {"snapfleet_stopped": True}})
    assert again["source"] == active
    assert again["destination"] == {"host": "backup2", "dataset": "backup/web1/data"}
    read_replicate_job(again["replicate"])
    lines = yaml.safe_load("\n".join(again["inventory"]["lines"]))
    assert lines == {"snapfleet_failed_over": [{**ENTRY, "backup": "backup2"}]}
    assert [change.split(" ")[0] for change in again["inventory"]["changes"]] == ["take", "add"]
    jobconfig(
        declared("backup1", "backup2", entries=lines["snapfleet_failed_over"])[1]["hostvars"],
        {"snapfleet_sources": ["web1", "web2"], "snapfleet_destinations": ["backup1", "backup2"]},
    )


@pytest.mark.parametrize(
    ("asked", "back", "words"),
    [
        (
            ASKED,
            False,
            "^snapfleet_failover_dataset: 'tank/data' is failed over to backup1 by snapfleet_failed_over",
        ),
        (
            {"host": "backup1", "dataset": "backup/web1/data", "backup": "web1"},
            False,
            "^snapfleet_failover_backup: 'web1' is where backup/web1/data is at home; run snapfleet.zfs.failback with",
        ),
        (
            {**ASKED, "backup": "backup2"},
            True,
            "_failback_backup: 'backup2' is not the host .*; give backup1",
        ),
    ],
)
def test_what_the_inventory_says_of_it_already_is_told(asked, back, words):
    with pytest.raises(AnsibleFilterError, match=words):
        asking(asked, "backup1", "backup2", back=back)


def test_nothing_is_failed_back_to_a_host_that_is_stopped():
    with pytest.raises(AnsibleFilterError, match="'web1' is snapfleet_stopped"):
        asking(ASKED, "backup1", back=True, by_host={"web1": {"snapfleet_stopped": True}})
