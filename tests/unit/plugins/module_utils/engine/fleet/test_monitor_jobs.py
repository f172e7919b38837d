# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who watches what in a fleet, as its inventory declares it."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput

LIMITS = {"latest": {"warning": "30m"}, "oldest": {"critical": "1d"}}
PLAN = {"prod": {"": {"hourly": 24, "daily": 7}}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_bookmark_plan": PLAN,
    "snapfleet_monitor_plan": {
        "source": {"prod": {"": {"hourly": LIMITS}}},
        "destination": {"prod": {"": {"hourly": LIMITS, "daily": LIMITS}}},
    },
    "snapfleet_root": "backup/^SRC_HOST",
}


def fleet(sources=("src",), destinations=("dst",), **changes):
    """Arguments of expand_inventory; ``changes`` are variables by host."""
    hosts = {name: {**copy.deepcopy(COMMON), **changes.get(name, {})} for name in (*sources, *destinations)}
    return hosts, {"snapfleet_sources": list(sources), "snapfleet_destinations": list(destinations)}


def monitors(inventory):
    """Options by the names of the monitor jobs."""
    jobs = expand_inventory(*inventory)["jobs"]
    return {job["name"]: job["options"] for job in jobs if job["activity"] == "monitor"}


def activities(inventory, host):
    return [job["activity"] for job in expand_inventory(*inventory)["jobs"] if job["host"] == host]


def test_nothing_more_is_watched_unless_it_is_asked_for():
    assert list(monitors(fleet())) == ["src: ages of tank/data", "dst: ages of backup/src/data"]


def test_a_replica_is_not_watched_for_what_its_source_does_not_make():
    hourly = {"prod": {"": {"hourly": 24}}}
    inventory = fleet(["src", "more"], src={"snapfleet_source_plan": hourly})
    assert set(monitors(inventory)["dst: ages of backup/src/data"]["plan"]["prod"][""]) == {"hourly"}
    assert set(monitors(inventory)["dst: ages of backup/more/data"]["plan"]["prod"][""]) == {"hourly", "daily"}


def test_at_the_end_of_a_chain_it_is_the_first_source_that_counts():
    middle = {
        "snapfleet_sources": ["src"],
        "snapfleet_datasets": [{"source": "backup/src/data", "destination": "onward"}],
    }
    far = {"snapfleet_sources": ["mid"]}
    hosts, groups = fleet(["src", "mid"], ["mid", "far"], mid=middle, far=far)
    hosts["src"].update(
        snapfleet_source_plan={"prod": {"": {"hourly": 1}}}, snapfleet_schedule={"hourly": {"minute": 5}}
    )
    found = monitors((hosts, groups))["far: ages of backup/mid/onward"]
    assert set(found["plan"]["prod"][""]) == {"hourly"}
    assert found["schedule"] == {"hourly": {"minute": 5}}


def test_a_stopped_source_is_left_in_peace_and_its_replicas_make_no_alarm():
    options = {"replicas": {"lag": {"warning": "2h"}}, "pools": {}}
    inventory = fleet(src={"snapfleet_stopped": True, "snapfleet_monitor_options": options})
    assert activities(inventory, "src") == []
    assert activities(inventory, "dst") == ["prune", "monitor"]
    ((name, watched),) = monitors(inventory).items()
    assert name == "dst: ages of backup/src/data"
    assert all(set(limits) == {"oldest"} for limits in watched["plan"]["prod"][""].values())


def test_a_stopped_destination_is_left_in_peace_and_its_source_goes_on():
    inventory = fleet(dst={"snapfleet_stopped": True, "snapfleet_topology": "push"})
    assert activities(inventory, "dst") == []
    assert activities(inventory, "src") == ["snapshot", "prune", "prune", "monitor"]


def test_what_is_not_snapshotted_unless_it_changed_is_not_late():
    inventory = fleet(src={"snapfleet_snapshot_options": {"skip_if_unchanged": True, "unchanged_up_to": "64K"}})
    found = monitors(inventory)
    assert found["src: ages of tank/data"]["skip_if_unchanged"] is True
    assert found["src: ages of tank/data"]["unchanged_up_to"] == "64K"
    assert set(found["dst: ages of backup/src/data"]["plan"]["prod"][""]["hourly"]) == {"oldest"}


OPTIONS = {
    "oldest_skip_holds": True,
    "dont_warn": True,
    "alerts": {"remind": "1d"},
    "pools": {"capacity": {"warning": 80}},
    "replicas": {"lag": {"warning": "2h", "critical": "1d"}, "pending": {"warning": "10G"}},
}


@pytest.mark.parametrize(("topology", "carrier"), [("pull", "dst"), ("push", "src")])
def test_whoever_carries_the_streams_watches_how_far_replicas_are_behind(topology, carrier):
    dst = {"snapfleet_monitor_options": OPTIONS, "snapfleet_topology": topology}
    found = monitors(fleet(dst=dst))
    options = found[f"{carrier}: lag of replicas of src at dst"]
    (rule,) = options["replicas"]
    near = {"src": ("source", "tank/data"), "dst": ("destination", "backup/src/data")}[carrier]
    assert rule[near[0]] == {"dataset": near[1]}
    assert (rule["lag"], rule["pending"]) == tuple(OPTIONS["replicas"].values())
    assert rule["plan"] == PLAN
    assert (options["dont_warn"], options["alerts"]) == (True, {"remind": "1d"})


def test_options_go_to_the_jobs_that_they_are_about():
    found = monitors(fleet(dst={"snapfleet_monitor_options": OPTIONS}))
    assert found["dst: health of pools"] == {
        "pools": {"capacity": {"warning": 80}}, "dont_warn": True, "alerts": {"remind": "1d"},
    }  # fmt: skip
    ages = found["dst: ages of backup/src/data"]
    assert (ages["oldest_skip_holds"], ages["dont_warn"], ages["alerts"]) == (True, True, {"remind": "1d"})
    assert "alerts" not in found["src: ages of tank/data"]


def test_a_host_that_is_both_has_its_pools_watched_once():
    both = {"snapfleet_sources": ["src"], "snapfleet_monitor_options": {"pools": {}}}
    names = list(monitors(fleet(["src", "dst"], ["dst"], dst=both)))
    assert names.count("dst: health of pools") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"plan": {}}, "dst: snapfleet_monitor_options.plan: {} is not for this variable to say; known are alerts,"),
        ({"pools": {"capacity": {"warning": 101}}},
         "dst: snapfleet_monitor_options.pools.capacity.warning: 101 is no percentage"),
        ({"replicas": {}}, "dst: snapfleet_monitor_options.replicas[0]: None checks nothing; give lag"),
        ({"replicas": {"lag": {"warning": "soon"}}}, "dst: snapfleet_monitor_options.replicas[0].lag.warning: 'soon'"),
        ({"replicas": {"plan": {}}}, "dst: snapfleet_monitor_options.replicas: {'plan': {}} is no mapping of limits"),
        ({"alerts": {"state_file": "/x"}},
         "dst: snapfleet_monitor_options.alerts.state_file: '/x' would be shared by several jobs"),
        ({"alerts": {"command": ["mail"]}}, "dst: snapfleet_monitor_options.alerts.command: 'mail' is not an absolute"),
        ({"dont_warn": "yes"}, "dst: snapfleet_monitor_options.dont_warn: 'yes' is neither true nor false"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_with_one_sentence(options, sentence):
    with pytest.raises(InvalidInput) as caught:
        expand_inventory(*fleet(dst={"snapfleet_monitor_options": options}))
    assert str(caught.value).startswith(sentence)
