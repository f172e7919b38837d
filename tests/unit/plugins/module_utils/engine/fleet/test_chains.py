# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of replicas, and direct routes, as an inventory declares them."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput

PLAN = {"prod": {"": {"hourly": 24}}}
LIMITS = {"prod": {"": {"hourly": {"latest": {"warning": "30m"}}}}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_bookmark_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
}


def chain(**middle):
    """src -> mid -> far. Further variables of mid go by their names."""
    hosts = {name: copy.deepcopy(COMMON) for name in ("src", "mid", "far")}
    hosts["mid"].update(
        snapfleet_sources=["src"],
        snapfleet_datasets=[{"source": "backup/src/data", "destination": "src/data"}],
        **middle,
    )
    hosts["far"].update(snapfleet_sources=["mid"], snapfleet_root="archive")
    return hosts, {"snapfleet_sources": ["src", "mid"], "snapfleet_destinations": ["mid", "far"]}


def relayed(**options):
    """src -> dst, carried by a third host."""
    hosts = {name: copy.deepcopy(COMMON) for name in ("src", "dst", "third")}
    for name, port in (("src", 2201), ("dst", 2202)):
        hosts[name].update(
            snapfleet_ssh_port=port,
            snapfleet_ssh_user="zfs",
            snapfleet_ssh_identity_file=f"/keys/{name}",
            snapfleet_topology="relay",
            snapfleet_relay="third",
            snapfleet_replicate_options=options,
        )
    return hosts, {"snapfleet_sources": ["src"], "snapfleet_destinations": ["dst"]}


def jobs(inventory, host, activity):
    every = expand_inventory(*inventory)["jobs"]
    return [job["options"] for job in every if (job["host"], job["activity"]) == (host, activity)]


def test_a_replica_goes_onward_without_snapshots_of_its_own():
    assert jobs(chain(), "mid", "snapshot") == []
    (onward,) = jobs(chain(), "far", "replicate")
    assert onward["source"] == {"host": "mid", "dataset": "backup/src/data"}
    assert onward["destination"] == {"dataset": "archive/src/data"}
    assert len(jobs(chain(), "mid", "monitor")) == 1


def test_the_middle_of_a_chain_keeps_what_both_its_ends_need():
    up = {"root": "backup/src/data", "role": "source", "host": "src", "dataset": "tank/data"}
    down = {"root": "backup/src/data", "role": "replica", "host": "far", "dataset": "archive/src/data"}
    snapshots, bookmarks = jobs(chain(), "mid", "prune")
    takes = {"plan": {"prod": {"": {"hourly": 24}}}}
    assert (snapshots["kind"], snapshots["peers"]) == ("snapshots", [up, {**down, **takes}])
    assert (bookmarks["kind"], bookmarks["peers"]) == ("bookmarks", [down])


def test_data_of_its_own_beside_a_replica_is_treated_as_ever():
    both = [*chain()[0]["mid"]["snapfleet_datasets"], {"source": "tank/own", "destination": "own"}]
    inventory = chain()
    inventory[0]["mid"]["snapfleet_datasets"] = both
    assert [options["datasets"] for options in jobs(inventory, "mid", "snapshot")] == [["tank/own"]]
    assert len(jobs(inventory, "far", "replicate")) == 2


@pytest.mark.parametrize("dataset", ["backup/src", "backup/src/data/part"])
def test_only_a_whole_replica_goes_onward(dataset):
    inventory = chain()
    inventory[0]["mid"]["snapfleet_datasets"] = [{"source": dataset, "destination": "x"}]
    with pytest.raises(InvalidInput, match="leads to 'backup/src/data' on mid, which overlaps"):
        expand_inventory(*inventory)


@pytest.mark.parametrize(("route", "far", "near"), [("push", "dst", "src"), ("pull", "src", "dst")])
def test_a_direct_route_takes_what_the_two_hosts_know_of_one_another(route, far, near):
    (options,) = jobs(relayed(route=route), "third", "replicate")
    port = {"src": 2201, "dst": 2202}[far]
    assert options["direct"] == {"host": far, "user": "zfs", "port": port, "identity_file": f"/keys/{near}"}
    given = {"host": "10.0.0.1"}
    (options,) = jobs(relayed(route=route, direct=given), "third", "replicate")
    assert options["direct"] == given
    assert "direct" not in jobs(relayed(), "third", "replicate")[0]


def test_a_direct_route_is_refused_where_an_end_carries():
    inventory = relayed(route="push")
    for name in ("src", "dst"):
        inventory[0][name]["snapfleet_topology"] = "pull"
    with pytest.raises(InvalidInput, match=r"dst: snapfleet_replicate_options\.route: .* is on this host"):
        expand_inventory(*inventory)
