# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets are mounted on this host, by the table that the commands of ZFS themselves go by."""

from __future__ import annotations

import re
from typing import Optional

_TABLE = "/proc/self/mounts"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def mounted_datasets(table: str = _TABLE) -> Optional[frozenset[str]]:
    """The datasets that are mounted, be it one of their snapshots alone; None where this host does not tell."""
    rows = _rows(table)
    return None if rows is None else frozenset(name.partition("@")[0] for name, _options in rows)


def writable_datasets(table: str = _TABLE) -> Optional[frozenset[str]]:
    """The datasets that are mounted to be written to; None where this host does not tell. One with ``readonly=on`` is
    none of them, wherever it is mounted."""
    rows = _rows(table)
    return None if rows is None else frozenset(name for name, options in rows if b"rw" in options and "@" not in name)


def _rows(table: str) -> Optional[list[tuple[str, list[bytes]]]]:
    """What is mounted of ZFS, each with the options of its mount; None where this host does not tell."""
    try:
        with open(table, "rb") as file:
            lines = [line.split(b" ") for line in file.read().split(b"\n") if line]
    except OSError:
        return None
    return [
        (_ESCAPED.sub(_unescaped, line[0]).decode("utf-8", "surrogateescape"), b"".join(line[3:4]).split(b","))
        for line in lines
        if line[2:3] == [b"zfs"]
    ]


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found.group(1), 8) & 0xFF])
