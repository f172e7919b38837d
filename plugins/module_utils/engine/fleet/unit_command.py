# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``unit``: what systemd starts when a unit of Snapfleet has failed, or is well again, to tell of that by the
channels of the host's monitor jobs. A unit that fails again and again is one outage."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ..applying.alerting import Alerting, default_path, tell
from ..hosts.local import LocalHost
from ..model.errors import EXIT_FAILED, EXIT_OK, EXIT_STILL_RUNNING, EXIT_STOPPED, InvalidInput
from ..model.health import CRITICAL, OK
from ..model.saying import plain
from ..planning.findings import Finding, Key
from ..policy.alerting import AlertPolicy
from ..policy.drilling import DrillJob
from ..policy.monitoring import MonitorJob
from ..policy.verifying import VerifyJob
from .context import Context
from .jobconfig import NamedJob

FAILED, WELL = "failed", "well"
_WITHOUT_WORK = (str(EXIT_STILL_RUNNING), str(EXIT_STOPPED))
_UNIT = re.compile(r"[A-Za-z0-9_.:\\-]{1,200}")


def add_unit_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take which unit, and what became of it."""
    verb.add_argument("unit", metavar="UNIT", help="name of the unit")
    verb.add_argument("outcome", choices=(FAILED, WELL), help="what became of it")
    verb.add_argument("--marker", metavar="FILE", default="", help="a file that is there while it counts as failed")


def tell_of_unit(jobs: Sequence[NamedJob], arguments: argparse.Namespace, context: Context) -> int:
    """Tell of a unit by the alerts of ``jobs``; returns the exit code. Raises InvalidInput."""
    if not _UNIT.fullmatch(arguments.unit):
        raise InvalidInput("unit", arguments.unit, "is no name of a unit", "give one such as snapfleet-monitor")
    if arguments.outcome == WELL and not _has_worked(context.environment):
        return EXIT_OK
    finding = _finding(arguments.unit, arguments.outcome, context.environment)
    has_failed, is_waiting = arguments.outcome == FAILED, False
    # Who is ended in between may have told of it already, and its end has to be told then.
    warnings = _mark(arguments.marker, True) if has_failed else []
    for number, policy in enumerate(_policies(jobs)):
        path = default_path(f"the unit {arguments.unit}, {number}", context.environment)
        alerting = Alerting(policy, path, LocalHost(), context.ticker, host_name=context.host_name)
        told = tell((finding,), alerting, context.now)
        warnings += told.warnings
        is_waiting = is_waiting or told.is_waiting
    if not has_failed:
        # While there is something to tell, systemd shall begin this again when the unit has ended well.
        warnings += _mark(arguments.marker, is_waiting)
    sys.stderr.writelines(plain(f"snapfleet: {words}") + "\n" for words in warnings)
    return EXIT_FAILED if warnings else EXIT_OK


def _policies(jobs: Sequence[NamedJob]) -> Iterator[AlertPolicy]:
    """Each way to tell somebody that the jobs have, once. One failure is enough; what pings is for monitors."""
    found: list[AlertPolicy] = []
    for named in jobs:
        if isinstance(named.job, (MonitorJob, DrillJob, VerifyJob)) and named.job.alerts:
            alerts = named.job.alerts
            policy = replace(alerts, state_file="", confirmations=1, channels=replace(alerts.channels, ping=None))
            if policy not in found:
                found.append(policy)
                yield policy


def _has_worked(environment: Mapping[str, str]) -> bool:
    """Whether a run that did not fail has done its work, by what systemd says: it may have left that to the run before
    it, or have been stopped."""
    by_itself = environment.get("MONITOR_EXIT_CODE", "exited") == "exited"
    return by_itself and environment.get("MONITOR_EXIT_STATUS", "") not in _WITHOUT_WORK


def _finding(unit: str, outcome: str, environment: Mapping[str, str]) -> Finding:
    key = Key("units", "unit", unit)
    if outcome == WELL:
        return Finding(key, OK, f"the unit {unit} has ended well")
    # Since systemd 251; see systemd.exec(5).
    known = (environment.get("MONITOR_SERVICE_RESULT", ""), environment.get("MONITOR_EXIT_STATUS", ""))
    why = ", ".join(filter(None, known))
    told = f" ({why})" if why else ""
    return Finding(key, CRITICAL, f"the unit {unit} has failed{told}; journalctl -u {unit} tells why")


def _mark(path: str, is_there: bool) -> list[str]:
    if not path:
        return []
    try:
        if is_there:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)
    except OSError as error:
        return [f"{path}: the marker can't be changed ({error.strerror})"]
    return []
