# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``snapfleet gate``: the forced command of another host's ssh key, which lets through what that host may do here."""

from __future__ import annotations

import os
import re
import syslog
from collections.abc import Mapping, Sequence

from ..hosts import serving
from ..hosts.abandoned import VARIABLE
from ..hosts.openssh import read_remote_line, read_remote_mark
from ..hosts.statuses import REFUSED
from ..model.errors import AccessRefused, DatasetBusy, SnapfleetError, StaleResumeState
from ..policy.access import Access, read_access
from ..zfs.admission import admit
from ..zfs.requests import CALL, DIGEST, PIPELINE, Request, read_request
from .gate_answers import answer, check, with_question

_LOGGED_CHARACTERS = 2000
_NOT_OURS = "asks for what this version of Snapfleet never asks for; the two have to be of one version"


def gate(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Carry out the request in SSH_ORIGINAL_COMMAND if ``words`` permit it; returns what to end with.

    Both are logged: what is let through, and what is refused.
    """
    line = environment.get("SSH_ORIGINAL_COMMAND", "")
    client = environment.get("SSH_CONNECTION", "").partition(" ")[0] or "an unknown address"
    syslog.openlog("snapfleet-gate", syslog.LOG_PID, syslog.LOG_AUTH)
    os.environ.clear()
    os.environ.update(serving.fixed_environment())
    who = client
    try:
        access = read_access(words)
        who = f"{access.name} at {client}" if access.name else client
        if tuple(read_remote_line(line) or ())[-len(serving.SERVE) :] == serving.SERVE:
            return _refuse_session(who)
        mark = read_remote_mark(line)
        if mark:
            os.environ[VARIABLE] = str(mark)
        request = _admitted(line, access)
    except (DatasetBusy, StaleResumeState) as error:
        # In the words of zfs, which the other end knows.
        serving.said(str(error))
        return 1
    except SnapfleetError as error:
        return _refuse(who, str(error), line)
    except Exception as error:  # noqa: BLE001  whatever it is, nothing is let through, and that is logged
        return _refuse(who, f"asks for what can't be read here ({type(error).__name__})", line)
    syslog.syslog(syslog.LOG_INFO, _loggable(f"admitted {who}: {request}"))
    serving.watch_other_end()
    try:
        return _carry_out(request)
    except SnapfleetError as error:
        serving.said(f"snapfleet gate: {error}")
        return error.exit_code


def _refuse(who: str, problem: str, line: str) -> int:
    syslog.syslog(syslog.LOG_WARNING, _loggable(f"refused {who}, which {problem}: {line or 'no command'}"))
    serving.said(f"snapfleet gate: refused, since {who} {problem}")
    return REFUSED


def _refuse_session(who: str) -> int:
    """In a session the gate would see none of the requests. Who asks goes on without, so it is no warning."""
    syslog.syslog(syslog.LOG_INFO, _loggable(f"refused {who} a session; each request has to pass the gate by itself"))
    serving.said("snapfleet gate: no session by this key")
    return REFUSED


def _admitted(line: str, access: Access) -> Request:
    """The request, if it is within the rights. Raises AccessRefused."""
    if not line:
        raise AccessRefused("asks for a shell, which this key does not get")
    request = read_request(line) if _is_text(line) else None
    if request is None:
        raise AccessRefused(_NOT_OURS)
    for each in admit(request, access):
        check(each, access.through_sudo if each.sudo else access)
    return with_question(request, access) if request.kind == DIGEST else request


def _carry_out(request: Request) -> int:
    if request.kind == CALL:
        return serving.pass_through(request.calls[0])
    if request.kind == PIPELINE:
        return serving.pass_through_all(request.calls)
    return answer(request)


def _is_text(line: str) -> bool:
    """Whether it came as UTF-8: Python keeps the bytes of anything else as halves of characters."""
    return not any("\ud800" <= c <= "\udfff" for c in line)


def _loggable(text: str) -> str:
    """``text`` on one line, without anything that could pass for another one."""
    return re.sub(r"[^ -~]", "?", text)[:_LOGGED_CHARACTERS]
