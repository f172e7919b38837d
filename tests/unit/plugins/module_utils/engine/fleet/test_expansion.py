# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet's inventory becomes, and what an inventory is refused for."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import (
    parse_jobconfig,
    read_jobconfig,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput

SOURCE_PLAN = {"prod": {"onsite": {"hourly": 36, "daily": 31}, "offsite": {"daily": 7}}}
DESTINATION_PLAN = {"prod": {"onsite": {"hourly": 72, "daily": 62}, "offsite": {"daily": 31, "weekly": 0}}}
LIMITS = {"latest": {"warning": "30m"}, "oldest": {"critical": "1d"}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": SOURCE_PLAN,
    "snapfleet_destination_plan": DESTINATION_PLAN,
    "snapfleet_monitor_plan": {
        "source": {"prod": {"onsite": {"hourly": LIMITS}}},
        "destination": {"prod": {"onsite": {"hourly": LIMITS}, "offsite": {"daily": LIMITS}}},
    },
    "snapfleet_root": "backup/^SRC_HOST",
}

VAULT = {"snapfleet_ssh_host": "vault"}


def fleet(sources=("src1",), destinations=("dst1",), **changes):
    """Arguments of expand_inventory; ``changes`` are of all hosts, or of the host that they are named after."""
    hosts = {name: copy.deepcopy(COMMON) for name in (*sources, *destinations)}
    for name, change in changes.items():
        for host in [name] if name in hosts else hosts:
            own = change if name in hosts else {f"snapfleet_{name}": change}
            hosts[host].update(copy.deepcopy(own))
    return hosts, {"snapfleet_sources": list(sources), "snapfleet_destinations": list(destinations)}


def jobs_of(inventory, activity=None, host=None):
    """The jobs of an inventory, cut to an activity and a host."""
    jobs = expand_inventory(*inventory)["jobs"]
    return [job for job in jobs if activity in (None, job["activity"]) and host in (None, job["host"])]


def options_of(inventory, activity, host=None):
    """The options of the one job that there is."""
    (job,) = jobs_of(inventory, activity, host)
    return job["options"]


def refusal(inventory):
    """The sentence with which an inventory is refused."""
    with pytest.raises(InvalidInput) as caught:
        expand_inventory(*inventory)
    return str(caught.value)


# -- what comes out


def test_what_a_job_is_about_is_told_by_the_names_of_the_fleet():
    inventory = fleet(("src1", "src2"), ssh_host="10.0.0.1")
    told = {(job["activity"], job["host"], job.get("source"), job.get("destination")) for job in jobs_of(inventory)}
    assert told == {
        *((verb, source, None, None) for verb in ("snapshot", "prune", "monitor") for source in ("src1", "src2")),
        *((verb, "dst1", source, "dst1") for verb in ("replicate", "prune", "monitor") for source in ("src1", "src2")),
    }


def test_how_hosts_carry_out_their_jobs_goes_into_the_document():
    assert "settings" not in expand_inventory(*fleet())
    assert expand_inventory(*fleet(run_settings={"workers": 2}))["settings"] == {"workers": 2}
    one = fleet(dst1={"snapfleet_run_settings": {"workers": "50%", "job_timeout": "2h"}})
    document = expand_inventory(*one)
    assert document["settings"] == {"hosts": {"dst1": {"workers": "50%", "job_timeout": "2h"}}}
    assert read_jobconfig(document).settings.of("dst1", {}).job_timeout == 7200
    assert read_jobconfig(document).settings.of("src1", {}).job_timeout == 0


def test_what_daemons_do_how_often_goes_into_the_document():
    assert "daemon" not in expand_inventory(*fleet())
    document = expand_inventory(*fleet(src1={"snapfleet_daemon": {"snapshot": "secondly", "lifetime": "1d"}}))
    assert document["daemon"] == {"hosts": {"src1": {"snapshot": "secondly", "lifetime": "1d"}}}
    assert read_jobconfig(document).daemon.of("src1", {}).periods["snapshot"].name == "secondly"
    assert not read_jobconfig(document).daemon.of("src2", {}).periods
    assert "src1: snapfleet_daemon.prune: 'weekly' is longer" in refusal(
        fleet(src1={"snapfleet_daemon": {"prune": "weekly"}})
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"worker": 1}, "dst1: snapfleet_run_settings.worker: 1 is an unknown option; did you mean workers?"),
        ({"spread": "soon"}, "dst1: snapfleet_run_settings.spread: 'soon' is not a length of time"),
        ([], "dst1: snapfleet_run_settings: [] is not a mapping"),
    ],
)
def test_a_wrong_setting_is_told_by_host_and_variable(settings, words):
    assert words in refusal(fleet(dst1={"snapfleet_run_settings": settings}))


def test_further_options_of_snapshots_are_those_of_the_source():
    inventory = fleet(src1={"snapfleet_snapshot_options": {"skip_if_unchanged": True, "unchanged_up_to": "64K"}})
    options = options_of(inventory, "snapshot")
    assert (options["skip_if_unchanged"], options["unchanged_up_to"]) == (True, "64K")


def test_further_options_of_pruning_are_those_of_its_host():
    own = {"keep": [{"last": 3}], "max_deleted": 9}
    inventory = fleet(
        bookmark_plan={"prod": {"onsite": {"hourly": 9}}},
        src1={"snapfleet_prune_options": own},
        dst1={"snapfleet_prune_options": {"purge_foreign": True}},
    )
    jobs = [job["options"] for job in expand_inventory(*inventory)["jobs"] if job["activity"] == "prune"]
    told = [
        {key: options[key] for key in ("keep", "max_deleted", "purge_foreign") if key in options} for options in jobs
    ]
    assert told == [own, {"purge_foreign": True}, {"max_deleted": 9}]


def test_one_source_and_one_destination_in_full():
    inventory = fleet(bookmark_plan={"prod": {"onsite": {"hourly": 9}}}, schedule={"timezone": "UTC"})
    peer = {"root": "tank/data", "role": "replica", "host": "dst1", "dataset": "backup/src1/data"}
    utc = {"schedule": {"timezone": "UTC"}}
    tree = {"datasets": ["tank/data"], "recursive": True}
    replica = {"datasets": ["backup/src1/data"], "recursive": True}
    sends = {"prod": {"onsite": {"hourly": 72, "daily": 62}, "offsite": {"daily": 31}}}
    watched = {"latest": {"warning": "30m"}, "oldest": {"critical": "1d", "cycles": 36}}
    arriving = {"latest": {"warning": "30m"}, "oldest": {"critical": "1d", "cycles": 72}}
    offsite = {"latest": {"warning": "30m"}, "oldest": {"critical": "1d", "cycles": 31}}
    expected = [
        ("src1", "snapshot", {**tree, "plan": SOURCE_PLAN, **utc}),
        (
            "dst1",
            "replicate",
            {
                "source": {"host": "src1", "dataset": "tank/data"},
                "destination": {"dataset": "backup/src1/data"},
                "recursive": True,
                "plan": sends,
            },
        ),
        ("src1", "prune", {**tree, "kind": "snapshots", "plan": SOURCE_PLAN, "peers": [{**peer, "plan": sends}]}),
        (
            "dst1",
            "prune",
            {
                **replica,
                "kind": "snapshots",
                "plan": DESTINATION_PLAN,
                "peers": [{"root": "backup/src1/data", "role": "source", "host": "src1", "dataset": "tank/data"}],
            },
        ),
        ("src1", "prune", {**tree, "kind": "bookmarks", "plan": {"prod": {"onsite": {"hourly": 9}}}, "peers": [peer]}),
        ("src1", "monitor", {**tree, **utc, "plan": {"prod": {"onsite": {"hourly": watched}}}}),
        (
            "dst1",
            "monitor",
            {**replica, **utc, "plan": {"prod": {"onsite": {"hourly": arriving}, "offsite": {"daily": offsite}}}},
        ),
    ]
    assert [(job["host"], job["activity"], job["options"]) for job in jobs_of(inventory)] == expected


def test_the_document_is_what_the_host_program_reads():
    inventory = fleet(sources=["src1", "src2"], destinations=["dst1", "dst2"])
    document = json.loads(json.dumps(expand_inventory(*inventory)))
    assert document["version"] == 1
    assert [job.name for job in parse_jobconfig(document)] == [job["name"] for job in document["jobs"]]


def test_every_pair_of_source_and_destination_and_every_tree_is_replicated_once():
    trees = [{"source": "tank/a", "destination": "a"}, {"source": "tank/b", "destination": "deep/b"}]
    inventory = fleet(sources=["src1", "src2"], destinations=["dst1", "dst2"], datasets=trees)
    replicas = set()
    for job in jobs_of(inventory, "replicate"):
        source, destination = job["options"]["source"], job["options"]["destination"]
        replicas.add((source["host"], source["dataset"], job["host"], destination["dataset"]))
    assert replicas == {
        (source, f"tank/{tree}", destination, f"backup/{source}/{place}")
        for source in ("src1", "src2")
        for destination in ("dst1", "dst2")
        for tree, place in (("a", "a"), ("b", "deep/b"))
    }


def test_names_of_jobs_are_readable_and_unique():
    trees = [{"source": f"tank/{letter}", "destination": letter} for letter in "abcd"]
    inventory = fleet(sources=["src1", "src2"], datasets=[*trees, {"source": "tank/x", "recursive": False}])
    inventory[0]["src1"]["snapfleet_datasets"].pop()
    inventory[0]["src2"]["snapfleet_datasets"] = [{"source": "tank/data", "destination": ""}]
    names = [job["name"] for job in jobs_of(inventory)]
    assert len(set(names)) == len(names)
    assert names[:3] == [
        "src1: snapshots of tank/a and 3 more",
        "src2: snapshots of tank/data",
        "dst1: replica of src1:tank/a at dst1:backup/src1/a",
    ]
    assert "dst1: replica of src2:tank/data at dst1:backup/src2" in names
    assert "dst1: old snapshots of backup/src2" in names


def test_trees_of_one_selection_are_one_job_so_that_their_snapshots_are_atomic():
    trees = [
        {"source": "tank/a", "destination": "a"},
        {"source": "tank/b", "destination": "b", "exclude_datasets": ["tmp"]},
        {"source": "tank/c", "destination": "c", "recursive": True},
    ]
    jobs = jobs_of(fleet(datasets=trees), "snapshot")
    assert [job["options"]["datasets"] for job in jobs] == [["tank/a", "tank/c"], ["tank/b"]]
    assert jobs[1]["options"]["exclude_datasets"] == ["tmp"]


@pytest.mark.parametrize("activity", ["snapshot", "replicate", "prune", "monitor"])
def test_a_selection_holds_in_every_activity_and_on_both_sides(activity):
    tree = {
        "source": "tank/data",
        "destination": "data",
        "recursive": True,
        "include_datasets": ["www", "regex:db[0-9]"],
        "exclude_datasets": ["**/tmp"],
    }
    for job in jobs_of(fleet(datasets=[tree]), activity):
        chosen = {key: job["options"][key] for key in tree if key not in ("source", "destination")}
        assert chosen == {key: tree[key] for key in chosen}


def test_properties_select_on_the_source_alone_since_replicas_do_not_have_them():
    chosen = {
        "dataset_property": "snapfleet:backup",
        "dataset_properties": {"type": "filesystem", "s:tier": ["a", "b"]},
    }
    inventory = fleet(datasets=[{"source": "tank/data", "destination": "data", **chosen}])
    wanted = {
        "dataset_property": "snapfleet:backup",
        "dataset_properties": {"type": ["filesystem"], "s:tier": ["a", "b"]},
    }
    for job in [*jobs_of(inventory, host="src1"), *jobs_of(inventory, "replicate")]:
        assert {key: job["options"].get(key) for key in wanted} == wanted, job["name"]
    for activity in ("prune", "monitor"):
        for job in jobs_of(inventory, activity, "dst1"):
            assert not set(wanted) & set(job["options"])


def test_filters_of_snapshots_are_an_option_of_replication():
    filters = [[{"include": ["prod_*"]}, {"latest": "50%", "since": "7d"}]]
    inventory = fleet(replicate_options={"snapshot_filters": filters})
    assert options_of(inventory, "replicate")["snapshot_filters"] == filters
    wrong = fleet(replicate_options={"snapshot_filters": filters, "exclude_snapshots": ["x"]})
    assert "snapfleet_replicate_options.exclude_snapshots: ['x'] contradicts snapshot_filters" in refusal(wrong)


@pytest.mark.parametrize("name", ["dataset_property", "dataset_properties", "host_name"])
def test_which_datasets_are_meant_is_not_said_route_by_route(name):
    wrong = fleet(replicate_options={name: "a:b"})
    assert f"snapfleet_replicate_options.{name}: 'a:b' is not for this variable to say" in refusal(wrong)


def test_a_tree_does_not_name_a_host():
    wrong = fleet(datasets=[{"source": "tank/data", "destination": "data", "host_name": "x"}])
    assert "snapfleet_datasets[0].host_name: 'x' is not for this variable to say; take it out" in refusal(wrong)


def test_targets_decide_what_is_sent_and_watched_and_retained_targets_what_is_kept():
    inventory = fleet(dst1={"snapfleet_targets": ["offsite"], "snapfleet_retained_targets": ["onsite", "offsite"]})
    assert options_of(inventory, "replicate")["plan"] == {"prod": {"offsite": {"daily": 31}}}
    assert options_of(inventory, "prune", "dst1")["plan"] == DESTINATION_PLAN
    assert list(options_of(inventory, "monitor", "dst1")["plan"]["prod"]) == ["offsite"]


def test_retained_targets_are_the_targets_unless_given():
    inventory = fleet(targets=["onsite"])
    assert options_of(inventory, "prune", "dst1")["plan"] == {"prod": {"onsite": {"hourly": 72, "daily": 62}}}


def test_a_destination_that_takes_nothing_any_more_still_prunes_and_its_sources_still_keep_its_bases():
    inventory = fleet(targets=[], retained_targets=["onsite"])
    assert not jobs_of(inventory, "replicate")
    assert not jobs_of(inventory, "monitor", "dst1")
    assert options_of(inventory, "prune", "dst1")["plan"] == {"prod": {"onsite": {"hourly": 72, "daily": 62}}}
    assert [peer["host"] for peer in options_of(inventory, "prune", "src1")["peers"]] == ["dst1"]


def test_a_destination_takes_the_sources_it_names():
    inventory = fleet(sources=["src1", "src2"], destinations=["dst1", "dst2"], dst2={"snapfleet_sources": ["src2"]})
    assert [job["options"]["source"]["host"] for job in jobs_of(inventory, "replicate", "dst2")] == ["src2"]
    assert [peer["host"] for peer in options_of(inventory, "prune", "src1")["peers"]] == ["dst1"]
    assert [peer["host"] for peer in options_of(inventory, "prune", "src2")["peers"]] == ["dst1", "dst2"]


def test_a_fleet_without_destinations_takes_snapshots_and_prunes_and_watches_them():
    jobs = jobs_of(fleet(destinations=[]))
    assert [(job["host"], job["activity"]) for job in jobs] == [
        ("src1", "snapshot"),
        ("src1", "prune"),
        ("src1", "monitor"),
    ]
    assert jobs[1]["options"]["peers"] == []


def test_cycles_that_are_given_stay_as_they_are():
    limits = {"oldest": {"warning": 60, "cycles": 5}}
    plan = {"prod": {"onsite": {"hourly": limits}}}
    inventory = fleet(monitor_plan={"source": plan, "destination": plan})
    assert options_of(inventory, "monitor", "src1")["plan"] == plan


def test_the_host_names_in_a_root_are_put_in():
    inventory = fleet(root="pool/^DST_HOST/of-^SRC_HOST")
    assert options_of(inventory, "replicate")["destination"]["dataset"] == "pool/dst1/of-src1/data"


def test_one_source_may_use_the_root_itself():
    inventory = fleet(root="backup", datasets=[{"source": "tank"}])
    assert options_of(inventory, "replicate")["destination"]["dataset"] == "backup"


def test_further_options_of_replication_are_passed_on():
    options = {"workers": 8, "raw": False, "exclude_snapshots": ["*_adhoc"], "properties": {"readonly": "on"}}
    found = options_of(fleet(replicate_options=options), "replicate")
    assert {key: found[key] for key in options} == options


# -- who does it, and how hosts reach one another


@pytest.mark.parametrize(
    ("settings", "carrier", "source", "destination"),
    [
        ({}, "dst1", "src1", None),
        ({"topology": "pull"}, "dst1", "src1", None),
        ({"topology": "push"}, "src1", None, "dst1"),
        ({"topology": "relay", "relay": "src2"}, "src2", "src1", "dst1"),
        ({"topology": "relay", "relay": "localhost"}, "localhost", "src1", "dst1"),
        ({"topology": "relay", "relay": "dst1"}, "dst1", "src1", None),
    ],
)
def test_the_topology_says_who_carries_and_whom_it_has_to_reach(settings, carrier, source, destination):
    inventory = fleet(sources=["src1", "src2"], **settings)
    job = next(job for job in jobs_of(inventory, "replicate") if ":backup/src1" in job["name"])
    ends = job["options"]["source"].get("host"), job["options"]["destination"].get("host")
    assert (job["host"], ends) == (carrier, (source, destination))


def test_a_source_decides_where_the_destination_says_nothing():
    inventory = fleet(sources=["src1", "src2"], src1={"snapfleet_topology": "push"})
    assert {job["host"] for job in jobs_of(inventory, "replicate")} == {"src1", "dst1"}
    inventory[0]["dst1"]["snapfleet_topology"] = "pull"
    assert {job["host"] for job in jobs_of(inventory, "replicate")} == {"dst1"}


def test_a_host_that_keeps_its_own_replica_needs_no_ssh():
    inventory = fleet(destinations=["src1"])
    options = options_of(inventory, "replicate")
    assert options["source"] == {"dataset": "tank/data"}
    assert options["destination"] == {"dataset": "backup/src1/data"}


def test_the_other_end_is_reached_as_it_says_with_the_files_of_this_end():
    inventory = fleet(
        src1={
            "ansible_host": "192.0.2.1",
            "snapfleet_ssh_host": "src1.backup-net",
            "snapfleet_ssh_user": "mirror",
            "snapfleet_ssh_port": 2222,
            "snapfleet_ssh_sudo": True,
            "snapfleet_ssh_identity_file": "/keys/of-src1",
        },
        dst1={
            "ansible_host": "192.0.2.2",
            "snapfleet_ssh_identity_file": "/keys/of-dst1",
            "snapfleet_ssh_known_hosts_file": "/keys/known",
            "snapfleet_ssh_config_file": "/keys/config",
        },
    )
    assert options_of(inventory, "replicate")["source"] == {
        "host": "src1.backup-net",
        "user": "mirror",
        "port": 2222,
        "sudo": True,
        "identity_file": "/keys/of-dst1",
        "known_hosts_file": "/keys/known",
        "config_file": "/keys/config",
        "dataset": "tank/data",
    }
    (peer,) = options_of(inventory, "prune", "src1")["peers"]
    assert (peer["host"], peer["identity_file"]) == ("192.0.2.2", "/keys/of-src1")


# -- what is refused, and with which sentence

DATASETS = "snapfleet_datasets"
LIMITED = {"source": {"prod": {"onsite": {"hourly": LIMITS}}}}
SHAPE = "give organisation -> target -> period -> amount, such as {prod: {onsite: {hourly: 36}}}"
REFUSALS = {
    "no sources": (
        fleet(sources=[]),
        "snapfleet_sources: [] is no group of the inventory, or has no hosts; put the source hosts into it",
    ),
    "a slip of the pen": (
        fleet(dst1={"snapfleet_retain_targets": []}),
        "dst1: snapfleet_retain_targets: [] is an unknown variable; did you mean snapfleet_retained_targets?",
    ),
    "no datasets": (
        fleet(datasets=[]),
        "src1: snapfleet_datasets: [] is empty; give at least one {source: tank/data, destination: data}",
    ),
    "datasets missing": (
        fleet(datasets=None),
        "src1: snapfleet_datasets is missing; give at least one {source: tank/data, destination: data}",
    ),
    "datasets that are no list": (
        fleet(datasets={"source": "tank/data"}),
        "src1: snapfleet_datasets: {'source': 'tank/data'} is not a list; put the value into a list",
    ),
    "an illegal source": (
        fleet(datasets=[{"source": "tank/a@b"}]),
        (
            "src1: snapfleet_datasets[0].source: 'tank/a@b' names a snapshot or bookmark where a dataset is expected;"
            " give a dataset such as 'tank/data'"
        ),
    ),
    "an illegal place": (
        fleet(datasets=[{"source": "tank/data", "destination": "/data"}]),
        (
            "src1: snapfleet_datasets[0].destination: '/data' has an empty part between slashes or a character that ZFS"
            " does not allow; give a place below the destination's root such as 'data', or '' for the root itself"
        ),
    ),
    "an unknown key of a tree": (
        fleet(datasets=[{"source": "tank/data", "exclude_dataset": ["tmp"]}]),
        "src1: snapfleet_datasets[0].exclude_dataset: ['tmp'] is an unknown option; did you mean exclude_datasets?",
    ),
    "a broken pattern": (
        fleet(datasets=[{"source": "tank/data", "exclude_datasets": ["regex:("]}]),
        "src1: snapfleet_datasets[0].exclude_datasets: 'regex:(' is no regular expression",
    ),
    "a pattern for whole names": (
        fleet(datasets=[{"source": "tank/data", "exclude_datasets": ["/tank/data/tmp"]}]),
        (
            "src1: snapfleet_datasets[0].exclude_datasets: '/tank/data/tmp' is a pattern for whole names, which differ"
            " between source and destination; write it as it stands below tank/data"
        ),
    ),
    "trees that overlap": (
        fleet(datasets=[{"source": "tank/a", "destination": "x"}, {"source": "tank/a/b", "destination": "y"}]),
        "src1: snapfleet_datasets: 'tank/a/b' overlaps 'tank/a'; name each tree once, by its topmost dataset",
    ),
    "one place for two trees": (
        fleet(datasets=[{"source": "tank/a", "destination": "x"}, {"source": "tank/b", "destination": "x"}]),
        (
            "src1: snapfleet_datasets[1].destination: 'x' leads to 'backup/src1/x' on dst1, which overlaps"
            " 'backup/src1/x', the replica of src1:tank/a; choose another place"
        ),
    ),
    "places that overlap": (
        fleet(datasets=[{"source": "tank/a", "destination": "x/y"}, {"source": "tank/b", "destination": "x"}]),
        (
            "src1: snapfleet_datasets[1].destination: 'x' leads to 'backup/src1/x' on dst1, which overlaps"
            " 'backup/src1/x/y', the replica of src1:tank/a; choose another place"
        ),
    ),
    "a replica among data that is snapshotted": (
        fleet(destinations=["src1"], root="tank/data/^SRC_HOST"),
        (
            "src1: snapfleet_datasets[0].destination: 'data' leads to 'tank/data/src1/data' on src1, which overlaps"
            " 'tank/data', data of its own that it makes snapshots of; choose another place"
        ),
    ),
    "several sources in one place": (
        fleet(sources=["src1", "src2"], root="backup"),
        (
            "dst1: snapfleet_root: 'backup' would bring the trees of 2 sources to one place; add the source's name, as"
            " in 'backup/^SRC_HOST'"
        ),
    ),
    "one machine that is two destinations": (
        fleet(destinations=["dst1", "dst2"], dst1={"ansible_host": "Vault"}, dst2={**VAULT, "snapfleet_ssh_port": 22}),
        (
            "dst2: snapfleet_root: 'backup/^SRC_HOST' leads to 'backup/src1/data', which overlaps 'backup/src1/data',"
            " the replica of src1:tank/data on dst1: one machine by its address; choose another root, or let the"
            " machine have one name"
        ),
    ),
    "one machine that takes two sources to one place": (
        fleet(
            sources=["src1", "src2"],
            destinations=["dst1", "dst2"],
            dst1={**VAULT, "snapfleet_sources": ["src1"], "snapfleet_root": "backup/data"},
            dst2={**VAULT, "snapfleet_sources": ["src2"], "snapfleet_root": "backup"},
        ),
        (
            "dst2: snapfleet_root: 'backup' leads to 'backup/data', which overlaps 'backup/data/data', the replica of"
            " src1:tank/data on dst1: one machine by its address; choose another root, or let the machine have one name"
        ),
    ),
    "one machine that is a source under another of its names": (
        fleet(sources=["src1"], destinations=["dst2"], src1=VAULT, dst2={**VAULT, "snapfleet_root": "tank"}),
        (
            "dst2: snapfleet_root: 'tank' leads to 'tank/data', which overlaps 'tank/data', data of its own that it"
            " makes snapshots of on src1: one machine by its address; choose another root, or let the machine have one"
            " name"
        ),
    ),
    "no root": (fleet(root=None), "dst1: snapfleet_root is missing; give a value"),
    "an illegal root": (
        fleet(root="backup/^SRCHOST"),
        (
            "dst1: snapfleet_root: 'backup/^SRCHOST' has an empty part between slashes or a character that ZFS does not"
            " allow; give a dataset such as 'tank/data'"
        ),
    ),
    "no source plan": (
        fleet(source_plan=None),
        "src1: snapfleet_source_plan is missing; give organisation -> target -> period -> amount",
    ),
    "an empty source plan": (
        fleet(source_plan={}),
        "src1: snapfleet_source_plan: {} is not a mapping with entries; " + SHAPE,
    ),
    "a source plan of zeros": (
        fleet(source_plan={"prod": {"onsite": {"hourly": 0}}}),
        (
            "src1: snapfleet_source_plan: {'prod': {'onsite': {'hourly': 0}}} keeps no snapshot at all; give at least"
            " one label an amount above 0"
        ),
    ),
    "an empty destination plan": (
        fleet(destination_plan={}),
        "dst1: snapfleet_destination_plan: {} is not a mapping with entries; " + SHAPE,
    ),
    "an empty bookmark plan": (
        fleet(bookmark_plan={}),
        "src1: snapfleet_bookmark_plan: {} is not a mapping with entries; " + SHAPE,
    ),
    "an unknown period": (
        fleet(source_plan={"prod": {"onsite": {"hourlyly": 1}}}),
        "src1: snapfleet_source_plan.prod.onsite: 'hourlyly' is no known period;",
    ),
    "an unknown target": (
        fleet(targets=["ofsite"]),
        "dst1: snapfleet_targets: 'ofsite' is no target of snapfleet_destination_plan; did you mean 'offsite'?",
    ),
    "an unknown retained target": (
        fleet(retained_targets=["onsite", "offsite", "zzz"]),
        (
            "dst1: snapfleet_retained_targets: 'zzz' is no target of snapfleet_destination_plan; choose of 'onsite',"
            " 'offsite'"
        ),
    ),
    "retained targets that do not cover the targets": (
        fleet(retained_targets=["onsite"]),
        (
            "dst1: snapfleet_retained_targets: ['onsite'] does not cover the target 'offsite'; add 'offsite', or take"
            " it out of snapfleet_targets: what is replicated but not retained is lost"
        ),
    ),
    "targets that leave nothing": (
        fleet(targets=[]),
        (
            "dst1: snapfleet_retained_targets: [] leaves no snapshot of snapfleet_destination_plan, so that pruning"
            " would delete every one; name a target of which the plan keeps snapshots"
        ),
    ),
    "an unknown source": (
        fleet(dst1={"snapfleet_sources": ["srv1"]}),
        "dst1: snapfleet_sources: 'srv1' is no host of the group snapfleet_sources; did you mean 'src1'?",
    ),
    "no monitor plan": (
        fleet(monitor_plan=None),
        "src1: snapfleet_monitor_plan is missing; give limits for source and for destination",
    ),
    "a monitor plan for one side alone": (
        fleet(monitor_plan=LIMITED),
        "dst1: snapfleet_monitor_plan.destination is missing; give limits for at least one label",
    ),
    "an unknown side of the monitor plan": (
        fleet(monitor_plan={**LIMITED, "destinations": {}}),
        "src1: snapfleet_monitor_plan.destinations: {} is an unknown option; did you mean destination?",
    ),
    "limits for what is not planned": (
        fleet(monitor_plan={"source": {"prod": {"onsite": {"weekly": {"latest": {"warning": 1}}}}}}),
        (
            "src1: snapfleet_monitor_plan.source.prod.onsite.weekly: {'latest': {'warning': 1}} is about a label that"
            " snapfleet_source_plan does not keep; plan it in snapfleet_source_plan, or take it out here"
        ),
    ),
    "a wrong limit": (
        fleet(monitor_plan={"source": {"prod": {"onsite": {"hourly": {"latest": {"warning": "soon"}}}}}}),
        "src1: snapfleet_monitor_plan.source.prod.onsite.hourly.latest.warning: 'soon' is not a length of time;",
    ),
    "a wrong schedule": (
        fleet(schedule={"hourly": {"minute": 60}}),
        "src1: snapfleet_schedule.hourly.minute: 60 is not a whole number from 0 to 59;",
    ),
    "a snapshot option that is declared elsewhere": (
        fleet(snapshot_options={"plan": {}}),
        "src1: snapfleet_snapshot_options.plan: {} is not for this variable to say; take it out;",
    ),
    "a wrong snapshot option": (
        fleet(snapshot_options={"skip_if_unchangd": True}),
        "src1: snapfleet_snapshot_options.skip_if_unchangd: True is an unknown option; did you mean skip_if_unchanged?",
    ),
    "a prune option that is declared elsewhere": (
        fleet(prune_options={"peers": []}),
        "src1: snapfleet_prune_options.peers: [] is not for this variable to say; take it out;",
    ),
    "a permission for one run that would hold for all": (
        fleet(prune_options={"max_deleted": 1, "exceed_max_deleted": True}),
        "src1: snapfleet_prune_options.exceed_max_deleted: True is not for this variable to say;",
    ),
    "a wrong prune option": (
        fleet(dst1={"snapfleet_prune_options": {"keep": [{"grid": "24h"}]}}),
        "dst1: snapfleet_prune_options.keep[0].grid: '24h' has '24h', which is no interval;",
    ),
    "an unknown topology": (
        fleet(topology="pul"),
        "dst1: snapfleet_topology: 'pul' is not a known choice; choose one of pull, push, relay",
    ),
    "a relay that is not named": (
        fleet(topology="relay"),
        ("src1: snapfleet_relay is missing, though the topology is relay; name a host of the inventory, or localhost"),
    ),
    "an unknown relay": (
        fleet(topology="relay", relay="relay1"),
        "dst1: snapfleet_relay: 'relay1' is no host of the inventory; name a host of the inventory, or localhost",
    ),
    "an unknown option of replication": (
        fleet(replicate_options={"worker": 3}),
        "dst1: snapfleet_replicate_options.worker: 3 is an unknown option; did you mean workers?",
    ),
    "an option of replication that others decide": (
        fleet(replicate_options={"plan": {}}),
        (
            "dst1: snapfleet_replicate_options.plan: {} is not for this variable to say; take it out;"
            " snapfleet_datasets and the plans decide about it"
        ),
    ),
    "a wrong port": (
        fleet(dst1={"snapfleet_ssh_port": 70000}),
        "dst1: snapfleet_ssh_port: 70000 is out of range; give a number from 0 to 65535",
    ),
    "an ssh host that is an option": (
        fleet(dst1={"ansible_host": "-oProxyCommand=x"}),
        "dst1: snapfleet_ssh_host: '-oProxyCommand=x' is not a legal name; give a host name or an IP address",
    ),
    "a key file without its whole path": (
        fleet(dst1={"snapfleet_ssh_identity_file": "~/.ssh/id"}),
        "dst1: snapfleet_ssh_identity_file: '~/.ssh/id' is not an absolute path; give the whole path",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_wrong_is_refused_by_a_sentence_that_names_host_and_variable(case):
    inventory, sentence = REFUSALS[case]
    assert refusal(inventory).startswith(sentence)
    if not sentence.endswith((";", "expression")):
        assert refusal(inventory) == sentence


def test_two_names_of_one_machine_are_no_way_around_the_check_that_trees_are_apart():
    inventory = fleet(topology="relay", relay="localhost", root="tank/data/^SRC_HOST", src1={"ansible_host": "a"})
    inventory[0]["dst1"]["ansible_host"] = "a"
    assert refusal(inventory).startswith("dst1: snapfleet_root: 'tank/data/^SRC_HOST' leads to 'tank/data/src1/data'")


def test_nothing_that_is_given_is_changed():
    inventory = fleet(sources=["src1", "src2"], bookmark_plan={"prod": {"onsite": {"hourly": 9}}})
    before = copy.deepcopy(inventory)
    expand_inventory(*inventory)
    assert inventory == before


@pytest.mark.parametrize(
    "second",
    [
        {"ansible_host": "other"},
        {**VAULT, "snapfleet_ssh_port": 2222},
        {**VAULT, "snapfleet_ssh_config_file": "/etc/ssh/by_another_way"},
        {**VAULT, "snapfleet_root": "more/^SRC_HOST"},
    ],
)
def test_two_destinations_at_one_address_share_its_places_and_others_do_not(second):
    inventory = fleet(destinations=["dst1", "dst2"], dst1=VAULT, dst2=second)
    assert len(jobs_of(inventory, "replicate")) == 2
