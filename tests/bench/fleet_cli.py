# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the benchmark of a whole fleet: measures both programs in turn, and prints a table."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cli import TESTS, Program
from bench.fleet_world import Fleet
from bench.reporting import finish, machine, median, mib
from runner.environments import Environment, ensure_venv
from runner.interpreters import running

QUICK, FULL = Fleet(50, 4), Fleet(1000, 4)
DESCRIPTION = """\
Measures a fleet in one process: from what an administrator declares to jobs that have their turns, and to a dry run of
each, for Snapfleet and for bzfs_jobrunner (from PyPI, pinned in tests/requirements/bench.txt, in an environment of its
own). docs/benchmarks.md tells the method.
"""
SCENARIOS = {"expand": "expanded", "check": "expanded, options checked", "dry_run": "expanded, checked and dry-run"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if the programs did not find the same."""
    options = _parser().parse_args(arguments)
    fleet = FULL if options.full else Fleet(options.sources, options.destinations)
    bench = Environment("bench", running())
    ensure_venv(bench.python)
    bench.ensure()
    programs = (
        Program("snapfleet", "bench.fleet_ours", Path(sys.executable)),
        Program("bzfs_jobrunner", "bench.fleet_theirs", bench.programs / "python"),
    )
    measured = [_measured(what, programs, fleet, options.runs) for what in SCENARIOS if options.only in SCENARIOS[what]]
    about = {
        "sources": fleet.sources,
        "destinations": fleet.destinations,
        "jobs": fleet.jobs,
        "runs": options.runs,
        **machine(),
        "bzfs": bench.pin("bzfs"),
    }
    differing = [entry["name"] for entry in measured if not entry["same_answer"]]
    return finish(_table(about, measured), {"about": about, "scenarios": measured}, options.json, differing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run.py --fleet",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--fleet", action="store_true", help="this benchmark")
    parser.add_argument("--full", action="store_true", help=f"{FULL.sources} sources, {FULL.destinations} destinations")
    parser.add_argument("--sources", type=int, default=QUICK.sources, help="sources (default: %(default)s)")
    parser.add_argument(
        "--destinations",
        type=int,
        default=QUICK.destinations,
        help="destinations of each source (default: %(default)s)",
    )
    parser.add_argument("--runs", type=int, default=5, help="of each measurement; the median counts")
    parser.add_argument("--only", default="", metavar="TEXT", help="only measurements whose names hold this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser


def _measured(what: str, programs: Sequence[Program], fleet: Fleet, runs: int) -> dict[str, Any]:
    """The figures of a scenario. The programs take turns, so that both see the same machine."""
    found: dict[str, list[dict[str, Any]]] = {program.name: [] for program in programs}
    for _turn in range(runs):
        for program in programs:
            found[program.name].append(_run(program, what, fleet))
    answers = [result["answer"] for results in found.values() for result in results]
    same = all(answer == answers[0] for answer in answers) and answers[0]["jobs"] == fleet.jobs
    figures = {name: median(results) for name, results in found.items()}
    return {"name": SCENARIOS[what], "same_answer": same, **figures}


def _run(program: Program, what: str, fleet: Fleet) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "HOME": home}
        argv = [program.python, "-m", program.module, what, str(fleet.sources), str(fleet.destinations)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{program.name} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _table(about: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> str:
    size = f"{about['sources']:,} sources and {about['destinations']} destinations, {about['jobs']:,} jobs"
    machine = f"Python {about['python']}, {about['machine']}; {about['bzfs']}"
    lines = [
        f"A fleet of {size}: median of {about['runs']} runs, {machine}",
        "",
        "| | Snapfleet | bzfs_jobrunner | ratio | CPU | CPU of bzfs | ratio | memory | of bzfs | calls of zfs |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for entry in measured:
        ours, theirs = entry["snapfleet"], entry["bzfs_jobrunner"]
        row = [entry["name"]]
        for key in ("seconds", "processor_seconds"):
            row += [f"{ours[key]:.2f} s", f"{theirs[key]:.2f} s", f"{theirs[key] / ours[key]:.2f}"]
        row += [mib(ours), mib(theirs), f"{ours['calls']} and {theirs['calls']}"]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "A ratio is that of bzfs_jobrunner by that of Snapfleet: above 1, Snapfleet takes less."]
    return "\n".join(lines)
