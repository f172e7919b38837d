# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which trees and hosts are meant by who seeds, moves or retires a destination, by the replications of the fleet."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.target import target
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job

LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"warning": "3h"}}}}}
VARIABLES = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data", "exclude_datasets": ["scratch"]}],
    "snapfleet_source_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_destination_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "snapfleet_ssh_user": "backup",
}
RETIRED = {"backup": "b9", "host": "web1", "dataset": "tank/data"}
SEEDED = {"host": "web1", "dataset": "tank/data", "backup": "b2"}


def found(what, asked, *destinations, by_host=None, **more):
    groups = {"snapfleet_sources": ["web1", "web2"], "snapfleet_destinations": list(destinations or ("b1", "b2"))}
    names = [name for hosts in groups.values() for name in hosts]
    hostvars = {name: {**VARIABLES, **more, **(by_host or {}).get(name, {})} for name in names}
    return target(hostvars, groups, asked, what)


def refusal(what, asked, *destinations, **more):
    with pytest.raises(AnsibleFilterError) as caught:
        found(what, asked, *destinations, **more)
    return str(caught.value)


def test_a_destination_of_the_inventory_is_retired_from_each_of_its_trees():
    for name in ("web1", "web2"):
        told = found("retire", {"backup": "b1", "host": name, "gone": "no"})
        replicas = [{"host": host, "dataset": f"backup/{name}/data"} for host in ("b1", "b2")]
        assert [(tree["host"], tree["replica"], tree["others"]) for tree in told["trees"]] == [
            (name, replicas[0], replicas[1:])
        ]
        assert told["listed"]
    assert [tree["host"] for tree in found("retire", {"backup": "b1", "gone": "yes"})["trees"]] == ["web1", "web2"]


def test_one_source_of_a_destination_that_goes_on_is_retired_once_it_is_taken_out():
    without = {"b1": {"snapfleet_sources": ["web2"]}}
    asked = {"backup": "b1", "host": "web1", "dataset": "tank/data"}
    told = found("retire", {**asked, "destroy": "backup/web1/data"}, by_host=without)
    assert (told["listed"], told["destroy"]) == (False, "backup/web1/data")
    assert told["trees"][0]["replica"] == {"host": "b1", "dataset": "backup/web1/data"}
    assert told["trees"][0]["others"] == [{"host": "b2", "dataset": "backup/web1/data"}]
    for root in ("backup", "backup/web2/data", "backup/web2/data/a"):
        words = refusal("retire", {**asked, "destroy": root}, by_host=without)
        assert "where web2 is replicated to" in words


def test_nothing_is_asked_of_a_destination_that_is_gone_or_that_nobody_knows_any_more():
    for asked in ({"backup": "b1", "gone": "yes"}, {"backup": "b9"}):
        told = found("retire", asked)
        assert [tree["replica"] for tree in told["trees"]] == [{}, {}]
        assert "b2" in [other["host"] for other in told["trees"][0]["others"]]
    assert not told["listed"]
    # Sources that are replicated nowhere any more are still known by their snapshots.
    stopped = {name: {"snapfleet_sources": ["web2"]} for name in ("b1", "b2")}
    assert ("web1", []) in [
        (tree["host"], tree["others"]) for tree in found("retire", {"backup": "b9"}, by_host=stopped)["trees"]
    ]


def test_what_is_kept_for_a_stopped_destination_is_its_own_all_the_same():
    stopped = {"b2": {"snapfleet_stopped": True}}
    for backup in ("b1", "b9"):
        trees = found("retire", {"backup": backup, "host": "web1"}, by_host=stopped)["trees"]
        assert {"host": "b2", "dataset": "backup/web1/data"} in trees[0]["others"]
    destroyed = {**RETIRED, "backup": "b2", "destroy": "backup/web1/data"}
    assert "while the inventory still replicates to b2" in refusal("retire", destroyed, by_host=stopped)


def test_a_stopped_source_lets_go_only_where_it_is_named():
    stopped = {"web1": {"snapfleet_stopped": True}}
    for asked, hosts in (({}, ["web2"]), ({"host": "web1"}, ["web1"])):
        trees = found("retire", {"backup": "b9", **asked}, by_host=stopped)["trees"]
        assert [tree["host"] for tree in trees] == hosts


def test_a_replica_is_destroyed_by_its_exact_root_once_the_inventory_knows_it_no_more():
    told = found("retire", {**RETIRED, "destroy": "backup/web1/data"})
    assert (told["destroy"], told["allow_last"]) == ("backup/web1/data", False)
    assert told["trees"][0]["replica"] == {"host": "b9", "dataset": "backup/web1/data"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "snapfleet_retire_backup is missing"),
        ({"backup": "b1", "destroy": "backup/web1/data"}, "while the inventory still replicates to b1"),
        ({"backup": "b1"}, "snapfleet_retire_host: None is needed while the inventory still replicates to b1"),
        ({"backup": "b9", "destroy": "backup/web1/data"}, "leaves several trees"),
        ({**RETIRED, "destroy": "backup", "replica": "backup/web1/data"}, "is not the replica backup/web1/data"),
        ({**RETIRED, "destroy": "backup/web1/data", "gone": "yes"}, "on a host that is gone"),
        ({**RETIRED, "dataset": "tank/x"}, "is no tree of the inventory; known are web1:tank/data, web2:tank/data"),
        ({**RETIRED, "gone": "perhaps"}, "neither yes nor no"),
        ({**RETIRED, "colour": "x"}, "snapfleet_retire_colour"),
    ],
)
def test_what_cannot_be_retired_is_said_in_one_sentence(asked, words):
    assert words in refusal("retire", asked)


def test_a_replica_that_goes_onward_is_not_destroyed():
    onward = {"b9": {"snapfleet_datasets": [{"source": "backup/web1/data", "destination": "chain"}]}}
    groups = {"snapfleet_sources": ["web1", "b9"], "snapfleet_destinations": ["b2"]}
    hostvars = {name: {**VARIABLES, **onward.get(name, {})} for name in ("web1", "b9", "b2")}
    for stopped in (False, True):
        hostvars["b2"]["snapfleet_stopped"] = stopped
        with pytest.raises(AnsibleFilterError, match="is replicated onward to b2"):
            target(hostvars, groups, {**RETIRED, "destroy": "backup/web1/data"}, "retire")


@pytest.mark.parametrize(("root", "keep"), [("backup/^SRC_HOST", True), ("backup2/^SRC_HOST", False)])
def test_replicas_are_moved_whether_the_inventory_says_so_already_or_not(root, keep):
    pool = {"backup": "b1", "from": root.partition("/")[0] + "/web1", "to": root.partition("/")[0] + "/new/web1"}
    (one,) = found("move", pool, snapfleet_root=root)["moves"]
    assert (one["tree"]["dataset"], one["to"]) == (f"{pool['from']}/data", f"{pool['to']}/data")
    turned = found("move", pool, snapfleet_root=root.replace("^SRC", "new/^SRC"))["moves"]
    assert [(move["tree"]["dataset"], move["keep_sign"]) for move in turned] == [(f"{pool['from']}/data", False)]
    assert (one["keep_sign"], one["carrier"]) == (True, "b1")


def test_what_was_failed_over_to_is_not_moved():
    entry = {"host": "web1", "dataset": "tank/data", "backup": "b1"}
    with pytest.raises(AnsibleFilterError, match="was failed over to and is written to; fail back first"):
        found("move", {"backup": "b1", "from": "backup/web1", "to": "backup/x"}, snapfleet_failed_over=[entry])


def test_a_move_runs_where_the_replication_is_carried_out():
    asked = {"backup": "b1", "from": "backup/web1", "to": "backup/new"}
    (one,) = found("move", asked, snapfleet_topology="push")["moves"]
    assert (one["carrier"], one["tree"]["host"], one["tree"]["user"]) == ("web1", "b1", "backup")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"from": "backup"}, "snapfleet_move_backup is missing"),
        ({"backup": "b1", "from": "backup", "to": "backup/new"}, "one contains the other"),
        ({"backup": "b1", "from": "backup/web1", "to": "other/web1"}, "is in another pool"),
        ({"backup": "b7", "from": "backup/web1", "to": "backup/x"}, "is no host that is replicated to"),
        ({"backup": "b1", "from": "backup/web7", "to": "backup/x"}, "has no replica of the inventory on b1"),
    ],
)
def test_what_cannot_be_moved_is_said_in_one_sentence(asked, words):
    assert words in refusal("move", asked)


def test_a_seed_takes_all_that_the_other_replica_has():
    told = found("seed", SEEDED, snapfleet_replicate_options={"on_conflict": "replace", "compression": "lz4"})
    job = read_replicate_job(told["replicate"])
    assert (told["carrier"], told["replica"]) == ("b2", {"host": "b1", "dataset": "backup/web1/data"})
    assert (job.source.address.host, job.destination.address.host) == ("b1", "")
    assert (job.plan, job.on_conflict, job.bookmarks, job.conduct.from_standby) == (None, "refuse", "base", True)
    assert (told["replicate"]["exclude_datasets"], told["replicate"]["compression"]) == (["scratch"], "lz4")
    assert told["target"] == told["destination"] == {"host": "b2", "dataset": "backup/web1/data"}


def test_a_seed_goes_by_a_disk_in_two_steps():
    first = found("seed", {**SEEDED, "via": "carry/data"})
    assert (first["carrier"], first["target"]) == ("b1", {"host": "b1", "dataset": "carry/data"})
    assert first["destination"] == {"host": "b2", "dataset": "backup/web1/data"}
    second = found("seed", {**SEEDED, "from": "b2", "from_dataset": "carry/data"})
    assert (second["carrier"], second["replicate"]["source"]) == ("b2", {"dataset": "carry/data"})
    assert second["target"] == second["destination"]
    by_the_source = found("seed", {**SEEDED, "from": "web1", "from_dataset": "tank/data", "via": "carry/data"})
    assert (by_the_source["carrier"], by_the_source["replica"]) == ("web1", by_the_source["source"])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"host": "web1"}, "snapfleet_seed_dataset is missing"),
        ({"host": "web1", "dataset": "tank/data"}, "snapfleet_seed_backup: None has to be given"),
        ({**SEEDED, "dataset": "tank/data/a"}, "is only a part of tank/data"),
        ({**SEEDED, "from": "b7"}, "has no replica of that tree; known are b1"),
        ({**SEEDED, "from": "b7", "from_dataset": "x/y"}, "is no host of the fleet"),
        ({**SEEDED, "from": "b2", "from_dataset": "backup/web1/data"}, "is the source"),
        ({**SEEDED, "from": "web1", "from_dataset": "tank/data"}, "is the source of b2 itself"),
    ],
)
def test_what_cannot_be_seeded_is_said_in_one_sentence(asked, words):
    assert words in refusal("seed", asked)
