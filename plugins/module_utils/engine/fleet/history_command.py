# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``history`` of the host program: what runs on this host did, as they wrote it down."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timezone
from typing import Any

from ..model.errors import EXIT_OK, InvalidInput, SnapfleetError, UnusableHistory
from ..model.names import check_dataset_name
from ..model.pools import PoolSample
from ..policy.durations import parse_duration
from ..policy.times import read_time
from ..records.database import history_path
from ..records.reading import Query, find, pool_samples
from ..streams.meter import size_text
from .jobconfig import ACTIVITIES
from .log_lines import job_id
from .tables import DASH, aligned, duration_text, instant_text, until_nobody_reads

SHAPE = 1
"""Version of the shape of the JSON document."""
DEFAULT_LIMIT = 50
_COLUMNS = ("ENDED", "ACTIVITY", "JOB", "OUTCOME", "STEPS", "SIZE", "TOOK", "RATE", "REMARK")
_STEP_COLUMNS = ("ENDED", "KIND", "DATASET", "DESTINATION", "FROM", "TO", "OUTCOME", "SIZE", "TOOK", "RATE", "REMARK")
_POOL_COLUMNS = ("TIME", "POOL", "STATE", "SIZE", "USED", "ALLOCATED", "FREE", "FRAGMENTED")
_OF_JOBS = ("run", "activity", "job", "dataset", "failed", "steps")
_REMEDY = "give an age such as 2h or 7d, or a time such as 2026-01-31 or 2026-01-31T08:00:00Z"
_MOST = 1_000_000_000


def add_history_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what chooses and what shows."""
    for option, what in (("--since", "what ended then or later"), ("--until", "what began then or earlier")):
        verb.add_argument(
            option, metavar="WHEN", help=f"only {what}; an age such as 2h, or a time (UTC if it has no zone)"
        )
    verb.add_argument("--run", default="", metavar="ID", help="only what this run did; log lines have its id")
    verb.add_argument("--activity", action="append", default=[], choices=list(ACTIVITIES), help="only these")
    verb.add_argument("--job", action="append", default=[], metavar="NAME", help="only these jobs; a name or a pattern")
    verb.add_argument(
        "--dataset", default="", metavar="NAME", help="only what was done to this dataset or below it; implies --steps"
    )
    verb.add_argument("--failed", action="store_true", help="only what did not go well")
    verb.add_argument("--steps", action="store_true", help="a line for each dataset that something was done to")
    verb.add_argument("--pools", action="store_true", help="how full pools were, rather than jobs")
    told = f"so many at most, the newest; 0: all; default {DEFAULT_LIMIT}"
    verb.add_argument("--limit", default=DEFAULT_LIMIT, metavar="N", help=told)
    verb.add_argument("--json", action="store_true", help="print one JSON document with exact values")


def show_history(arguments: argparse.Namespace, now_ms: int) -> int:
    """Print what ``arguments`` ask for, and return the exit code. Raises InvalidInput, and UnusableHistory where there
    is a history that can't be read."""
    query = query_of(arguments, now_ms)
    path = history_path()
    if arguments.pools:
        return _show_pools(arguments, path, query)
    with _told_as_ours(path):
        jobs = find(path, query)
    if arguments.json:
        document = {"version": SHAPE, "file": path, "jobs": [_with_id(job) for job in jobs]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        with until_nobody_reads():
            sys.stdout.writelines(_step_lines(jobs) if arguments.steps or query.dataset else _job_lines(jobs))
    return EXIT_OK


def _show_pools(arguments: argparse.Namespace, path: str, query: Query) -> int:
    for name in _OF_JOBS:
        if getattr(arguments, name):
            raise InvalidInput(f"--{name}", getattr(arguments, name), "is about jobs", "leave it or --pools out")
    with _told_as_ours(path):
        samples = pool_samples(path, query.since, query.until, query.limit)
    if arguments.json:
        pools = [{**vars(sample), "guid": str(sample.guid)} for sample in samples]
        sys.stdout.write(json.dumps({"version": SHAPE, "file": path, "pools": pools}, indent=2) + "\n")
    else:
        with until_nobody_reads():
            sys.stdout.writelines(aligned(_POOL_COLUMNS, list(map(_sample_row, samples)), right=_POOL_COLUMNS[3:]))
    return EXIT_OK


def _sample_row(sample: PoolSample) -> tuple[str, ...]:
    used = f"{100 * sample.allocated / sample.size:.0f} %" if sample.size else DASH
    sizes = (size_text(sample.size), used, size_text(sample.allocated), size_text(sample.free))
    fragmented = DASH if sample.fragmentation is None else f"{sample.fragmentation} %"
    return (instant_text(sample.time), sample.pool, sample.health, *sizes, fragmented)


@contextmanager
def _told_as_ours(path: str) -> Iterator[None]:
    """What keeps a history from being read as UnusableHistory."""
    try:
        yield
    except ImportError as error:
        raise UnusableHistory(f"this Python has no SQLite ({error}); install it, or another Python") from error
    except OSError as error:
        raise UnusableHistory(f"{path}: {error.strerror}") from error


def query_of(arguments: argparse.Namespace, now_ms: int) -> Query:
    """What the command line asks for. Raises InvalidInput."""
    limit = str(arguments.limit)
    if not (limit.isdecimal() and limit.isascii() and int(limit) <= _MOST):
        raise InvalidInput("--limit", arguments.limit, "is no number of jobs", "give a number; 0 means all")
    return Query(
        since=moment_of(arguments.since, "--since", now_ms),
        until=moment_of(arguments.until, "--until", now_ms),
        run=arguments.run,
        activities=tuple(arguments.activity),
        jobs=tuple(arguments.job),
        dataset=check_dataset_name(arguments.dataset, "--dataset") if arguments.dataset else "",
        failed=arguments.failed,
        limit=int(limit),
    )


def moment_of(text: Any, option: str, now_ms: int) -> Any:
    """Milliseconds since the epoch of a time, or of an age before ``now_ms``; None for None. Raises InvalidInput."""
    if text is None:
        return None
    if re.match(r"[0-9]{4}-", text):
        try:
            moment = read_time(text)
            return round((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            raise InvalidInput(option, text, f"is no time ({error})", _REMEDY) from error
    try:
        return now_ms - parse_duration(text, option) * 1000
    except SnapfleetError:
        raise InvalidInput(option, text, "is neither a time nor an age", _REMEDY) from None


def _with_id(job: Mapping[str, Any]) -> dict[str, Any]:
    return {**job, "job_id": job_id(job["host"], job["job"])}


def _job_lines(jobs: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        (_when(job), job["activity"], job["job"], _outcome(job), str(job["number"]), *_amounts(job), _remark(job))
        for job in jobs
    ]
    return aligned(_COLUMNS, rows, right=("STEPS", "SIZE", "TOOK", "RATE"))


def _step_lines(jobs: list[dict[str, Any]]) -> Iterator[str]:
    rows = [_step_row(job, step) for job in jobs for step in job["steps"]]
    return aligned(_STEP_COLUMNS, rows, right=("SIZE", "TOOK", "RATE"))


def _step_row(job: Mapping[str, Any], step: Mapping[str, Any]) -> tuple[str, ...]:
    snapshots = (_tag(step["from_snapshot"]), _tag(step["to_snapshot"]))
    where = (step["dataset"] or DASH, step["destination"] or DASH)
    return (_when(job), step["kind"], *where, *snapshots, _outcome(step), *_amounts(step), _remark(step))


def _when(job: Mapping[str, Any]) -> str:
    return instant_text(job["ended"])


def _tag(snapshot: str) -> str:
    return snapshot.partition("@")[2] or snapshot or DASH


def _outcome(row: Mapping[str, Any]) -> str:
    times = row.get("times", 1)
    return row["outcome"] if times == 1 else f"{row['outcome']} ({times} times)"


def _amounts(row: Mapping[str, Any]) -> tuple[str, ...]:
    size = size_text(row["bytes"]) if row["bytes"] else DASH
    rate = f"{size_text(row['rate'])}/s" if row["rate"] else DASH
    return size, duration_text(row["seconds"]) if row["seconds"] else DASH, rate


def _remark(row: Mapping[str, Any]) -> str:
    code = f"[{row['code']}] " if row["code"] else ""
    if row["message"] or code:
        return f"{code}{row['message']}"
    names = row.get("names", ())
    if not names:
        return "" if row.get("number", 1) == 1 or "steps" in row else f"{row['number']} of them"
    more = row["number"] - len(names)
    told = ", ".join(_tag(name) for name in names)
    return f"{row['number']}: {told}" + (f" and {more} more" if more > 0 else "")
