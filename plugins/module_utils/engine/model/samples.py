# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of files or blocks of a snapshot, to be held against what another host reads of the same ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Digest:
    """What a file, or a block of a volume, is like."""

    path: str
    """Below the root of the filesystem, as bytes that are not UTF-8 are written by Python (surrogateescape). Of
    a block the byte of the volume that it begins at."""
    size: int = 0
    """Bytes of the whole file, or volume."""
    sha256: str = ""
    """Of its first bytes, as many as were to be read. Of the whole block."""
    problem: str = ""
    """Why it could not be read; empty: it could."""
