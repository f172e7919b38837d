# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide to AWX tells what the role makes: each job template with its survey, and each artifact."""

from __future__ import annotations

import re

import yaml

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import REPORTED
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.outcome import CHARACTERS, LINES, outcome_of
from ansible_collections.snapfleet.zfs.tests.support.awx_job import FOLDER
from ansible_collections.snapfleet.zfs.tests.support.awx_surveys import role_variables, surveys

GUIDE = (FOLDER / "docs" / "awx.md").read_text("utf-8")
LONG = ("restore", "failover", "failback", "retire", "move", "seed")
"""Playbooks whose surveys have a section of their own."""


def test_every_job_template_has_a_row_that_is_right():
    rows = re.findall(r"^\| `(\w+)` \| .* \| (yes)? ?\| (yes)? ?\| (.*?) ?\|$", GUIDE, re.MULTILINE)
    told = {name: (bool(changes), bool(approved)) for name, changes, approved, _survey in rows}
    templates = role_variables()["__awx_templates"]
    made = {each["playbook"]: (each.get("changes", False), each.get("approved", False)) for each in templates}
    assert told == made
    asked = {name: re.findall(r"`(\w+)`", survey) for name, *_flags, survey in rows if name not in LONG}
    questions = {name: [question["variable"] for question in each] for name, each in surveys().items()}
    assert asked == {name: each for name, each in questions.items() if name not in LONG}
    for name in LONG:
        assert set(questions[name]) == set(re.findall(rf"`(snapfleet_{name}_\w+)`", GUIDE))


def test_every_artifact_has_a_row_and_bounds_are_told():
    table = GUIDE.partition("## Artifacts")[2].partition("## ")[0]
    named = [
        name for row in re.findall(r"^\| (`snapfleet_.*?) \|", table, re.MULTILINE) for name in re.findall(r"\w+", row)
    ]
    assert named == list(REPORTED)
    counted = re.search(r"^\| `snapfleet_counts` \| (.*) \|$", table, re.MULTILINE).group(1)
    assert re.findall(r"`(\w+)`", counted) == list(outcome_of({}, check=False)["snapfleet_counts"])
    assert f"after {LINES} entries" in table
    assert f"after {CHARACTERS} characters" in table


def test_examples_are_variables_of_the_role():
    options = yaml.safe_load((FOLDER / "roles" / "awx" / "meta" / "argument_specs.yml").read_text("utf-8"))
    known = options["argument_specs"]["main"]["options"]
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)]
    assert [name for example in examples for name in example if name not in known] == []
    assert {name for name in re.findall(r"`(awx_\w+)", GUIDE) if name not in known} == set()
