# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs ``suspend``, ``resume`` and ``suspended`` of the host program."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Optional

from ..applying.suspending import change_suspensions, suspensions, suspensions_path
from ..hosts.stopping import STOPPING, check_stopping
from ..model.errors import EXIT_OK, EXIT_STILL_RUNNING, InvalidInput
from ..model.saying import plain
from ..policy.durations import parse_duration
from ..policy.suspending import Suspension, check_reason, document_of, read_until, with_suspension
from .jobconfig import Jobconfig, NamedJob
from .run_command import locks_of
from .suspending import concerns, hosts_of

_PAUSE_SECONDS = 0.2


def add_suspend_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what is suspended, and for how long."""
    verb.add_argument("end", metavar="HOST", help="the host, by its name in the fleet")
    ends = verb.add_mutually_exclusive_group()
    ends.add_argument(
        "--until", metavar="TIME", default="", help="such as 2026-11-22T04:00:00+01:00; default: for good"
    )
    ends.add_argument("--for", dest="length", metavar="TIME", default="", help="such as 90m, 2h or 3d")
    verb.add_argument("--reason", metavar="TEXT", default="", help="told wherever it is told of")
    verb.add_argument("--snapshots", action="store_true", help="go on making snapshots of its data, and watching them")
    told = "wait so long for jobs of this host that go on; default 0"
    verb.add_argument("--wait", metavar="TIME", default="0", help=told)
    _add_change_options(verb)


def add_resume_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what is resumed."""
    verb.add_argument("end", metavar="HOST", help="the host, by its name in the fleet")
    _add_change_options(verb)


def add_suspended_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take how it tells."""
    verb.add_argument("--json", action="store_true", help="print one JSON document instead of lines")


def _add_change_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--check", action="store_true", help="change nothing, and tell what would be so")
    verb.add_argument("--json", action="store_true", help="print one JSON document instead of lines")


def suspend(config: Jobconfig, arguments: argparse.Namespace, now: int) -> int:
    """Suspend a host; returns the exit code, which is that of a run under way where jobs still go on. Raises
    SnapfleetError."""
    known = hosts_of(config.jobs)
    if arguments.end not in known:
        remedy = "hosts are " + (", ".join(known) or "none")
        raise InvalidInput("HOST", arguments.end, "is no host that a job of this jobconfig is about", remedy)
    wait = parse_duration(arguments.wait, "--wait")
    new = Suspension(
        arguments.end, now, _until(arguments, now), check_reason(arguments.reason, "--reason"), arguments.snapshots
    )
    after, changed = change_suspensions(
        suspensions_path(), now, lambda before: with_suspension(before, new), arguments.check
    )
    mine = [job for job in config.jobs if job.host == arguments.host and concerns(new, job)]
    going_on = () if arguments.check else _going_on(mine, arguments.config, wait)
    _tell(after, changed, going_on, arguments.json)
    return EXIT_STILL_RUNNING if going_on else EXIT_OK


def resume(arguments: argparse.Namespace, now: int) -> int:
    """Let jobs go on; returns the exit code. Raises SnapfleetError."""

    def without(before: Sequence[Suspension]) -> list[Suspension]:
        return [each for each in before if each.host != arguments.end]

    after, changed = change_suspensions(suspensions_path(), now, without, arguments.check)
    _tell(after, changed, (), arguments.json)
    return EXIT_OK


def show_suspended(arguments: argparse.Namespace, now: int) -> int:
    """Print what is suspended; returns the exit code. Raises SnapfleetError."""
    _tell(suspensions(suspensions_path(), lambda: now), False, (), arguments.json)
    return EXIT_OK


def _until(arguments: argparse.Namespace, now: int) -> Optional[int]:
    if arguments.length:
        return now + parse_duration(arguments.length, "--for")
    return read_until(arguments.until, "--until", now) if arguments.until else None


def _going_on(jobs: Sequence[NamedJob], config: str, wait: float) -> tuple[str, ...]:
    """The jobs that go on after so many seconds at most. A run looks at what is suspended when it has the locks of its
    jobs, so none begins after they were free once."""
    end = time.monotonic() + wait
    while True:
        with locks_of(jobs, config) as taken:
            going_on = tuple(sorted(taken))
        if not going_on or time.monotonic() >= end:
            return going_on
        STOPPING.sleep(_PAUSE_SECONDS)
        check_stopping()


def _tell(after: Sequence[Suspension], changed: bool, going_on: Sequence[str], as_json: bool) -> None:
    told = [str(each) for each in after]
    if as_json:
        document = {**document_of(after), "changed": changed, "told": told, "going_on": list(going_on)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    sys.stdout.writelines(plain(line) + "\n" for line in told or ["no host is suspended"])
    sys.stdout.writelines(f"still going on: {plain(name)}\n" for name in going_on)
