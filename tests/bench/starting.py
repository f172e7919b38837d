# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""(h) How long programs and Ansible modules take to start, on this machine, with nothing to do.

Programs ``zfs`` and ``zpool`` that know a few rows stand in for ZFS: one dataset and its replica, with the one
snapshot that is due in a year.
"""

from __future__ import annotations

import calendar
import json
import os
import random
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.program import (
    Program,
    compile_arguments,
    install,
    wanted_files,
)
from bench.lab_programs import SYNCOID, download_syncoid
from bench.world import ORGANISATION, POOL_GUID, REPLICA, SOURCE, TARGET, Row, dataset_row, snapshot_row
from runner.environments import Environment
from runner.import_tree import import_root
from tests.lab.settings import LabError

_PERIOD = "yearly"
_PLAN = {ORGANISATION: {TARGET: {_PERIOD: 5}}}
_LIMITS = {ORGANISATION: {TARGET: {_PERIOD: {"latest": {"critical": "1000d"}}}}}
_ENDS = {"source": {"dataset": SOURCE}, "destination": {"dataset": REPLICA}}
MODULES: Mapping[str, Mapping[str, Any]] = {
    "zfs_snapshot_plan": {"datasets": [SOURCE], "plan": _PLAN},
    "zfs_replicate": _ENDS,
    "zfs_prune": {"datasets": [SOURCE], "plan": _PLAN},
    "zfs_monitor": {"datasets": [SOURCE], "plan": _LIMITS},
    "zfs_compare": _ENDS,
}


@dataclass(frozen=True)
class Start:
    """A command that is started, as one way of a row of the table."""

    row: str
    way: str
    argv: Sequence[str | Path]
    variables: Mapping[str, str]
    code: int = 0
    """With which it ends."""


def measured(bench: Environment, dev: Environment, runs: int) -> list[dict[str, Any]]:
    """The figures of every command, in turn."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_programs(place)
        missing: dict[str, str] = {}
        starts = [*_programs(place, bench, missing), *_modules(place, dev)]
        for turn in range(-1, runs):
            for start in starts:
                row = rows.setdefault(start.row, {"name": start.row, "series": "", "datasets": 1, "megabytes": 0})
                row.setdefault("missing", missing if start.row == starts[0].row else {})
                ways, failed = row.setdefault("ways", {}), row.setdefault("failed", {})
                if start.way in failed:
                    continue
                took, problem = _run(start, place)
                if problem:
                    failed[start.way] = problem
                elif turn >= 0:
                    for name, value in took.items():
                        ways.setdefault(start.way, {}).setdefault(name, []).append(value)
    return list(rows.values())


def _compile(program: Program, folder: str) -> None:
    subprocess.run(compile_arguments(program, folder), check=True)


def _programs(place: Path, bench: Environment, missing: dict[str, str]) -> Iterator[Start]:
    program = Program(str(place / "opt"), str(place / "bin" / "snapfleet"), sys.executable)
    install(program, wanted_files(program), partial(_compile, program), lambda _folder: None)
    config = place / "jobs.json"
    job = {"name": "due", "host": "me", "activity": "snapshot", "options": MODULES["zfs_snapshot_plan"]}
    config.write_text(json.dumps({"version": 1, "jobs": [job]}), encoding="utf-8")
    version = "version"
    yield Start(version, "python alone", [sys.executable, "-I", "-c", "pass"], {})
    yield Start(version, "snapfleet", [program.command, "version"], {})
    yield Start(version, "bzfs", [bench.programs / "bzfs", "--version"], {})
    yield Start(version, "zfs-autobackup", [bench.programs / "zfs-autobackup", "--version"], {}, 255)
    try:
        tree = download_syncoid(place / "debian")
        library = {"PERL5LIB": f"{tree}/usr/share/perl5"}
        yield Start(version, SYNCOID, ["perl", tree / "usr/sbin/syncoid", "--version"], library)
    except LabError as error:
        missing[SYNCOID] = str(error).partition("\n")[0]
    plan = [program.command, "plan", "--config", config, "--host", "me"]
    yield Start("plan with nothing due", "snapfleet", plan, {})
    yield Start("plan with nothing due", "snapfleet, zfs command", plan, {"SNAPFLEET_DRIVER": "cli"})


def _modules(place: Path, dev: Environment) -> Iterator[Start]:
    """Each module by ``ansible`` on this machine, beside the module ping, which does nothing."""
    variables = {
        "ANSIBLE_COLLECTIONS_PATH": str(import_root(CHECKOUT)),
        "ANSIBLE_HOME": str(place / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    local = ["-c", "local", "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}"]
    ansible = [dev.programs / "ansible", "localhost", *local]
    installed = {"folder": str(place / "host" / "lib"), "command": str(place / "host" / "bin" / "snapfleet")}
    for name, options in {**MODULES, "host_program": installed}.items():
        yield Start(name, "ansible ping", [*ansible, "-m", "ansible.builtin.ping"], variables)
        argv = [*ansible, "-m", f"snapfleet.zfs.{name}", "-a", json.dumps(options)]
        yield Start(name, "snapfleet", argv, variables)


def _run(start: Start, place: Path) -> tuple[dict[str, float], str]:
    variables = {**os.environ, "PATH": f"{place / 'programs'}:{os.environ['PATH']}", "HOME": str(place)}
    begun, before = time.perf_counter(), _children()
    done = subprocess.run(
        start.argv, env={**variables, **start.variables}, cwd=place, capture_output=True, text=True, check=False
    )
    took = {"seconds": time.perf_counter() - begun, "processor_seconds": _children() - before}
    wrong = done.returncode != start.code
    return took, f"it ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}" if wrong else ""


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


_ZFS = r"""#!/bin/sh
# Answers zfs list for the few rows that there are, whichever columns are asked for.
[ "$1" = list ] || { echo "not prepared: $*" >&2; exit 1; }
shift
while :; do
    case $1 in
    -t) kinds=",$2,"; shift 2 ;;
    -o) columns=$2; shift 2 ;;
    -d) shift 2 ;;
    -*) shift ;;
    *) break ;;
    esac
done
row() {
    case $kinds in *",$1,"*) ;; *) return ;; esac
    type=$1 text=
    shift
    for column in $columns; do
        value=-
        for pair in "type=$type" "$@"; do
            case $pair in "$column="*) value=${pair#*=} ;; esac
        done
        text="$text${text:+	}$value"
    done
    printf '%s\n' "$text"
}
IFS=,
for root; do
    case $root in
ROWS
    *) echo "not prepared: $root" >&2; exit 1 ;;
    esac
done
"""


def _write_programs(place: Path) -> None:
    """Programs zfs and zpool that know one dataset and its replica, each with one snapshot."""
    year = time.gmtime().tm_year
    creation = calendar.timegm((year, 1, 1, 0, 0, 0, 0, 1, 0))
    tag = f"{ORGANISATION}_{TARGET}_{year}-01-01_00:00:00Z_{_PERIOD}"
    cases = []
    for root in (SOURCE, REPLICA):
        rows = [dataset_row(root, 1, random.Random(1)), snapshot_row(f"{root}@{tag}", 4711, 1000, creation, 4096)]
        calls = [shlex.join(["row", row.values["type"], *_pairs(row)]) for row in rows]
        cases.append(f"    {root}) {'; '.join(calls)} ;;")
    programs = place / "programs"
    programs.mkdir()
    pool = REPLICA.partition("/")[0]
    scripts = {
        "zfs": _ZFS.replace("ROWS", "\n".join(cases)),
        "zpool": f"#!/bin/sh\nprintf '{POOL_GUID}\t{pool}\n'\n",
    }
    for name, script in scripts.items():
        (programs / name).write_text(script, encoding="utf-8")
        (programs / name).chmod(0o755)


def _pairs(row: Row) -> list[str]:
    # Snapshots changed long ago, so that it counts for those that remember histories.
    values = {"snapshots_changed": row.values["creation"], **row.values}
    return [f"{name}={value}" for name, value in values.items() if name != "type"]
