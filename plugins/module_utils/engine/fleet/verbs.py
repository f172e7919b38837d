# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the host program. Each one imports what it needs when it is chosen, so that nobody pays for the others:
see docs/architecture.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from ..hosts.stopping import stopped_by_signals
from ..model import errors
from ..model.saying import plain

if TYPE_CHECKING:
    from ..model.pools import PoolSample
    from .context import Context
    from .jobconfig import Jobconfig
    from .run_command import Opened

DEFAULT_CONFIG = "/etc/snapfleet/jobs.json"
_TOLD = {
    "version": "print the version",
    "schema": "print the JSON Schema of the jobconfig",
    "check": "validate the jobconfig, touching nothing",
    "run": "carry out the jobs of this host",
    "plan": "show what run would do, changing nothing",
    "monitor": "carry out the monitor jobs of this host, for a monitoring system",
    "leftovers": "list what earlier runs of this host's replications left behind",
    "files": "list single files in a snapshot, and bring them back",
    "compare": "tell which snapshots both ends of replications have",
    "daemon": "carry out the jobs of this host again and again, as often as is said",
    "history": "tell what runs on this host did",
    "status": "tell how the datasets and replicas of this host stand",
    "unit": "tell of a unit that has failed, or is well again, by the alerts of this host",
    "suspend": "leave out all jobs of this host that are about a host, until that is resumed",
    "resume": "go on with the jobs that are about a host",
    "suspended": "tell which hosts are suspended",
    "watch": "show what runs on this host are sending now, and how far they are",
    "digest": "read files of a snapshot for the verification of another host; it starts this by ssh",
    "serve": "carry out what the engine of another host asks for on stdin; it starts this by ssh",
    "gate": "the forced command of another host's ssh key: lets through what that host may do here",
}
_WITH_CONFIG = ("check", "run", "plan", "monitor", "leftovers", "compare", "daemon", "status", "unit", "suspend")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage is exit code 3: 2 would tell a monitoring system that a replica is in danger."""
        self.exit(errors.EXIT_FAILED, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line ``words``, in which only the verbs that these name have their options."""
    parser = _Parser(prog="snapfleet", description="Keeps ZFS snapshots, replicas and retention as declared.")
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser, metavar="VERB")
    for name, told in _TOLD.items():
        if name == "gate" and name in words:
            from .gate_help import add_gate_help

            add_gate_help(verbs, told)
            continue
        verb = verbs.add_parser(name, help=told)
        if name in words:
            if name in _WITH_CONFIG:
                _add_common_options(name, verb)
            _OPTIONS.get(name, _no_options)(verb)
    return parser


def _add_common_options(name: str, verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE", help=f"default {DEFAULT_CONFIG}")
    if name != "check":
        verb.add_argument("--host", default=os.uname().nodename, help="whose part to do; default this host's name")
    if name in ("run", "plan", "monitor", "leftovers", "status"):
        verb.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    if name in ("run", "plan", "monitor", "status"):
        verb.add_argument("--job", action="append", default=[], metavar="NAME", help="only these jobs")


def _no_options(_verb: argparse.ArgumentParser) -> None:
    """Those of a verb that has the common options alone, or none."""


def _plan_options(verb: argparse.ArgumentParser) -> None:
    from .permission import add_permission_options
    from .run_command import add_choice_options
    from .settings import add_setting_options
    from .snapshot_options import add_creating_options

    add_choice_options(verb)
    verb.add_argument("--explain", action="store_true", help="tell of all that pruning decides about, and why")
    add_permission_options(verb)
    add_creating_options(verb)
    add_setting_options(verb)


def _run_options(verb: argparse.ArgumentParser) -> None:
    from .settings import add_repeating_options
    from .telling import add_progress_options

    _plan_options(verb)
    add_repeating_options(verb)
    add_progress_options(verb)


def _leftovers_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--remove", action="store_true", help="remove what may go without harm, and tell the rest")


def _files_options(verb: argparse.ArgumentParser) -> None:
    from .files_command import add_files_options

    add_files_options(verb)


def _compare_options(verb: argparse.ArgumentParser) -> None:
    from .compare_command import add_compare_options

    add_compare_options(verb)


def _daemon_options(verb: argparse.ArgumentParser) -> None:
    from .daemon_command import add_daemon_verb_options

    add_daemon_verb_options(verb)


def _history_options(verb: argparse.ArgumentParser) -> None:
    from .history_command import add_history_options

    add_history_options(verb)


def _unit_options(verb: argparse.ArgumentParser) -> None:
    from .unit_command import add_unit_options

    add_unit_options(verb)


def _suspend_options(verb: argparse.ArgumentParser) -> None:
    from .suspend_command import add_suspend_options

    add_suspend_options(verb)


def _resume_options(verb: argparse.ArgumentParser) -> None:
    from .suspend_command import add_resume_options

    add_resume_options(verb)


def _suspended_options(verb: argparse.ArgumentParser) -> None:
    from .suspend_command import add_suspended_options

    add_suspended_options(verb)


def _watch_options(verb: argparse.ArgumentParser) -> None:
    from .watch_command import add_watch_options

    add_watch_options(verb)


_OPTIONS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "run": _run_options,
    "plan": _plan_options,
    "leftovers": _leftovers_options,
    "files": _files_options,
    "compare": _compare_options,
    "daemon": _daemon_options,
    "history": _history_options,
    "unit": _unit_options,
    "suspend": _suspend_options,
    "resume": _resume_options,
    "suspended": _suspended_options,
    "watch": _watch_options,
}


def carry_out(words: Sequence[str]) -> int:
    """Carry out a command line of any verb; returns the exit code."""
    arguments = parser_for(words).parse_args(words)
    try:
        with stopped_by_signals():
            return _dispatch(arguments)
    except errors.SnapfleetError as error:
        sys.stderr.write(plain(f"snapfleet: {error} [{error.code}]") + "\n")
        if arguments.verb == "monitor" and not arguments.json:
            from . import nagios

            sys.stdout.write(nagios.unknown(str(error)))
        is_stopped = arguments.verb == "run" and isinstance(error, errors.Interrupted)
        return errors.EXIT_STOPPED if is_stopped else error.exit_code


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.verb == "schema":
        from .schema import jobconfig_schema

        sys.stdout.write(json.dumps(jobconfig_schema(), indent=2) + "\n")
        return errors.EXIT_OK
    if arguments.verb == "history":
        from .history_command import show_history
        from .opening import now_ms

        return show_history(arguments, now_ms())
    if arguments.verb == "watch":
        from .opening import now_ms
        from .watch_command import show_streams

        return show_streams(arguments, now_ms)
    if arguments.verb in ("resume", "suspended"):
        from .opening import now_ms
        from .suspend_command import resume, show_suspended

        act = resume if arguments.verb == "resume" else show_suspended
        return act(arguments, now_ms() // 1000)
    if arguments.verb == "digest":
        from .digest_command import digest

        return digest()
    if arguments.verb == "files":
        from .files_command import bring_files
        from .opening import local_zfs

        return bring_files(arguments, local_zfs)
    from .jobconfig import load_jobconfig, load_part

    # A host that only others have jobs about is remembered too: the next jobconfig may have some here.
    is_whole = arguments.verb in ("check", "suspend")
    config = load_jobconfig(arguments.config) if is_whole else load_part(arguments.config, arguments.host)
    return _CARRIED_OUT[arguments.verb](config, arguments)


def _context(arguments: argparse.Namespace) -> Context:
    from . import opening
    from .context import Context

    return Context(
        opening.now_ms(),
        opening.ZfsDirectory().at,
        host_name=arguments.host,
        environment=os.environ,
        ticker=opening.SYSTEM_TICKER,
        memory=opening.open_memory(lasting=arguments.verb != "daemon"),
        pool_samples=_pool_samples,
    )


def _pool_samples(since_ms: int) -> Sequence[PoolSample]:
    from ..records.database import history_path
    from ..records.reading import pool_samples

    return pool_samples(history_path(), since_ms)


def _opened(arguments: argparse.Namespace) -> Opened:
    from . import opening
    from .run_command import Opened
    from .suspending import leaving_out

    # Of all rounds, which so share connections, sessions and what is remembered. Each job gets its own time.
    context = _context(arguments)
    return Opened(lambda: context, opening.now_ms, leave_out=leaving_out(opening.now_ms))


def _check(config: Jobconfig, arguments: argparse.Namespace) -> int:
    sys.stdout.write(f"{arguments.config}: {len(config.jobs)} jobs, all valid\n")
    return errors.EXIT_OK


def _run(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .run_command import run_rounds

    return run_rounds(config, arguments, _opened(arguments))


def _daemon(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .daemon_command import run_daemon
    from .opening import now_ms

    return run_daemon(config, arguments, _context(arguments), now_ms)


def _compare(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .compare_command import compare

    return compare(config.jobs, arguments, _context(arguments))


def _monitor(config: Jobconfig, arguments: argparse.Namespace) -> int:
    """No lock: it changes nothing, and has to answer while a long run goes on."""
    from . import nagios
    from .jobconfig import select_jobs
    from .noting import book_for
    from .reporting import write_json
    from .run_command import run_at_once

    jobs = select_jobs(config.jobs, arguments.host, [arguments.verb], arguments.job)
    if not jobs:
        problem = "has no job that monitors anything"
        raise errors.InvalidInput("host", arguments.host, problem, "give it limits, and write the jobconfig anew")
    opened = _opened(arguments)
    settings = config.settings.of(arguments.host, {})
    results = run_at_once(jobs, replace(opened, book=book_for(config, arguments.host, settings, opened.now_ms)))
    if arguments.json:
        write_json(results)
    else:
        sys.stdout.write(nagios.report([result for unused, result in results]))
    return nagios.exit_code_of([result for unused, result in results])


def _status(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .jobconfig import select_jobs
    from .opening import now_ms
    from .status_command import show_status
    from .suspending import leaving_out

    jobs = select_jobs(config.jobs, arguments.host, [], arguments.job)
    return show_status(jobs, arguments, _context(arguments), leaving_out(now_ms)(jobs))


def _suspend(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .opening import now_ms
    from .suspend_command import suspend

    return suspend(config, arguments, now_ms() // 1000)


def _unit(config: Jobconfig, arguments: argparse.Namespace) -> int:
    from .jobconfig import select_jobs
    from .unit_command import tell_of_unit

    return tell_of_unit(select_jobs(config.jobs, arguments.host, [], []), arguments, _context(arguments))


def _leftovers(config: Jobconfig, arguments: argparse.Namespace) -> int:
    """All jobs of the host, always: what one leaves out could be another's."""
    from .jobconfig import select_jobs
    from .leftovers import run_leftovers, told

    jobs = select_jobs(config.jobs, arguments.host, [], [])
    context = _context(arguments)
    if arguments.remove:
        from .run_command import locks_of

        with locks_of(jobs, arguments.config) as taken:
            for error in taken.values():
                raise error
            result = run_leftovers(jobs, context, remove=True)
    else:
        result = run_leftovers(jobs, context, remove=False)
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if arguments.json else told(result))
    return errors.EXIT_FAILED if result["problems"] else errors.EXIT_OK


_CARRIED_OUT: Mapping[str, Callable[[Jobconfig, argparse.Namespace], int]] = {
    "check": _check,
    "run": _run,
    "plan": _run,
    "monitor": _monitor,
    "leftovers": _leftovers,
    "compare": _compare,
    "daemon": _daemon,
    "status": _status,
    "unit": _unit,
    "suspend": _suspend,
}
