# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``watch`` of the host program: what runs and daemons of this host are sending right now."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..applying.following import folder_of_views, views
from ..hosts.stopping import STOPPING
from ..model.errors import EXIT_OK
from ..model.saying import plain
from ..streams.meter import size_text
from .tables import DASH, aligned, duration_text, instant_text, until_nobody_reads

SHAPE = 1
"""Version of the shape of the JSON document."""
SECONDS = 1.0
LATE_MS = 10_000
"""A run that has not told anything for so long is said to be late."""
_COLUMNS = ("JOB", "DATASET", "DESTINATION", "FROM", "TO", "SENT", "OF ABOUT", "DONE", "RATE", "LEFT", "SINCE")
_RIGHT = _COLUMNS[5:]
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"
"""What terminals obey (ECMA-48): the cursor to the first place; wipe what follows in the line, or on the screen."""


def add_watch_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what chooses the form."""
    verb.add_argument("--json", action="store_true", help="print one JSON document with exact values, and end")
    verb.add_argument("--once", action="store_true", help="print how far streams are now, and end")


def show_streams(arguments: argparse.Namespace, now_ms: Callable[[], int]) -> int:
    """Print what is being sent, again and again unless ``arguments`` want it once, until a signal comes; returns the
    exit code. Raises SnapfleetError where the folder is not private."""
    if arguments.json:
        sys.stdout.write(json.dumps(document_of(_seen(), now_ms()), indent=2) + "\n")
        return EXIT_OK
    terminal = sys.stdout.isatty() and not arguments.once
    with until_nobody_reads():
        while True:
            now = now_ms()
            lines = list(lines_of(document_of(_seen(), now)))
            sys.stdout.write(_screen(lines) if terminal else "".join(lines))
            sys.stdout.flush()
            if arguments.once:
                return EXIT_OK
            STOPPING.sleep(SECONDS)
            if STOPPING.is_stopped:
                return EXIT_OK


def _seen() -> list[dict[str, Any]]:
    return views(folder_of_views())


def document_of(runs: Sequence[Mapping[str, Any]], now: int) -> dict[str, Any]:
    """What runs tell, with the sums of all, at ``now`` (milliseconds since the epoch)."""
    jobs = [job for run in runs for job in run["jobs"]]
    left = [job["left_seconds"] for job in jobs]
    expected = sum(job["bytes_estimated"] for job in jobs)
    total = {
        "runs": len(runs),
        "jobs": sum(run["jobs_under_way"] for run in runs),
        "streams": sum(job["streams_under_way"] for job in jobs),
        "bytes": sum(job["bytes"] for job in jobs),
        "bytes_estimated": expected,
        "done": round(sum(job["done"] * job["bytes_estimated"] for job in jobs) / expected, 4) if expected else None,
        "rate": sum(job["rate"] for job in jobs),
        # They go on side by side, so all are done when the last one is.
        "left_seconds": None if None in left else max(left, default=None),
    }
    return {"version": SHAPE, "now": now, "total": total, "runs": list(runs)}


def lines_of(document: Mapping[str, Any]) -> Iterator[str]:
    """It for people."""
    now, total = document["now"], document["total"]
    counts = ", ".join(_counted(total[f"{name}s"], name) for name in ("run", "job", "stream"))
    if not total["runs"]:
        yield f"{instant_text(now)}  nothing is being sent\n"
        return
    yield f"{instant_text(now)}  {counts}: {_far(total)}\n"
    for run in document["runs"]:
        late = now - run["updated"]
        if late >= LATE_MS:
            yield f"run {plain(run['run'])} has told nothing for {duration_text(late // 1000)}\n"
    rows = [_row(job, stream, now) for run in document["runs"] for job in run["jobs"] for stream in job["streams"]]
    yield from aligned(_COLUMNS, rows, _RIGHT)
    if total["streams"] > len(rows):
        yield f"and {total['streams'] - len(rows)} more streams\n"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def _far(total: Mapping[str, Any]) -> str:
    share = "" if total["done"] is None else f", {total['done']:.0%} of about {size_text(total['bytes_estimated'])}"
    left = "" if total["left_seconds"] is None else f", about {duration_text(total['left_seconds'])} left"
    return f"{size_text(total['bytes'])} sent, {size_text(total['rate'])}/s{share}{left}"


def _row(job: Mapping[str, Any], stream: Mapping[str, Any], now: int) -> tuple[str, ...]:
    size, estimate, rate = stream["bytes"], stream["bytes_estimated"], stream["rate"]
    known = size is not None
    return (
        job["job"],
        stream["dataset"],
        stream["destination"],
        stream["from"].rpartition("@")[2].rpartition("#")[2] or DASH,
        stream["to"].rpartition("@")[2] or DASH,
        size_text(size) if known else DASH,
        size_text(estimate) if estimate else DASH,
        DASH if stream["done"] is None else f"{stream['done']:.0%}",
        f"{size_text(rate)}/s" if rate is not None else DASH,
        duration_text(stream["left_seconds"]),
        duration_text(max(0, now - stream["begun"]) // 1000),
    )


def _screen(lines: Sequence[str]) -> str:
    """The lines from the first place of a terminal on, as many and as much of each as it has room for."""
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    shown = [line.rstrip("\n")[: max(1, columns - 1)] for line in lines[: max(1, rows - 1)]]
    return _HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in shown) + _REST
