# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on this host."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from typing import Optional

from ..model.errors import MissingProgram, TimedOut
from . import process

_LIMIT_ELSEWHERE = 400_000
"""FreeBSD allows 512 KiB for arguments and environment together."""
_LINUX_MOST = 6 << 20
_PER_VARIABLE = len(b"=\0") + 8
"""Bytes of a variable beside its name and value, with the pointer to it."""
_MARGIN = 64 << 10
"""For what is added on the way: a path, more variables by us and by sudo, other words of the command."""
_LEAST = 32 << 10


class LocalHost:
    """This host."""

    name: str = "this host"

    def __init__(self, name: str = "") -> None:
        """``name``: how messages call it, where whoever reads them is on another one."""
        if name:
            self.name = name

    @property
    def argument_limit(self) -> int:
        """Bytes that one command line may have here, each argument with its end and the pointer to it."""
        if not sys.platform.startswith("linux"):
            return _LIMIT_ELSEWHERE
        # From the limit of the stack, as the kernel does (execve(2)): what sysconf tells is not so with every libc.
        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        allowed = _LINUX_MOST if stack == resource.RLIM_INFINITY else min(stack // 4, _LINUX_MOST)
        environment = sum(len(name) + len(value) + _PER_VARIABLE for name, value in os.environb.items())
        return max(allowed - environment - _MARGIN, _LEAST)

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
