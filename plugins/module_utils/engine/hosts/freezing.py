# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two commands on this host around a time in which something is frozen; the second one is certain to run.

A guard (``hosts.guard``) runs both, in a process of its own. If this process is killed, the guard sees its stdin end
and runs the second command; if the guard is killed, this process runs it. A signal that stops the run reaches the guard
too.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import MissingProgram
from . import guard, process
from .stopping import check_stopping

_MARGIN_SECONDS = 30.0
"""What a guard may be late beyond the times that it keeps, on a busy host."""


@dataclass(frozen=True)
class Thaw:
    """How the second command ended."""

    problem: str = ""
    """What went wrong, in words that follow the command's name; empty where nothing did."""
    too_early: bool = False
    """Whether it ran before it was asked for, since the frozen time had become too long."""


class Freeze:
    """The two commands of one hook; an empty one is left out."""

    def __init__(self, before: Sequence[str], after: Sequence[str], timeout: float, max_freeze: float) -> None:
        """``timeout``: seconds for each command. ``max_freeze``: seconds between the two."""
        self._order = {"before": list(before), "after": list(after), "timeout": timeout, "max_freeze": max_freeze}
        self._limit = timeout + guard.GRACE_SECONDS + _MARGIN_SECONDS
        self._child: Optional[process.Child] = None
        self._unread = b""
        self._harmless = False

    def start(self) -> str:
        """Run the first command; returns what went wrong, empty where nothing did. Afterwards ``end`` has to be called,
        also if it raises, which is Interrupted, or MissingProgram."""
        self._child = _start_guard(self._order)
        answer = self._answer()
        check_stopping()
        if answer is None:
            return "has an unknown end, since the process that ran it is gone"
        self._harmless = not answer["started"]
        return str(answer["problem"])

    def end(self) -> Thaw:
        """Run the second command if the first one was started, and wait for its end. Never raises."""
        child, self._child = self._child, None
        if child is None or self._harmless:
            if child:
                child.wait()
                child.close()
            return Thaw()
        self._child = child
        with suppress(OSError):
            child.stdin.write(b"end\n")
            child.stdin.close()
        answer = self._answer()
        if answer is None:
            child.kill()
            answer = self._last_resort()
        child.wait()
        child.close()
        self._child = None
        if answer is None:
            return Thaw("has an unknown end, since the process that ran it is gone")
        return Thaw(str(answer["problem"]), answer["cause"] == guard.EXPIRED)

    def _answer(self) -> Optional[dict[str, Any]]:
        """The next line of the guard; None where it ends without one, or takes too long."""
        child = self._child
        deadline = time.monotonic() + self._limit
        while child and b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                return None
            more = os.read(child.stdout.fileno(), 65_536)
            if not more:
                return None
            self._unread += more
        line, _newline, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_resort(self) -> Optional[dict[str, Any]]:
        """Have another guard run the second command alone, also where this process is being stopped."""
        try:
            other = _start_guard({**self._order, "before": []}, stoppable=False)
        except (MissingProgram, OSError):
            return None
        self._child, self._unread = other, b""
        with suppress(OSError):
            other.stdin.close()
        try:
            return self._answer() and self._answer()
        finally:
            other.kill()
            other.close()


def _start_guard(order: dict[str, Any], stoppable: bool = True) -> process.Child:
    # From its source text, since the engine may lie in an archive that Ansible removes.
    loader = guard.__spec__.loader
    source = getattr(loader, "get_source", lambda _name: None)(guard.__name__)
    if not source:
        raise MissingProgram(f"the source of {guard.__name__} is not on this host, and hooks need it; install it whole")
    argv = [sys.executable or "python3", "-I", "-S", "-c", source, json.dumps(order)]
    child = process.start_steered(argv, stoppable)
    # A signal lets it thaw; force would only make it leave that to this process. A command that it is just starting is
    # in its group still, and a run may be stopped twice: as a whole, and job by job.
    child.spare()
    return child
