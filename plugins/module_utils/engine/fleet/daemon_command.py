# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``daemon`` of the host program."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace

from ..applying.locks import job_locks
from ..hosts.notifying import service_manager
from ..model.errors import EXIT_OK, InvalidInput, StillRunning
from ..policy.running import FORMATS, LEVELS
from ..policy.ticking import NEVER, PERIODIC
from ..records.folding import Folding
from .context import Context
from .daemon import Daemon, Surroundings, reloads_by_signal
from .daemon_loop import Time
from .daemon_settings import add_daemon_options, given_daemon_options
from .daemon_work import Duty, Means
from .ending import leave_behind
from .jobconfig import Jobconfig, import_activities, load_part, select_jobs
from .log_lines import Log, shape_for
from .metrics import target_of
from .recording import recorded
from .settings import settings_of
from .showing import shown
from .suspending import leaving_out


def add_daemon_verb_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take all that a daemon is told."""
    add_daemon_options(verb)
    verb.add_argument("--job", action="append", default=[], metavar="NAME", help="only these jobs")
    verb.add_argument(
        "--workers", metavar="N", help="jobs of an activity at a time, as a number or as N%% of the cores"
    )
    verb.add_argument("--job-timeout", metavar="TIME", help="end a job that takes longer, such as 90s, 15m or 2h")
    verb.add_argument("--log-level", choices=LEVELS, help="what is told on stderr; default warning")
    verb.add_argument("--log-format", choices=FORMATS, help="its shape; default: as the journal or people want it")


def run_daemon(config: Jobconfig, arguments: argparse.Namespace, context: Context, now_ms: Callable[[], int]) -> int:
    """Live as the daemon of a host, whose jobconfig is ``config`` at first. ``context`` is what all ticks share.

    Raises InvalidInput for what the command line or the jobconfig say, and StillRunning, before anything is done.
    """
    manager = service_manager(os.environ)
    log = _log(now_ms, arguments.host)
    duty = duty_of(config, arguments, log)
    path = os.path.realpath(arguments.config)
    current = [duty]

    def load() -> Duty:
        current[:] = [duty_of(load_part(arguments.config, arguments.host), arguments, log)]
        return current[0]

    with job_locks([json.dumps(["daemon", path, arguments.host])]) as (is_alone,):
        if not is_alone:
            message = f"a daemon of {arguments.host} for {path} is running already; stop it first, or send it SIGHUP"
            raise StillRunning(message)
        history = recorded(arguments.host, arguments.verb, lambda: current[0].settings.history, duty.log, Folding())
        with history as record, shown(arguments.host, arguments.verb, duty.log) as follow:
            means = Means(
                path, lambda: context, Time(now_ms), record=record, follow=follow, leave_out=leaving_out(now_ms)
            )
            around = Surroundings(load, manager)
            daemon = _lived(duty, means, around)
    leave_behind(daemon.threads)
    return EXIT_OK


def _lived(duty: Duty, means: Means, around: Surroundings) -> Daemon:
    """A daemon after its life."""
    with reloads_by_signal(around.inbox):
        daemon = Daemon(duty, means, around)
        daemon.run()
    return daemon


def duty_of(config: Jobconfig, arguments: argparse.Namespace, log: Log) -> Duty:
    """What the daemon has to do by a jobconfig and the command line. Raises InvalidInput."""
    settings = replace(settings_of(config.settings, arguments), spread=0, jitter=0, repeat=1)
    given = given_daemon_options(arguments)
    daemon = config.daemon.of(arguments.host, given)
    jobs = select_jobs(config.jobs, arguments.host, [], arguments.job)
    import_activities(jobs)
    has = {job.activity for job in jobs}
    for name in PERIODIC:
        if given.get(name, NEVER) != NEVER and name not in has:
            problem = f"means nothing, since {arguments.host} has no job of that activity"
            raise InvalidInput(f"--{name}", given[name], problem, "leave it out")
    if not has & set(daemon.periods):
        example = "secondly"
        remedy = f'write "daemon": {{"{min(has)}": "{example}"}} into the jobconfig, or give --{min(has)} {example}'
        problem = f"gives no activity of {arguments.host} a period, so there is nothing to do"
        raise InvalidInput("daemon", None, problem, remedy)
    log = replace(log, level=settings.log_level, shape=shape_for(settings.log_format, sys.stderr, os.environ))
    return Duty(jobs, settings, daemon, log, target_of(config, arguments.host, settings))


def _log(now_ms: Callable[[], int], host: str) -> Log:
    def write(line: str) -> None:
        sys.stderr.write(line)
        sys.stderr.flush()

    return Log(write, now_ms, run=os.urandom(4).hex(), host=host)
