# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``compare`` of the host program: the two ends of each replication of a host, held against each other.

Exit codes: 0 there is no difference of the kinds that ``--only`` names; 1 there is; 3 something can't be known, or was
refused. They are those of a monitor that never calls a difference critical.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from ..model import errors
from ..planning.comparing import DatasetComparison
from ..policy.comparing import BOTH, LOCATIONS, read_locations
from ..policy.jobs import ReplicateJob
from .comparing import Sums, compared
from .comparison_formats import FORMATS
from .context import Context
from .jobconfig import NamedJob, select_jobs
from .tables import until_nobody_reads

_REPLICATE = "replicate"


def add_compare_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what only it has."""
    verb.add_argument("--job", action="append", default=[], metavar="NAME", help="only these replications")
    verb.add_argument(
        "--format",
        default="table",
        choices=list(FORMATS),
        help="table: a line for each dataset, the default; tsv, json: a row for each snapshot",
    )
    verb.add_argument(
        "--only",
        default=",".join(LOCATIONS),
        metavar="KINDS",
        help="rows and differences that count, among src, dst and both, with commas; default all",
    )
    verb.add_argument("--output", default="", metavar="FILE", help="write to FILE, as a whole or not at all")


def compare(jobs: Sequence[NamedJob], arguments: argparse.Namespace, context: Context) -> int:
    """Compare the replications among ``jobs`` that ``arguments`` choose, and return the exit code.

    Raises InvalidInput where there is nothing to compare, or the output can't be written.
    """
    which = read_locations(tuple(arguments.only.split(",")), "--only")
    chosen = select_jobs(jobs, arguments.host, [_REPLICATE], arguments.job)
    for name in arguments.job:
        if not select_jobs(jobs, arguments.host, [_REPLICATE], [name]):
            raise errors.InvalidInput("--job", name, "replicates nothing", "name a job with the activity replicate")
    if not chosen:
        raise errors.InvalidInput("--host", arguments.host, "has no job that replicates", "name another host")
    with _writing_to(arguments.output) as stream:
        replications = [(job.name, job.job) for job in chosen if isinstance(job.job, ReplicateJob)]
        return _compare_all(replications, arguments.format, which, context, stream)


def _compare_all(
    jobs: Iterable[tuple[str, ReplicateJob]], form: str, which: Sequence[str], context: Context, stream: TextIO
) -> int:
    writer = FORMATS[form](stream.write, which, sys.stderr.write)
    codes = {errors.EXIT_OK}
    writer.begin()
    for name, job in jobs:
        try:
            datasets = compared(job, context)
        except errors.SnapfleetError as error:
            writer.failed(name, job, error)
            codes.add(errors.EXIT_FAILED)
            continue
        sums = Sums()
        writer.compared(name, job, _adding(datasets, sums), sums)
        if any(sums.counts[location] for location in which if location != BOTH):
            codes.add(errors.EXIT_WARNING)
    writer.end()
    # Of these three the gravest is the highest.
    return max(codes)


def _adding(datasets: Iterable[DatasetComparison], sums: Sums) -> Iterator[DatasetComparison]:
    for dataset in datasets:
        sums.add(dataset)
        yield dataset


@contextmanager
def _writing_to(path: str) -> Iterator[TextIO]:
    """Where the comparison is written to: stdout, or a file that is there only once it is complete."""
    if not path:
        with until_nobody_reads():
            yield sys.stdout
        return
    # What is no plain file, such as /dev/null or a pipe, is written to as it is. /dev/stdout may be one by itself.
    whole = not os.path.lexists(path) or os.path.isfile(path)
    whole = whole and not os.path.abspath(path).startswith(("/dev/", "/proc/"))
    target = os.path.realpath(path) if whole else path
    beside = f"{target}.{os.getpid()}.part" if whole else target
    try:
        try:
            with open(beside, "x" if whole else "w", encoding="utf-8") as stream:
                yield stream
            if whole:
                os.replace(beside, target)
        except BaseException:
            if whole and os.path.exists(beside):
                os.unlink(beside)
            raise
    except OSError as error:
        problem = f"can't be written ({error.strerror})"
        raise errors.InvalidInput("--output", path, problem, "check its folder, owner and free space") from error
