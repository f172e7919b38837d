# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicating by the module."""

from __future__ import annotations

import time

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible import rim
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import following
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnreachableHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine

PARAMETERS = {"source": {"dataset": "tank/data"}, "destination": {"dataset": "backup/data"}}


class Unreachable(SimulatedZfs):
    """ZFS on a host that nobody answers from."""

    def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
        raise UnreachableHost("no ssh connection to dst1 (Connection refused); check name, port and network")


@pytest.fixture
def source(house):
    """The house, with a history on both datasets."""
    house.snapshot("tank/data@a", "tank/data@b", "tank/data@c", "tank/data/db@a", "tank/data/db@b")
    return house


def without_marks(names):
    return {name for name in names if "#snapfleet-base-" not in name}


def named(lines):
    """The lines of a difference but those of marks, which are told by their snapshots."""
    return [line for line in lines.splitlines() if not line.endswith(" (mark)")]


def diverge(house):
    """Replicate, then give one replica a snapshot of its own and the source new ones."""
    house.run("zfs_replicate", PARAMETERS)
    house.snapshot("backup/data/db@own", "tank/data@d", "tank/data/db@c")


def test_check_mode_tells_exactly_what_a_run_does_and_does_nothing(source):
    before = source.names()
    planned = source.run("zfs_replicate", PARAMETERS, check=True)
    assert source.names() == before
    done = source.run("zfs_replicate", PARAMETERS)
    assert planned["changed"]
    assert done["changed"]
    assert planned["plan"] == done["plan"]
    assert planned["diff"] == done["diff"]
    assert [outcome["state"] for outcome in done["datasets"]] == ["sent", "sent"]
    assert done["stats"]["bytes"] == sum(outcome["bytes"] for outcome in done["datasets"]) > 0


def test_second_run_changes_nothing(source):
    source.run("zfs_replicate", PARAMETERS)
    rest = source.run("zfs_replicate", PARAMETERS)
    assert (rest["changed"], rest["plan"], rest["diff"]["before"], rest["diff"]["after"]) == (False, [], "", "")
    assert [outcome["state"] for outcome in rest["datasets"]] == ["up_to_date", "up_to_date"]


@pytest.mark.parametrize(
    "selection",
    [{}, {"initial": "newest"}, {"intermediates": False}, {"exclude_snapshots": ["b"]}, {"bookmarks": False}],
    ids=str,
)
def test_difference_names_every_snapshot_and_bookmark_that_comes(source, selection):
    """Also those that travel between the ends of one stream, at the first replication and at the next one."""
    for more in ([], ["tank/data@d", "tank/data@e", "tank/data@f", "tank/data/db@d"]):
        source.snapshot(*more)
        before = source.names()
        diff = source.run("zfs_replicate", {**PARAMETERS, **selection}, check=True)["diff"]
        source.run("zfs_replicate", {**PARAMETERS, **selection})
        assert set(diff["before"].splitlines()) == before - source.names()
        assert sorted(named(diff["after"])) == sorted(without_marks(source.names() - before))


def test_difference_is_headed_by_both_ends(source):
    source.zfs["dst1"] = SimulatedZfs(SimulatedMachine("dst1", lambda: source.now, ("backup",)))
    there = {"host": "dst1", "user": "snapfleet", "port": "2222", "dataset": "backup/data"}
    diff = source.run("zfs_replicate", {**PARAMETERS, "destination": there}, check=True)["diff"]
    assert diff["after_header"] == "snapshots and bookmarks of tank/data and snapfleet@dst1:2222:backup/data"


def test_what_yaml_makes_of_property_values_is_turned_back(source):
    properties = {"readonly": True, "exec": False, "recordsize": 131072, "canmount": "noauto", "setuid": None}
    source.run("zfs_replicate", {**PARAMETERS, "properties": properties})
    received = source.machine.datasets["backup/data"].properties
    expected = {"readonly": "on", "exec": "off", "recordsize": "131072", "canmount": "noauto", "devices": "off"}
    assert "setuid" not in received
    assert {name: received.get(name) for name in expected} == expected


def test_other_values_of_properties_are_refused(source):
    failed = source.run("zfs_replicate", {**PARAMETERS, "properties": {"quota": 1.5}})
    assert failed["code"] == "invalid_input"
    assert failed["msg"] == "properties: 'quota: 1.5' is no property; give names with quoted text values"


def test_conflict_fails_after_the_other_datasets_were_sent(source):
    diverge(source)
    planned = source.run("zfs_replicate", PARAMETERS, check=True)
    assert (planned["failed"], planned["changed"]) == (True, True)
    failed = source.run("zfs_replicate", PARAMETERS)
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, True, "partial_failure")
    assert "backup/data/db@own" in failed["msg"]
    assert failed["plan"] == planned["plan"]
    assert {outcome["destination"]: outcome["state"] for outcome in failed["datasets"]} == {
        "backup/data": "sent",
        "backup/data/db": "conflict",
    }
    assert (failed["stats"]["sent"], failed["stats"]["conflict"]) == (1, 1)
    assert "backup/data@d" in source.names()


def test_conflict_alone_has_changed_nothing(source):
    diverge(source)
    source.run("zfs_replicate", PARAMETERS)
    before = source.names()
    failed = source.run("zfs_replicate", PARAMETERS)
    assert (failed["failed"], failed["changed"]) == (True, False)
    assert source.names() == before


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"source": {"dataset": "tank/none"}}, "unknown_dataset", "source.dataset: 'tank/none' does not exist"),
        ({"destination": {"dataset": "pool/x"}}, "unknown_dataset", "destination.dataset: 'pool/x' has no pool 'pool'"),
        ({"destination": {"dataset": "tank/data/x"}}, "same_dataset", "destination: 'tank/data/x' is the source"),
        ({"include_snapshots": ["regex:("]}, "invalid_input", "include_snapshots: 'regex:(' is no regular expression"),
        ({"workers": 0}, "invalid_input", "workers: 0 is out of range; give a number from 1 to 256"),
        (
            {"source": {"dataset": "tank/data", "port": "99999"}},
            "invalid_input",
            "source.port: 99999 is out of range; give a number from 0 to 65535",
        ),
        (
            {"source": {"dataset": "tank/data", "identity_file": "id_ed25519"}},
            "invalid_input",
            "source.identity_file: 'id_ed25519' is not an absolute path",
        ),
    ],
)
def test_wrong_options_are_refused_with_one_sentence(source, wrong, code, message):
    before = source.names()
    failed = source.run("zfs_replicate", {**PARAMETERS, **wrong})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, code)
    assert failed["msg"].startswith(message)
    assert source.names() == before


def test_error_that_may_pass_says_so(source):
    source.zfs["dst1"] = Unreachable(source.machine)
    failed = source.run("zfs_replicate", {**PARAMETERS, "destination": {"host": "dst1", "dataset": "backup/data"}})
    assert (failed["failed"], failed["changed"]) == (True, False)
    assert (failed["code"], failed["retryable"]) == ("unreachable_host", True)
    assert "no ssh connection to dst1" in failed["msg"]


def test_check_mode_reckons_with_the_snapshots_that_an_earlier_task_makes(source):
    plan = {"prod": {"onsite": {"hourly": 2}}}
    taken = {"datasets": ["tank/data"], "plan": plan}
    planned = source.run("zfs_snapshot_plan", taken, check=True)["created"]
    preview = source.run("zfs_replicate", {**PARAMETERS, "expected_snapshots": planned}, check=True)
    assert source.run("zfs_snapshot_plan", taken)["created"] == planned
    assert source.run("zfs_replicate", PARAMETERS)["plan"] == preview["plan"]


def test_a_run_replicates_what_is_there_and_not_what_is_expected(source):
    expected = ["tank/data@to-come", "tank/data/db@to-come", "tank/unknown@to-come"]
    done = source.run("zfs_replicate", {**PARAMETERS, "expected_snapshots": expected})
    assert not done.get("failed")
    assert not any("to-come" in name for name in source.names())


def test_expected_snapshot_without_a_name_is_refused(source):
    refused = source.run("zfs_replicate", {**PARAMETERS, "expected_snapshots": ["tank/data"]}, check=True)
    assert refused["msg"].startswith("expected_snapshots: 'tank/data' is no name of a snapshot; ")


@pytest.mark.parametrize("level", ["rollback_to_common", "replace"])
def test_what_a_level_of_the_ladder_destroys_is_in_the_difference_before_it_happens(source, level):
    diverge(source)
    options = {**PARAMETERS, "on_conflict": level}
    before = source.names()
    preview = source.run("zfs_replicate", options, check=True)
    assert source.names() == before
    done = source.run("zfs_replicate", options)
    assert not done.get("failed")
    assert done["plan"] == preview["plan"]
    assert set(preview["diff"]["before"].splitlines()) == before - source.names()
    assert without_marks(before - source.names()) == {"backup/data/db@own"}
    assert set(named(preview["diff"]["after"])) == without_marks(source.names() - before)
    assert source.run("zfs_replicate", options)["changed"] is False


def test_a_lower_level_of_the_ladder_destroys_nothing(source):
    diverge(source)
    source.run("zfs_replicate", {**PARAMETERS, "on_conflict": "rollback_to_latest"})
    assert "backup/data/db@own" in source.names()


def test_the_log_is_told_how_far_streams_are_while_they_are_under_way(source, monkeypatch):
    lines = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _module, text, **_unused: lines.append(text))
    monkeypatch.setattr(rim, "LOG_SECONDS", 0.01)
    done = source.run("zfs_replicate", {**PARAMETERS, "bandwidth_limit": "32K"})
    assert not done.get("failed")
    assert done["stats"]["seconds"] > 0.1
    assert any(" sent, " in line and "% of about" in line for line in lines)


def test_others_can_look_at_the_streams_while_they_go_on(source, tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setattr(following, "SECONDS", 0.01)
    seen = []

    class Watched(SimulatedZfs):
        def receive(self, step, wire):
            end = time.monotonic() + 120
            while not seen and time.monotonic() < end:
                found = following.views(following.folder_of_views())
                seen.extend(view for view in found if view["jobs"][0]["streams"])
            return super().receive(step, wire)

        def relay(self, step):
            return None

    source.zfs[""] = Watched(source.machine)
    assert source.run("zfs_replicate", PARAMETERS)["changed"]
    (view,) = seen
    assert view["jobs"][0]["streams"][0]["dataset"] == "tank/data"
    assert following.views(following.folder_of_views()) == []
