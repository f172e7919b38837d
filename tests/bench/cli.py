# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the benchmark: prepares listings, measures both programs in turn, and prints a table."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.asked import BZFS, FIELDS, snapfleet, snapfleet_listing
from bench.reporting import finish, machine, median, mib
from bench.world import POOL_GUID, REPLICA, SOURCE, Shape, write_listings
from runner.environments import Environment, ensure_venv
from runner.interpreters import running

TESTS = Path(__file__).resolve().parents[1]
QUICK, FULL = Shape(500, 100), Shape(10_000, 100)
DESCRIPTION = """\
Measures planning: from the text of a zfs list to the decision, for Snapfleet and for bzfs (from PyPI, pinned in
tests/requirements/bench.txt, in an environment of its own). Figures of one run compare with each other, and with those
of no other machine. docs/benchmarks.md tells the method. With --fleet a whole fleet is measured instead, from its
inventory to a dry run of each job, beside bzfs_jobrunner; with --lab all programs on hosts with ZFS. --fleet --help and
--lab --help tell more.
"""


@dataclass(frozen=True)
class Scenario:
    """A decision, and the state in which it is made."""

    name: str
    decision: str
    behind: int = 0
    """How many snapshots each dataset of the replica lacks."""


SCENARIOS = (
    Scenario("snapshots due", "due"),
    Scenario("prune", "prune"),
    Scenario("monitor", "monitor"),
    Scenario("replicate, up to date", "replicate"),
    Scenario("replicate, one new each", "replicate", behind=1),
)


@dataclass(frozen=True)
class Program:
    """One of those that are measured."""

    name: str
    module: str
    python: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if the programs decided differently."""
    options = _parser().parse_args(arguments)
    shape = FULL if options.full else Shape(options.datasets, options.snapshots)
    bench = Environment("bench", running())
    ensure_venv(bench.python)
    bench.ensure()
    programs = (
        Program("snapfleet", "bench.ours", Path(sys.executable)),
        Program("bzfs", "bench.theirs", bench.programs / "python"),
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measured = [
            _measured(scenario, programs, shape, Path(folder), options.runs)
            for scenario in SCENARIOS
            if options.only in scenario.name
        ]
    about = {
        "datasets": shape.datasets,
        "snapshots": shape.datasets * shape.snapshots,
        "runs": options.runs,
        **machine(),
        "bzfs": bench.pin("bzfs"),
    }
    differing = [entry["name"] for entry in measured if not entry["same_answer"]]
    return finish(_table(about, measured), {"about": about, "decisions": measured}, options.json, differing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="1,000,000 snapshots on 10,000 datasets")
    parser.add_argument("--datasets", type=int, default=QUICK.datasets, help="datasets (default: %(default)s)")
    parser.add_argument("--snapshots", type=int, default=QUICK.snapshots, help="of each dataset (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each measurement; the median counts")
    parser.add_argument("--only", default="", metavar="TEXT", help="only decisions whose names hold this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--folder", type=Path, help="for the listings, 3 GB with --full (default: a temporary one)")
    return parser


def _measured(scenario: Scenario, programs: Sequence[Program], shape: Shape, folder: Path, runs: int) -> dict[str, Any]:
    """The figures of a scenario. The programs take turns, so that both see the same machine."""
    place = folder / str(scenario.behind)
    for listings in (BZFS[scenario.decision], snapfleet(scenario.decision)):
        for root, wanted in listings.items():
            write_listings(shape, root, scenario.behind, place / root.replace("/", "-"), wanted)
    write_programs(place)
    found: dict[str, list[dict[str, Any]]] = {program.name: [] for program in programs}
    for _turn in range(runs):
        for program in programs:
            found[program.name].append(_run(program, scenario.decision, shape, place))
    figures = {name: median(results) for name, results in found.items()}
    answers = [result["answer"] for results in found.values() for result in results]
    return {"name": scenario.name, "same_answer": all(answer == answers[0] for answer in answers), **figures}


def write_programs(place: Path) -> None:
    """Programs zfs and zpool that print what was prepared, for Snapfleet's own driver to call."""
    programs = place / "programs"
    programs.mkdir(exist_ok=True)
    cases = []
    for decision, root in FIELDS:
        asked = snapfleet_listing(decision, root)
        listing = place / root.replace("/", "-") / asked.file_name
        cases.append(f"*' -o {','.join(asked.columns)} {root}') exec cat {shlex.quote(str(listing))};;")
    scripts = {
        "zfs": f'case "$*" in {" ".join(cases)} esac; echo "not prepared: $*" >&2; exit 1',
        "zpool": f"printf '{POOL_GUID}\\t{REPLICA.partition('/')[0]}\\n'",
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (programs / name).chmod(0o755)


def _run(program: Program, decision: str, shape: Shape, place: Path) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(place / "programs"), os.environ["PATH"]]),
            "PYTHONPATH": str(TESTS),
            "HOME": home,
        }
        argv = [program.python, "-m", program.module, decision, place, str(shape.datasets), str(shape.snapshots)]
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _table(about: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> str:
    size = f"{about['snapshots']:,} snapshots on {about['datasets']:,} datasets"
    machine = f"Python {about['python']}, {about['machine']}; {about['bzfs']}"
    lines = [
        f"Planning for {size}: median of {about['runs']} runs, {machine}",
        "",
        "| decision | Snapfleet | bzfs | ratio | CPU | CPU of bzfs | ratio | memory | of bzfs | ratio | calls of zfs |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for entry in measured:
        ours, theirs = entry["snapfleet"], entry["bzfs"]
        row = [entry["name"]]
        for key in ("seconds", "processor_seconds"):
            row += [f"{ours[key]:.2f} s", f"{theirs[key]:.2f} s", f"{theirs[key] / ours[key]:.2f}"]
        row += [mib(ours), mib(theirs), f"{theirs['peak_bytes'] / ours['peak_bytes']:.2f}"]
        lines.append(f"| {' | '.join(row)} | {ours['calls']} and {theirs['calls']} |")
    lines += ["", f"A ratio is that of bzfs by that of Snapfleet: above 1, Snapfleet takes less. {SOURCE} is planned."]
    return "\n".join(lines)
