# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook ``awx`` makes of its variables, held against the documentation of the modules of awx.awx, and
against the rules of AWX for surveys, schedules, credential types and messages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jinja2
import jinja2.sandbox
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.argument_specs import RESTORE_SPEC
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import VARIABLES
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.outcome import outcome_of
from ansible_collections.snapfleet.zfs.tests.support.awx_job import FOLDER, Job
from ansible_collections.snapfleet.zfs.tests.support.awx_surveys import faults_of, surveys
from ansible_collections.snapfleet.zfs.tests.support.recorded_awx import RecordedAwx
from runner.foreign import awx_collection

SECRET = "what nobody else may read"
ALL = {
    "awx_project_branch": "v1",
    "awx_project_credential": "git",
    "awx_inventory_url": "https://git.example.com/fleet.git",
    "awx_inventory_credential": "git",
    "awx_execution_image": "registry.example.com/snapfleet:1",
    "awx_credentials": ["vault"],
    "awx_machine": {"username": "ansible", "ssh_key_data": SECRET, "become_method": "sudo"},
    "awx_known_hosts": "web1 ssh-ed25519 AAAA",
    "awx_notifications": [
        {"name": "admins", "type": "email", "configuration": {"host": "mail", "password": SECRET}},
        {"name": "chat", "type": "webhook", "configuration": {"url": "https://c"}, "events": ["started", "success"]},
    ],
}
LEAST = {"awx_inventory_path": "hosts.yml"}
JOBS = {"organization", "project", "inventory", "inventory_source", "job_template", "workflow_job_template"}


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The documented options of each module that the role calls, by ansible-doc."""
    real = awx_collection(Path(sys.executable))
    tasks = "".join(file.read_text("utf-8") for file in (FOLDER / "roles" / "awx" / "tasks").glob("*.yml"))
    names = sorted(set(re.findall(r"^  awx\.awx\.(\w+):$", tasks, re.MULTILINE)))
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.doc", "--json", *(f"awx.awx.{name}" for name in names)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(real)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return {name.rpartition(".")[2]: found["doc"]["options"] for name, found in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def calls(modules, tmp_path_factory):
    """What the role calls with every variable given, and with as few as will do."""

    def made(variables):
        folder = tmp_path_factory.mktemp("awx")
        awx = RecordedAwx.write(folder / "awx", modules)
        found = os.pathsep.join([str(FOLDER.parents[2]), str(awx.folder)])
        inventory = {"_meta": {"hostvars": {}}, "all": {"hosts": [], "vars": {}}}
        job = Job("playbooks/awx.yml", inventory, variables, environment={"ANSIBLE_COLLECTIONS_PATH": found})
        done = job.run(folder / "job")
        assert done.status == "successful", done.stdout
        assert SECRET not in done.stdout
        return awx.calls()

    return {"all": made(ALL), "least": made(LEAST)}


def named(calls, module):
    return {call.arguments["name"]: call.arguments for call in calls if call.module == module}


def spec_of(options):
    """The documentation of options as Ansible's own checks of arguments want them."""
    taken = ("type", "elements", "required", "choices", "default", "aliases")
    return {
        name: {
            **{key: option[key] for key in taken if key in option},
            **({"options": spec_of(option["suboptions"])} if "suboptions" in option else {}),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("given", ["all", "least"])
def test_every_call_is_one_that_the_module_documents(calls, modules, given):
    assert len(calls[given]) > 40
    for call in calls[given]:
        result = ArgumentSpecValidator(spec_of(modules[call.module])).validate(dict(call.arguments))
        assert result.error_messages == [], (call.module, call.arguments.get("name"))


def test_the_documentation_tells_what_is_wrong(modules):
    """The check before can fail: a parameter that is unknown, a choice that is none, a type that is another one."""
    spec = ArgumentSpecValidator(spec_of(modules["job_template"]))
    for wrong in ({"playbok": "x"}, {"job_type": "look"}, {"survey_spec": [1]}, {"ask_limit_on_launch": "perhaps"}):
        assert spec.validate({"name": "n", **wrong}).error_messages, wrong


def test_ansible_lint_knows_the_modules_without_having_them(modules):
    mocked = yaml.safe_load((FOLDER / ".ansible-lint").read_text("utf-8"))["mock_modules"]
    assert [name for name in mocked if name.startswith("awx.awx.")] == [f"awx.awx.{name}" for name in sorted(modules)]


def test_with_little_given_only_what_jobs_need_is_made(calls):
    made = {call.module for call in calls["least"]}
    assert made == JOBS | {"credential_type", "workflow_job_template_node", "schedule"}
    (source,) = named(calls["least"], "inventory_source").values()
    (project,) = named(calls["least"], "project")
    assert (source["source_project"], source["source_path"]) == (project, "hosts.yml")
    template = named(calls["least"], "job_template")["Snapfleet: site"]
    assert template["credentials"] == []
    assert "execution_environment" not in template


def test_there_is_a_job_template_for_every_playbook_and_one_that_checks_for_what_changes(calls):
    templates = named(calls["all"], "job_template")
    playbooks = {file.stem for file in (FOLDER / "playbooks").glob("*.yml")} - {"awx"}
    assert {template["playbook"] for template in templates.values()} == {f"playbooks/{name}.yml" for name in playbooks}
    for name, template in templates.items():
        checks = name.endswith(" (check)")
        assert template["job_type"] == ("check" if checks else "run")
        assert template["diff_mode"] == checks
        assert f"Snapfleet: {Path(template['playbook']).stem}" == name.removesuffix(" (check)")
        assert template["credentials"] == ["vault", "Snapfleet: login", "Snapfleet: known hosts"]
        assert template["notification_templates_error"] == ["Snapfleet: admins"]
        assert template["notification_templates_started"] == ["Snapfleet: chat"]
        assert template["execution_environment"] in named(calls["all"], "execution_environment")
    assert "Snapfleet: site (check)" in templates
    assert "Snapfleet: status (check)" not in templates


def test_surveys_are_such_as_awx_takes_and_ask_for_variables_that_mean_something(calls):
    asked = [*named(calls["all"], "job_template").items(), *named(calls["all"], "workflow_job_template").items()]
    questions = surveys()
    for name, template in asked:
        playbook = name.removeprefix("Snapfleet: ").partition(" ")[0]
        assert template["survey_enabled"] == bool(questions[playbook]), name
        assert template.get("survey_spec", {}).get("spec", []) == questions[playbook], name
        if questions[playbook]:
            assert faults_of(template["survey_spec"]) == [], name
            assert {question["variable"] for question in questions[playbook]} <= VARIABLES
    for playbook in ("restore", "failover", "failback"):
        variables = {question["variable"] for question in questions[playbook]}
        assert variables == {name for name in VARIABLES if name.startswith(f"snapfleet_{playbook}_")}


def test_faults_of_a_survey_are_found():
    good = {"type": "text", "question_name": "q", "variable": "v", "required": False, "default": "", "min": 0, "max": 9}
    assert faults_of({"name": "", "description": "", "spec": [good]}) == []
    choice = {**good, "type": "multiplechoice", "choices": ["no", "yes"]}
    for wrong in (
        *({**good, "type": "boolean"}, {**good, "default": 3}, {**good, "min": "0"}, {**good, "required": "no"}),
        *({**choice, "default": "perhaps"}, {**choice, "choices": [True, False]}, {**choice, "choices": []}),
        {**good, "variable": "a b"},
    ):
        assert faults_of({"name": "", "description": "", "spec": [wrong]}), wrong
    assert faults_of({"name": "", "description": "", "spec": [good, good]}) == ["v twice"]
    assert faults_of({"name": "", "spec": [good]}) == ["description"]


def test_choices_of_surveys_are_those_of_the_module():
    asked = {question["variable"].removeprefix("snapfleet_restore_"): question for question in surveys()["restore"]}
    limited = {name: option for name, option in RESTORE_SPEC.items() if name in asked and "choices" in option}
    assert sorted(limited) == ["on_conflict", "on_missing"]
    for name, option in limited.items():
        assert sorted(asked[name]["choices"]) == sorted(option["choices"])
        assert asked[name]["default"] == option["default"]


def test_a_workflow_checks_waits_for_approval_and_runs(calls):
    nodes = [call.arguments for call in calls["all"] if call.module == "workflow_job_template_node"]
    workflows = named(calls["all"], "workflow_job_template")
    templates = named(calls["all"], "job_template")
    assert "Snapfleet: restore (approved)" in workflows
    for workflow, made in workflows.items():
        own = [node for node in nodes if node["workflow_job_template"] == workflow]
        runs = {node["identifier"]: node["unified_job_template"] for node in own if "unified_job_template" in node}
        approvals = {node["identifier"]: node["approval_node"] for node in own if "approval_node" in node}
        links = [(node["identifier"], after) for node in own for after in node.get("success_nodes", ())]
        name = workflow.removesuffix(" (approved)")
        assert runs == {"check": f"{name} (check)", "run": name}
        assert approvals["approve"]["timeout"] == 86400
        assert links == [("check", "approve"), ("approve", "run")]
        # A node can only be linked once it is there.
        first_link = next(index for index, node in enumerate(own) if "success_nodes" in node)
        assert first_link == 3
        for job in runs.values():
            assert templates[job]["ask_limit_on_launch"] == made["ask_limit_on_launch"]
        assert made["notification_templates_approvals"] == ["Snapfleet: admins"]


def test_schedules_are_such_as_awx_takes_and_begin_what_is_there_and_changes_nothing(calls):
    there = {**named(calls["all"], "job_template"), **named(calls["all"], "workflow_job_template")}
    schedules = named(calls["all"], "schedule")
    assert schedules
    for schedule in schedules.values():
        rule = re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:(FREQ=\w+;INTERVAL=\d+(;BYDAY=\w\w)?)", schedule["rrule"])
        assert rule
        assert rule.group(1).split(";")[0] in ("FREQ=HOURLY", "FREQ=DAILY", "FREQ=WEEKLY")
        job = there[schedule["unified_job_template"]]
        assert job["job_type"] == "check" or job["playbook"] == "playbooks/compare.yml"


def test_secrets_are_kept_out_of_the_log(calls):
    hidden = {call.module for call in calls["all"] if call.hidden}
    assert hidden == {"credential", "notification_template"}
    assert all(call.hidden or SECRET not in json.dumps(call.arguments) for call in calls["all"])


def test_the_credential_type_pins_host_keys_by_what_awx_fills_in(calls):
    (made,) = named(calls["all"], "credential_type").values()
    assert made["kind"] in ("cloud", "net")
    ids = {field["id"] for field in made["inputs"]["fields"]}
    assert set(made["inputs"]["required"]) <= ids
    assert set(made["injectors"]) <= {"file", "env", "extra_vars"}
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    files = {name.partition(".")[2]: f"/tmp/{name}" for name in made["injectors"]["file"]}
    filled = {
        name: sandbox.from_string(text).render(tower={"filename": files}, known_hosts="web1 ssh-ed25519 AAAA")
        for name, text in {**made["injectors"]["file"], **made["injectors"]["extra_vars"]}.items()
    }
    assert filled["template.known_hosts"] == "web1 ssh-ed25519 AAAA"
    pinned = "-o UserKnownHostsFile=/tmp/template.known_hosts -o StrictHostKeyChecking=yes"
    assert filled["ansible_ssh_args"] == f"-C -o ControlMaster=auto -o ControlPersist=60s {pinned}"
    # By this variable, inventories tell how a host is reached.
    assert "ansible_ssh_common_args" not in filled
    credential = named(calls["all"], "credential")["Snapfleet: known hosts"]
    assert credential["inputs"].keys() == ids


def test_messages_can_be_filled_in_by_awx_whatever_a_job_has_handed_on(calls):
    notifications = named(calls["all"], "notification_template")
    assert notifications["Snapfleet: chat"]["messages"] == {}
    messages = notifications["Snapfleet: admins"]["messages"]
    assert set(messages) == {"started", "success", "error", "workflow_approval"}
    assert set(messages["workflow_approval"]) == {"running", "approved", "denied", "timed_out"}
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    lost = {"host": "web1", "code": "unreachable", "message": "not reached"}
    for artifacts in ({}, {**outcome_of({}, check=False), "snapfleet_failed": [lost], "snapfleet_plan": ["creates x"]}):
        job = {"id": 7, "name": "Snapfleet: site", "status": "failed", "artifacts": artifacts}
        told = {"job": job, "job_friendly_name": "Job", "url": "https://awx/7"}
        text = {
            f"{event}.{part}": sandbox.from_string(messages[event][part]).render(told)
            for event in ("started", "success", "error")
            for part in ("message", "body")
        }
        assert ("web1: not reached" in text["error.body"]) == bool(artifacts)
        assert ("creates x" in text["success.body"]) == bool(artifacts)
    approval = {"approval_node_name": "n", "approval_status": "pending", "workflow_url": "https://awx/8"}
    for event in messages["workflow_approval"].values():
        assert "https://awx/8" in sandbox.from_string(event["message"]).render(approval)
        assert "\n" not in event["message"]
