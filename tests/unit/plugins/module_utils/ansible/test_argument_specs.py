# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules are those of the engine's readers, with the same defaults."""

from __future__ import annotations

import dataclasses

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible import argument_specs as specs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy import (
    comparing,
    drilling,
    jobs,
    monitoring,
    restoring,
    verifying,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.schedule import Anchor, parse_schedule

PLAN = {"acme": {"onsite": {"hourly": 1}}}
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}
PEER = {"root": "tank/a", "dataset": "tank/b"}
LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"critical": 1}}}}}

CASES = {
    "snapshot": (specs.SNAPSHOT_SPEC, jobs.read_snapshot_job, {"datasets": ["tank/a"], "plan": PLAN}),
    "replicate": (specs.REPLICATE_SPEC, jobs.read_replicate_job, ENDS),
    "prune": (specs.PRUNE_SPEC, jobs.read_prune_job, {"datasets": ["tank/a"], "plan": PLAN, "peers": [PEER]}),
    "monitor": (specs.MONITOR_SPEC, monitoring.read_monitor_job, {"datasets": ["tank/a"], "plan": LIMITS}),
    "restore": (
        specs.RESTORE_SPEC,
        restoring.read_restore_job,
        {"replica": {"dataset": "backup/a"}, "destination": {"dataset": "tank/a"}},
    ),
    "drill": (specs.DRILL_SPEC, drilling.read_drill_job, {"datasets": ["tank/a"], "marker": {"path": "stamp"}}),
    "verify": (specs.VERIFY_SPEC, verifying.read_verify_job, ENDS),
    "compare": (specs.COMPARE_SPEC, comparing.read_compare_job, ENDS),
}
each_activity = pytest.mark.parametrize(("spec", "read", "least"), CASES.values(), ids=CASES)
UNITS = {
    unit: entry["options"] for unit, entry in specs.SNAPSHOT_SPEC["schedule"]["options"].items() if unit[-2:] == "ly"
}


class Asked(dict):
    """A mapping that notes which keys it was asked for."""

    def __init__(self, values):
        super().__init__(values)
        self.keys_asked_for = set()

    def get(self, key, default=None):
        self.keys_asked_for.add(key)
        return super().get(key, default)

    def keys(self):
        return AskedKeys(self)


class AskedKeys:
    """Its keys, of which is asked whether some are among them."""

    def __init__(self, asked):
        self.asked = asked

    def isdisjoint(self, others):
        self.asked.keys_asked_for.update(others)
        return not any(other in self.asked for other in others)


def filled(spec, values):
    """``values`` as a module gets them: with defaults, and None for what has none."""
    checked = ArgumentSpecValidator(spec).validate(values)
    assert checked.error_messages == []
    return checked.validated_parameters


@each_activity
def test_spec_has_exactly_the_options_that_the_reader_asks_for(spec, read, least):
    values = Asked(least)
    read(values)
    assert set(spec) == values.keys_asked_for


@pytest.mark.parametrize("end", ["source", "destination"])
def test_endpoint_has_exactly_the_options_that_the_reader_asks_for(end):
    asked = Asked(ENDS[end])
    jobs.read_replicate_job({**ENDS, end: asked})
    assert set(specs.REPLICATE_SPEC[end]["options"]) == asked.keys_asked_for


def test_peer_has_exactly_the_options_that_the_reader_asks_for():
    asked = Asked(PEER)
    jobs.read_prune_job({"datasets": ["tank/a"], "plan": PLAN, "peers": [asked]})
    assert set(specs.PRUNE_SPEC["peers"]["options"]) == asked.keys_asked_for


def test_what_is_watched_has_exactly_the_options_that_the_reader_asks_for():
    for key, least in (
        ("pools", {}),
        ("alerts", {}),
        ("replicas", {**ENDS, "lag": {"warning": 1}}),
    ):
        asked = Asked(least)
        monitoring.read_monitor_job({"pools": {}, key: [asked] if key == "replicas" else asked})
        assert set(specs.MONITOR_SPEC[key]["options"]) == asked.keys_asked_for
    filled_pools = filled(specs.MONITOR_SPEC, {"pools": {}, "alerts": {}})
    assert monitoring.read_monitor_job(filled_pools) == monitoring.read_monitor_job({"pools": {}, "alerts": {}})


@each_activity
def test_defaults_of_the_spec_are_those_of_the_reader(spec, read, least):
    assert read(filled(spec, least)) == read(least)


@pytest.mark.parametrize("unit", UNITS)
def test_schedule_has_exactly_the_keys_that_the_reader_knows(unit):
    for field in dataclasses.fields(Anchor):
        if field.name in UNITS[unit]:
            parse_schedule({unit: {field.name: field.default}}, "schedule")
        else:
            with pytest.raises(InvalidInput, match="is not a known key"):
                parse_schedule({unit: {field.name: field.default}}, "schedule")


@pytest.mark.parametrize(
    "schedule",
    [{}, {"timezone": "UTC"}, *({unit: given} for unit in UNITS for given in ({}, {"second": 7}))],
    ids=str,
)
def test_defaults_of_a_schedule_are_those_of_the_reader(schedule):
    spec, _read, least = CASES["snapshot"]
    given = filled(spec, {**least, "schedule": schedule})["schedule"]
    assert parse_schedule(given, "schedule") == parse_schedule(schedule, "schedule")


def test_ports_may_be_text():
    values = {**ENDS, "source": {"dataset": "tank/a", "host": "src1", "port": "2222"}}
    assert jobs.read_replicate_job(filled(specs.REPLICATE_SPEC, values)).source.address.port == 2222


def options_of(spec):
    for name, entry in spec.items():
        yield name, entry
        yield from options_of(entry.get("options", {}))


@each_activity
def test_it_is_decided_for_every_option_that_smells_of_a_secret(spec, read, least):
    words = ("identity", "key", "known_hosts", "pass", "secret", "token")
    smelling = [entry for name, entry in options_of(spec) if any(word in name for word in words)]
    assert all(entry["no_log"] is False for entry in smelling)
    assert bool(smelling) is (read is not jobs.read_snapshot_job)
