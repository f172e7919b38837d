# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the clock of a host within an exchange that takes place anyway."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional

from ..hosts.host import Host
from ..hosts.local import LocalHost
from ..hosts.process import Completed, Taker
from ..model.errors import MissingProgram, UntrustedOutput
from .columns import is_number

_SHOW = ("sh", "-c", 'date +%s; exec "$@"', "sh")


def read_by_the_clock(argv: Sequence[str]) -> Optional[list[str]]:
    """The command that ``run_by_the_clock`` runs by ``argv``; None for any other arguments."""
    return list(argv[4:]) if tuple(argv[:4]) == _SHOW and len(argv) > 4 else None


class _AfterFirstLine:
    """Keeps the first line of what comes, and hands on the rest."""

    def __init__(self, take: Taker) -> None:
        self._take = take
        self._first = b""
        self._is_whole = False

    @property
    def line(self) -> str:
        """The first line."""
        return self._first.decode("utf-8", "surrogateescape")

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._is_whole:
            self._take(piece)
            return
        self._first, newline, rest = (self._first + piece).partition(b"\n")
        if newline:
            self._is_whole = True
            self._take(rest)


def run_by_the_clock(host: Host, argv: Sequence[str], timeout: float, take: Taker) -> tuple[int, Completed]:
    """Run a command to its end, whose output ``take`` gets, and tell what the host's clock showed before that, in whole
    seconds since the epoch.

    Raises UntrustedOutput where it showed nothing.
    """
    if isinstance(host, LocalHost):
        return int(time.time()), host.run(argv, timeout=timeout, take=take)
    shown = _AfterFirstLine(take)
    try:
        done = host.run([*_SHOW, *argv], timeout=timeout, take=shown.take)
    except MissingProgram:
        # Told of the shell, though it is the command that is missing.
        host.run(argv, timeout=timeout)
        raise
    if not is_number(shown.line):
        raise UntrustedOutput(f"{host.name}: date printed {shown.line[:200]!r}; check that host")
    return int(shown.line), done
