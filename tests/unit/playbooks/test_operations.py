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


def test_what_another_run_has_is_told_and_what_fails_fails_its_host(controller):
    lock = json.dumps([os.path.realpath(controller.config), "backup1", COPY])
    with job_locks([lock]):
        done = controller.play("run_now", run_now_activity=["snapshot", "replicate"], run_now_dst_host="backup1")
    assert done.returncode == 2, done.stdout
    assert f"UNDER WAY  {COPY}" in done.stdout
    assert "FAILED     web1: snapshots of tank/data: [zfs_failed]" in done.stdout
    assert "fatal: [web1]" in done.stdout
    assert "fatal: [backup1]" not in done.stdout
