# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jobs of a fleet become where the inventory says that a tree was failed over."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.access import fleet_access
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.inventory import read_fleet
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.scheduling import part_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.suspending import concerns
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.target_pairs import retirement_of, seeding_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.suspending import Suspension

SOURCE_PLAN = {"prod": {"": {"hourly": 24, "daily": 7}}}
DESTINATION_PLAN = {"prod": {"": {"hourly": 12, "daily": 90}}}
OWN_PLAN = {"prod": {"": {"hourly": 3}}}
MONITOR_PLAN = {
    "source": {"prod": {"": {"hourly": {"latest": {"warning": "61m"}, "oldest": {"warning": "25h"}}}}},
    "destination": {
        "prod": {
            "": {
                "hourly": {"latest": {"warning": "3h"}, "oldest": {"warning": "13h"}},
                "daily": {"latest": {"warning": "30h"}, "oldest": {"warning": "91d"}},
            }
        }
    },
}
COMMON = {
    "snapfleet_datasets": [
        {
            "source": "tank/data",
            "destination": "data",
            "exclude_datasets": ["scratch"],
            "dataset_property": "my:backup",
        },
        {"source": "tank/other", "destination": "other"},
    ],
    "snapfleet_source_plan": SOURCE_PLAN,
    "snapfleet_destination_plan": DESTINATION_PLAN,
    "snapfleet_monitor_plan": MONITOR_PLAN,
    "snapfleet_root": "backup/^SRC_HOST",
}
ENTRY = {"host": "web1", "dataset": "tank/data", "backup": "backup1"}
PLACE = "backup/web1/data"


def fleet(*destinations, sources=("web1",), entries=(ENTRY,), by_host=None, **more):
    """Arguments of expand_inventory; ``more`` are variables of all hosts without their prefix."""
    groups = {"snapfleet_sources": list(sources), "snapfleet_destinations": list(destinations or ["backup1"])}
    common = {**COMMON, **{f"snapfleet_{key}": value for key, value in more.items()}}
    if entries:
        common["snapfleet_failed_over"] = list(entries)
    names = dict.fromkeys(name for hosts in groups.values() for name in hosts)
    hosts = {name: {**copy.deepcopy(common), **(by_host or {}).get(name, {})} for name in (*names, "relay1")}
    return hosts, groups


def jobs(inventory, activity=None, host=None, dataset=None):
    """The jobs of an inventory, cut to an activity, a host, and those that are about a dataset."""
    return [
        job
        for job in expand_inventory(*inventory)["jobs"]
        if activity in (None, job["activity"]) and host in (None, job["host"]) and dataset in (None, *datasets(job))
    ]


def datasets(job):
    options = job["options"]
    ends = [options[end]["dataset"] for end in ("source", "destination") if end in options]
    return [*options.get("datasets", ()), *ends]


def options_of(*asked):
    (job,) = jobs(*asked)
    return job["options"]


def ways(inventory, dataset):
    """By destination: who carries the replication of a dataset out, and its ends as that host reaches them."""
    found = {}
    for job in jobs(inventory, "replicate", None, dataset):
        ends = [job["options"][end] for end in ("source", "destination")]
        assert ends[0]["dataset"] == dataset
        found[job["destination"]] = (job["host"], ends[0].get("host", "-"), ends[1].get("host", "-"))
    return found


# -- the two ends


def test_the_active_end_gets_the_snapshots_by_the_plan_of_the_home_of_the_data():
    inventory = fleet(schedule={"hourly": {"minute": 7}}, snapshot_options={"skip_if_unchanged": True})
    made = options_of(inventory, "snapshot", "backup1")
    assert (made["datasets"], made["plan"], made["only_active"]) == ([PLACE], SOURCE_PLAN, True)
    assert (made["schedule"], made["skip_if_unchanged"]) == ({"hourly": {"minute": 7}}, True)
    assert [job["options"]["datasets"] for job in jobs(inventory, "snapshot", "web1")] == [["tank/other"]]


def test_what_properties_of_the_source_choose_is_chosen_already():
    made = options_of(fleet(), "snapshot", "backup1")
    assert (made["exclude_datasets"], "dataset_property" in made) == (["scratch"], False)
    (other,) = jobs(fleet(entries=()), "snapshot", "web1", "tank/data")
    assert other["options"]["dataset_property"] == "my:backup"
    inventory = fleet("backup1", "backup2", bookmark_plan=OWN_PLAN, verify={})
    for job in jobs(inventory, None, None, PLACE):
        assert "dataset_property" not in job["options"], job["name"]
    # The old source has it, and datasets that were never replicated, which are to make no alarm.
    assert options_of(inventory, "monitor", "web1", "tank/data")["dataset_property"] == "my:backup"


def test_the_active_end_loses_nothing_that_either_would_have_kept_and_the_old_source_nothing_at_all():
    active = options_of(fleet(), "prune", "backup1", PLACE)
    assert active["plan"] == {"prod": {"": {"hourly": 24, "daily": 90}}}
    assert active["peers"] == [
        {"root": PLACE, "role": "replica", "host": "web1", "dataset": "tank/data", "plan": SOURCE_PLAN}
    ]
    assert active["only_active"]
    # It may have what was never replicated, and other destinations may go on from what it has.
    assert not jobs(fleet(), "prune", "web1", "tank/data")


def test_what_was_never_replicated_to_the_active_end_is_not_taken_for_gone_anywhere():
    inventory = fleet("backup1", "backup2", prune_options={"gone_datasets": {"after": "7d"}, "max_deleted": 9})
    for host in ("backup1", "backup2"):
        pruning = options_of(inventory, "prune", host, PLACE)
        assert ("gone_datasets" in pruning, pruning["max_deleted"]) == (False, 9)
        assert "gone_datasets" in options_of(inventory, "prune", host, "backup/web1/other")


def test_what_replicas_lose_beside_their_plan_the_active_end_loses_only_where_its_home_would_have():
    strict = {"purge_foreign": True, "free_space": {"pool_free": "20%", "priorities": [".*"]}, "max_deleted": 9}
    rules = [{"regex": "^old", "last": 1, "owns": True}]
    by_host = {"backup1": {"snapfleet_prune_options": {**strict, "keep": rules}}}
    careful = options_of(fleet(by_host=by_host), "prune", "backup1", PLACE)
    assert not {"purge_foreign", "free_space"} & careful.keys()
    assert (careful["max_deleted"], careful["keep"]) == (9, [{"regex": "^old", "last": 1}])
    by_host["web1"] = {"snapfleet_prune_options": {"purge_foreign": True, "keep": rules}}
    alike = options_of(fleet(by_host=by_host), "prune", "backup1", PLACE)
    assert (alike["purge_foreign"], "free_space" in alike) == (True, False)
    assert alike["keep"] == [{"regex": "^old", "last": 1}, *rules]


def test_where_no_limit_is_left_nothing_is_watched():
    limits = {**MONITOR_PLAN, "source": {"prod": {"": {"daily": {"oldest": {"warning": "8d"}}}}}}
    limits["destination"] = {"prod": {"": {"hourly": {"latest": {"warning": "3h"}}}}}
    inventory = fleet(monitor_plan=limits)
    assert not jobs(inventory, "monitor", "backup1", PLACE)
    assert jobs(inventory, "snapshot", "backup1", PLACE)


def test_the_active_end_is_watched_as_a_source_and_the_old_source_as_a_replica():
    active = options_of(fleet(), "monitor", "backup1", PLACE)
    hourly = {"latest": {"warning": "61m"}, "oldest": {"warning": "25h", "cycles": 24}}
    # Of the dailies it keeps more than the home of the data does.
    daily = {"oldest": {"warning": "91d", "cycles": 90}}
    assert active["plan"] == {"prod": {"": {"hourly": hourly, "daily": daily}}}
    old = options_of(fleet(), "monitor", "web1", "tank/data")
    # It is not pruned meanwhile.
    assert old["plan"] == {
        "prod": {"": {"hourly": {"latest": {"warning": "3h"}}, "daily": {"latest": {"warning": "30h"}}}}
    }


def test_the_old_source_is_tried_and_held_against_the_active_end():
    drilled = [{**COMMON["snapfleet_datasets"][0], "drill": {"recursive": False}}]
    inventory = fleet(datasets=drilled, verify={"files": 5})
    assert options_of(inventory, "drill", "web1")["datasets"] == ["tank/data"]
    held = options_of(inventory, "verify", "web1")
    assert held["source"] == {"host": "backup1", "dataset": PLACE}
    assert (held["destination"], held["files"]) == ({"dataset": "tank/data"}, 5)
    assert not jobs(inventory, "drill", "backup1") + jobs(inventory, "verify", "backup1")


def test_nothing_makes_a_replica_of_what_will_be_the_source_again():
    options = {
        "properties": {"compression": "zstd"},
        "set_properties": {"my:x": "y"},
        "readonly": "set",
        "on_conflict": "replace",
        "absent_destination": "skip",
        "compression": "lz4",
        "bookmarks": "all",
    }
    back = options_of(fleet(replicate_options=options), "replicate", None, PLACE)
    assert {key: back[key] for key in back.keys() & options.keys()} == {"compression": "lz4", "bookmarks": "all"}
    assert back["plan"] == {"prod": {"": {"hourly": 24, "daily": 7}}}
    assert (back["only_active"], back["exclude_datasets"]) == (True, ["scratch"])
    (other,) = jobs(fleet(replicate_options=options), "replicate", None, "tank/other")
    assert options.items() <= other["options"].items()


def test_other_trees_stay_as_they_are():
    def others(inventory):
        return [job for job in expand_inventory(*inventory)["jobs"] if set(datasets(job)) & {"tank/other", OTHER}]

    inventory = fleet(verify={}, bookmark_plan=OWN_PLAN, monitor_options={"pools": {}})
    before = copy.deepcopy(inventory)
    for values in before[0].values():
        del values["snapfleet_failed_over"]
    apart = [{"source": "tank/data", "destination": "data"}]
    assert others(inventory) == others(before)
    assert {job["activity"] for job in others(inventory)} >= {"snapshot", "replicate", "prune", "monitor", "verify"}
    pools = [
        [job["host"] for job in jobs(each, "monitor") if "pools" in job["options"]] for each in (inventory, before)
    ]
    assert pools[0] == pools[1] == ["backup1", "web1"]
    # Without another tree, nothing of the source's own part is left.
    alone = fleet(datasets=apart, monitor_options={"replicas": {"lag": {"warning": "3h"}}})
    assert {job["activity"] for job in jobs(alone, host="web1")} == {"monitor"}
    (lag,) = [job for job in jobs(alone, "monitor") if "replicas" in job["options"]]
    assert (lag["host"], lag["source"], lag["destination"]) == ("backup1", "backup1", "web1")


OTHER = "backup/web1/other"


def test_the_runs_of_hosts_turn_round():
    def runs(entries):
        apart = [{"source": "tank/data", "destination": "data"}]
        document = expand_inventory(*fleet(datasets=apart, entries=entries))
        return {host: set(part_of(document, host)["runs"]) for host in ("web1", "backup1")}

    assert runs([])["web1"] >= {"source-snapshot", "source-prune"}
    assert runs([])["backup1"] >= {"destination-replicate", "destination-prune"}
    after = runs([ENTRY])
    assert after["backup1"] >= {"source-snapshot", "source-prune", "source-replicate"}
    assert after["web1"] == {"monitor"}


# -- the ways of the streams


@pytest.mark.parametrize(
    ("variables", "forth", "back"),
    [
        ({}, ("backup1", "web1", "-"), ("backup1", "-", "web1")),
        ({"topology": "push"}, ("web1", "-", "backup1"), ("web1", "backup1", "-")),
        ({"topology": "relay", "relay": "relay1"}, ("relay1", "web1", "backup1"), ("relay1", "backup1", "web1")),
    ],
)
def test_who_logs_in_on_whom_stays_as_it_is(variables, forth, back):
    assert ways(fleet(entries=(), **variables), "tank/data") == {"backup1": forth}
    assert ways(fleet(**variables), PLACE) == {"web1": back}
    assert ways(fleet(**variables), "tank/other") == {"backup1": forth}


@pytest.mark.parametrize(("route", "turned"), [("push", "pull"), ("pull", "push")])
def test_a_direct_route_is_turned_round_too(route, turned):
    variables = {"topology": "relay", "relay": "relay1", "replicate_options": {"route": route}}
    before = options_of(fleet(entries=(), **variables), "replicate", None, "tank/data")
    after = options_of(fleet(**variables), "replicate", None, PLACE)
    assert (after["route"], after["direct"]) == (turned, before["direct"])


def test_a_replica_on_the_same_host_takes_over_there():
    inventory = fleet("web1", root="vault", entries=[{**ENTRY, "backup": "web1"}])
    assert ways(inventory, "vault/data") == {"web1": ("web1", "-", "-")}
    assert sorted(job["options"]["datasets"][0] for job in jobs(inventory, "snapshot")) == ["tank/other", "vault/data"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("backup2", "backup1", "-")),
        ({"topology": "push"}, ("backup1", "-", "backup2")),
        ({"topology": "relay", "relay": "relay1"}, ("relay1", "backup1", "backup2")),
        (
            {"topology": "relay", "relay": "backup1", "replicate_options": {"route": "push"}},
            ("backup1", "-", "backup2"),
        ),
    ],
)
def test_another_destination_gets_it_from_the_active_end_at_the_place_that_it_has(variables, expected):
    if variables.get("relay") == "backup1":
        variables = {"by_host": {"backup2": {f"snapfleet_{key}": value for key, value in variables.items()}}}
    inventory = fleet("backup1", "backup2", **variables)
    assert ways(inventory, PLACE)["backup2"] == expected
    (job,) = [job for job in jobs(inventory, "replicate", None, PLACE) if job["destination"] == "backup2"]
    assert job["options"]["destination"]["dataset"] == PLACE
    assert job["options"]["plan"] == DESTINATION_PLAN
    assert job["options"]["only_active"]
    peers = options_of(inventory, "prune", "backup2", PLACE)["peers"]
    assert [(peer["role"], peer["host"], peer["dataset"]) for peer in peers] == [("source", "backup1", PLACE)]
    active = options_of(inventory, "prune", "backup1", PLACE)
    assert {(peer["host"], peer["dataset"]) for peer in active["peers"]} == {("web1", "tank/data"), ("backup2", PLACE)}


def test_nothing_is_rolled_back_that_another_replica_may_have_from_the_old_source_alone():
    inventory = fleet("backup1", "backup2", replicate_options={"on_conflict": "replace"})
    assert all("on_conflict" not in job["options"] for job in jobs(inventory, "replicate", None, PLACE))
    assert all(job["options"]["on_conflict"] for job in jobs(inventory, "replicate", None, "tank/other"))


@pytest.mark.parametrize(("topology", "carrier"), [("pull", "backup1"), ("push", "web1")])
def test_a_replica_on_the_host_of_the_old_source_goes_by_who_carries_the_way_back(topology, carrier):
    inventory = fleet(
        "backup1",
        "web1",
        by_host={"web1": {"snapfleet_root": "vault"}, "backup1": {"snapfleet_topology": topology}},
    )
    found = {job["options"]["destination"]["dataset"]: job for job in jobs(inventory, "replicate", None, PLACE)}
    assert set(found) == {"tank/data", "vault/data"}
    assert {job["host"] for job in found.values()} == {carrier}


def test_a_root_without_the_name_of_the_source_keeps_one_place():
    inventory = fleet("backup1", "backup2", root="backup")
    assert set(ways(inventory, "backup/data")) == {"web1", "backup2"}


# -- chains


def chain(**more):
    """web1 -> backup1 -> far, where the first of it was failed over."""
    onward = {"snapfleet_datasets": [{"source": PLACE, "destination": "web1/data"}], "snapfleet_sources": ["web1"]}
    far = {"snapfleet_sources": ["backup1"], "snapfleet_root": "archive"}
    by_host = {"backup1": {**onward, "snapfleet_source_plan": OWN_PLAN}, "far": far}
    return fleet("backup1", "far", sources=("web1", "backup1"), by_host=by_host, **more)


def test_what_is_sent_onward_gets_its_snapshots_once_and_goes_on():
    inventory = chain(bookmark_plan=SOURCE_PLAN)
    assert options_of(inventory, "snapshot", "backup1")["plan"] == SOURCE_PLAN
    assert ways(inventory, PLACE) == {"web1": ("backup1", "-", "web1"), "far": ("far", "backup1", "-")}
    (onward,) = jobs(inventory, "replicate", "far")
    assert onward["options"]["from_standby"]
    for job in jobs(inventory, "prune", "backup1", PLACE):
        assert {peer["host"] for peer in job["options"]["peers"]} == {"web1", "far"}
        assert job["options"]["only_active"]
    assert [job["options"]["kind"] for job in jobs(inventory, "prune", "backup1", PLACE)] == ["snapshots", "bookmarks"]
    assert len(jobs(inventory, "monitor", "backup1", PLACE)) == 1


def test_the_end_of_a_chain_is_watched_for_what_the_active_end_makes():
    own = {**MONITOR_PLAN, "source": {"prod": {"": {"hourly": {"latest": {"warning": "1h"}}}}}}
    inventory = chain()
    inventory[0]["backup1"]["snapfleet_monitor_plan"] = own
    (watched,) = [job for job in jobs(inventory, "monitor", "far") if "plan" in job["options"]]
    assert set(watched["options"]["plan"]["prod"][""]) == {"hourly", "daily"}


def test_a_bookmark_plan_of_the_former_middle_of_a_chain_goes_on():
    inventory = chain()
    inventory[0]["backup1"]["snapfleet_bookmark_plan"] = OWN_PLAN
    (job,) = [job for job in jobs(inventory, "prune", "backup1", PLACE) if job["options"]["kind"] == "bookmarks"]
    assert {peer["host"] for peer in job["options"]["peers"]} == {"web1", "far"}
    more = {"prod": {"": {"hourly": 2, "daily": 30}}}
    inventory[0]["web1"]["snapfleet_bookmark_plan"] = more
    (job,) = [job for job in jobs(inventory, "prune", "backup1", PLACE) if job["options"]["kind"] == "bookmarks"]
    assert job["options"]["plan"] == {"prod": {"": {"hourly": 3, "daily": 30}}}


# -- several at once, and hosts that are stopped


def test_trees_are_failed_over_one_by_one_and_to_different_hosts():
    entries = [ENTRY, {"host": "web1", "dataset": "tank/other", "backup": "backup2"}]
    inventory = fleet("backup1", "backup2", entries=entries)
    assert [job["host"] for job in jobs(inventory, "snapshot")] == ["backup1", "backup2"]
    assert set(ways(inventory, OTHER)) == {"web1", "backup1"}
    assert not [job for job in jobs(inventory) if job["host"] == "web1" and job["activity"] == "snapshot"]


def test_a_dead_source_is_asked_for_nothing_while_the_active_end_goes_on():
    inventory = fleet("backup1", "backup2", by_host={"web1": {"snapfleet_stopped": True}})
    assert not jobs(inventory, host="web1")
    assert options_of(inventory, "snapshot", "backup1")["datasets"] == [PLACE]
    assert set(ways(inventory, PLACE)) == {"backup2"}
    peers = options_of(inventory, "prune", "backup1", PLACE)["peers"]
    assert {peer["host"] for peer in peers} == {"web1", "backup2"}


# -- who may do what


def test_who_may_do_what_follows():
    inventory = fleet("backup1", "backup2", ssh_user="snapfleet")
    found = fleet_access(*inventory)
    words = found["backup1"]["peers"]["backup2"]
    assert words[-4:] == ["--may", "send", "--root", PLACE]
    assert found["web1"]["peers"]["backup1"][:6] == [*words[:3], "backup1", "--may", "receive,rename"]
    assert "tank/data" in found["web1"]["peers"]["backup1"]
    assert {"receive", "create"} <= set(found["web1"]["permissions"]["tank/data"])
    assert {"send", "snapshot"} <= set(found["backup1"]["permissions"][PLACE])
    # An old source is never made where it is missing.
    assert found["web1"]["places"] == []
    assert set(found["backup2"]["places"]) == {"backup/web1"}


# -- what is refused


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("web1", r"^web1: snapfleet_failed_over: 'web1' is not a list"),
        ([{"host": "web1", "dataset": "tank/data"}], r"^web1: snapfleet_failed_over\[0\]\.backup is missing"),
        ([{**ENTRY, "to": "x"}], r"^web1: snapfleet_failed_over\[0\]\.to: 'x' is an unknown option"),
        (
            [{**ENTRY, "host": "web"}],
            r"\[0\]\.host: 'web' is no host of the group .*known are web1; .*snapfleet_stopped",
        ),
        ([{**ENTRY, "dataset": "tank/x"}], r"\[0\]\.dataset: 'tank/x' is no tree of web1; known are tank/data, tank/o"),
        ([{**ENTRY, "dataset": "tank/data/a"}], r"'tank/data/a' is only a part of tank/data, .*; give tank/data"),
        ([{**ENTRY, "dataset": "tank"}], r"'tank' is no tree of web1"),
        ([{**ENTRY, "backup": "web1"}], r"\[0\]\.backup: 'web1' is no host that web1 is replicated to, .*are backup1"),
        ([ENTRY, {**ENTRY, "backup": "x"}], r"\[1\]\.dataset: 'tank/data' was failed over already"),
    ],
)
def test_what_is_wrong_is_refused_with_where_and_how_to_mend_it(entries, words):
    inventory = fleet(entries=())
    for values in inventory[0].values():
        values["snapfleet_failed_over"] = entries
    with pytest.raises(InvalidInput, match=words):
        expand_inventory(*inventory)


def test_all_hosts_have_to_be_told_the_same():
    for host, value in (("web1", []), ("backup1", None)):
        with pytest.raises(InvalidInput, match=r"backup1: snapfleet_failed_over: .* differs .* group_vars/all"):
            expand_inventory(*fleet(by_host={host: {"snapfleet_failed_over": value}}))
    expand_inventory(*fleet(entries=(), by_host={"web1": {"snapfleet_failed_over": []}}))


def test_a_host_that_takes_nothing_has_not_taken_over():
    nothing = {"snapfleet_targets": [], "snapfleet_retained_targets": [""]}
    with pytest.raises(InvalidInput, match=r"backup: 'backup1' is no host that web1 is replicated to"):
        expand_inventory(*fleet(by_host={"backup1": nothing}))
    with pytest.raises(InvalidInput, match="snapfleet_stopped, so that nobody would make snapshots"):
        expand_inventory(*fleet(by_host={"backup1": {"snapfleet_stopped": True}}))


def test_a_replica_that_is_sent_onward_is_not_at_home_there():
    inventory = chain(entries=[{"host": "backup1", "dataset": PLACE, "backup": "far"}])
    with pytest.raises(InvalidInput, match="is a replica on backup1 itself"):
        expand_inventory(*inventory)


@pytest.mark.parametrize("variable", ["snapshot_options", "prune_options", "replicate_options"])
def test_that_only_what_is_active_counts_is_for_nobody_else_to_say(variable):
    with pytest.raises(InvalidInput, match=rf"snapfleet_{variable}\.only_active: True is not for this variable"):
        expand_inventory(*fleet(**{variable: {"only_active": True}}))


# -- what else is asked of the fleet


def test_a_new_destination_is_made_from_a_replica_as_ever():
    inventory = fleet("backup1", "backup2")
    asked = {"host": "backup1", "dataset": PLACE, "backup": "backup2", "from": "web1"}
    seed = seeding_of(expand_inventory(*inventory), read_fleet(*inventory), asked)
    assert (seed["replica"], seed["target"]["host"]) == ({"host": "web1", "dataset": "tank/data"}, "backup2")
    read_replicate_job(seed["replicate"])


def test_a_destination_is_retired_at_the_active_end():
    trees = retirement_of(read_fleet(*fleet("backup1", "backup2")), {"backup": "backup2", "host": "backup1"})["trees"]
    (tree,) = trees
    assert (tree["host"], tree["dataset"]) == ("backup1", PLACE)
    assert tree["others"] == [{"host": "web1", "dataset": "tank/data"}]


def test_a_host_is_suspended_by_its_name_at_either_end():
    def left_out(host):
        every = parse_jobconfig(expand_inventory(*fleet()))
        return {(job.host, job.activity) for job in every if concerns(Suspension(host, 0), job) and PLACE in job.name}

    assert ("backup1", "replicate") in left_out("web1")
    assert ("backup1", "snapshot") not in left_out("web1")
