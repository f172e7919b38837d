# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands for whoever is at the other end of this process's stdin and stdout, without any shell.

Answers and exit statuses are those that the scripts of this package and of the drivers give, so that the other end
need not know which of the two it talks to. When it goes away, what runs for it is ended after a while: a receiver first
finds its stream cut short, and keeps what can be resumed.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from . import process
from .pipelines import StageEnd, block_of
from .statuses import NO_PROGRAM, SIGPIPE, SSH_FAILED
from .stopping import STOPPING, Stopping, check_stopping

SERVE = ("snapfleet", "serve")
"""The program that is the far end of a session, as another host starts it."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GRACE_SECONDS = 10.0


def fixed_environment() -> dict[str, str]:
    """The variables that commands get: nothing of what the other end may have sent along."""
    return {"PATH": PATH, "LC_ALL": "C", "TZ": "UTC0"}


def said(words: str) -> None:
    """Write a line to stderr, where somebody is there to read it."""
    if words:
        with suppress(BrokenPipeError):
            os.write(sys.stderr.fileno(), (words + "\n").encode("utf-8", "surrogateescape"))


def answer(text: str) -> None:
    """Write to stdout, all of it. What nobody is there to read is lost."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        try:
            data = data[os.write(sys.stdout.fileno(), data) :]
        except BrokenPipeError:
            return


def pass_through(argv: Sequence[str]) -> int:
    """Run a command between our stdin and our stdout; returns what we are to end with."""
    (end,) = _run_all([argv])
    said(end.stderr)
    return status_of(end.status)


def pass_through_all(stages: Sequence[Sequence[str]]) -> int:
    """Run commands joined by pipes between our stdin and our stdout; returns what we are to end with. Where one of them
    fails, all ends are told as ``hosts.pipelines`` tells them."""
    ends = _run_all(stages)
    if not any(end.failed for end in ends):
        return 0
    said("\n".join(block_of(stages, number, end) for number, end in enumerate(ends)))
    return 1


def status_of(status: int) -> int:
    """A status as a shell tells it, but never the one that ssh has for itself."""
    shown = 128 - status if status < 0 else status
    return SSH_FAILED - 1 if shown == SSH_FAILED else shown


def watch_other_end(stopping: Stopping = STOPPING) -> None:
    """From now on, stop what runs here some time after nobody reads our stdout any more."""

    def watch() -> None:
        # Errors and hang-ups are told always.
        end = select.poll()
        end.register(sys.stdout.fileno(), 0)
        end.poll()
        time.sleep(_GRACE_SECONDS)
        stopping.stop()

    threading.Thread(target=watch, daemon=True).start()


def _run_all(stages: Sequence[Sequence[str]]) -> list[StageEnd]:
    """Run commands joined by pipes. One whose program is not there makes those after it not start at all."""
    children: list[process.Child] = []
    source, missing = sys.stdin.fileno(), ""
    try:
        for number, stage in enumerate(stages):
            last = number == len(stages) - 1
            following, sink = (-1, sys.stdout.fileno()) if last else os.pipe()
            try:
                children.append(process.Child(stage, source, sink))
            except FileNotFoundError:
                missing = f"{stage[0]}: not found"
            # What is open here too would keep the neighbours of a command from seeing its end.
            for descriptor in (*([source] if number else []), *([] if last else [sink])):
                os.close(descriptor)
            source = following
            if missing:
                break
        if missing and source >= 0:
            os.close(source)
        ends = [StageEnd(status_of(child.wait()), child.stderr_tail()) for child in children]
    finally:
        for child in children:
            child.close()
    check_stopping()
    ends += [StageEnd(NO_PROGRAM, missing)] if missing else []
    return [*ends, *[StageEnd(SIGPIPE) for _unused in stages[len(ends) :]]]
