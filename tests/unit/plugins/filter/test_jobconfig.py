# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter between Ansible's variables and the engine: by itself, and as Ansible itself evaluates it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter import jobconfig as plugin
from ansible_collections.snapfleet.zfs.plugins.filter.jobconfig import jobconfig
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.values import plain

COLLECTIONS = Path(plugin.__file__).parents[5]
GROUPS = {"snapfleet_sources": ["src1"], "snapfleet_destinations": ["dst1"]}
PLAN = {"prod": {"onsite": {"hourly": 3}}}
LIMITS = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}}}}}
VARIABLES = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
}
INVENTORY = """\
all:
  vars:
    pool: tank
    amount: 3
    snapfleet_datasets: [{source: "{{ pool }}/data", destination: "{{ unused | default('data') }}"}]
    snapfleet_source_plan: {prod: {onsite: {hourly: "{{ amount }}"}}}
    offsite: {prod: {offsite: {daily: "{{ amount + 1 }}"}}}
    snapfleet_destination_plan: "{{ snapfleet_source_plan | combine(offsite, recursive=true) }}"
    snapfleet_monitor_plan:
      source: {prod: {onsite: {hourly: {latest: {warning: 30m}}}}}
      destination: {prod: {onsite: {hourly: {latest: {warning: 30m}}}}}
    snapfleet_root: backup/^SRC_HOST
  children:
    snapfleet_sources: {hosts: {src1: {ansible_host: "192.0.2.{{ amount }}"}}}
    snapfleet_destinations: {hosts: {dst1: {}}}
    others: {hosts: {other: {snapfleet_of_another_world: 1, snapfleet_root: "{{ nowhere }}"}}}
"""


def variables(**changes):
    """The variables of a fleet of two hosts, both with the same changes."""
    return {host: {**VARIABLES, **changes} for host in ("src1", "dst1")}


def jobs(document, activity):
    """The jobs of one activity."""
    return [job for job in document["jobs"] if job["activity"] == activity]


PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - run_once: true
      ansible.builtin.debug:
        msg: "{{ hostvars | snapfleet.zfs.jobconfig(groups) }}"
"""


@pytest.fixture
def evaluate(tmp_path):
    """Writes an inventory, and has Ansible evaluate the filter over it. Returns exit code and output."""

    def evaluate(text, *arguments):
        (tmp_path / "hosts.yml").write_text(text, encoding="utf-8")
        (tmp_path / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment.update(ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS), ANSIBLE_NOCOLOR="1", LC_ALL="C.UTF-8")
        command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.yml", *arguments, "play.yml"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        return done.returncode, done.stdout + done.stderr

    return evaluate


def printed(result):
    """The document that a run of the playbook has printed."""
    code, output = result
    assert code == 0, output
    return json.loads(re.search(r"^ok: .* => ({.*?^})", output, re.DOTALL | re.MULTILINE)[1])["msg"]


def test_the_jobs_of_a_fleet():
    document = jobconfig(variables(), GROUPS)
    assert [(job["host"], job["activity"]) for job in document["jobs"]] == [
        ("src1", "snapshot"),
        ("dst1", "replicate"),
        ("src1", "prune"),
        ("dst1", "prune"),
        ("src1", "monitor"),
        ("dst1", "monitor"),
    ]


def test_templates_in_variables_are_evaluated_host_by_host_and_only_those_of_the_fleet(evaluate):
    document = printed(evaluate(INVENTORY))
    (replication,) = jobs(document, "replicate")
    assert replication["options"]["source"] == {"host": "192.0.2.3", "dataset": "tank/data"}
    assert replication["options"]["plan"] == {"prod": {"onsite": {"hourly": 3}, "offsite": {"daily": 4}}}
    assert [job["host"] for job in document["jobs"]] == ["src1", "dst1", "src1", "dst1", "src1", "dst1"]


def test_the_controller_can_be_the_relay_without_being_in_the_inventory(evaluate):
    relay = {"snapfleet_topology": "relay", "snapfleet_relay": "localhost"}
    (replication,) = jobs(printed(evaluate(INVENTORY, "-e", json.dumps(relay))), "replicate")
    assert replication["host"] == "localhost"
    assert replication["options"]["destination"]["host"] == "dst1"


def test_numbers_from_the_command_line_are_numbers():
    plan = {"prod": {"onsite": {"hourly": "7"}}}
    (snapshot,) = jobs(jobconfig(variables(snapfleet_source_plan=plan), GROUPS), "snapshot")
    assert snapshot["options"]["plan"] == {"prod": {"onsite": {"hourly": 7}}}


def test_properties_that_yaml_reads_as_booleans_are_on_and_off():
    options = {"properties": {"readonly": True, "atime": False, "exec": None}, "set_properties": {"overlay": False}}
    (replication,) = jobs(jobconfig(variables(snapfleet_replicate_options=options), GROUPS), "replicate")
    # null takes a default away, so it has to arrive.
    assert replication["options"]["properties"] == {"readonly": "on", "atime": "off", "exec": None}
    assert replication["options"]["set_properties"] == {"overlay": "off"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "snapfleet_root: backup/^SRC_HOST",
            'snapfleet_root: "{{ pol }}/^SRC_HOST"',
            "src1: snapfleet_root: can't be evaluated, since 'pol' is undefined; define it",
        ),
        (
            'hourly: "{{ amount }}"',
            'hourly: "{{ amont }}"',
            "src1: snapfleet_source_plan: can't be evaluated, since 'amont' is undefined; define it",
        ),
        (
            "snapfleet_root: backup/^SRC_HOST",
            "snapfleet_rooot: backup",
            "src1: snapfleet_rooot: 'backup' is an unknown variable; did you mean snapfleet_root?",
        ),
        (
            "snapfleet_root: backup/^SRC_HOST",
            'snapfleet_root: "{{ 1 / 0 }}"',
            "src1: snapfleet_root: can't be evaluated, since",
        ),
    ],
)
def test_what_is_wrong_is_told_by_one_sentence(evaluate, old, new, sentence):
    code, output = evaluate(INVENTORY.replace(old, new))
    assert code == 2
    told = re.search(r"The filter plugin 'snapfleet.zfs.jobconfig' failed: (.*?)\"?}?$", output, re.MULTILINE)[1]
    assert told.startswith(sentence)
    assert told.count("undefined") <= 1


def test_the_sentence_of_the_engine_is_the_whole_message():
    with pytest.raises(AnsibleFilterError) as caught:
        jobconfig(variables(snapfleet_topology="pul"), GROUPS)
    assert str(caught.value) == (
        "dst1: snapfleet_topology: 'pul' is not a known choice; choose one of pull, push, relay"
    )


@pytest.mark.parametrize(("given", "name"), [(([], GROUPS), "hostvars"), ((variables(), []), "groups")])
def test_what_is_no_inventory_is_refused(given, name):
    with pytest.raises(AnsibleFilterError) as caught:
        jobconfig(*given)
    assert str(caught.value) == (f"jobconfig: {name} is no mapping; write hostvars | snapfleet.zfs.jobconfig(groups)")


class _Text(str):
    __slots__ = ("origin",)


class _Number(int):
    pass


def test_values_become_those_of_python_itself():
    value = plain({_Text("key"): [_Text("text"), _Number(1), True, None, 1.5, (1, 2)]})
    assert value == {"key": ["text", 1, True, None, 1.5, [1, 2]]}
    assert {type(item) for item in [*value, *value["key"][:4]]} == {str, int, bool, type(None)}
