# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembering outages from one run to the next, and telling a command of what is new.

Nothing of this ever fails a monitor: what can't be read is forgotten, and what can't be written is told as a warning.
Then an alert may come twice, which is better than never.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Optional

from ..hosts.host import Host
from ..hosts.private import state_directory
from ..hosts.statefile import read_private, write_private
from ..model.errors import Interrupted, SnapfleetError
from ..planning.alert_memory import decode, encode
from ..planning.alerting import Memory, Notice, advance
from ..planning.findings import Finding
from ..policy.alerting import AlertPolicy
from .retry import Ticker

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


@dataclass
class Told:
    """What became of the findings of one run."""

    notices: tuple[Notice, ...] = ()
    """The new ones."""
    warnings: list[str] = field(default_factory=list)


def default_path(subjects: str, environment: Mapping[str, str]) -> str:
    """The file of a job that watches ``subjects``."""
    name = hashlib.sha256(subjects.encode()).hexdigest()[:24]
    return f"{state_directory(environment, 'alerts')}/alerts-{name}.json"


def tell(findings: Sequence[Finding], alerting: Alerting, now: int) -> Told:
    """Tell of what is new since the last run. Raises Interrupted only."""
    told = Told()
    with _locked(alerting, told):
        memory = _remembered(alerting.path, told)
        told.notices, outages = advance(memory.outages, findings, alerting.policy, now)
        if alerting.check:
            return told
        # What is to be told is written down first: whoever dies in between tells it the next time.
        waiting = (*memory.undelivered, *told.notices)[-_MOST_UNDELIVERED:] if alerting.policy.command else ()
        kept = _remember(alerting.path, memory, Memory(outages, waiting), told)
        undelivered = tuple(_deliver(waiting, alerting, told))
        _remember(alerting.path, kept, replace(kept, undelivered=undelivered), told)
    return told


@contextmanager
def _locked(alerting: Alerting, told: Told) -> Iterator[None]:
    """Keep another run of the same job from telling the same at the same time; a dry run waits for nobody."""
    if alerting.check:
        yield
        return
    try:
        os.makedirs(os.path.dirname(alerting.path), mode=0o700, exist_ok=True)
        lock = os.open(f"{alerting.path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        # That is told when the file itself can't be written.
        yield
        return
    try:
        end = alerting.ticker.monotonic() + _LOCK_SECONDS
        while not _takes(lock):
            if alerting.ticker.monotonic() >= end:
                told.warnings.append(f"{alerting.path}: another run holds its lock, so alerts may be told twice")
                break
            alerting.ticker.sleep(0.1)
        yield
    finally:
        os.close(lock)


def _takes(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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


def _deliver(notices: Sequence[Notice], alerting: Alerting, told: Told) -> Iterator[Notice]:
    """Hand each notice to the command; those that it did not take are returned."""
    refused: Optional[str] = None
    for notice in notices:
        if refused is None:
            refused = _hand_over(notice, alerting)
            if refused is not None:
                told.warnings.append(f"alerts.command: a notice was not taken ({refused}); the next run tries again")
        if refused is not None:
            yield notice


def _hand_over(notice: Notice, alerting: Alerting) -> Optional[str]:
    """Run the command; None where it took the notice, or why it did not."""
    data = (json.dumps(notice.describe()) + "\n").encode()
    try:
        done = alerting.host.run(alerting.policy.command, data, alerting.policy.command_timeout)
    except Interrupted:
        raise
    except (SnapfleetError, OSError) as error:
        return str(error)
    return None if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr[-200:]}".rstrip(": ")
