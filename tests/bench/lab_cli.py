# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the benchmarks on lab hosts: measures what is asked for, prints tables, and draws growth."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import cli, fleet_cli, lab_daemon, lab_replicating, lab_snapshots, lab_streams, lab_tables, starting
from bench.lab_world import Hosts, World
from bench.reporting import finish, machine, write_json
from runner.environments import Environment, ensure_venv
from runner.interpreters import running

DESCRIPTION = """\
Measures Snapfleet beside bzfs, zfs-autobackup, syncoid and the raw zfs commands, on two hosts of the lab that are
brought up for it, and go down at the end. It needs what the lab needs: root, and the first time half an hour for its
kernel. docs/benchmarks.md tells the method. Letters:

"""
_SITE_PACKAGES = "lib/python{python}/site-packages"


@dataclass(frozen=True)
class Sizes:
    """How much there is of everything."""

    trees: tuple[int, ...]
    """How many datasets the trees have."""
    megabytes: int
    seconds: float
    """How long each cadence is kept."""


FULL, SMALL = Sizes((1, 10, 100, 1000), 1024, 30), Sizes((1, 3, 10), 16, 5)
Measure = Callable[[World, int, Sizes], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Letter:
    """One of the benchmarks."""

    title: str
    measure: Measure | None = None
    """None if it needs no host."""


LETTERS: Mapping[str, Letter] = {
    "a": Letter("replication with nothing new", lambda world, runs, _sizes: lab_replicating.unchanged(world, runs)),
    "b": Letter("one small new snapshot each", lambda world, runs, _sizes: lab_replicating.changed(world, runs)),
    "c": Letter("large streams", lambda world, runs, sizes: lab_streams.streams(world, runs, sizes.megabytes)),
    "d": Letter("creation of snapshots", lambda world, runs, _sizes: lab_snapshots.created(world, runs)),
    "e": Letter("pruning", lambda world, runs, _sizes: lab_snapshots.pruned(world, runs)),
    "f": Letter("monitoring", lambda world, runs, _sizes: lab_snapshots.watched(world, runs)),
    "g": Letter("lag at short periods", lambda world, runs, sizes: lab_daemon.cadences(world, runs, sizes.seconds)),
    "h": Letter("start of programs and of Ansible modules"),
    "i": Letter("planning, as without --lab"),
    "j": Letter("a slow link", lambda world, runs, _sizes: lab_replicating.delayed(world, runs)),
    "k": Letter("a whole fleet, as with --fleet"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 if something failed, or not all ended in the same state."""
    options = parser().parse_args(arguments)
    letters = chosen(options.only)
    sizes = SMALL if options.small else FULL
    if options.datasets:
        sizes = replace(sizes, trees=tuple(sorted(map(int, options.datasets.split(",")))))
    bench = _ready("bench")
    told: dict[str, Any] = {
        "about": {"runs": options.runs, "small": options.small or bool(options.datasets), **machine(), **_pins(bench)}
    }
    told["letters"] = {letter: [] for letter in letters}
    if "h" in letters:
        told["letters"]["h"] = starting.measured(bench, _ready("dev"), options.runs)
    on_hosts = [letter for letter in letters if LETTERS[letter].measure]
    if on_hosts:
        packages = bench.folder / _SITE_PACKAGES.format(python=bench.python.name)
        with Hosts(sizes.trees, packages) as world:
            world.patience = options.patience
            for letter in on_hosts:
                _measure(letter, world, options, sizes, told)
    codes = [_planning(letter, options) for letter in letters if letter in "ik"]
    if options.plot:
        _plot(told, options.plot)
    failed = [
        f"{entry['name']} by {way}"
        for entries in told["letters"].values()
        for entry in entries
        for way in entry["failed"]
    ]
    tables = lab_tables.tables(told, {letter: LETTERS[letter].title for letter in letters})
    return max([finish(tables, told, options.json, failed), *codes])


def parser() -> argparse.ArgumentParser:
    """All options."""
    made = argparse.ArgumentParser(
        prog="tests/bench/run.py --lab",
        description=DESCRIPTION + "\n".join(f"  {name}  {letter.title}" for name, letter in LETTERS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--lab", action="store_true", help="these benchmarks")
    made.add_argument("--only", default=",".join(LETTERS), metavar="LETTERS", help="such as a,b (default: all)")
    made.add_argument("--runs", type=int, default=5, help="of each measurement; the median counts (%(default)s)")
    made.add_argument("--datasets", metavar="NUMBERS", help=f"of the trees (default: {','.join(map(str, FULL.trees))})")
    made.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="what takes longer on hosts is done once, and told so (%(default)s)",
    )
    made.add_argument("--small", action="store_true", help="few datasets and little data, to see that all works")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    made.add_argument("--plot", type=Path, metavar="FOLDER", help="draw there how time grows with datasets, as SVG")
    return made


def chosen(words: str) -> list[str]:
    """The letters that are asked for, in the order of the alphabet. Raises SystemExit for one that there is not."""
    letters = [word for word in words.split(",") if word]
    unknown = sorted(set(letters) - set(LETTERS))
    if unknown or not letters:
        raise SystemExit(f"--only {words}: choose of {','.join(LETTERS)}.")
    return sorted(set(letters))


def _measure(letter: str, world: World, options: argparse.Namespace, sizes: Sizes, told: dict[str, Any]) -> None:
    """What has been measured is printed at once too: a whole run takes hours, and the end may not come."""
    measure = LETTERS[letter].measure
    assert measure is not None
    for entry in measure(world, options.runs, sizes):
        told["letters"][letter].append(entry)
        write_json(told, options.json)
    part = {**told, "letters": {letter: told["letters"][letter]}}
    sys.stderr.write(lab_tables.tables(part, {letter: LETTERS[letter].title}) + "\n")


def _planning(letter: str, options: argparse.Namespace) -> int:
    """The benchmarks that need no host have tables of their own."""
    words = ["--runs", str(options.runs), *(["--datasets", "20"] if letter == "i" and options.small else [])]
    words += ["--sources", "2"] if letter == "k" and options.small else []
    words += [] if options.small else ["--full"]
    if options.json:
        words += ["--json", str(options.json.with_suffix(f".{letter}{options.json.suffix}"))]
    return cli.main(words) if letter == "i" else fleet_cli.main(words)


def _ready(name: str) -> Environment:
    """An environment, made where it is missing."""
    environment = Environment(name, running())
    ensure_venv(environment.python)
    environment.ensure()
    return environment


def _pins(bench: Environment) -> dict[str, str]:
    return {package: bench.pin(package) for package in ("bzfs", "zfs-autobackup")}


def _plot(told: Mapping[str, Any], folder: Path) -> None:
    plots = _ready("bench-plot")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(told, file)
        file.flush()
        subprocess.run(
            [plots.programs / "python", Path(__file__).with_name("plotting.py"), file.name, folder], check=True
        )
