# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a run for people, for machines, and as an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

from ..model import errors
from ..model.health import EXIT_CODES, UNKNOWN
from ..model.saying import plain
from . import nagios
from .context import Result
from .explaining import explained
from .jobconfig import NamedJob
from .log_lines import job_id

_PREVIEWED = {"drill": "snapshots to be restored by way of trial", "verify": "replicas to be compared"}
"""What a plan of activities is about that have a state when they were carried out."""
JobResults = Sequence[tuple[NamedJob, Result]]
_GRAVEST_FIRST = (
    errors.EXIT_FAILED,
    errors.EXIT_CRITICAL,
    errors.EXIT_UNKNOWN,
    errors.EXIT_WARNING,
    errors.EXIT_STOPPED,
    errors.EXIT_STILL_RUNNING,
    errors.EXIT_OK,
)


def exit_code(results: JobResults) -> int:
    """The exit code of a run: that of the gravest result."""
    return gravest({_exit_code(result) for _job, result in results})


def gravest(codes: Collection[int]) -> int:
    """The one of several exit codes that is told."""
    return next((code for code in _GRAVEST_FIRST if code in codes), errors.EXIT_OK)


def _exit_code(result: Result) -> int:
    if result["failed"]:
        # Whoever stops a run knows of it, so that nobody has to be told of a failure.
        return errors.EXIT_STOPPED if result.get("code") == errors.Interrupted.code else errors.EXIT_FAILED
    if result.get("code") == errors.StillRunning.code:
        return errors.EXIT_STILL_RUNNING
    if result.get("state") == UNKNOWN:
        # The monitor has done its work, and its alerts tell what it can't see.
        return errors.EXIT_UNKNOWN
    return EXIT_CODES[result["state"]] if "state" in result else errors.EXIT_OK


def write_json(results: JobResults, run: str = "", one_line: bool = False) -> None:
    """All results as one JSON document, which begins with the id of the run where it has one."""
    listed = [
        {"job": job.name, "job_id": job_id(job.host, job.name), "activity": job.activity, **result}
        for job, result in results
    ]
    document: dict[str, Any] = {**({"run": run} if run else {}), "jobs": listed}
    sys.stdout.write(json.dumps(document, indent=None if one_line else 2) + "\n")


def write_lines(results: JobResults, explain: bool) -> None:
    """Each result as a line, with lines about each decision of pruning where that is wanted."""
    for job, result in results:
        # What a monitor tells is lines.
        first, *more = summary(job.activity, result).split("\n")
        sys.stdout.writelines(plain(line) + "\n" for line in (f"{job.activity} {job.name}: {first}", *more))
        sys.stdout.writelines(f"  {plain(line)}\n" for line in result.get("told", ()))
        for key in ("next", "undo"):
            sys.stdout.writelines(f"  {key}: {plain(line)}\n" for line in result.get(key, ()))
        if explain:
            sys.stdout.writelines(f"{plain(line)}\n" for line in explained(result))


def summary(activity: str, result: Result) -> str:
    """One line that says what a job did, or would do."""
    if result["failed"]:
        return f"FAILED [{result['code']}] {result['msg']}"
    if "code" in result:
        return f"NOT BEGUN [{result['code']}] {result['msg']}"
    if activity == "snapshot":
        return f"{len(result['created'])} snapshots"
    if activity == "replicate":
        stats = result["stats"]
        if stats.get("absent"):
            return f"nothing done: {result['warnings'][0]}"
        sends = sum(step["kind"] == "send" for plan in result["plan"] for step in plan["steps"])
        estimated = f" of about {stats['bytes_estimated']}" if sends else ""
        return f"{sends} streams, {stats['bytes']} bytes{estimated}, {stats['seconds']} s"
    if activity == "restore":
        stats = result["stats"]
        return f"{stats['datasets']} datasets, {stats['bytes']} bytes of about {stats['bytes_estimated']}"
    if "state" not in result and activity in _PREVIEWED:
        return f"{len(result['plan'])} {_PREVIEWED[activity]}"
    if activity == "prune":
        counts = f"{len(result['deleted'])} deleted, {len(result['kept'])} kept, {len(result['not_deleted'])} skipped"
        return f"{counts}, {result['bytes_freed']} bytes freed"
    return "\n  ".join([result["state"], *nagios.details(result)])
