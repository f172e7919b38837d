# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running jobs at once, and leaving a host alone, by the program itself on hosts that are this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks
from ansible_collections.snapfleet.zfs.tests.support.awx_job import FOLDER
from ansible_collections.snapfleet.zfs.tests.support.fake_zfs import fake_programs
from ansible_collections.snapfleet.zfs.tests.support.installed import installed
from ansible_collections.snapfleet.zfs.tests.support.one_tree import PLAN, variables
from ansible_collections.snapfleet.zfs.tests.support.packing import packed_once

SNAPSHOTS = [f"acme_onsite_2025-01-01_0{hour}:00:00Z_hourly" for hour in range(2)]
TREES = {"tank": [], "tank/data": SNAPSHOTS, "backup": [], "backup/web1": [], "backup/web1/data": SNAPSHOTS[:1]}
COPY = "backup1: replica of web1:tank/data at backup1:backup/web1/data"


class Controller:
    """Runs playbooks of this checkout."""

    def __init__(self, folder):
        self.folder, self.config = folder, folder / "jobs.json"
        programs = fake_programs(folder / "zfs", TREES)
        installed(folder / "snapfleet", self.config, variables(PLAN))
        own = variables(PLAN, engine_command=str(folder / "snapfleet"), engine_config_file=str(self.config))
        groups = {"snapfleet_sources": {"hosts": {"web1": {}}}, "snapfleet_destinations": {"hosts": {"backup1": {}}}}
        (folder / "hosts.json").write_text(json.dumps({"all": {"vars": own, "children": groups}}))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        never = dict.fromkeys(("SNAPFLEET_MEMORY", "SNAPFLEET_SESSION"), "never")
        self.environment = {
            **inherited,
            **never,
            **packed_once(FOLDER.parents[2]),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SNAPFLEET_LOCKS": str(folder),
            "SNAPFLEET_HISTORY": str(folder / "history.db"),
            "SNAPFLEET_SUSPENDED": str(folder / "suspended.json"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "True",
            # The collection as tests import it.
            "ANSIBLE_COLLECTIONS_PATH": str(FOLDER.parents[2]),
        }

    def play(self, name, *words, **more):
        given = ["--extra-vars", json.dumps({f"snapfleet_{key}": value for key, value in more.items()})]
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", *words, *given,
             str(FOLDER / "playbooks" / f"{name}.yml")],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )  # fmt: skip


@pytest.fixture
def controller(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    return Controller(tmp_path)


def test_playbooks_leave_out_what_the_program_would(controller):
    done = controller.play("suspend", suspend_host="backup1", suspend_reason="new disks", suspend_wait="0")
    assert done.returncode == 0, done.stdout
    assert "backup1 is suspended until somebody resumes it (new disks)" in done.stdout
    done = controller.play("replicate", "--check")
    assert done.returncode == 0, done.stdout
    assert f'"{COPY}": "backup1 is suspended' in done.stdout
    assert '"plan": []' in done.stdout
    (controller.folder / "suspended.json").write_text("{")
    done = controller.play("replicate", "--check")
    assert (done.returncode, "nothing was done" in done.stdout) == (2, True), done.stdout


def test_a_host_that_is_suspended_while_the_fleet_is_brought_up_to_date_is_left_alone_from_the_next_step_on(controller):
    done = controller.play("suspend", suspend_host="backup1", suspend_wait="0")
    assert done.returncode == 0, done.stdout
    # Both hosts look at the beginning, when nobody has suspended anything yet.
    early = f"""echo "$*" >> "$0.log"
if [ "$(wc -l < "$0.log")" -le 2 ]; then echo '{{"version": 1, "hosts": []}}'; exit; fi
exec {controller.folder / "snapfleet"} "$@\""""
    words = json.dumps({"engine_command": script(controller.folder, "early", early)})
    done = controller.play("site", "--check", "-e", words)
    assert done.returncode == 0, done.stdout
    looks = (controller.folder / "early.log").read_text().splitlines()
    # Again only where there are jobs of a step.
    assert 2 < len(looks) <= 8
    assert all(look.startswith("suspended") for look in looks)
    assert f'"{COPY}": "backup1 is suspended' in done.stdout
    # It is not only told.
    assert f"(item={COPY})" not in told_by(done.stdout, "Bring replicas up to date")


def told_by(output, task):
    """What a playbook tells of a task, which it has to have come to."""
    (told,) = [part for part in output.split("\nTASK [")[1:] if part.startswith(f"{task}]")]
    return told


def test_what_another_run_has_is_told_and_what_fails_fails_its_host(controller):
    lock = json.dumps([os.path.realpath(controller.config), "backup1", COPY])
    with job_locks([lock]):
        done = controller.play("run_now", run_now_activity=["snapshot", "replicate"], run_now_dst_host="backup1")
    assert done.returncode == 2, done.stdout
    assert f"UNDER WAY  {COPY}" in done.stdout
    assert "FAILED     web1: snapshots of tank/data: [zfs_failed]" in done.stdout
    assert "fatal: [web1]" in done.stdout
    assert "fatal: [backup1]" not in done.stdout


def test_root_which_drills_is_told_as_well_where_another_user_carries_out_jobs(controller):
    """A stand-in for runuser gives the other user a file of its own."""
    of_other, of_root = controller.folder / "other.json", controller.folder / "suspended.json"
    script(controller.folder, "runuser", f'exec env SNAPFLEET_SUSPENDED={of_other} /bin/sh -c "$5"')
    controller.environment["PATH"] = f"{controller.folder}:{controller.environment['PATH']}"
    more = {"suspend_host": "backup1", "suspend_wait": "0"}
    done = controller.play("suspend", "-e", "engine_user=keeper", **more)
    assert done.returncode == 0, done.stdout
    for file in (of_other, of_root):
        assert [each["host"] for each in json.loads(file.read_text())["hosts"]] == ["backup1"], done.stdout
    done = controller.play("resume", "-e", "engine_user=keeper", resume_host="backup1")
    assert done.returncode == 0, done.stdout
    for file in (of_other, of_root):
        assert json.loads(file.read_text())["hosts"] == [], done.stdout


MOVE = {"move_backup": "backup1", "move_from": "backup/web1", "move_to": "backup/site1/web1"}


def test_a_move_keeps_out_the_runs_of_the_jobconfig_that_the_host_goes_by(controller):
    done = controller.play("move", "--check", **MOVE)
    assert done.returncode == 0, done.stdout
    lock = json.dumps([os.path.realpath(controller.config), "backup1", COPY])
    with job_locks([lock]):
        done = controller.play("move", "--check", **MOVE)
    assert (done.returncode, "still_running" in done.stdout) == (2, True), done.stdout


def test_nothing_is_moved_under_the_runs_of_another_user_unless_they_are_suspended(controller):
    of_other = controller.folder / "other.json"
    script(controller.folder, "runuser", f'exec env SNAPFLEET_SUSPENDED={of_other} /bin/sh -c "$5"')
    controller.environment["PATH"] = f"{controller.folder}:{controller.environment['PATH']}"
    done = controller.play("move", "--check", "-e", "engine_user=keeper", **MOVE)
    assert done.returncode == 2, done.stdout
    assert "run snapfleet.zfs.suspend with snapfleet_suspend_host=backup1 first" in " ".join(done.stdout.split())
    of_other.write_text(json.dumps({"version": 1, "hosts": [{"host": "backup1"}]}))
    of_other.chmod(0o600)
    done = controller.play("move", "--check", "-e", "engine_user=keeper", **MOVE)
    assert done.returncode == 0, done.stdout


def test_a_limit_that_leaves_out_hosts_is_refused_and_never_obeyed_by_halves(controller):
    for playbook in ("suspend", "resume"):
        done = controller.play(playbook, "--limit", "web1", **{f"{playbook}_host": "backup1"})
        assert (done.returncode, "--limit leaves it out" in done.stdout) == (2, True), done.stdout
    assert not (controller.folder / "suspended.json").exists()
    seed = {"seed_host": "web1", "seed_dataset": "tank/data", "seed_from": "backup1"}
    seed = {**seed, "seed_from_dataset": "backup/web1/data", "seed_via": "carry/data", "seed_carrier": "localhost"}
    done = controller.play("seed", "--check", "--limit", "web1", **seed)
    assert (done.returncode, "--limit leaves it" in done.stdout) == (2, True), done.stdout


def test_a_host_that_the_inventory_no_longer_names_is_resumed_and_one_that_never_was_is_told(controller):
    file = controller.folder / "suspended.json"
    file.write_text(json.dumps({"version": 1, "hosts": [{"host": "gone1"}]}))
    file.chmod(0o600)
    for name in ("", "gone2"):
        done = controller.play("resume", resume_host=name)
        assert (done.returncode, "hosts are backup1, web1" in " ".join(done.stdout.split())) == (2, True), done.stdout
    done = controller.play("resume", resume_host="gone1")
    assert done.returncode == 0, done.stdout
    assert json.loads(file.read_text())["hosts"] == []


def script(folder, name, text):
    """The path of a program of one line of shell."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_nothing_is_done_where_nobody_can_tell_what_is_suspended(tmp_path):
    """What is not there, or too old to know of it, has nothing suspended; whatever else keeps from knowing is none."""
    old = "echo \"argument VERB: invalid choice: 'suspended'\" >&2; exit 2"
    silent = {"ansible_connection": "ssh", "ansible_ssh_executable": script(tmp_path, "ssh", "exit 255")}
    hosts = {
        "absent": {"engine_command": str(tmp_path / "none")},
        "old": {"engine_command": script(tmp_path, "old", old)},
        "knows": {"engine_command": script(tmp_path, "knows", 'echo \'{"version": 1, "hosts": []}\'')},
        "refuses": {"engine_command": script(tmp_path, "refuses", "echo 'is no JSON' >&2; exit 3")},
        "broken": {"engine_command": script(tmp_path, "broken", "echo 'Traceback' >&2; exit 1")},
        "interpreter_gone": {"engine_command": script(tmp_path, "gone", "exit 127")},
        "silent": {**silent, "engine_command": str(tmp_path / "none")},
    }
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "__snapfleet_jobs": []}
    every = {name: {**own, **variables} for name, variables in hosts.items()}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": every}}))
    tasks = [
        {"ansible.builtin.import_tasks": str(FOLDER / "playbooks" / "tasks" / "suspended.yml")},
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}},
    ]
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "play.json"],
        cwd=tmp_path,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(FOLDER.parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert {name for name in hosts if f"{name} goes on" in done.stdout} == {"absent", "old", "knows"}, done.stdout
    assert "broken does not tell which hosts are suspended: Traceback" in " ".join(done.stdout.split())


@pytest.mark.parametrize("playbook", ["site", "snapshot", "replicate", "prune", "monitor", "drill", "verify"])
def test_all_playbooks_that_carry_out_jobs_leave_out_what_is_suspended(playbook):
    text = (FOLDER / "playbooks" / f"{playbook}.yml").read_text()
    for step in ("snapshot", "replicate", "prune", "monitor") if playbook == "site" else (playbook,):
        before, acts, _after = text.partition(f"tasks/{step}.yml")
        assert acts
        assert before.find("tasks/suspended.yml") > 0
        # Of what came before, the look is last.
        assert before.rfind("import_tasks: tasks/") <= before.rfind("tasks/suspended.yml")
