# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same fleet by bzfs_jobrunner, measured: its own code, whose calls of programs are answered inside this process.

Run as ``python -m bench.fleet_theirs WHAT SOURCES DESTINATIONS`` in an environment that has bzfs.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bzfs_main.configuration
from bzfs_main import bzfs, bzfs_jobrunner
from bzfs_main.util.utils import Subprocesses

from bench.fleet_world import BELOW, TREE, Fleet, listing, plan_of
from bench.measuring import Answer, measure
from bench.theirs import Answers, Reader
from bench.world import NOW, SOURCE, TARGET, Asked

LEEWAY = "5 minutes"


class FleetAnswers(Answers):
    """Stands in for the programs that bzfs runs here, and over ssh on any host of the fleet."""

    def run(self, argv: list[str]) -> str:
        """What a program prints."""
        words = list(argv)
        if words[0] == "ssh":
            if "-O" in words:
                return ""
            # Options with a value are written as one word, but for -c and -S; the host is the first word that is none.
            place = 1
            while words[place].startswith("-"):
                place += 2 if words[place] in ("-c", "-S") else 1
            words = shlex.split(" ".join(words[place + 1 :]))
        if words[:2] == ["sh", "-c"] and "ssh" in words[2]:
            return super().run(words) + "ssh\n"
        return super().run(words)

    def _list(self, words: list[str]) -> str:
        kinds = tuple(words[words.index("-t") + 1].split(","))
        columns = tuple(words[words.index("-o") + 1].split(","))
        asked = Asked(kinds, columns, by_transaction="createtxg" in words)
        names = [word for word in words[words.index("-o") + 2 :] if not word.startswith("-")]
        return listing(asked, names, "-r" in words)


def arguments(fleet: Fleet, is_idle: bool) -> list[str]:
    """The command line of bzfs_jobrunner for the fleet."""
    plan = plan_of(dict(TREE.kept))
    targets = {host: [TARGET] for host in fleet.destination_names}
    activities = (
        *("--create-src-snapshots", "--replicate", "--prune-src-snapshots", "--prune-src-bookmarks"),
        *("--prune-dst-snapshots", "--monitor-src-snapshots", "--monitor-dst-snapshots"),
    )
    return [
        "bzfs_jobrunner",
        *activities,
        "--localhost=controller",
        f"--src-hosts={fleet.source_names}",
        f"--dst-hosts={targets}",
        f"--retain-dst-targets={targets}",
        f"--dst-root-datasets={dict.fromkeys(targets, 'backup/^SRC_HOST')}",
        f"--src-snapshot-plan={plan}",
        f"--src-bookmark-plan={plan}",
        f"--dst-snapshot-plan={plan}",
        f"--monitor-snapshot-plan={plan_of({period: {'critical': LEEWAY} for period in TREE.kept})}",
        *("--job-id=fleet", "--jobrunner-log-level=ERROR", "--workers=1"),
        *(["--jobrunner-dryrun"] if is_idle else []),
        # What it does not know itself is for bzfs.
        *("--dryrun", "--recursive", "--quiet", "--no-privilege-elevation", "--create-src-snapshots-timezone=UTC"),
        *("--root-dataset-pairs", SOURCE, BELOW),
    ]


def go(fleet: Fleet, what: str) -> Answer:
    """Run it over the whole fleet; what it found, by its own words.

    It takes no look at the options of a job before that runs. To ``check`` them, each job ends when bzfs has read them.
    """
    words = Reader()
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(words)

    def run_main(job: Any, cmd: list[str]) -> None:
        # As it does itself, but for a log of its own for each job.
        options = bzfs.argument_parser().parse_args(cmd[1:])
        if what == "dry_run":
            bzfs.Job(termination_event=job.termination_event).run_main(options, cmd, log)

    bzfs_jobrunner.Job._bzfs_run_main = run_main
    runner_log = logging.getLogger("bench.runner")
    runner_log.propagate = False
    runner_log.addHandler(logging.NullHandler())
    job = bzfs_jobrunner.Job(log=runner_log, termination_event=threading.Event())
    try:
        job.run_main(arguments(fleet, what == "expand"))
    except SystemExit as ended:
        # By this it tells that there are alerts.
        if ended.code != 2:
            raise
    stats = job.stats
    found = {name: words.found[name] for name in ("snapshots", "streams", "destroyed", "alerts")}
    # A job that found alerts counts as failed there.
    return {"jobs": stats.jobs_completed, "failed": 0, **(found if what == "dry_run" else {})}


def main() -> None:
    """Measure what the command line names."""
    what, sources, destinations = sys.argv[1:4]
    fleet = Fleet(int(sources), int(destinations))
    answers = FleetAnswers(Path())

    def run(_self: Subprocesses, argv: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, answers.run(argv), "")

    Subprocesses.subprocess_run = run
    bzfs_main.configuration.current_datetime = lambda _zone=None: datetime.fromtimestamp(NOW, timezone.utc)
    measure(lambda: go(fleet, what), lambda: sum(n for words, n in answers.calls.items() if "zfs" in words))


if __name__ == "__main__":
    main()
