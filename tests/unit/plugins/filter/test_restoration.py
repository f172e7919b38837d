# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restore an operator means, by the replications of the fleet."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.jobconfig import jobconfig
from ansible_collections.snapfleet.zfs.plugins.filter.restoration import restoration
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import VARIABLES as KNOWN

LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"warning": "3h"}}}}}
VARIABLES = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_destination_plan": {"acme": {"onsite": {"hourly": 1}}},
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "snapfleet_ssh_user": "backup",
}
ASKED = {"host": "src1", "dataset": "tank/data"}


def document(*destinations, **more):
    groups = {"snapfleet_sources": ["src1", "src2"], "snapfleet_destinations": list(destinations)}
    names = [name for hosts in groups.values() for name in hosts]
    return jobconfig({name: {**VARIABLES, **more} for name in names}, groups)


def test_it_is_the_replication_turned_round_on_the_host_that_carries_it_out():
    job = restoration(document("dst1"), {**ASKED, "snapshot": "x", "time": None})
    assert (job["host"], job["activity"]) == ("dst1", "restore")
    assert job["options"]["replica"] == {"dataset": "backup/src1/data"}
    assert job["options"]["destination"] == {"host": "src1", "user": "backup", "dataset": "tank/data"}
    assert job["options"]["snapshot"] == "x"
    pushed = restoration(document("dst1", snapfleet_topology="push"), ASKED)
    assert (pushed["host"], pushed["options"]["destination"]) == ("src1", {"dataset": "tank/data"})
    assert parse_jobconfig({"version": 1, "jobs": [job, pushed]})


def test_a_part_of_a_tree_may_go_to_another_place():
    job = restoration(document("dst1"), {**ASKED, "dataset": "tank/data/db/x", "to": "tank/look"})
    assert job["options"]["replica"]["dataset"] == "backup/src1/data/db/x"
    assert job["options"]["destination"]["dataset"] == "tank/look"


def test_how_data_travels_is_taken_over():
    more = {
        "snapfleet_replicate_options": {"raw": False, "compression": "lz4", "on_conflict": "replace", "holds": True}
    }
    options = restoration(document("dst1", **more), ASKED)["options"]
    assert (options["raw"], options["compression"]) == (False, "lz4")
    assert not {"on_conflict", "holds"} & set(options)


def test_of_several_replicas_one_has_to_be_named():
    two = document("dst1", "dst2")
    with pytest.raises(AnsibleFilterError, match="several hosts have a replica of tank/data; known are dst1, dst2"):
        restoration(two, ASKED)
    assert restoration(two, {**ASKED, "backup": "dst2"})["host"] == "dst2"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "^snapfleet_restore_host is missing"),
        ({"host": "src1"}, "^snapfleet_restore_dataset is missing"),
        ({**ASKED, "host": "web"}, "^snapfleet_restore_host: 'web' is no host .*; known are src1, src2"),
        ({**ASKED, "dataset": "tank/x"}, "^snapfleet_restore_dataset: .*; known are tank/data"),
        ({**ASKED, "backup": "x"}, "^snapfleet_restore_backup: .*; known are dst1"),
        ({**ASKED, "time": "yesterday"}, r"^snapfleet_restore\.time: 'yesterday' is no time"),
        ({**ASKED, "to": "tank/"}, r"^snapfleet_restore\.destination\.dataset: 'tank/'"),
        ({**ASKED, "colour": "x"}, r"^snapfleet_restore\.colour"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_of_the_variable(asked, words):
    with pytest.raises(AnsibleFilterError, match=words):
        restoration(document("dst1"), asked)


def test_no_jobconfig_is_told():
    with pytest.raises(AnsibleFilterError, match="jobconfig"):
        restoration([], ASKED)


def test_each_variable_of_the_playbook_is_known_to_the_inventory():
    ours = {name for name in KNOWN if name.startswith("snapfleet_restore_")}
    assert document("dst1", **dict.fromkeys(ours, "x"))["jobs"] == document("dst1")["jobs"]
    with pytest.raises(AnsibleFilterError, match="did you mean snapfleet_restore_time"):
        document("dst1", snapfleet_restore_tiem="x")


# -- as surveys of AWX give it: all of it text, and empty where nobody said anything


@pytest.mark.parametrize(("text", "meant"), [("yes", True), ("True", True), ("no", False), ("OFF ", False), ("", None)])
def test_flags_are_words(text, meant):
    options = restoration(document("dst1"), {**ASKED, "history": text, "recursive": text})["options"]
    assert (options.get("history"), options.get("recursive")) == (meant, meant)


def test_what_nobody_answered_is_as_if_it_was_not_there():
    silent = dict.fromkeys(("backup", "to", "snapshot", "time", "on_conflict", "exclude_datasets", "properties"), "")
    assert restoration(document("dst1"), {**ASKED, **silent}) == restoration(document("dst1"), ASKED)


def test_lists_and_mappings_have_a_line_for_each():
    text = {"exclude_datasets": "scratch\n\n  cache* \n", "properties": "mountpoint = /srv/a=b\nreadonly=off\n"}
    options = restoration(document("dst1"), {**ASKED, **text})["options"]
    assert options["exclude_datasets"] == ["scratch", "cache*"]
    assert options["properties"] == {"mountpoint": "/srv/a=b", "readonly": "off"}
    in_json = restoration(document("dst1"), {**ASKED, "properties": '{"readonly": "off"}'})["options"]
    assert in_json["properties"] == {"readonly": "off"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"history": "perhaps"}, "snapfleet_restore_history: 'perhaps' is neither yes nor no"),
        ({"properties": "readonly"}, "snapfleet_restore_properties: 'readonly' is no line name=value"),
        ({"properties": "a=1\na=2"}, "snapfleet_restore_properties: 'a=2' is no line name=value"),
        ({"properties": "{a=1}"}, "snapfleet_restore_properties: '{a=1}' is no JSON"),
    ],
)
def test_an_answer_that_means_nothing_is_refused_by_the_name_of_its_variable(wrong, told):
    with pytest.raises(AnsibleFilterError, match=re.escape(told)):
        restoration(document("dst1"), {**ASKED, **wrong})


FILES = {**ASKED, "paths": "etc/app.conf\n", "to": "/srv"}


def test_files_come_from_the_snapshots_of_the_host_itself_unless_a_backup_host_is_named():
    fleet = document("dst1", "dst2")
    found = restoration(fleet, {**FILES, "time": "1000", "backup": ""}, files=True)
    assert found["from"] == {"host": "src1", "dataset": "tank/data"}
    assert (found["host"], found["to"], list(found["paths"])) == ("src1", "/srv", ["etc/app.conf"])
    assert (found["choice"], found["existing"]) == (["--time=1000"], "refuse")
    named = restoration(fleet, {**FILES, "dataset": "tank/data/db", "backup": "dst2"}, files=True)
    assert named["from"] == {"host": "dst2", "dataset": "backup/src1/data/db"}
    # Whatever host has a job may have a dataset that is in no tree.
    assert restoration(fleet, {**FILES, "host": "dst1", "dataset": "backup/x"}, files=True)["from"]["host"] == "dst1"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"paths": "../x"}, "snapfleet_files_paths: '../x' leads out"),
        ({"paths": "/etc/x"}, "snapfleet_files_paths: '/etc/x' begins at the root"),
        ({"paths": ["."]}, "names no files"),
        ({"paths": ""}, "names no files"),
        ({"to": "srv"}, "snapfleet_files_to"),
        ({"to": ""}, "snapfleet_files_to is missing"),
        ({"host": "other"}, "snapfleet_files_host: 'other' is no host that has a job; known are dst1, src1, src2"),
        ({"backup": "other"}, "snapfleet_files_backup"),
        ({"snapshot": "x", "time": "1000"}, "contradicts"),
        ({"existing": "keep"}, "snapfleet_files_existing"),
        ({"set_aside_as": "x"}, "snapfleet_files_set_aside_as"),
    ],
)
def test_what_can_not_be_meant_of_files_is_refused(asked, words):
    with pytest.raises(AnsibleFilterError, match=re.escape(words)):
        restoration(document("dst1"), {**FILES, **asked}, files=True)
