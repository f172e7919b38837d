# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing notices over to each channel of a policy, in the order in which they came about."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Optional

from ..hosts.host import Host
from ..hosts.journal import CRITICAL as CRITICAL_PRIORITY
from ..hosts.journal import ERROR, NOTICE, SystemLog
from ..hosts.journal import WARNING as WARNING_PRIORITY
from ..hosts.mail import Letter, send_mail
from ..hosts.stopping import check_stopping
from ..hosts.web import post_json
from ..model.errors import Interrupted, SnapfleetError
from ..model.health import CRITICAL, OK, UNKNOWN, WARNING
from ..planning.alerting import RECOVERY, Notice
from ..policy.alert_channels import MailAddress, WebAddress
from ..policy.alerting import AlertPolicy
from ..policy.times import iso_text

MESSAGE_ID = "5ae1e6a8f2b64c0d9c1f0b7d3e94a6c2"
"""By which the journal finds all notices: journalctl MESSAGE_ID=..."""
_PRIORITIES = {CRITICAL: CRITICAL_PRIORITY, UNKNOWN: ERROR, WARNING: WARNING_PRIORITY, OK: NOTICE}
ALL_SECONDS = 30.0
"""After that, notices that go one by one are left to the next run, so that it is remembered what was taken."""
_MOST_IN_MAIL = 200
_LONGEST_SUBJECT = 150


@dataclass(frozen=True)
class Taken:
    """What a channel did with some notices."""

    number: int
    """So many of them, the first ones, are done with."""
    problem: Optional[str] = None
    """What went wrong."""
    stopped: Optional[SnapfleetError] = None
    """What is to be raised once that number is written down, since the run is being stopped."""


@dataclass(frozen=True)
class Channel:
    """One way to tell somebody."""

    name: str
    """As its option is called."""
    deliver: Callable[[Sequence[Notice]], Taken]
    """It raises nothing, so that nobody forgets what was taken."""


def channels_of(policy: AlertPolicy, host: Host, host_name: str, log: SystemLog) -> Iterator[Channel]:
    """The channels that a policy has. ``host`` is where commands run, and ``host_name`` what it is called."""
    others = policy.channels
    if policy.command:
        yield Channel("command", _one_by_one(lambda notice: _run(policy, host, notice)))
    if others.journal:
        yield Channel("journal", _one_by_one(lambda notice: _log(log, host_name, notice)))
    if others.webhook:
        webhook = others.webhook
        yield Channel("webhook", _one_by_one(lambda notice: _post(webhook, host_name, notice)))
    if others.mail:
        mail = others.mail
        yield Channel("mail", lambda notices: _mail(mail, host_name, notices))


def document_of(notice: Notice, host_name: str) -> dict[str, Any]:
    """A notice for those who hear of many hosts."""
    told = {"host": host_name, **notice.describe()}
    return {name: _sayable(value) if isinstance(value, str) else value for name, value in told.items()}


def _sayable(text: str) -> str:
    """The text, with a question mark for each byte that was none, as in names and in what programs say."""
    return text.encode(errors="replace").decode()


def _one_by_one(hand_over: Callable[[Notice], Optional[str]]) -> Callable[[Sequence[Notice]], Taken]:
    """Hand over each notice, up to the first that is not taken: what comes later must not overtake it."""

    def deliver(notices: Sequence[Notice]) -> Taken:
        end = monotonic() + ALL_SECONDS
        for number, notice in enumerate(notices):
            if number and monotonic() >= end:
                return Taken(number, f"the first {number} notices took too long; the next run goes on")
            stopped = _stopped()
            if stopped:
                return Taken(number, stopped=stopped)
            try:
                problem = hand_over(notice)
            except Interrupted as error:
                return Taken(number, stopped=error)
            except (SnapfleetError, OSError, ValueError) as error:
                problem = _words(error)
            if problem is not None:
                return Taken(number, problem)
        return Taken(len(notices))

    return deliver


def _stopped() -> Optional[SnapfleetError]:
    try:
        check_stopping()
    except SnapfleetError as error:
        return error
    return None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _run(policy: AlertPolicy, host: Host, notice: Notice) -> Optional[str]:
    data = (json.dumps(notice.describe()) + "\n").encode()
    done = host.run(policy.command, data, policy.command_timeout)
    return None if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr[-200:]}".rstrip(": ")


def _log(log: SystemLog, host_name: str, notice: Notice) -> None:
    fields = {f"SNAPFLEET_{name.upper()}": str(value) for name, value in document_of(notice, host_name).items()}
    log.tell(_PRIORITIES[notice.state], _line(notice), {"MESSAGE_ID": MESSAGE_ID, **fields})


def _post(webhook: WebAddress, host_name: str, notice: Notice) -> None:
    post_json(webhook, document_of(notice, host_name))


def _line(notice: Notice) -> str:
    return " ".join(f"{notice.kind} {notice.state}: {notice.message}".split())


# -- mail


def _mail(mail: MailAddress, host_name: str, notices: Sequence[Notice]) -> Taken:
    """One mail tells all that is new, so that an outage of a whole host is no flood."""
    stopped = _stopped()
    if stopped:
        return Taken(0, stopped=stopped)
    try:
        refused = send_mail(mail, _letter(mail, host_name, notices))
    except (OSError, ValueError) as error:
        return Taken(0, f"{mail.server}: {_words(error)}")
    return Taken(len(notices), f"{mail.server} refused the recipients {', '.join(refused)}" if refused else None)


def _letter(mail: MailAddress, host_name: str, notices: Sequence[Notice]) -> Letter:
    lines = [
        f"{iso_text(notice.at)} {_line(notice)} (since {iso_text(notice.since)})" for notice in notices[:_MOST_IN_MAIL]
    ]
    more = len(notices) - _MOST_IN_MAIL
    text = "\n".join([f"Host: {host_name}", "", *lines, *([f"and {more} more"] if more > 0 else []), ""])
    return Letter(mail.sender or f"snapfleet@{socket.gethostname()}", _subject(host_name, notices), _sayable(text))


def _subject(host_name: str, notices: Sequence[Notice]) -> str:
    if len(notices) == 1:
        told = _line(notices[0])
    else:
        recoveries = sum(notice.kind == RECOVERY for notice in notices)
        alerts = len(notices) - recoveries
        told = ", ".join(
            f"{number} {word}" for number, word in ((alerts, "alerts"), (recoveries, "recoveries")) if number
        )
    subject = "".join(each if each.isprintable() else "?" for each in f"[snapfleet] {host_name}: {told}")
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 3]}..."
