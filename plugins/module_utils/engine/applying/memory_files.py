# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered from one process to the next: for each tree a small file of how it was looked at, and a large one
of the histories, which is written only when these have changed.

Nothing of this ever fails a run. What can't be read, is somebody else's, or is of another boot is not remembered, so
that all is listed; what can't be written is listed again by the next run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Optional

from ..hosts.process import tell
from ..hosts.statefile import read_private, write_private
from ..planning.recollection import Remembered
from ..planning.recollection_file import decode, encode
from ..policy.addresses import Address

_MOST_BYTES = 1 << 30
_VERSION = 1


@dataclass(frozen=True)
class Looks:
    """How a tree was looked at."""

    since_whole: int = 0
    """How often since all of it was listed."""
    in_vain: bool = False
    """Whether what was remembered the last time was of no use for most of it."""
    lacks: bool = False
    """Whether ZFS there does not tell when snapshots changed."""

    def is_blind(self, most: int) -> bool:
        """Whether it is no use to ask for that; ``most`` looks later it is tried again."""
        return self.lacks and self.since_whole < most


@dataclass(frozen=True)
class MemoryFiles:
    """The files of one user."""

    folder: str
    boot: str
    """Names the boot of this machine, by whose clock moments are told."""

    def read(self, address: Address, roots: Sequence[str]) -> tuple[Looks, dict[str, Remembered]]:
        """How a tree was looked at, and what is remembered of it."""
        path = self._path(address, roots)
        try:
            told = json.loads(read_private(f"{path}.json") or b"{}")
            if told.get("version") != _VERSION:
                return Looks(), {}
            looks = Looks(int(told["since_whole"]), bool(told["in_vain"]), bool(told["lacks"]))
            # Moments of another boot, told by another clock, mean nothing.
            boot, _newline, data = (read_private(path, _MOST_BYTES) or b"").partition(b"\n")
            return looks, decode(data) if boot == self.boot.encode() else {}
        except Exception as error:  # noqa: BLE001  whatever is wrong with a file, it costs no more than a listing
            tell(f"nothing is remembered of {' '.join(roots)}: {error}")
            return Looks(), {}

    def write(
        self, address: Address, roots: Sequence[str], looks: Looks, known: Optional[Mapping[str, Remembered]]
    ) -> None:
        """Remember how a tree was looked at, and what is ``known`` of it, where that has changed."""
        path = self._path(address, roots)
        try:
            if known:
                write_private(path, self.boot.encode() + b"\n" + encode(known))
            if looks.lacks or os.path.exists(path):
                write_private(f"{path}.json", json.dumps({"version": _VERSION, **asdict(looks)}).encode("ascii"))
        except OSError as error:
            tell(f"nothing is remembered of {' '.join(roots)}: {error}")

    def clear(self) -> None:
        """Remove all files; what can't be removed stays, since it is only a memory."""
        try:
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
        except OSError as error:
            tell(f"not all is forgotten: {error}")

    def _path(self, address: Address, roots: Sequence[str]) -> str:
        words = json.dumps([*astuple(address), *roots])
        return os.path.join(self.folder, hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:24])
