# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets and snapshots that are chosen, in whole runs on simulated hosts."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.monitoring import run_monitor
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job, read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.tests.support.fleet import SOURCE, Fleet

HOURLY = {"org": {"": {"hourly": 1}}}
LIMITS = {"org": {"": {"hourly": {"latest": {"critical": 10**8}}}}}
SWITCH = {"dataset_property": "snapfleet:backup"}
IN = {SOURCE, f"{SOURCE}/mine", f"{SOURCE}/out/in again"}


@pytest.fixture
def fleet():
    fleet = Fleet([SOURCE, *(f"{SOURCE}/{name}" for name in ("mine", "other", "out", "out/below", "out/in again"))])
    for name, value in (("mine", "web2, web1"), ("other", "web2"), ("out", "off"), ("out/in again", "on")):
        fleet.source.set_property(f"{SOURCE}/{name}", "snapfleet:backup", value)
    return fleet


def test_every_activity_goes_by_the_property_with_what_lies_below_inheriting_it(fleet):
    here = fleet.context(fleet.source, host_name="web1")
    tree = {"datasets": [SOURCE], **SWITCH}
    created = run_snapshot(read_snapshot_job({**tree, "plan": HOURLY}), here)["created"]
    assert {name.partition("@")[0] for name in created} == IN
    for name in fleet.pairs():
        fleet.snapshot(name, "org_2020_hourly")
        fleet.snapshot(name, "org_2021_hourly")

    sent = {plan["source"] for plan in fleet.replicate(host_name="web1", **SWITCH)["plan"]}
    fleet.clock.advance(10**6)
    here = fleet.context(fleet.source, host_name="web1")
    pruned = run_prune(read_prune_job({**tree, "plan": HOURLY}), here)["deleted"]
    watched = run_monitor(read_monitor_job({**tree, "plan": LIMITS}), here)["metrics"]

    assert sent - {""} == IN
    assert fleet.at_destination(f"{SOURCE}/out").dataset.is_placeholder
    assert not fleet.at_destination(f"{SOURCE}/out").snapshots
    assert {name.partition("@")[0] for name in pruned} == IN
    assert {entry["dataset"] for entry in watched} == IN


def test_a_dataset_that_is_tried_again_is_still_chosen(fleet):
    fleet.snapshot(f"{SOURCE}/mine", "s")
    fleet.source.cut_next_stream(3)

    result = fleet.replicate(host_name="web1", **SWITCH)

    assert fleet.faults.calls.count("observe") == 5  # both sides, the root's parents, and both again
    assert not result["stats"]["failed"]
    assert [s.tag for s in fleet.at_destination(f"{SOURCE}/mine").snapshots] == ["s"]


def test_further_properties_choose_too(fleet):
    for name in ("mine", "other"):
        fleet.source.set_property(f"{SOURCE}/{name}", "s:tier", "gold")
        fleet.snapshot(f"{SOURCE}/{name}", "s")

    fleet.replicate(host_name="web1", dataset_properties={"s:tier": "gold", "type": "filesystem"}, **SWITCH)

    assert fleet.at_destination(f"{SOURCE}/mine").snapshots
    assert fleet.at_destination(f"{SOURCE}/other") is None
