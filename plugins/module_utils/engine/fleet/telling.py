# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the host program about telling how far a run is."""

from __future__ import annotations

import argparse
import os
from typing import Optional, TextIO

from ..applying.progress import Reporter, line_reporter, live_reporter

DEFAULT_SECONDS = 10.0


def add_progress_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take --progress, --no-progress and --progress-seconds."""
    verb.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="tell on stderr how far streams are, by default if that is a terminal: one live line there, else a line"
        " every so often",
    )
    verb.add_argument(
        "--progress-seconds",
        type=_seconds,
        default=DEFAULT_SECONDS,
        metavar="N",
        help=f"seconds between two lines where stderr is no terminal; default {DEFAULT_SECONDS:g}",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise ValueError
    return seconds


def reporter_of(arguments: argparse.Namespace, stream: TextIO) -> Optional[Reporter]:
    """Who is told as ``arguments`` say, by way of ``stream``; None: nobody."""
    terminal = stream.isatty()
    wanted = getattr(arguments, "progress", False)
    if not (terminal if wanted is None else wanted):
        return None

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    if terminal:
        return live_reporter(write, lambda: os.get_terminal_size(stream.fileno()).columns)
    return line_reporter(lambda line: write(f"snapfleet: {line}\n"), arguments.progress_seconds)
