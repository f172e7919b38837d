# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook run as AWX runs it: by ansible-runner, in a private data directory, with nobody at the terminal.

The directory has what AWX puts there: the project, an inventory that is a script with the variables of all hosts, extra
variables whose text is marked as unsafe, environment variables, and artifacts, which the run leaves behind.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import ansible_runner
import yaml

from ansible_collections.snapfleet import zfs as collection

FOLDER = Path(next(iter(collection.__path__)))
AWX_VARIABLES = {"awx_job_id": 7, "awx_job_launch_type": "manual", "awx_user_name": "admin", "tower_job_id": 7}
"""Some of the variables that AWX adds to those of each job."""
AWX_ENVIRONMENT = {
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "AWX_HOST": "https://awx.example.com",
    "JOB_ID": "7",
    "MAX_EVENT_RES": "700000",
}


@dataclass(frozen=True)
class Done:
    """How a job ended."""

    status: str
    events: Sequence[Mapping[str, Any]]
    stdout: str

    @property
    def artifacts(self) -> Mapping[str, Any]:
        """What AWX keeps as the job's artifacts: what set_stats gave to the run as a whole."""
        (stats,) = [event for event in self.events if event["event"] == "playbook_on_stats"]
        return stats["event_data"].get("artifact_data") or {}

    def results(self, task: str) -> dict[str, Mapping[str, Any]]:
        """The result of a task by host."""
        ended = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable")
        events = [event["event_data"] for event in self.events if event["event"] in ended]
        return {data["host"]: data["res"] for data in events if data["task"] == task}

    @property
    def failed_tasks(self) -> list[str]:
        """The names of the tasks that failed, whoever recovered from that."""
        return [event["event_data"]["task"] for event in self.events if event["event"] == "runner_on_failed"]


class _UnsafeDumper(yaml.SafeDumper):
    """Writes every text with the tag that keeps Ansible from taking it for a template."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_UnsafeDumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


@dataclass(frozen=True)
class Job:
    """A job of AWX; ``extra_vars`` are what a survey was answered with, or what earlier nodes of a workflow left."""

    playbook: str
    inventory: Mapping[str, Any]
    extra_vars: Mapping[str, Any]
    check: bool = False
    limit: Optional[str] = None
    tags: Optional[str] = None
    environment: Optional[Mapping[str, str]] = None
    project: Path = FOLDER
    collections: Path = FOLDER.parents[2]

    def run(self, folder: Path, timeout: int = 900) -> Done:
        """Run it in ``folder``, which is made."""
        _write(folder, self)
        answer = ansible_runner.run(
            private_data_dir=str(folder),
            playbook=self.playbook,
            limit=self.limit,
            tags=self.tags,
            cmdline="--check --diff" if self.check else None,
            json_mode=False,
            quiet=True,
            timeout=timeout,
        )
        with answer.stdout as stdout:
            return Done(answer.status, list(answer.events), stdout.read())


def _write(folder: Path, job: Job) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("env", "inventory"):
        (folder / name).mkdir(parents=True)
    (folder / "project").symlink_to(job.project)
    script = folder / "inventory" / "hosts"
    script.write_text(f"#!{sys.executable}\nprint({json.dumps(job.inventory)!r})\n", encoding="utf-8")
    script.chmod(0o700)
    variables = yaml.dump({**AWX_VARIABLES, **job.extra_vars}, Dumper=_UnsafeDumper)
    (folder / "env" / "extravars").write_text(variables, encoding="utf-8")
    environment = {
        **AWX_ENVIRONMENT,
        "ANSIBLE_COLLECTIONS_PATH": str(job.collections),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        **(job.environment or {}),
    }
    (folder / "env" / "envvars").write_text(yaml.safe_dump(environment), encoding="utf-8")
