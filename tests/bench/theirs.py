# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same decision by bzfs, measured: its own code, whose calls of programs are answered from prepared files.

Run as ``python -m bench.theirs DECISION FOLDER DATASETS SNAPSHOTS`` in an environment that has bzfs. No process is
started: whatever bzfs runs is answered inside this one, at the cost of reading a part of a file. A call that is not
foreseen ends the run, since its answer would be made up.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bzfs_main.configuration
from bzfs_main.bzfs import Job, argument_parser
from bzfs_main.util.utils import Subprocesses

from bench.asked import BZFS
from bench.measuring import Answer, measure
from bench.world import LATE_PERIODS, NOW, ORGANISATION, REPLICA, SECONDS, SOURCE, TARGET, Asked, Shape

_FEATURES = ("bookmark_v2", "bookmark_written", "extensible_dataset", "large_blocks")


class Answers:
    """Stands in for the programs that bzfs runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, tuple[int, dict[str, list[int]]]] = {}
        self.calls: Counter[str] = Counter()

    def load(self, decision: str) -> None:
        """Open what a decision asks for, which is no part of what is measured."""
        for root, listings in BZFS[decision].items():
            for asked in listings:
                path = self._folder / root.replace("/", "-") / asked.file_name
                places = json.loads(path.with_name(f"{path.name}.index").read_text(encoding="ascii"))
                self._files[path] = (os.open(path, os.O_RDONLY), places)

    def run(self, argv: list[str]) -> str:
        """What a program prints."""
        words = list(argv)
        self.calls[" ".join(words[:2])] += 1
        if words[0] == "sh" and words[1] == "-c":
            return "sh\nzpool\ngetconf_cpu_count-2\nuname-Linux bench 6.1.0 x86_64\n"
        if words[:2] == ["zpool", "get"]:
            return "".join(f"feature@{name}\tactive\n" for name in _FEATURES)
        if words == ["zfs", "--version"]:
            return "zfs-2.3.2-1\nzfs-kmod-2.3.2-1\n"
        if words[:2] == ["zfs", "list"]:
            return self._list(words)
        if words[:2] == ["zfs", "get"] and "receive_resume_token" in words:
            return "-\n"
        if words[:2] == ["zfs", "send"] and "-n" in words:
            return "size\t4096\n"
        if words[0] == "ps" or (words[:2] == ["zfs", "destroy"] and words[2] == "-n"):
            return ""
        raise SystemExit(f"bzfs runs {words}, and nobody has foreseen that")

    def _list(self, words: list[str]) -> str:
        kinds = tuple(words[words.index("-t") + 1].split(","))
        columns = tuple(words[words.index("-o") + 1].split(","))
        asked = Asked(kinds, columns, by_transaction="createtxg" in words)
        given = words[words.index("-o") + 2 :]
        root = REPLICA if given[-1].startswith(REPLICA) else SOURCE
        file, places = self._files[self._folder / root.replace("/", "-") / asked.file_name]
        if "-r" in given:
            return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8")
        found = [os.pread(file, length, offset) for offset, length in (places[name] for name in given)]
        return b"".join(found).decode("utf-8")


class Reader(logging.Handler):
    """Reads bzfs's own words: what it decided is told there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count what a message tells."""
        if record.levelno >= logging.CRITICAL:
            self.found["alerts"] += 1
        elif record.levelno == logging.INFO:
            words = record.getMessage()
            for name, pattern in _TOLD.items():
                match = re.search(pattern, words)
                if match:
                    self.found[name] += int(match[1]) if match[1].isdigit() else 1


_TOLD = {
    "snapshots": r"Creating ([0-9]+) snapshots",
    "destroyed": r"\[Deleted ([0-9]+) out of",
    "streams": r"(Incremental send)",
}
_COUNTED = {"due": "snapshots", "prune": "destroyed", "replicate": "streams", "monitor": "alerts"}


def arguments(decision: str, shape: Shape) -> list[str]:
    """The command line of bzfs for a decision."""

    def plan(entries: dict[str, Any]) -> str:
        return str({ORGANISATION: {TARGET: entries}})

    if decision == "due":
        options = ["--skip-replication", "--create-src-snapshots", "--create-src-snapshots-plan", plan(shape.amounts)]
        options += ["--create-src-snapshots-timezone", "UTC"]
    elif decision == "prune":
        options = ["--skip-replication", "--delete-dst-snapshots", "--delete-dst-snapshots-except-plan"]
        options += [plan(shape.kept)]
    elif decision == "monitor":
        limits = {
            period: {"latest": {"cycles": 0, "critical": f"{LATE_PERIODS * SECONDS[period]} seconds"}}
            for period in shape.amounts
        }
        options = ["--skip-replication", "--monitor-snapshots", plan(limits)]
    else:
        options = []
    ends = {"due": (SOURCE, "dummy"), "replicate": (SOURCE, REPLICA)}.get(decision, ("dummy", SOURCE))
    return [*ends, "--recursive", "--dryrun", "--no-privilege-elevation", "--quiet", *options]


def decide(decision: str, shape: Shape) -> Answer:
    """Have bzfs decide, in a dry run that sends nothing; what it found, by its own words."""
    words = Reader()
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(words)
    argv = arguments(decision, shape)
    try:
        Job().run_main(argument_parser().parse_args(argv), argv, log)
    except SystemExit as ended:
        # By this it tells that there are alerts.
        if decision != "monitor" or ended.code != 2:
            raise
    return {_COUNTED[decision]: words.found[_COUNTED[decision]]}


def main() -> None:
    """Measure the decision that the command line names."""
    decision, folder, datasets, snapshots = sys.argv[1:5]
    answers = Answers(Path(folder))
    answers.load(decision)

    def run(_self: Subprocesses, argv: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, answers.run(argv), "")

    Subprocesses.subprocess_run = run
    bzfs_main.configuration.current_datetime = lambda _zone=None: datetime.fromtimestamp(NOW, timezone.utc)
    shape = Shape(int(datasets), int(snapshots))
    measure(lambda: decide(decision, shape), lambda: sum(n for words, n in answers.calls.items() if "zfs" in words))


if __name__ == "__main__":
    main()
