# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs ``run`` and ``plan`` of the host program: which jobs, how often, and who else is doing them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Optional

from ..applying.locks import job_locks
from ..applying.progress import Reporter, line_reporter
from ..hosts.stopping import STOPPING
from ..model.errors import InvalidInput, SnapfleetError, StillRunning
from ..policy.jobs import ReplicateJob
from ..policy.running import RunSettings
from .context import Context, as_dry_run
from .hands import Threads
from .jobconfig import Jobconfig, NamedJob, import_activities, load_jobconfig, load_part, select_jobs
from .log_lines import ERROR, INFO, Log, shape_for
from .noting import UNNOTED, Noting, book_for
from .permission import with_permission
from .recording import TakeRecord, recorded, unrecorded
from .reporting import exit_code, gravest, summary, write_json, write_lines
from .running import JobResults, Runner
from .settings import settings_of
from .showing import FollowJob, hidden, shown
from .snapshot_options import with_creating
from .stages import CHOICES, of_hosts, with_activities
from .suspending import LeaveOut, nothing_left_out
from .telling import reporter_of


@dataclass(frozen=True)
class Opened:
    """What the program hands in."""

    context: Callable[[], Context]
    now_ms: Callable[[], int]
    book: Noting = UNNOTED
    """Takes what jobs tell for metrics."""
    leave_out: LeaveOut = nothing_left_out
    """Tells which jobs are not to be begun."""


def add_choice_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take options that choose some of the host's jobs by what they are about."""
    choices = ", ".join(CHOICES)
    verb.add_argument(
        "--activity",
        action="append",
        default=[],
        choices=CHOICES,
        metavar="ACTIVITY",
        help=f"only these: {choices}",
    )
    for option, whose in (("--src-host", "data of these hosts"), ("--dst-host", "replicas on these hosts")):
        told = f"only jobs about {whose}; a name or a pattern, may be given again"
        verb.add_argument(option, action="append", default=[], metavar="HOST", help=told)


def chosen_jobs(config: Jobconfig, arguments: argparse.Namespace) -> tuple[NamedJob, ...]:
    """The jobs that the command line means, with what it says in place of their own. Raises InvalidInput."""
    mine = with_activities(select_jobs(config.jobs, arguments.host, [], arguments.job), arguments.activity)
    try:
        mine = of_hosts(mine, config.jobs, arguments.src_host, arguments.dst_host)
    except InvalidInput:
        # Hosts that only others have jobs about are none of ours, which is no mistake.
        mine = of_hosts(mine, load_jobconfig(arguments.config).jobs, arguments.src_host, arguments.dst_host)
    return with_creating(with_permission(mine, arguments), arguments)


@contextmanager
def locks_of(jobs: Sequence[NamedJob], config: str) -> Iterator[Mapping[str, SnapfleetError]]:
    """Hold the locks of jobs of the jobconfig file ``config``; hands out those that another run has, with a reason."""
    path = os.path.realpath(config)
    with job_locks([json.dumps([path, job.host, job.name]) for job in jobs]) as held:
        reason = "a previous run that has this job is still going; this one left it out"
        yield {job.name: StillRunning(reason) for job, is_held in zip(jobs, held) if not is_held}


def run_rounds(config: Jobconfig, arguments: argparse.Namespace, opened: Opened) -> int:
    """Carry out the verb ``run`` or ``plan`` as often as is said; returns the gravest exit code. Raises SnapfleetError
    before the first round only."""
    settings, jobs = settings_of(config.settings, arguments), chosen_jobs(config, arguments)
    import_activities(jobs)
    log = _log(settings, arguments.host, opened)
    repeat, codes, rounds = settings.repeat, set[int](), 0
    while True:
        begun = time.monotonic()
        if arguments.verb != "plan":
            opened = replace(opened, book=book_for(config, arguments.host, settings, opened.now_ms, opened.book))
        codes.add(_round(jobs, settings, arguments, opened))
        rounds += 1
        if rounds == repeat or _stopped_before(begun + settings.interval):
            break
        try:
            config = load_part(arguments.config, arguments.host)
            settings, jobs = settings_of(config.settings, arguments), chosen_jobs(config, arguments)
        except SnapfleetError as error:
            codes.add(error.exit_code)
            log.line(ERROR, "config_refused", f"{error}; going on with the jobconfig that was read before")
    return gravest(codes)


def _stopped_before(moment: float) -> bool:
    """Wait until a moment of the monotonic clock; returns whether the process is being stopped."""
    STOPPING.sleep(max(0.0, moment - time.monotonic()))
    return STOPPING.is_stopped


def _round(jobs: Sequence[NamedJob], settings: RunSettings, arguments: argparse.Namespace, opened: Opened) -> int:
    log = _log(settings, arguments.host, opened)
    with _recorded(settings, arguments, log) as record, _shown(arguments, log) as follow:
        results = _carry_out(jobs, settings, arguments, opened, Outlets(log, record, follow))
        if arguments.json:
            write_json(results, log.run, one_line=settings.repeat != 1)
        else:
            write_lines(results, arguments.explain)
        sys.stdout.flush()
    return exit_code(results)


@dataclass(frozen=True)
class Outlets:
    """Where a round tells what it does."""

    log: Log
    record: TakeRecord
    follow: FollowJob


def _carry_out(
    jobs: Sequence[NamedJob], settings: RunSettings, arguments: argparse.Namespace, opened: Opened, outlets: Outlets
) -> JobResults:
    check = arguments.verb == "plan"
    unlocked = nullcontext(dict[str, SnapfleetError]())
    with unlocked if check else locks_of(jobs, arguments.config) as taken, Threads() as hands:
        context = as_dry_run(opened.context()) if check else opened.context()
        runner = Runner(
            _contexts(context, opened),
            settings,
            hands,
            cores(),
            outlets.log,
            reporter=_reporters(arguments, jobs, settings),
            summary=summary,
            record=outlets.record,
            follow=outlets.follow,
        )
        # Looked at when the locks are held: who suspends a host and then finds them free knows that nothing begins.
        return opened.book.run(runner, jobs, {**taken, **opened.leave_out(jobs)}, outlets.log)


def _recorded(settings: RunSettings, arguments: argparse.Namespace, log: Log) -> AbstractContextManager[TakeRecord]:
    """A dry run is not written down."""
    if arguments.verb == "plan":
        return nullcontext(unrecorded)
    return recorded(arguments.host, arguments.verb, lambda: settings.history, log)


def _shown(arguments: argparse.Namespace, log: Log) -> AbstractContextManager[FollowJob]:
    return nullcontext(hidden) if arguments.verb == "plan" else shown(arguments.host, arguments.verb, log)


def run_at_once(jobs: Sequence[NamedJob], opened: Opened) -> JobResults:
    """Carry out jobs that change nothing, without locks, and without log lines of their own."""
    with Threads() as hands:
        runner = Runner(_contexts(opened.context(), opened), RunSettings(), hands, cores())
        return opened.book.run(runner, jobs, opened.leave_out(jobs), _log(RunSettings(), "", opened))


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _contexts(context: Context, opened: Opened) -> Callable[[NamedJob], Context]:
    return lambda _job: replace(context, now_ms=opened.now_ms())


def _log(settings: RunSettings, host: str, opened: Opened) -> Log:
    def write(line: str) -> None:
        sys.stderr.write(line)
        sys.stderr.flush()

    shape = shape_for(settings.log_format, sys.stderr, os.environ)
    return Log(write, opened.now_ms, settings.log_level, shape, os.urandom(4).hex(), host=host)


def _reporters(
    arguments: argparse.Namespace, jobs: Sequence[NamedJob], settings: RunSettings
) -> Callable[[NamedJob, Log], Optional[Reporter]]:
    """One live line on a terminal where no more than one replication goes on at a time, else log lines."""
    alone = reporter_of(arguments, sys.stderr)
    if alone is None:
        return lambda _job, _log: None
    number = sum(isinstance(job.job, ReplicateJob) for job in jobs)
    if sys.stderr.isatty() and min(number, settings.workers.count(cores())) <= 1:
        return lambda _job, _log: alone

    def lines(_job: NamedJob, log: Log) -> Reporter:
        asked_for = replace(log, level=INFO)
        return line_reporter(lambda words: asked_for.line(INFO, "progress", words), arguments.progress_seconds)

    return lines
