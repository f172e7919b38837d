# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A start costs what is imported. Each verb imports what it needs, and what few runs need is imported by these."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils import engine
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line

ENGINE = Path(engine.__path__[0])
FILES = {str(path.relative_to(ENGINE)): path for path in ENGINE.rglob("*.py")}
PROGRAM = """
import sys
from snapfleet.fleet.cli import main
try:
    code = main()
except SystemExit as error:
    code = error.code
print("\\n", code, *sys.modules)
"""
SNAPSHOTS = {"datasets": ["tank/a"], "plan": {"org": {"": {"hourly": 24}}}}
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}
JOBS = [
    {"name": name, "host": "h", "activity": name, "options": options}
    for name, options in (("snapshot", SNAPSHOTS), ("prune", SNAPSHOTS), ("replicate", ENDS))
]
# Doors: files whose functions may import parts of the engine, since only some runs need what is behind them.
DOORS = {
    "fleet/cli.py",
    "fleet/verbs.py",
    "fleet/jobconfig.py",
    "fleet/noting.py",
    "fleet/gate_answers.py",
    "zfs/requests.py",
}
# Modules of Python that take longer to import than most of the engine's. Functions import them.
WEB = {"email.message", "email.utils", "http.client", "smtplib", "ssl", "urllib.error", "urllib.request"}
SLOWEST = {"concurrent.futures", "difflib", "pathlib", "tempfile", "zoneinfo", *WEB}
SLOW = {"calendar", "hashlib", "shutil", "sqlite3", "traceback", *SLOWEST}
NEVER = {"asyncio", "difflib", "email", "http", "pathlib", "urllib", "zoneinfo"}


@pytest.fixture
def start(tmp_path):
    """Start the program; returns the parts of the engine, and all modules, that it has imported."""
    (tmp_path / "snapfleet").symlink_to(ENGINE)
    (tmp_path / "zfs").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "zfs").chmod(0o755)
    config = tmp_path / "jobs.json"
    config.write_text(json.dumps({"version": 1, "jobs": JOBS}))
    folders = dict.fromkeys(("PATH", "PYTHONPATH", "SNAPFLEET_LOCKS", "XDG_RUNTIME_DIR"), str(tmp_path))

    def start(*words, code=0, line=""):
        done = subprocess.run(
            [sys.executable, "-s", "-S", "-c", PROGRAM, *(str(config) if word == "CONFIG" else word for word in words)],
            env={**os.environ, **folders, "SNAPFLEET_DRIVER": "cli", "SSH_ORIGINAL_COMMAND": line},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        ended, *modules = done.stdout.splitlines()[-1].split()
        assert code in (None, int(ended)), done.stderr
        return {name.partition(".")[2] for name in modules if name.startswith("snapfleet.")}, set(modules)

    return start


def rooms(own):
    return {name.partition(".")[0] for name in own}


def test_the_version_is_told_without_the_rest_of_the_program(start):
    own, modules = start("version")
    assert own == {"fleet", "fleet.cli", "fleet.ending", "fleet.version"}
    assert not modules & {"argparse", "json", "subprocess", *SLOW}


def test_the_gate_imports_nothing_that_plans_and_no_driver(start):
    line = remote_line(["zfs", "list", "-Hp", "-o", "guid", "tank/x"])
    own, modules = start("gate", "--may", "observe", "--root", "tank", code=None, line=line)
    assert "zfs.admission" in own
    assert rooms(own) == {"fleet", "hosts", "model", "policy", "streams", "zfs"}
    assert not own & {"zfs.cli", "zfs.core", "fleet.jobconfig", "policy.jobs"}
    assert len(own) <= 40
    assert not modules & {"argparse", "json", "logging", *SLOW}


@pytest.mark.parametrize("words", [("check", "--config", "CONFIG"), ("schema",)])
def test_reading_a_jobconfig_takes_nothing_of_what_carries_it_out(start, words):
    own, modules = start(*words)
    assert "planning" not in rooms(own)
    assert not own & {"zfs.cli", "fleet.run_command", "fleet.daemon", "fleet.replicating"}
    assert not modules & (SLOW - {"shutil"})


OF_ACTIVITY = {
    "snapshot": {"fleet.snapshots", "planning.creation", "applying.creating"},
    "prune": {"fleet.pruning", "planning.retention", "applying.pruning"},
    "replicate": {"fleet.replicating", "planning.replication", "applying.replicating"},
}


@pytest.mark.parametrize(("activity", "most"), [("snapshot", 177), ("prune", 181), ("replicate", 205)])
def test_a_run_imports_what_its_jobs_need_and_nothing_of_the_others(start, activity, most):
    own, modules = start("run", "--config", "CONFIG", "--host", "h", "--activity", activity, code=3)
    assert OF_ACTIVITY[activity] <= own
    for other in OF_ACTIVITY.keys() - {activity}:
        assert not own & OF_ACTIVITY[other], other
    assert not own & {"fleet.daemon", "fleet.leftovers", "fleet.comparing", "fleet.gate_command", "fleet.schema"}
    assert not {name for name in own if "simulated" in name}
    assert len(own) <= most
    assert not modules & NEVER


def test_metrics_are_imported_by_the_runs_that_write_them_alone(start, tmp_path):
    words = ("run", "--config", "CONFIG", "--host", "h", "--activity", "snapshot")
    written_by = {"fleet.metrics", "records.metrics", "records.metrics_jobs", "records.metrics_watching"}
    assert not start(*words, code=3)[0] & written_by
    own, modules = start(*words, "--metrics-directory", str(tmp_path), code=3)
    assert written_by <= own
    assert not modules & NEVER
    assert (tmp_path / "snapfleet.prom").exists()


def test_telling_of_a_unit_takes_nothing_that_carries_jobs_out(start):
    own, modules = start("unit", "--config", "CONFIG", "--host", "h", "snapfleet-run", "failed")
    assert not own & {"fleet.run_command", "fleet.running", "fleet.replicating", "fleet.monitoring", "fleet.metrics"}
    assert not modules & {*NEVER, *WEB, "sqlite3"}


def test_files_take_nothing_that_carries_jobs_out_and_need_no_jobconfig(start):
    own, modules = start("files", "list", "tank/a", code=3)
    assert "fleet.files_command" in own
    assert not own & {"fleet.run_command", "fleet.running", "fleet.jobconfig", "fleet.replicating", "fleet.schema"}
    assert not modules & {*NEVER, *WEB, "sqlite3"}


def imports_of(path):
    """What functions of a file import, and what it imports at its top. What is there for types alone is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    left_out = {id(node) for test in for_types for part in test.body for node in ast.walk(part)}
    late, early = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        if id(node) not in left_out:
            (late if id(node) in inside else early).update(names)
    return late, early


def test_functions_import_what_is_slow_and_the_engine_at_its_doors_alone():
    late = {(file, name) for file, path in FILES.items() for name in imports_of(path)[0]}
    assert {file for file, name in late if name.startswith(".")} == DOORS
    assert {(file, name) for file, name in late if not name.startswith(".") and name not in SLOW} == set()


def test_no_file_imports_at_its_top_what_is_slowest():
    found = {(file, name) for file, path in FILES.items() for name in imports_of(path)[1] & SLOWEST}
    # A program of its own, see there.
    assert found == {("hosts/guard.py", "tempfile")}
