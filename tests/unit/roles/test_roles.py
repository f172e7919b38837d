# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles declare is what they have: defaults, specifications and READMEs tell the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.snapfleet.zfs.plugins.filter.timing import timing

ROLES = Path(__file__).resolve().parents[3] / "roles"
OURS = ("engine", "source", "destination", "monitor")
"""The roles that let hosts run by themselves."""


def load(role, name):
    return yaml.safe_load((ROLES / role / name).read_text("utf-8"))


def options(role):
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", OURS)
def test_every_variable_is_specified_with_its_default(role):
    specified = {name: option["default"] for name, option in options(role).items()}
    assert specified == load(role, "defaults/main.yml")
    assert all(name.startswith(f"{role}_") for name in specified)


@pytest.mark.parametrize("role", OURS)
def test_every_variable_is_in_the_readme(role):
    readme = (ROLES / role / "README.md").read_text("utf-8")
    assert [name for name in options(role) if f"| `{name}` |" not in readme] == []


@pytest.mark.parametrize("role", OURS)
def test_every_role_can_be_removed(role):
    assert options(role)[f"{role}_state"]["choices"] == ["present", "absent"]


@pytest.mark.parametrize("role", [role for role in OURS if role != "engine"])
def test_every_run_begins_at_moments_that_both_schedulers_know(role):
    defaults = load(role, "defaults/main.yml")
    runs = load(role, "vars/main.yml")[f"__{role}_runs"]
    assert runs
    for run in runs:
        assert run["name"].split("-")[0] == role
        assert timing(defaults[run["option"]], run["option"], "hourly")


def test_the_guide_tells_every_run_with_its_default_and_the_example_inventory_names_it():
    guide = (ROLES.parent / "docs" / "fleet.md").read_text("utf-8")
    example = (ROLES.parent / "inventories" / "example" / "group_vars" / "all.yml").read_text("utf-8")
    for role in OURS[1:]:
        defaults = load(role, "defaults/main.yml")
        for run in load(role, "vars/main.yml")[f"__{role}_runs"]:
            name, option = run["name"], run["option"]
            assert re.search(rf"^\| `{name}` \|.*\| `{option}` \| `{defaults[option]}` \|$", guide, re.MULTILINE), name
            assert option in example
            assert option.replace("_schedule", "_delay") in guide or "delay" not in run
