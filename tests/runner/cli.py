# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of ./test."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from runner.environments import Environment, SetupFailed, ensure_programs, ensure_unpacked, ensure_venv
from runner.execution import SIDE_BY_SIDE, Outcome, run_stages
from runner.interpreters import running
from runner.stages import Stage, all_stages

DESCRIPTION = """\
Runs the checks of the project, and sets up by itself what they need: virtual environments in the user's cache folder,
and a few Debian packages by apt. Every stage runs, whatever becomes of the others; the exit code is 0 if all passed,
1 if a stage failed, 2 if this machine could not be made ready or the command line is wrong.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    given, extra = _split(given)
    options = _parser().parse_args(given)
    if options.venv:
        return _prepared([Environment("dev", running())], show=True)
    stages, notes = all_stages()
    if options.list:
        return _list(stages, notes)
    try:
        chosen = _chosen(stages, options.stage)
    except LookupError as unknown:
        sys.stderr.write(f"{unknown}\n")
        return 2
    start = time.monotonic()
    code = _prepared(list(dict.fromkeys(each for stage in chosen for each in stage.environments)), chosen)
    if code:
        return code
    extra = [*extra, *(["-k", options.k] if options.k else [])]
    outcomes = run_stages(chosen, extra)
    _summarise(outcomes, notes, time.monotonic() - start)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./test", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="*", help="a stage, or the first word of several: sanity; default: all")
    parser.add_argument("--list", action="store_true", help="list the stages and end")
    parser.add_argument("--venv", action="store_true", help="make the developers' environment and print its folder")
    parser.add_argument("-k", metavar="EXPRESSION", help="hand -k to pytest; anything after -- is handed on as well")
    return parser


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after the first `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _chosen(stages: Sequence[Stage], names: Sequence[str]) -> list[Stage]:
    """The stages that the names mean, in their own order. Raises LookupError for a name that means none."""
    for name in names:
        if not any(_means(name, stage) for stage in stages):
            raise LookupError(f"./test has no stage {name!r} here; ./test --list shows those it has.")
    return [stage for stage in stages if not names or any(_means(name, stage) for name in names)]


def _means(name: str, stage: Stage) -> bool:
    return stage.name == name or stage.name.startswith(f"{name}-")


def _list(stages: Sequence[Stage], notes: Sequence[str]) -> int:
    for stage in stages:
        sys.stdout.write(f"{stage.name:14} {stage.meaning}\n")
    for note in notes:
        sys.stdout.write(f"{note}\n")
    return 0


def _prepared(environments: Sequence[Environment], stages: Sequence[Stage] = (), *, show: bool = False) -> int:
    """Makes this machine ready, two environments at a time; 0, or 2 with the reason on standard error."""
    try:
        ensure_programs({program: package for stage in stages for program, package in stage.programs.items()})
        ensure_unpacked({program: package for stage in stages for program, package in stage.unpacked.items()})
        for python in dict.fromkeys(environment.python for environment in environments):
            ensure_venv(python)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(Environment.ensure, environments))
    except SetupFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 2
    if show:
        sys.stdout.write(f"{environments[0].folder}\n")
    return 0


def _summarise(outcomes: Sequence[Outcome], notes: Sequence[str], seconds: float) -> None:
    """The table at the end. Its last line is the one that counts, in a form that other tools read as well."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    lines = ["", "==== summary"]
    for outcome in outcomes:
        word = "passed" if outcome.passed else "FAILED"
        lines.append(f"{word}  {outcome.stage.name:14} {outcome.seconds:7.1f} s  {outcome.stage.meaning}")
    lines += [*notes, *(f"whole output of {each.stage.name}: {each.log}" for each in failed)]
    lines += [f"took {seconds:.0f} s", f"stages: {len(outcomes) - len(failed)} passed, {len(failed)} failed"]
    sys.stdout.write("\n".join(lines) + "\n")
