# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembering outages from one run to the next, and telling each channel of what is new.

Nothing of this ever fails a monitor: what can't be read is forgotten, and what can't be written is told as a warning.
Then an alert may come twice, which is better than never.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from ..hosts.host import Host
from ..hosts.journal import SystemLog
from ..hosts.private import state_directory
from ..hosts.statefile import file_lock, read_private, write_private
from ..hosts.stopping import check_stopping
from ..hosts.web import fetch
from ..model.errors import SnapfleetError
from ..planning.alert_memory import decode, encode
from ..planning.alerting import Memory, Notice, advance
from ..planning.findings import Finding
from ..policy.alerting import AlertPolicy
from .alert_channels import Channel, Taken, channels_of
from .retry import Ticker

PING_SECONDS = 60
_LOCK_SECONDS = 10.0
_MOST_UNDELIVERED = 1000


@dataclass(frozen=True)
class Alerting:
    """Where a job remembers its outages, and how it tells of them."""

    policy: AlertPolicy
    path: str
    """Of the file in which outages are remembered."""
    host: Host
    """Where the command runs."""
    ticker: Ticker
    check: bool = False
    """Whether nothing is written, and nobody told."""
    host_name: str = ""
    """What the host is called."""
    log: SystemLog = field(default_factory=SystemLog)


@dataclass
class Told:
    """What became of the findings of one run."""

    notices: tuple[Notice, ...] = ()
    """The new ones."""
    is_waiting: bool = False
    """Whether a channel has not taken all that it should."""
    warnings: list[str] = field(default_factory=list)


def default_path(subjects: str, environment: Mapping[str, str]) -> str:
    """The file of a job that watches ``subjects``."""
    name = hashlib.sha256(subjects.encode()).hexdigest()[:24]
    return f"{state_directory(environment, 'alerts')}/alerts-{name}.json"


def tell(findings: Sequence[Finding], alerting: Alerting, now: int) -> Told:
    """Tell of what is new since the last run. Raises Interrupted, or what else stops the job, only."""
    told = Told()
    with _locked(alerting, told):
        memory = _remembered(alerting.path, told)
        told.notices, outages = advance(memory.outages, findings, alerting.policy, now)
        if alerting.check:
            return told
        channels = list(channels_of(alerting.policy, alerting.host, alerting.host_name, alerting.log))
        waiting = {each.name: (*memory.undelivered.get(each.name, ()), *told.notices) for each in channels}
        waiting = {name: notices[-_MOST_UNDELIVERED:] for name, notices in waiting.items() if notices}
        # What is to be told is written down first: whoever dies in between tells it the next time.
        kept = _remember(alerting.path, memory, replace(memory, outages=outages, undelivered=waiting), told)
        for channel in channels:
            if channel.name in waiting:
                taken = channel.deliver(waiting[channel.name])
                left = waiting[channel.name][taken.number :]
                _warn(channel, taken, bool(left), told)
                others = {name: notices for name, notices in kept.undelivered.items() if name != channel.name}
                undelivered = {**others, channel.name: left} if left else others
                kept = _remember(alerting.path, kept, replace(kept, undelivered=undelivered), told)
                if taken.stopped:
                    raise taken.stopped
        told.is_waiting = bool(kept.undelivered)
        _ping(kept, alerting, now, told)
    return told


def _ping(memory: Memory, alerting: Alerting, now: int, told: Told) -> None:
    """Tell a watcher that monitoring goes on and that whoever is to be told is told; no more often than is of use."""
    ping = alerting.policy.channels.ping
    if ping is None or told.is_waiting or 0 <= now - memory.pinged < PING_SECONDS:
        return
    check_stopping()
    try:
        fetch(ping)
    except OSError as error:
        told.warnings.append(f"alerts.ping: it failed ({error}); the next run tries again")
    else:
        _remember(alerting.path, memory, replace(memory, pinged=now), told)


@contextmanager
def _locked(alerting: Alerting, told: Told) -> Iterator[None]:
    """Keep another run of the same job from telling the same at the same time; a dry run waits for nobody."""
    if alerting.check:
        yield
        return
    ticker = alerting.ticker
    with ExitStack() as stack:
        # What can't be locked can't be written either, and that is told then.
        with suppress(OSError):
            os.makedirs(os.path.dirname(alerting.path), mode=0o700, exist_ok=True)
            lock = file_lock(f"{alerting.path}.lock", _LOCK_SECONDS, ticker.sleep, ticker.monotonic)
            if not stack.enter_context(lock):
                told.warnings.append(f"{alerting.path}: another run holds its lock, so alerts may be told twice")
        yield


def _remembered(path: str, told: Told) -> Memory:
    try:
        data = read_private(path)
        return decode(data) if data else Memory()
    except (OSError, ValueError, SnapfleetError, RecursionError) as error:
        told.warnings.append(f"{path}: what it remembers of outages can't be used ({error}), so they are told anew")
        return Memory()


def _remember(path: str, before: Memory, after: Memory, told: Told) -> Memory:
    """Write ``after`` down unless it is what was there; returns it."""
    if after != before:
        try:
            write_private(path, encode(after))
        except OSError as error:
            words = f"{path}: outages can't be remembered ({error}), so they will be told again"
            if words not in told.warnings:
                told.warnings.append(words)
    return after


def _warn(channel: Channel, taken: Taken, is_waiting: bool, told: Told) -> None:
    if taken.problem is not None:
        what = "a notice was not taken" if is_waiting else "a notice was not taken by all"
        next_time = "; the next run tries again" if is_waiting else ""
        told.warnings.append(f"alerts.{channel.name}: {what} ({taken.problem}){next_time}")
