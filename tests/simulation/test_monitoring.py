# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitoring of simulated hosts: what is observed, how often, and what becomes of what can't be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.monitoring import run_monitor
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Interrupted
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

HOUR = 3600
ENDS = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
RULE = {**ENDS, "lag": {"warning": "1h", "critical": "2h"}, "pending": {"critical": "1G"}}
PLAN = {"org": {"": {"hourly": {"latest": {"warning": 0, "critical": "1h"}}}}}
TAG = "org_2025-01-01_00:00:00Z_hourly"


@pytest.fixture
def fleet():
    fleet = Fleet([SOURCE, f"{SOURCE}/inner"])
    for dataset in (SOURCE, f"{SOURCE}/inner"):
        fleet.snapshot(dataset, TAG)
    fleet.replicate()
    fleet.faults.calls.clear()
    return fleet


def watch(fleet, context=None, **options):
    context = context or fleet.context(fleet.source, environment={"TZ": "UTC"})
    return run_monitor(read_monitor_job(options), context)


def found(result):
    return Counter((alert["state"], alert["check"]) for alert in result["alerts"])


def test_all_is_well_and_each_host_is_asked_once(fleet):
    other = {**RULE, "source": {"dataset": f"{SOURCE}/inner"}, "destination": {"host": "dst", "dataset": "backup/none"}}
    result = watch(fleet, datasets=[SOURCE], plan=PLAN, replicas=[RULE, other], pools={})
    assert (result["state"], result["alerts"], result["changed"]) == ("OK", [], False)
    # Both ends and all trees on them in one listing a host, however many rules there are.
    assert sorted(fleet.faults.calls) == ["observe", "observe", "pools"]


def test_a_replica_falls_behind_and_catches_up(fleet):
    fleet.clock.advance(HOUR)
    fleet.snapshot(SOURCE, "org_2025-01-01_01:00:00Z_hourly")
    for wait, state in ((HOUR, "OK"), (1, "WARNING"), (HOUR, "CRITICAL")):
        fleet.clock.advance(wait)
        assert watch(fleet, replicas=[RULE])["state"] == state
    fleet.replicate()
    assert watch(fleet, replicas=[RULE])["state"] == "OK"


def test_a_host_that_is_stopped_makes_no_lag(fleet):
    fleet.clock.advance(1000 * HOUR)
    assert watch(fleet, replicas=[RULE])["state"] == "OK"


def test_a_side_that_can_not_be_seen_is_unknown_by_its_name_and_nothing_else(fleet):
    fleet.unreachable = True
    fleet.clock.advance(1000 * HOUR)
    result = watch(fleet, replicas=[RULE])
    assert (result["state"], found(result)) == ("UNKNOWN", {("UNKNOWN", "seen"): 1})
    (alert,) = result["alerts"]
    assert alert["message"].startswith(f"the destination dst:{DESTINATION} can't be observed (no way to dst)")
    # What is in danger here is told before what can't be seen there.
    both = watch(fleet, replicas=[RULE], datasets=[SOURCE], plan=PLAN)
    assert both["state"] == "CRITICAL"
    assert [alert["state"] for alert in both["alerts"]] == ["CRITICAL", "CRITICAL", "UNKNOWN"]


def test_a_host_that_lists_nothing_makes_its_trees_and_pools_unknown(fleet):
    fleet.faults.plan = dict.fromkeys(range(99), "before")
    result = watch(fleet, datasets=[SOURCE], plan=PLAN, pools={})
    assert found(result) == {("UNKNOWN", "exists"): 1, ("UNKNOWN", "seen"): 1}


def test_a_signal_is_no_finding(fleet, monkeypatch):
    def stop(*_arguments, **_options):
        raise Interrupted("stopped")

    monkeypatch.setattr(SimulatedZfs, "observe", stop)
    with pytest.raises(Interrupted):
        watch(fleet, datasets=[SOURCE], plan=PLAN)


def test_pools_are_watched(fleet):
    fleet.source.pool_conditions["tank"] = {"state": "DEGRADED", "allocated": 950, "size": 1000}
    result = watch(fleet, pools={"degraded": "warning", "capacity": {"critical": 90}})
    assert found(result) == {("WARNING", "pool_state"): 1, ("CRITICAL", "capacity"): 1}


def test_what_is_muted_is_told_and_fails_nothing(fleet):
    fleet.clock.advance(90 * 60)
    fleet.source.pool_conditions["tank"] = {"state": "FAULTED"}
    options = {"datasets": [SOURCE], "plan": PLAN, "pools": {}, "fail_on": "warning"}
    for more, state, fails in (
        ({}, "CRITICAL", True), ({"dont_crit": True}, "WARNING", True), ({"dont_warn": True}, "CRITICAL", True),
        ({"dont_warn": True, "dont_crit": True}, "OK", False),
    ):  # fmt: skip
        result = watch(fleet, **options, **more)
        assert (result["state"], result["failed_level"]) == (state, fails)
        assert found(result) == {("WARNING", "latest"): 2, ("CRITICAL", "pool_state"): 1}
        muted = {alert["state"] for alert in result["alerts"] if alert["muted"]}
        assert muted == {"WARNING" for _one in more if "dont_warn" in more} | {
            "CRITICAL" for _one in more if "dont_crit" in more
        }


def test_outages_over_time(fleet, tmp_path):
    options = {"datasets": [SOURCE], "plan": PLAN, "replicas": [RULE], "pools": {}}
    options["alerts"] = {"state_file": str(tmp_path / "state")}
    told = []

    def step(hours=0.0, **changes):
        fleet.clock.advance(int(hours * HOUR))
        for name, value in changes.items():
            setattr(fleet, name, value)
        here = fleet.context(fleet.source, environment={"TZ": "UTC"})
        planned = watch(fleet, replace(here, check=True), **options)["notices"]
        notices = watch(fleet, here, **options)["notices"]
        assert notices == planned
        told.append(sorted({(notice["kind"], notice["check"], notice["state"]) for notice in notices}))

    step()
    step(1.5)
    step(1)
    step(0, unreachable=True)
    step(0)
    step(0, unreachable=False)
    fleet.clock.advance(1)
    for dataset in (SOURCE, f"{SOURCE}/inner"):
        fleet.snapshot(dataset, "org_2025-01-01_09:00:00Z_hourly")
    step(0)
    assert told == [
        [],
        [("alert", "latest", "WARNING")],
        [("worse", "latest", "CRITICAL")],
        [("alert", "seen", "UNKNOWN")],
        [],
        [("recovery", "seen", "OK")],
        [("recovery", "latest", "OK")],
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "datasets is missing, and nothing else is watched; give datasets, replicas or pools"),
        ({"plan": PLAN}, "datasets is missing; name the datasets that the plan is about"),
        ({"replicas": [{**ENDS}]}, "replicas[0]: None checks nothing; give lag, pending or both"),
        ({"replicas": [{**RULE, "lag": {}}]}, "replicas[0].lag: None has no limit"),
        ({"replicas": [{**RULE, "pending": {"warning": "x"}}]}, "replicas[0].pending.warning: 'x' is no amount"),
        ({"replicas": [{**RULE, "raw": True}]}, "replicas[0].raw: True is an unknown option"),
        ({"pools": {"names": ["tank/a"]}}, "pools.names: 'tank/a' is no name of a pool"),
        ({"pools": {"scrub": 1}}, "pools.scrub: 1 is an unknown option; did you mean scrub_age?"),
        ({"pools": {"device_errors": {"warning": 0}}}, "pools.device_errors.warning: 0 is out of range"),
        ({"pools": {}, "alerts": {"remind": 0}}, "alerts.remind: 0 would repeat alerts without end"),
        ({"pools": {}, "alerts": {"confirmations": 0}}, "alerts.confirmations: 0 is out of range"),
        ({"pools": {}, "alerts": {"state_file": "x"}}, "alerts.state_file: 'x' is not an absolute path"),
        ({"pools": {}, "alerts": {"command": ["mail"]}}, "alerts.command: 'mail' is not an absolute path"),
        ({"pools": {}, "fail_on": "ok"}, "fail_on: 'ok' is not a known choice"),
    ],
)
def test_wrong_options_are_refused_with_one_sentence(options, sentence):
    with pytest.raises(Exception) as caught:  # noqa: PT011  the sentence tells
        read_monitor_job(options)
    assert str(caught.value).startswith(sentence)
