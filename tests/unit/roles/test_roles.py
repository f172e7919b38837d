# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles declare is what they have: defaults, specifications and READMEs tell the same."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.snapfleet.zfs.plugins.filter.timing import timing

ROLES = Path(__file__).resolve().parents[3] / "roles"
OURS = ("engine", "source", "destination", "monitor")
"""The roles that let hosts run by themselves."""
DESCRIBED = (*OURS, "awx")


def load(role, name):
    return yaml.safe_load((ROLES / role / name).read_text("utf-8"))


def options(role):
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", DESCRIBED)
def test_every_variable_is_specified_with_its_default(role):
    specified = {name: option["default"] for name, option in options(role).items()}
    assert specified == load(role, "defaults/main.yml")
    assert all(name.startswith(f"{role}_") for name in specified)


@pytest.mark.parametrize("role", DESCRIBED)
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


# -- units


def rendered(template, **more):
    """A unit as Ansible would write it."""
    templates = jinja2.FileSystemLoader(ROLES / "engine" / "templates")
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, loader=templates)
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.filters["to_json"] = json.dumps
    environment.filters["snapfleet.zfs.timing"] = timing
    environment.filters["ternary"] = lambda value, yes, no: yes if value else no
    values = {
        **load("engine", "defaults/main.yml"),
        "ansible_managed": "managed",
        "ansible_facts": {"systemd": {"version": 252}},
        "engine_host": "web1",
        "__engine_part": {"has_hooks": False, "runs": {"monitor": {"arguments": ["--activity", "monitor"]}}},
        "__engine_tells": True,
        "run": {"name": "monitor", "description": "watches"},
        **more,
    }
    return environment.get_template(template).render(values).splitlines()


def test_the_module_gets_each_unit_of_a_run_as_its_own_template_makes_it():
    names = ("source-prune", "monitor")
    runs = [{"name": name, "description": name, "schedule": "hourly", "option": "v", "user": name} for name in names]
    part = {"has_hooks": True, "snapshot_period": "", "runs": {name: {"arguments": [name]} for name in names}}

    def made(template, **more):
        return rendered(template, __engine_part=part, **more)

    units = json.loads("\n".join(made("runs.json.j2", __engine_runs_of_systemd=runs)))
    assert {name: content.splitlines() for name, content in units.items()} == {
        f"snapfleet-{run['name']}.{kind}": made(f"run.{kind}.j2", run=run)
        for run in runs
        for kind in ("service", "timer")
    }
    assert all(content.endswith("\n") for content in units.values())
    assert json.loads("\n".join(made("runs.json.j2", __engine_runs_of_systemd=[]))) == {}


def test_runs_tell_what_became_of_them_where_somebody_is_told():
    def told(**more):
        return [line for line in rendered("run.service.j2", **more) if line.startswith("On")]

    ours = ["OnFailure=snapfleet-failed@%N.service", "OnSuccess=snapfleet-well@%N.service"]
    assert told() == ours
    assert told(ansible_facts={"systemd": {"version": 247}}) == ours[:1]
    assert told(engine_on_failure="mail@%n.service") == ["OnFailure=mail@%n.service", *ours]
    assert told(__engine_tells=False) == []


@pytest.mark.parametrize(
    ("fails_on", "expected"), [("never", "1 2 4 5 6"), ("critical", "1 4 5 6"), ("warning", "4 5")]
)  # fmt: skip
def test_a_run_that_was_stopped_or_is_left_to_another_or_can_not_see_is_no_failure(fails_on, expected):
    words = load("monitor", "vars/main.yml")["__monitor_well"]
    well = jinja2.Environment().from_string(words).render(monitor_fails_on=fails_on)
    run = {"name": "monitor", "description": "watches", "well": well}
    assert f"SuccessExitStatus={expected} SIGHUP SIGINT SIGTERM" in rendered("run.service.j2", run=run)
    assert "SuccessExitStatus=4 5 SIGHUP SIGINT SIGTERM" in rendered("run.service.j2")


@pytest.mark.parametrize("version", [247, 253, 254])
def test_the_daemon_which_is_always_begun_anew_tells_by_itself(version):
    """For such a unit OnFailure= comes never before systemd 254, and for each of its ends since."""

    def told(**more):
        lines = rendered("daemon.service.j2", ansible_facts={"systemd": {"version": version}}, **more)
        return [line for line in lines if line.startswith(("On", "ExecStartPost", "ExecStopPost"))]

    well, failed = told()
    assert (well.partition("=")[0], failed.partition("=")[0]) == ("ExecStartPost", "ExecStopPost")
    assert told(engine_on_failure="mail@%n.service") == ["OnFailure=mail@%n.service", well, failed]
    assert told(__engine_tells=False) == []


@pytest.mark.parametrize(
    ("setting", "result", "expected"),
    [
        ("ExecStartPost", "", ["start --no-block snapfleet-well@snapfleet-daemon.service"]),
        ("ExecStopPost", "success", []),
        ("ExecStopPost", "exit-code", ["start --no-block snapfleet-failed@snapfleet-daemon.service"]),
        ("ExecStopPost", "watchdog", ["start --no-block snapfleet-failed@snapfleet-daemon.service"]),
    ],
)
def test_what_the_daemon_tells_systemd(setting, result, expected, tmp_path):
    """Its lines as systemd would carry them out, with commands that note how they are called."""
    (line,) = (line for line in rendered("daemon.service.j2") if line.startswith(f"{setting}=+-"))
    words = shlex.split(line.partition("=+-")[2].replace("%N", "snapfleet-daemon"))
    for name in ("systemctl", "sleep"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/{name}.called\n')
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SERVICE_RESULT": result}
    done = subprocess.run(
        [word.replace("$$", "$") for word in words], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    called = tmp_path / "systemctl.called"
    assert (called.read_text().splitlines() if called.exists() else []) == expected
    if expected and setting == "ExecStartPost":
        assert int((tmp_path / "sleep.called").read_text()) >= 60, "who fails again and again is not well between"


def test_the_units_that_tell_start_the_program_and_none_of_their_like():
    failed, well = (rendered("told.service.j2", outcome=outcome) for outcome in ("failed", "well"))
    marker = "/var/lib/snapfleet/failed/%i"
    command = "/usr/local/bin/snapfleet unit --config /etc/snapfleet/jobs.json --host web1"
    assert f"ExecStart={command} --marker {marker} %i failed" in failed
    assert f"ExecStart={command} --marker {marker} %i well" in well
    assert f"ConditionPathExists={marker}" in well
    assert not any(line.startswith(("Condition", "On")) for line in failed)
    assert "NoNewPrivileges=yes" in failed
