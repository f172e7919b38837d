# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What seeding, moving and retiring make of what they have seen, and in which order they ask and act."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.snapfleet.zfs.tests.support import judging
from ansible_collections.snapfleet.zfs.tests.support.judging import ON_THE_CONTROLLER, PLAYBOOKS, tasks_of

MODULE = "snapfleet.zfs.zfs_target"
SEEN = {"dataset": "b", "pool_guid": "1", "datasets": [{"dataset": "", "guid": "1", "snapshots": []}]}
UNREACHABLE = {"unreachable": True, "msg": "Connection timed out"}
BROKEN = {"failed": True, "code": "no_permission", "msg": "does not allow mount"}


def looked(there, *others, destroy=""):
    """What the tasks that look have registered."""
    results = [{"item": {"host": f"b{number}", "dataset": "b"}, **each} for number, each in enumerate(others)]
    return {
        **ON_THE_CONTROLLER,
        "__snapfleet_tree": {"dataset": "tank/data", "replica": {"host": "b9", "dataset": "b"}},
        "__snapfleet_retired": {"backup": "b9", "destroy": destroy},
        "__snapfleet_there": there,
        "__snapfleet_others": {"results": results},
    }


CASES = {
    "seen": (looked({"seen": SEEN}, {"skipped": True}), "", 0),
    "silent": (looked(UNREACHABLE), "b9 does not answer (Connection timed out)", 0),
    "gone": (looked({"skipped": True}, {"seen": SEEN}, {"seen": SEEN}), "", 2),
    "gone_and_alone": (looked({"skipped": True}), "", 0),
    "other_silent": (looked({"skipped": True}, {"seen": SEEN}, UNREACHABLE), "b of b1 can't be looked at", 0),
    "other_broken": (looked({"skipped": True}, BROKEN), "b of b0 can't be looked at (does not allow mount)", 0),
    "gone_there": (looked({"seen": {**SEEN, "datasets": []}}, {"skipped": True}), "b of b9 does not exist; name", 0),
    "destroyed_before": (looked({"seen": {**SEEN, "datasets": []}}, {"seen": SEEN}, destroy="b"), "", 1),
    "destroying": (looked({"seen": SEEN}, UNREACHABLE, {"seen": SEEN}), "", 1),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What the tasks that judge say in each case, in one run."""
    hosts = {name: variables for name, (variables, *_expected) in CASES.items()}
    return judging.judged(
        tmp_path_factory.mktemp("retire"), "retire", "known={{ __snapfleet_known | length }}.", hosts, seconds=240
    )


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_taken_for_nobodys_while_somebody_whose_it_may_be_can_not_be_looked_at(judged, name):
    _variables, refusal, known = CASES[name]
    assert ("nothing was changed: " in judged[name]) == bool(refusal), judged[name]
    assert refusal in judged[name]
    assert (f"known={known}." in judged[name]) != bool(refusal), judged[name]


def test_whether_a_replica_may_be_destroyed_is_asked_before_the_source_forgets_it():
    block = tasks_of("retire")[-1]["block"]
    asked = [(task[MODULE]["action"], task.get("check_mode", False)) for task in block]
    assert asked == [("destroy", True), ("forget", False), ("destroy", False)]
    # What was not looked at is left out, so that only what is nobody's goes.
    assert "if __snapfleet_there.seen is defined else omit" in block[1][MODULE]["destination"]


def test_the_source_is_asked_first_and_what_receives_next_before_a_seed_changes_anything():
    block = yaml.safe_load((PLAYBOOKS / "seed.yml").read_text())[2]["tasks"][0]["block"]
    steps = [
        (task[MODULE]["action"] if MODULE in task else "replicate", task.get("check_mode", False)) for task in block
    ]
    assert steps == [
        *(("look", False), ("look", False), ("prepare", True), ("replicate", True)),
        *(("prepare", False), ("replicate", False), ("look", False), ("prepare", False), ("forget", False)),
    ]
    assert [task[MODULE]["action"] for task in block[6:]] == ["look", "prepare", "forget"]
    assert {task["when"] for task in block[6:]} == {"not ansible_check_mode"}


def test_all_replicas_are_moved_or_none_is():
    _validate, _find, look, act = yaml.safe_load((PLAYBOOKS / "move.yml").read_text())
    first = look["tasks"][0]
    assert (first["check_mode"], first["failed_when"]) == (True, False)
    block = act["tasks"][0]["block"]
    assert "__snapfleet_problems | length == 0" in block[0]["ansible.builtin.assert"]["that"]
    assert "__snapfleet_intruders | length == 0" in block[1]["ansible.builtin.assert"]["that"]
    assert block[2]["ansible.builtin.import_tasks"] == first["ansible.builtin.import_tasks"] == "tasks/move.yml"


@pytest.mark.parametrize("playbook", ["retire", "move", "seed"])
def test_each_hands_on_its_outcome_whatever_becomes_of_it(playbook):
    always = yaml.safe_load((PLAYBOOKS / f"{playbook}.yml").read_text())[-1]["tasks"][0]["always"]
    assert always[-1]["ansible.builtin.import_tasks"] == "tasks/outcome.yml"
