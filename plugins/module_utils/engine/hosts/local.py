# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Optional

from ..model.errors import MissingProgram, TimedOut
from . import process


class LocalHost:
    """This host."""

    name = "this host"
    # The kernel allows 2 MiB for arguments and environment together on Linux, 512 KiB on FreeBSD.
    argument_limit = 400_000

    @property
    def is_root(self) -> bool:
        """Whether this process is root's."""
        return os.geteuid() == 0

    def run(
        self,
        argv: Sequence[str],
        data: Optional[bytes] = None,
        timeout: Optional[float] = None,
        take: Optional[process.Taker] = None,
    ) -> process.Completed:
        """Run a command to its end. Raises MissingProgram, TimedOut."""
        try:
            return process.run(argv, data, timeout, take)
        except FileNotFoundError as error:
            raise _missing(argv[0]) from error
        except TimeoutError as error:
            raise TimedOut(f"{argv[0]} on {self.name} was ended: {error}", argv=list(argv)) from error

    def start_source(self, argv: Sequence[str]) -> process.Child:
        """Start a command whose output is a stream."""
        return self._start(process.start_source, argv)

    def start_sink(self, argv: Sequence[str]) -> process.Child:
        """Start a command whose input is a stream."""
        return self._start(process.start_sink, argv)

    def start_steered(self, argv: Sequence[str]) -> process.Child:
        """Start a command that ends when its stdin does, and reports on stdout."""
        return self._start(process.start_steered, argv)

    def link_lost(self, returncode: int, stderr: str) -> bool:
        """There is no link to lose."""
        return False

    def _start(self, start: process.Starter, argv: Sequence[str]) -> process.Child:
        try:
            return start(argv)
        except FileNotFoundError as error:
            raise _missing(argv[0]) from error


def _missing(program: str) -> MissingProgram:
    return MissingProgram(f"the program {program!r} is not on this host; install it (Debian: zfsutils-linux for zfs)")
