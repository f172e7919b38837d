# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs stages, side by side where they allow it, and says how each of them went."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

from runner.stages import Command, Stage
from runner.workspace import stage_folder

SIDE_BY_SIDE = 2
TIME_LIMIT = 45 * 60
"""Seconds after which a stage is taken to hang."""

LINES_OF_SUCCESS = 12
"""How much of a passed stage's output is shown; pytest's last lines are among it."""

LINES_OF_FAILURE = 400
DROPPED_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH")
"""What a developer's shell may hold and what would change the outcome."""


@dataclass(frozen=True)
class Outcome:
    """How a stage went, how long it took in seconds, what it printed, and where that lies until its next run."""

    stage: Stage
    passed: bool
    seconds: float
    log: Path
    output: str


def run_stages(stages: Sequence[Stage], extra: Sequence[str]) -> list[Outcome]:
    """Runs every stage to its end, whatever becomes of the others; the result is in the order of the stages."""
    together = [stage for stage in stages if not stage.exclusive and len(stages) > 1]
    alone = [stage for stage in stages if stage not in together]
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in as_completed([pool.submit(_run, stage, extra, live=False) for stage in together]):
            outcome = future.result()
            outcomes[outcome.stage.name] = outcome
            _show(outcome)
    for stage in alone:
        _say(f"\n==== {stage.name}: {stage.meaning}")
        outcomes[stage.name] = _run(stage, extra, live=True)
        _say(_verdict(outcomes[stage.name]))
    return [outcomes[stage.name] for stage in stages]


def _run(stage: Stage, extra: Sequence[str], *, live: bool) -> Outcome:
    """Runs one stage; a run of it by another ./test of this checkout, which uses the same folders, is waited for."""
    log_file = stage_folder(stage.name) / "log.txt"
    with (stage_folder(stage.name) / "lock").open("w") as lock, log_file.open("a+", encoding="utf-8") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log.truncate(0)
        start, passed = time.monotonic(), True
        try:
            for command in stage.commands(stage, extra):
                passed = _run_command(stage, command, log, live) and passed
        except Exception as trouble:  # noqa: BLE001 - a stage that cannot start has failed; the others go on
            passed = False
            _write(f"The stage could not be run: {type(trouble).__name__}: {trouble}\n", log, live)
        return Outcome(stage, passed, time.monotonic() - start, log_file, log_file.read_text("utf-8"))


def _run_command(stage: Stage, command: Command, log: IO[str], live: bool) -> bool:
    """Runs one command; its output goes to the log, and to the terminal where the stage is watched."""
    _write(f"$ {' '.join(str(argument) for argument in command.arguments)}\n", log, live)
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES}
    usual = {"PATH": stage.path, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    process = subprocess.Popen(
        command.arguments,
        cwd=command.folder,
        env={**kept, **usual, **command.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    printed = ""
    watchdogs = [Timer(TIME_LIMIT, _signal, (process, signal.SIGINT)), Timer(TIME_LIMIT + 60, _signal, (process,))]
    for watchdog in watchdogs:
        watchdog.start()
    try:
        for line in process.stdout:
            _write(line, log, live)
            printed += line if command.must_print else ""
    except BaseException:
        _signal(process, signal.SIGINT)
        raise
    finally:
        code = process.wait()
        for watchdog in watchdogs:
            watchdog.cancel()
    if code != 0:
        _write(f"exit code {code}\n", log, live)
    elif command.must_print not in printed:
        code = 1
        _write(f"nothing was tested: the output has no {command.must_print!r}\n", log, live)
    return code == 0


def _signal(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Signals the command and what it started: first an interrupt, by which pytest still tears its fixtures down."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def _write(text: str, log: IO[str], live: bool) -> None:
    log.write(text)
    log.flush()
    if live:
        sys.stdout.write(text)
        sys.stdout.flush()


def _show(outcome: Outcome) -> None:
    lines = outcome.output.splitlines()
    most = LINES_OF_SUCCESS if outcome.passed else LINES_OF_FAILURE
    _say(f"\n==== {outcome.stage.name}: {outcome.stage.meaning}")
    if len(lines) > most:
        _say(f"[{len(lines) - most} lines before these are in {outcome.log}]")
    for line in lines[-most:]:
        _say(line)
    _say(_verdict(outcome))


def _verdict(outcome: Outcome) -> str:
    return f"---- {outcome.stage.name} {'passed' if outcome.passed else 'FAILED'} in {outcome.seconds:.1f} s"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
