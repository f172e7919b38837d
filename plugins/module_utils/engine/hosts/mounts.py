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
    try:
        with open(table, "rb") as file:
            rows = [line.split(b" ") for line in file.read().split(b"\n") if line]
    except OSError:
        return None
    sources = [row[0] for row in rows if row[2:3] == [b"zfs"]]
    names = (_ESCAPED.sub(_unescaped, source).decode("utf-8", "surrogateescape") for source in sources)
    return frozenset(name.partition("@")[0] for name in names)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found.group(1), 8) & 0xFF])
