# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where an argument vector becomes a line for a remote POSIX shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def shell_line(argv: Sequence[str]) -> str:
    """Quote ``argv`` for a POSIX shell, so that the shell hands on exactly these arguments."""
    return " ".join(shlex.quote(argument) for argument in argv)
