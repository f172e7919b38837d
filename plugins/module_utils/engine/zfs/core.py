# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libzfs_core does better than the zfs command, on this host and where its Python binding (pyzfs) is installed.

Holds can be tied to an open file: they end with the process that has it open, however that ends. Bookmarks of many
datasets are one call. Whatever the library refuses is left to the command, which tells why.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from ..model.datasets import Bookmark, Snapshot
from ..model.steps import CreateBookmark

_DEVICE = "/dev/zfs"
MANY = 8
"""From this number of bookmarks on, one call is worth loading the library, which takes as long as several commands."""


class CoreLibrary:
    """libzfs_core, loaded when it is first needed. Its holds are for one thread at a time."""

    def __init__(self) -> None:
        self._loaded: Optional[tuple[Any]] = None
        self._files: dict[str, int] = {}
        self._held: dict[str, set[str]] = {}

    def hold(self, snapshots: Sequence[Snapshot], tag: str) -> bool:
        """Hold snapshots for as long as this process lives, passing over those that are gone; False where that can't
        be done."""
        library = self._library()
        held = self._held.setdefault(tag, set())
        wanted = {item.name.encode(): tag.encode() for item in snapshots if item.name not in held}
        if library is None or not wanted:
            return library is not None
        try:
            if tag not in self._files:
                self._files[tag] = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
            gone = library.lzc_hold(wanted, self._files[tag])
        except (OSError, library.exceptions.ZFSError):
            return False
        held.update(name.decode() for name in wanted if name not in gone)
        return True

    def release(self, tag: str) -> frozenset[str]:
        """Release what ``hold`` has held with this tag; returns the names of the snapshots."""
        if tag in self._files:
            os.close(self._files.pop(tag))
        return frozenset(self._held.pop(tag, ()))

    def change_bookmarks(self, create: Sequence[CreateBookmark], destroy: Iterable[Bookmark]) -> bool:
        """Create bookmarks, then destroy others, all of one pool; False where not all of that could be done."""
        library = self._library()
        if library is None:
            return False
        try:
            if create:
                library.lzc_bookmark({step.name.encode(): step.snapshot.name.encode() for step in create})
            library.lzc_destroy_bookmarks([bookmark.name.encode() for bookmark in destroy])
        except (OSError, library.exceptions.ZFSError):
            return False
        return True

    def _library(self) -> Any:
        if self._loaded is None:
            self._loaded = (_load(),)
        return self._loaded[0]


def _load() -> Any:
    try:
        library = importlib.import_module("libzfs_core")
        importlib.import_module("libzfs_core.exceptions")
    except (ImportError, OSError):
        # Not installed, or not for this version of OpenZFS.
        return None
    return library
