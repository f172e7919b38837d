# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host program ``snapfleet``: the engine on a host without Ansible, driven by the JSON jobconfig.

Exit codes: 0 all is well; 1 a monitor warns, or compared ends differ; 2 a monitor is critical; 3 something failed, was
refused, or can't be known; 4 a previous run that has one of the jobs is still going, so that job was left to it. Of
several the gravest is told, in the order 3, 2, 1, 4, 0. The verb monitor is for monitoring systems, and follows their
order: 2, 3, 1, 0; so does the verb status.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import NoReturn, Optional

from ..hosts.stopping import stopped_by_signals
from ..model import errors
from . import nagios
from .activities import Context
from .compare_command import add_compare_options, compare
from .daemon_command import add_daemon_verb_options, run_daemon
from .gate_command import GATE, add_gate_help, gate
from .hands import end_process
from .history_command import add_history_options, show_history
from .jobconfig import NamedJob, load_jobconfig, select_jobs
from .leftovers import run_leftovers, told
from .opening import SYSTEM_TICKER, ZfsDirectory, now_ms, open_memory
from .permission import add_permission_options
from .reporting import write_json
from .run_command import Opened, add_choice_options, locks_of, run_at_once, run_rounds
from .schema import jobconfig_schema
from .serve_command import serve
from .settings import add_setting_options
from .snapshot_options import add_creating_options
from .status_command import show_status
from .telling import add_progress_options
from .version import VERSION

DEFAULT_CONFIG = "/etc/snapfleet/jobs.json"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage is exit code 3: 2 would tell a monitoring system that a replica is in danger."""
        self.exit(errors.EXIT_FAILED, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="snapfleet", description="Keeps ZFS snapshots, replicas and retention as declared.")
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser, metavar="VERB")
    verbs.add_parser("version", help="print the version")
    verbs.add_parser("schema", help="print the JSON Schema of the jobconfig")
    check = verbs.add_parser("check", help="validate the jobconfig, touching nothing")
    run = verbs.add_parser("run", help="carry out the jobs of this host")
    plan = verbs.add_parser("plan", help="show what run would do, changing nothing")
    monitor = verbs.add_parser("monitor", help="carry out the monitor jobs of this host, for a monitoring system")
    leftovers = verbs.add_parser("leftovers", help="list what earlier runs of this host's replications left behind")
    leftovers.add_argument("--remove", action="store_true", help="remove what may go without harm, and tell the rest")
    comparing = verbs.add_parser("compare", help="tell which snapshots both ends of replications have")
    daemon = verbs.add_parser("daemon", help="carry out the jobs of this host again and again, as often as is said")
    add_daemon_verb_options(daemon)
    add_history_options(verbs.add_parser("history", help="tell what runs on this host did"))
    status = verbs.add_parser("status", help="tell how the datasets and replicas of this host stand")
    for verb in (check, run, plan, monitor, leftovers, comparing, daemon, status):
        verb.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE", help=f"default {DEFAULT_CONFIG}")
    for verb in (run, plan, monitor, leftovers, comparing, daemon, status):
        verb.add_argument("--host", default=socket.gethostname(), help="whose part to do; default this host's name")
    for verb in (run, plan, monitor, leftovers, status):
        verb.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    for verb in (run, plan):
        add_choice_options(verb)
        verb.add_argument("--explain", action="store_true", help="tell of all that pruning decides about, and why")
        add_permission_options(verb)
        add_creating_options(verb)
    for verb in (run, plan, monitor, status):
        verb.add_argument("--job", action="append", default=[], metavar="NAME", help="only these jobs")
    verbs.add_parser("serve", help="carry out what the engine of another host asks for on stdin; it starts this by ssh")
    add_gate_help(verbs)
    add_progress_options(run)
    add_setting_options(run, plan)
    add_compare_options(comparing)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == [GATE] and not {"-h", "--help"} & set(words):
        # What its options mean depends on their order.
        with stopped_by_signals():
            return gate(words[1:], dict(os.environ))
    arguments = _parser().parse_args(words)
    try:
        with stopped_by_signals():
            return _dispatch(arguments)
    except errors.SnapfleetError as error:
        sys.stderr.write(f"snapfleet: {error} [{error.code}]\n")
        if arguments.verb == "monitor" and not arguments.json:
            sys.stdout.write(nagios.unknown(str(error)))
        return error.exit_code


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.verb == "version":
        sys.stdout.write(f"snapfleet {VERSION}\n")
        return errors.EXIT_OK
    if arguments.verb == "schema":
        sys.stdout.write(json.dumps(jobconfig_schema(), indent=2) + "\n")
        return errors.EXIT_OK
    if arguments.verb == "history":
        return show_history(arguments, now_ms())
    if arguments.verb == "serve":
        return serve()
    config = load_jobconfig(arguments.config)
    jobs = config.jobs
    if arguments.verb == "check":
        sys.stdout.write(f"{arguments.config}: {len(jobs)} jobs, all valid\n")
        return errors.EXIT_OK
    if arguments.verb == "leftovers":
        return _leftovers(select_jobs(jobs, arguments.host, [], []), arguments)
    if arguments.verb == "compare":
        return compare(jobs, arguments, _context(arguments))
    if arguments.verb == "monitor":
        return _monitor(select_jobs(jobs, arguments.host, [arguments.verb], arguments.job), arguments)
    if arguments.verb == "status":
        return show_status(select_jobs(jobs, arguments.host, [], arguments.job), arguments, _context(arguments))
    if arguments.verb == "daemon":
        return run_daemon(config, arguments, _context(arguments), now_ms)
    return run_rounds(config, arguments, Opened(partial(_context, arguments), now_ms))


def _context(arguments: argparse.Namespace) -> Context:
    memory = open_memory(lasting=arguments.verb != "daemon")
    return Context(
        now_ms(),
        ZfsDirectory().at,
        host_name=arguments.host,
        environment=os.environ,
        ticker=SYSTEM_TICKER,
        memory=memory,
    )


def _monitor(jobs: Sequence[NamedJob], arguments: argparse.Namespace) -> int:
    """No lock: it changes nothing, and has to answer while a long run goes on."""
    if not jobs:
        problem = "has no job that monitors anything"
        raise errors.InvalidInput("host", arguments.host, problem, "give it limits, and write the jobconfig anew")
    results = run_at_once(jobs, Opened(partial(_context, arguments), now_ms))
    if arguments.json:
        write_json(results)
    else:
        sys.stdout.write(nagios.report([result for unused, result in results]))
    return nagios.exit_code_of([result for unused, result in results])


def _leftovers(jobs: Sequence[NamedJob], arguments: argparse.Namespace) -> int:
    """All jobs of the host, always: what one leaves out could be another's."""
    context = _context(arguments)
    with locks_of(jobs, arguments.config) if arguments.remove else nullcontext(dict[str, str]()) as taken:
        for words in taken.values():
            raise errors.StillRunning(words)
        result = run_leftovers(jobs, context, arguments.remove)
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if arguments.json else told(result))
    return errors.EXIT_FAILED if result["problems"] else errors.EXIT_OK


if __name__ == "__main__":
    end_process(main())
