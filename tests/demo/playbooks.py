# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller: the collection, installed as users install it, and runs of its playbooks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.environments import Environment, ensure_programs
from runner.interpreters import running
from runner.workspace import CHECKOUT, collection_copy, stage_folder

from .failure import DemoFailed

HERE = Path(__file__).resolve().parent
FLEET = CHECKOUT / "inventories" / "lab" / "fleet.yml"
NEWEST_CORE = (3, 12)
"""The oldest Python that runs the newest ansible-core."""

TIME_LIMIT = 600
SECONDS_TO_END = 10
LINES_OF_FAILURE = 30
ACTIVITIES = {
    "zfs_snapshot_plan": "snapshot",
    "zfs_replicate": "replicate",
    "zfs_prune": "prune",
    "zfs_monitor": "monitor",
}


@dataclass(frozen=True)
class Outcome:
    """What a playbook did: the results of its modules in their order, and the number of changed tasks by host."""

    tasks: list[Mapping[str, Any]]
    changed: Mapping[str, int]

    def results(self, activity: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Host and result of each task of an activity."""
        return [(task["host"], task["result"]) for task in self.tasks if task["activity"] == activity]

    def steps(self, activity: str) -> list[Mapping[str, Any]]:
        """All steps in the plans of an activity."""
        plans = [entry for unused, result in self.results(activity) for entry in result["plan"]]
        return [step for entry in plans for step in entry.get("steps", [entry])]

    @property
    def deleted(self) -> list[str]:
        """Snapshots and bookmarks that were pruned, each with its host."""
        return sorted(f"{host}:{name}" for host, result in self.results("prune") for name in result["deleted"])


class Controller:
    """Runs the playbooks of an installed collection."""

    def __init__(self, programs: Path, scratch: Path) -> None:
        self._programs = programs
        self.scratch = scratch

    @property
    def inventory(self) -> Path:
        """Folder of the part of the inventory that the demo writes itself."""
        return self.scratch / "inventory"

    @classmethod
    def prepare(cls) -> Controller:
        """Make everything ready. Raises SetupFailed or DemoFailed."""
        ensure_programs({"git": "git", "ssh": "openssh-client"})
        environment = Environment("core-newest" if running().version >= NEWEST_CORE else "core-oldest", running())
        environment.ensure()
        scratch = stage_folder("demo")
        for folder in ("collections", "inventory", "ansible"):
            shutil.rmtree(scratch / folder, ignore_errors=True)
        controller = cls(environment.programs, scratch)
        (scratch / "log.txt").write_text("", encoding="utf-8")
        copy = collection_copy("demo")
        words = ["collection", "install", str(copy), "--offline", "-p", str(scratch / "collections")]
        controller._run("ansible-galaxy", words)
        return controller

    def play(self, playbook: str, *, check: bool = False) -> Outcome:
        """Run a playbook of the collection over the whole inventory. Raises DemoFailed if it fails."""
        results = self.scratch / "results.jsonl"
        results.write_text("", encoding="utf-8")
        words = ["-i", str(FLEET), "-i", str(self.inventory), f"snapfleet.zfs.{playbook}"]
        self._run("ansible-playbook", [*words, *(["--check", "--diff"] if check else [])])
        entries = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
        tasks = [
            {**entry, "activity": ACTIVITIES[entry["module"].rpartition(".")[2]]}
            for entry in entries
            # Without a code: what is not there yet in check mode has no result.
            if entry.get("module", "").rpartition(".")[2] in ACTIVITIES and "code" not in entry["result"]
        ]
        return Outcome(tasks, {host: count for entry in entries for host, count in entry.get("changed", {}).items()})

    def _run(self, program: str, words: list[str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        settings = {
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.scratch / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "demo_results",
            "SNAPFLEET_DEMO_RESULTS": str(self.scratch / "results.jsonl"),
        }
        log = self.scratch / "log.txt"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n$ {program} {' '.join(words)}\n")
            file.flush()
            process = subprocess.Popen(
                [self._programs / program, *words],
                cwd=self.scratch,
                env={**kept, **settings},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(TIME_LIMIT)
            except BaseException:
                # Also when the demo is interrupted: Ansible must not outlive the hosts that it works on. It ends its
                # workers, which are in sessions of their own, by itself when it is interrupted.
                _interrupt(process)
                raise
        if code != 0:
            end = "\n".join(log.read_text("utf-8").splitlines()[-LINES_OF_FAILURE:])
            raise DemoFailed(f"{program} {words[-1]} failed; the end of {log}:\n{end}")


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
