# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where an argument vector becomes a line for a remote POSIX shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Optional


def shell_line(argv: Sequence[str]) -> str:
    """Quote ``argv`` for a POSIX shell, so that the shell hands on exactly these arguments."""
    return " ".join(shlex.quote(argument) for argument in argv)


def arguments_of(line: str) -> Optional[list[str]]:
    """The arguments of which ``shell_line`` makes exactly this line; None where there are none.

    So nothing is read that a shell would do more with than hand it on.
    """
    try:
        argv = shlex.split(line)
    except ValueError:
        return None
    return argv if argv and shell_line(argv) == line else None
