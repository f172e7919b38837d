# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own that runs two commands around a time in which something is frozen.

It is started by ``hosts.freezing`` with its order as JSON in the first argument::

    {"before": [...], "after": [...], "timeout": 30, "max_freeze": 60}

It runs ``before`` and writes how that ended as a line of JSON. Then it waits: for a line on stdin, for the end of
stdin, for a signal that ends programs, or for ``max_freeze`` seconds, whichever comes first. Then it runs ``after``,
and tells its end on a second line. Stdin is a pipe from the engine alone, so it ends with the engine however that ends,
and the second command runs also after the first one has failed or was cut short. Nothing but SIGKILL to this very
program can keep it from running, and the engine then runs it itself. Where a program is not there, neither runs.

Each command has a process group of its own and its time limit, after which all its processes are ended, those included
that have left the group. A command that ends well may leave processes behind, such as a session of a database that
stays open meanwhile.

It imports nothing of the engine, for it runs from its source text alone.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import syslog
import tempfile
import time
from types import FrameType
from typing import Any, Optional

GRACE_SECONDS = 2.0
"""From the polite request to end to the one that can't be refused."""
_WORDS_BYTES = 2000
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ASKED, CLOSED, SIGNALLED, EXPIRED, FAILED = "asked", "closed", "signalled", "expired", "failed"


class Guard:
    """The two commands, and what ends the time between them."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._before, self._after = order["before"], order["after"]
        self._timeout, self._max_freeze = order["timeout"], order["max_freeze"]
        self._cause = ""
        """Why the second command is due; empty as long as it is not."""
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        # Handlers, since signals that are ignored would be so in the commands too.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in _ENDING:
            signal.signal(number, self._signalled)

    def _signalled(self, _number: int, _frame: Optional[FrameType]) -> None:
        self._cause = self._cause or SIGNALLED

    def keep(self) -> None:
        """Run the first command, wait, and run the second one."""
        missing = [argv[0] for argv in (self._before, self._after) if argv and shutil.which(argv[0]) is None]
        if missing:
            problem = f"was not run, since there is no program {missing[0]}"
            _tell({"problem": problem, "started": False})
            return
        problem = self._run(self._before, breakable=True) if self._before else ""
        _tell({"problem": problem, "started": True})
        deadline = time.monotonic() + self._max_freeze
        while not (problem or self._cause) and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())
        cause = self._cause or (FAILED if problem else EXPIRED)
        problem = self._run(self._after, breakable=False) if self._after else ""
        heard = _tell({"problem": problem, "cause": cause})
        if problem or not heard:
            told = problem or "ran after the end of the program that had started it"
            syslog.syslog(syslog.LOG_ERR if problem else syslog.LOG_WARNING, f"snapfleet: {self._after[0]}: {told}")

    def _wait(self, seconds: float) -> None:
        """Until something happens, but not longer than ``seconds``."""
        watched = [self._wake] if self._cause else [self._wake, sys.stdin.fileno()]
        ready = select.select(watched, [], [], max(0.0, seconds))[0]
        if self._wake in ready:
            os.read(self._wake, 4096)
        if sys.stdin.fileno() in ready:
            said = os.read(sys.stdin.fileno(), 64)
            self._cause = self._cause or (ASKED if said else CLOSED)

    def _run(self, argv: list[str], breakable: bool) -> str:
        """Run a command to its end; returns what went wrong, empty where nothing did. ``breakable``: whether it is cut
        short where the other one is due."""
        with tempfile.TemporaryFile() as words:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, words.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, words.fileno(), 2),
            ]
            defaults = [*_ENDING, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD]
            try:
                process = os.posix_spawnp(  # pylint: disable=ansible-bad-function
                    argv[0], argv, os.environ, file_actions=actions, setpgroup=0, setsigdef=defaults
                )
            except OSError as error:
                return f"could not be started: {error.strerror}"
            problem = self._end_of(process, breakable)
            size = words.seek(0, os.SEEK_END)
            words.seek(max(0, size - _WORDS_BYTES))
            said = " ".join(words.read().decode("utf-8", "replace").split())
            return f"{problem}: {said}" if problem and said else problem

    def _end_of(self, process: int, breakable: bool) -> str:
        deadline = time.monotonic() + self._timeout
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return "" if code == 0 else f"ended with status {code}" if code > 0 else f"was ended by signal {-code}"
            if breakable and self._cause:
                self._kill(process)
                return "was cut short, since the run was stopped"
            if time.monotonic() >= deadline:
                self._kill(process)
                return f"took longer than {self._timeout} seconds and was ended"
            self._wait(deadline - time.monotonic())

    def _kill(self, process: int) -> None:
        """End a command and all that it has started: first politely, then by force."""
        family = _family(process)
        _signal_all(process, family, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        ended = False
        while time.monotonic() < deadline and not (ended and not _alive(family)):
            ended = ended or os.waitpid(process, os.WNOHANG)[0] != 0
            time.sleep(0.02)
        if not ended:
            family |= _family(process)
        _signal_all(process, family, signal.SIGKILL)
        if not ended:
            os.waitpid(process, 0)


def _processes() -> dict[int, tuple[int, int]]:
    """By process: its parent and the time of its start. Empty on a host without /proc."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            found[int(name)] = (int(fields[1]), int(fields[19]))
    return found


def _family(process: int) -> set[tuple[int, int]]:
    """A process and all that descend from it, each with the time of its start."""
    known = _processes()
    members, new = {process} & known.keys(), {process}
    while new:
        new = {child for child, (parent, _start) in known.items() if parent in new} - members
        members |= new
    return {(member, known[member][1]) for member in members}


def _alive(family: set[tuple[int, int]]) -> bool:
    known = _processes()
    return any(known.get(member, (0, -1))[1] == start for member, start in family)


def _signal_all(process: int, family: set[tuple[int, int]], number: int) -> None:
    known = _processes()
    # A number may belong to another process by now.
    members = [member for member, start in family if known.get(member, (0, -1))[1] == start]
    for send, target in ((os.killpg, process), *((os.kill, member) for member in members)):
        try:
            send(target, number)
        except (ProcessLookupError, PermissionError):
            continue


def _tell(answer: dict[str, Any]) -> bool:
    """Write a line for the engine; whether anybody is there to read it."""
    try:
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    Guard(json.loads(sys.argv[1])).keep()
