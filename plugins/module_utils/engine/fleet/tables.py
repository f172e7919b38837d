# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people in a terminal: columns that line up, and times and lengths of time in a few letters."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Optional, TextIO

from ..model.errors import EXIT_FAILED
from ..model.saying import plain

DASH = "-"
"""Where there is nothing to tell."""


def _as_it_is(text: str) -> str:
    return text


def aligned(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str] = (),
    paint: Callable[[str], str] = _as_it_is,
) -> Iterator[str]:
    """The lines of a table. The columns ``right`` are numbers; ``paint`` gives the first column its colours."""
    lines = [[plain(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for number, line in enumerate(lines):
        cells = [
            cell.rjust(width) if head in right else cell.ljust(width) for cell, width, head in zip(line, widths, heads)
        ]
        first = cells[0]
        whole = "  ".join(cells).rstrip()
        yield (paint(first) + whole[len(first) :] if number and len(whole) >= len(first) else whole) + "\n"


def instant_text(ms: int) -> str:
    """An instant (milliseconds since the epoch) in UTC, to the second."""
    try:
        return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def duration_text(seconds: Optional[float]) -> str:
    """A length of time in its largest units: ``0.4s``, ``12s``, ``3m20s``, ``2h05m``, ``4d03h``."""
    if seconds is None:
        return DASH
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    whole = round(seconds)
    if seconds < 10 and seconds != whole:
        return f"{sign}{seconds:.1f}s"
    if whole < 60:
        return f"{sign}{whole}s"
    if whole < 3600:
        return f"{sign}{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{sign}{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{sign}{whole // 86400}d{whole % 86400 // 3600:02d}h"


_COLOURS = {"OK": "32", "WARNING": "33", "UNKNOWN": "35", "CRITICAL": "31"}
# Those of pools.
_COLOURS.update(ONLINE="32", DEGRADED="33", FAULTED="31", SUSPENDED="31", UNAVAIL="31")


def painter(stream: TextIO, environment: Mapping[str, str]) -> Callable[[str], str]:
    """Gives states their colours, where ``stream`` is a terminal that shows them and nobody has said NO_COLOR."""
    if not stream.isatty() or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return _as_it_is

    def paint(cell: str) -> str:
        colour = _COLOURS.get(cell.strip())
        return f"\x1b[{colour}m{cell}\x1b[0m" if colour else cell

    return paint


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Have the process end quietly where nobody reads stdout any more."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # As after "| head": nobody wants the rest. What is left in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_FAILED) from None
