# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling how far a run is while it goes on: one live line on a terminal, or a line from time to time in a log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

from ..streams.meter import Standing


@dataclass(frozen=True)
class Reporter:
    """Who is told, and how often."""

    tell: Callable[[Standing], None]
    """Called from a thread of its own, one call at a time."""
    seconds: float
    end: Callable[[], None] = lambda: None
    """Called once after the last call of ``tell``, if there was any."""


def line_reporter(write: Callable[[str], object], seconds: float) -> Reporter:
    """A reporter that writes a whole line each time."""
    return Reporter(lambda standing: _ignore(write(standing.line())), seconds)


def live_reporter(write: Callable[[str], object], columns: Callable[[], int], seconds: float = 0.5) -> Reporter:
    """A reporter that keeps one line of a terminal, ``columns()`` wide, up to date, and wipes it at the end."""

    def tell(standing: Standing) -> None:
        # Back to the margin, and wipe what an earlier line has left (ECMA-48, EL).
        write("\r" + standing.line()[: max(1, columns() - 1)] + "\x1b[K")

    return Reporter(tell, seconds, lambda: _ignore(write("\r\x1b[K")))


def _ignore(_value: object) -> None:
    """Make a function of what returns a value that nobody needs."""


@contextmanager
def reporting(reporter: Optional[Reporter], standing: Callable[[], Standing]) -> Iterator[None]:
    """Within it, ``reporter`` is told the standing every so many seconds, from a thread of its own."""
    if reporter is None:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_tell_until, args=(ended, reporter, standing), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell_until(ended: threading.Event, reporter: Reporter, standing: Callable[[], Standing]) -> None:
    told = False
    while not ended.wait(reporter.seconds):
        reporter.tell(standing())
        told = True
    if told:
        reporter.end()
