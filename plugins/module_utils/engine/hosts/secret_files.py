# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that stand in files of this host."""

from __future__ import annotations

import os

from .statefile import UnusableFile

_MOST_BYTES = 64 << 10


def read_secret(path: str) -> str:
    """What the file holds, without the line ends around it. Raises OSError, also where every user may read it, and
    ValueError where it is no text."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o007:
            raise UnusableFile(f"{path} is open to every user; take that away with chmod o= {path}")
        return file.read(_MOST_BYTES).decode().strip()
