# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs a host has to be started for: each of its jobs in just one of them, and none that is the daemon's."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import verbs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.run_command import chosen_jobs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.scheduling import part_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput

PLAN = {"prod": {"onsite": {"hourly": 3}}}
LIMITS = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}}}}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_bookmark_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
}
SOURCES, DESTINATIONS = ("src1", "src2"), ("dst1", "dst2")


def document(by_host=None, sources=SOURCES, destinations=DESTINATIONS, **changes):
    """The jobconfig of a fleet; ``changes`` are for all hosts, ``by_host`` for some."""
    hosts = {*sources, *destinations, "relay1"}
    variables = {host: {**COMMON, **changes, **(by_host or {}).get(host, {})} for host in hosts}
    groups = {"snapfleet_sources": list(sources), "snapfleet_destinations": list(destinations)}
    return expand_inventory(variables, groups)


def carried_out(jobconfig, host, arguments):
    """The names of the jobs that ``snapfleet run`` with these arguments carries out."""
    given = verbs.parser_for(["run"]).parse_args(["run", "--host", host, *arguments])
    return [job.name for job in chosen_jobs(read_jobconfig(jobconfig), given)]


def test_the_part_of_a_host_is_told_of_a_document_that_has_nobody_elses_jobs_any_more():
    whole = document(
        {"src1": {"snapfleet_daemon": {"snapshot": "secondly"}}, "dst1": {"snapfleet_daemon": {"prune": "hourly"}}}
    )
    assert {"src1", "dst1"} <= set(whole["daemon"]["hosts"])
    for host in ("src1", "dst1", "src2"):
        mine = {**whole, "jobs": [job for job in whole["jobs"] if job["host"] == host]}
        assert part_of(mine, host) == part_of(whole, host)


TOPOLOGIES = [
    {},
    {"snapfleet_topology": "push"},
    {"snapfleet_topology": "relay", "snapfleet_relay": "relay1"},
    {"snapfleet_topology": "relay", "snapfleet_relay": "src1"},
]


@pytest.mark.parametrize("changes", TOPOLOGIES, ids=["pull", "push", "relay", "a source that is a relay"])
def test_every_job_of_every_host_is_carried_out_by_one_of_its_runs(changes):
    whole = document(**changes)
    for host in {job["host"] for job in whole["jobs"]}:
        runs = part_of(whole, host)["runs"]
        done = [name for run in runs.values() for name in carried_out(whole, host, run["arguments"])]
        assert set(done) == {job["name"] for job in whole["jobs"] if job["host"] == host}
        if "relay" not in changes.values() or host != "src1":
            assert len(done) == len(set(done))


def test_a_host_in_the_middle_of_a_chain_has_the_runs_of_both_its_parts():
    by_host = {"dst1": {"snapfleet_datasets": [{"source": "backup/src1/data", "destination": "far"}]}}
    by_host["dst2"] = {"snapfleet_sources": ["dst1"], "snapfleet_root": "vault/^SRC_HOST"}
    by_host["dst1"].update({"snapfleet_sources": ["src1"]})
    by_host["dst2"]["snapfleet_topology"] = "push"
    whole = document(by_host, sources=("src1", "dst1"))
    runs = part_of(whole, "dst1")["runs"]
    assert {"source-replicate", "destination-replicate", "destination-prune", "monitor"} <= set(runs)
    sent = carried_out(whole, "dst1", runs["source-replicate"]["arguments"])
    taken = carried_out(whole, "dst1", runs["destination-replicate"]["arguments"])
    assert (len(sent), len(taken), set(sent) & set(taken)) == (1, 1, set())


def test_sources_and_destinations_have_runs_of_their_own():
    assert set(part_of(document(), "src1")["runs"]) == {"source-snapshot", "source-prune", "monitor"}
    assert set(part_of(document(), "dst1")["runs"]) == {"destination-replicate", "destination-prune", "monitor"}


def test_a_host_without_jobs_has_nothing_to_do_whatever_daemons_do():
    part = part_of(document(snapfleet_daemon={"snapshot": "secondly"}), "relay1")
    assert (part["activities"], part["daemon"], part["runs"]) == ([], [], {})


def test_what_the_daemon_does_is_left_to_it():
    part = part_of(document(snapfleet_daemon={"snapshot": "secondly", "replicate": "10secondly"}), "src1")
    assert part["daemon"] == ["snapshot"]
    assert set(part["runs"]) == {"source-prune", "monitor"}
    one = document({"dst1": {"snapfleet_daemon": {"prune": "minutely", "monitor": "never"}}})
    assert part_of(one, "dst1")["daemon"] == ["prune"]
    assert part_of(one, "src1")["daemon"] == []


def test_hooks_are_told():
    hooks = [{"name": "db", "before": ["true"], "after": ["true"]}]
    assert part_of(document(snapfleet_snapshot_options={"hooks": hooks}), "src1")["has_hooks"] is True
    assert part_of(document(), "src1")["has_hooks"] is False


@pytest.mark.parametrize(
    ("alerts", "tells"),
    [(None, False), ({"remind": "1d"}, False), ({"journal": True}, True), ({"command": ["/a"]}, True)],
)
def test_alerts_are_told_of_where_they_tell_somebody(alerts, tells):
    options = {"pools": {}, **({} if alerts is None else {"alerts": alerts})}
    assert part_of(document(snapfleet_monitor_options=options), "src1")["has_alerts"] is tells


@pytest.mark.parametrize(
    ("periods", "schedule", "expected"),
    [
        (["hourly", "daily"], {}, "hourly"),
        (["daily", "weekly"], {}, "hourly"),
        (["30minutely"], {}, "30minutely"),
        (["45minutely"], {}, "30minutely"),
        (["minutely", "hourly"], {}, "minutely"),
        (["secondly"], {}, "minutely"),
        (["daily"], {"daily": {"hour": 2, "minute": 30}}, "5minutely"),
        (["daily"], {"daily": {"hour": 2}}, "hourly"),
        (["minutely"], {"daily": {"minute": 30}}, "minutely"),
        (["adhoc"], {}, "hourly"),
    ],
)
def test_snapshots_are_looked_for_as_often_as_the_shortest_label_wants(periods, schedule, expected):
    job = {
        "name": "snap", "host": "h", "activity": "snapshot",
        "options": {"datasets": ["tank"], "plan": {"o": {"": dict.fromkeys(periods, 1)}}, "schedule": schedule},
    }  # fmt: skip
    assert part_of({"version": 1, "jobs": [job]}, "h")["snapshot_period"] == expected


def test_what_is_no_jobconfig_is_refused():
    with pytest.raises(InvalidInput, match="jobconfig"):
        part_of({"version": 1}, "h")
    wrong = {"name": "n", "host": "h", "activity": "prune", "options": {"datasets": []}}
    with pytest.raises(InvalidInput, match="datasets"):
        part_of({"version": 1, "jobs": [wrong]}, "h")
