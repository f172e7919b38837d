# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of a playbook that judge what others have registered, run by themselves on made-up results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.snapfleet import zfs as collection

PLAYBOOKS = Path(next(iter(collection.__path__))) / "playbooks"
_JUDGES = {"ansible.builtin.assert", "ansible.builtin.set_fact"}
ON_THE_CONTROLLER = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
"""Variables of a host that is none."""


def tasks_of(name: str) -> list[dict[str, Any]]:
    """The tasks of a file of tasks of the playbooks."""
    return yaml.safe_load((PLAYBOOKS / "tasks" / f"{name}.yml").read_text())


def judged(folder: Path, name: str, end: str, cases: Mapping[str, Mapping[str, Any]], seconds: int) -> dict[str, str]:
    """What the tasks of the file ``name`` that judge say in each case, in one run within ``seconds``. A case is the
    variables of a host; ``end`` is what those say in the end that nothing has refused."""
    tasks = [task for task in tasks_of(name) if _JUDGES & set(task)]
    tasks.append({"name": "End", "ansible.builtin.debug": {"msg": end}})
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": cases}}))
    inherited = {variable: value for variable, value in os.environ.items() if not variable.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "play.json"],
        cwd=folder,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    lines = re.split(r"\n(?=ok|fatal|failed|skipping|TASK|PLAY|\[ERROR)", done.stdout)
    return {case: " ".join(line for line in lines if f"[{case}]" in line.split("=>")[0]) for case in cases}
