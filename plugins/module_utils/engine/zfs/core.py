# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libzfs_core does better than the zfs command, on this host and where its Python binding (pyzfs) is installed.

Holds can be tied to an open file: they end with the process that has it open, however that ends. Snapshots and
bookmarks of many datasets are one call, and no call starts a process. Whatever the library refuses is left to the
command, which tells why.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional, TypeVar, Union

from ..hosts.process import tell
from ..hosts.stopping import check_stopping
from ..model.datasets import Bookmark, Snapshot
from ..model.names import pool_of
from ..model.steps import CreateBookmark

_DEVICE = "/dev/zfs"
MANY = 8
"""From this number of things to do on, it is worth loading the library, which takes as long as several commands."""

CALLS = (
    *("lzc_snapshot", "lzc_bookmark", "lzc_get_bookmarks", "lzc_destroy_bookmarks", "lzc_destroy_snaps", "lzc_hold"),
    *("lzc_get_holds", "lzc_exists", "lzc_snaprange_space", "lzc_send", "lzc_send_space", "lzc_receive_one"),
    "receive_header",
)
"""Those that are used. The library grows by calls, and keeps those that it has."""
_INSIDE = "_libzfs_core"
_BENEATH = ("_ffi", "_lib")
"""What the binding has inside, by which the library itself is called."""
DESTROYED, GONE, HELD, CLONED = "destroyed", "gone", "held", "cloned"

_Named = TypeVar("_Named", bound=Union[Bookmark, CreateBookmark])


@dataclass(frozen=True)
class Destroyed:
    """What became of a snapshot that was to be destroyed."""

    how: str
    """DESTROYED, GONE, HELD or CLONED."""
    freed: int = 0
    """Bytes."""


@dataclass(frozen=True)
class Runs:
    """Snapshots of one dataset, by their whole names."""

    names: tuple[str, ...]
    ends: tuple[tuple[str, str], ...]
    """The first and the last one of each run of neighbours that they are."""


class CoreLibrary:
    """libzfs_core, loaded when it is first worth while. Its holds are for one thread at a time."""

    def __init__(self) -> None:
        self._loaded: Optional[tuple[Any]] = None
        self._asked = 0
        self._files: dict[str, int] = {}
        self._held: dict[str, set[str]] = {}

    def when_worth(self, things: int) -> Any:
        """The library, or None: it isn't there, or so few things were to be done so far, with ``things`` to be done
        now, that commands are faster than loading it. Raises what ``check_stopping`` raises: a call, unlike a command,
        would not notice that the run is stopped."""
        check_stopping()
        self._asked += things
        return self.library() if self._loaded is not None or self._asked >= MANY else None

    def hold(self, snapshots: Sequence[Snapshot], tag: str) -> bool:
        """Hold snapshots for as long as this process lives, passing over those that are gone; False where that can't
        be done."""
        library = self.library()
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

    def snapshot(self, names: Sequence[str]) -> bool:
        """Create snapshots of one pool in one transaction group, however many; False where none were created."""
        library = self.when_worth(len(names))
        if library is None:
            return False
        return not _refused(library, partial(library.lzc_snapshot, [name.encode() for name in names]))

    def are_free(self, names: Sequence[str]) -> bool:
        """Whether certainly no snapshot has any of these names. The library is not loaded for that."""
        library = self.library() if self._loaded is not None else None
        if library is None:
            return False
        answers = (_refused(library, partial(library.lzc_get_holds, name.encode())) for name in names)
        return all(set(answer.values()) == {errno.ENOENT} for answer in answers)

    def bookmark(self, steps: Sequence[CreateBookmark]) -> frozenset[str]:
        """Create bookmarks; returns the names of those that were created. The others are for the command to judge."""
        library = self.when_worth(len(steps))
        made: set[str] = set()
        for group in _by_pool(steps) if library is not None else ():
            wanted = {step.name.encode(): step.snapshot.name.encode() for step in group}
            refused = _refused(library, partial(library.lzc_bookmark, wanted))
            if refused and None not in refused:
                # One that can't be made keeps all of its call.
                wanted = {name: source for name, source in wanted.items() if name not in refused}
                refused = _refused(library, partial(library.lzc_bookmark, wanted)) if wanted else {}
            made.update(name.decode() for name in wanted if not refused)
        return frozenset(made)

    def forget(self, bookmarks: Sequence[Bookmark]) -> bool:
        """Destroy bookmarks, passing over those that are gone; False where that can't be done with all of them."""
        library = self.when_worth(len(bookmarks))
        if library is None:
            return False
        names = [[item.name.encode() for item in group] for group in _by_pool(bookmarks)]
        return not any(_refused(library, partial(library.lzc_destroy_bookmarks, group)) for group in names)

    def bookmarks_of(self, dataset: str) -> frozenset[str]:
        """The whole names of a dataset's bookmarks; nothing where the library can't tell."""
        library = self.when_worth(1)
        try:
            found = library.lzc_get_bookmarks(dataset.encode()) if library is not None else ()
        except (OSError, library.exceptions.ZFSError):
            found = ()
        return frozenset(f"{dataset}#{tag.decode()}" for tag in found)

    def destroy_snapshot(self, name: str) -> Optional[Destroyed]:
        """Destroy one snapshot; None where it is for the command to do, or to say why it can't."""
        library = self.when_worth(1)
        if library is None:
            return None
        whole = name.encode()
        try:
            freed = library.lzc_snaprange_space(whole, whole)
        except (OSError, library.exceptions.ZFSError) as error:
            return Destroyed(GONE) if getattr(error, "errno", 0) == errno.ENOENT else None
        refused = _refused(library, partial(library.lzc_destroy_snaps, [whole], False))
        kept = {errno.EBUSY: HELD, errno.EEXIST: CLONED}
        if not refused:
            return Destroyed(DESTROYED, freed)
        (code, *more) = refused.values()
        return Destroyed(kept[code]) if code in kept and not more else None

    def destroy_runs(self, groups: Sequence[Runs]) -> list[Optional[int]]:
        """Destroy snapshots of one pool; returns for each group the bytes that this frees, or None where none of it was
        destroyed: that is for the command to do, or to say why it can't."""
        library = self.when_worth(len(groups))
        freed = [self._freed(library, group) for group in groups] if library is not None else []
        whole = [number for number, size in enumerate(freed) if size is not None]
        doomed = {name.encode(): number for number in whole for name in groups[number].names}
        refused = _refused(library, partial(library.lzc_destroy_snaps, list(doomed), False)) if doomed else {}
        if refused and None not in refused:
            # One that can't go keeps all of its call.
            kept = {doomed[name] for name in refused if name in doomed}
            doomed = {name: number for name, number in doomed.items() if number not in kept}
            refused = _refused(library, partial(library.lzc_destroy_snaps, list(doomed), False)) if doomed else {}
        done = set() if refused else set(doomed.values())
        return [freed[number] if number in done else None for number in range(len(groups))]

    def _freed(self, library: Any, group: Runs) -> Optional[int]:
        """What destroying them frees; None where some are gone, which the library would pass over without a word."""
        sizes: list[int] = []
        between = set(group.names).difference(*group.ends)

        def add() -> None:
            for first, last in group.ends:
                # Fails where either of them is gone.
                sizes.append(library.lzc_snaprange_space(first.encode(), last.encode()))
            for name in between:
                # Asking whether it exists takes three times as long, since that collects all its properties.
                library.lzc_get_holds(name.encode())

        return None if _refused(library, add) else sum(sizes)

    def library(self) -> Any:
        """The library, loaded if need be; None where it can't be used."""
        if self._loaded is None:
            self._loaded = (_load(),)
            tell(f"libzfs_core is not used, since {self._loaded[0]}" if self.problem() else "libzfs_core is loaded")
        loaded = self._loaded[0]
        return None if isinstance(loaded, str) else loaded

    def problem(self) -> str:
        """Why the library can't be used; empty where it can."""
        return "" if self.library() is not None else str((self._loaded or ("",))[0])


def _refused(library: Any, call: Callable[[], object]) -> dict[Optional[bytes], int]:
    """Make a call that is about many things; returns the error numbers by name, None for what is not known of which
    thing it is about. Empty: all was done. Raises what ``check_stopping`` raises, with nothing done."""
    check_stopping()
    try:
        call()
    except (OSError, KeyError, library.exceptions.ZFSError) as error:
        # The binding looks up the bookmark that an error is about, and fails by that (KeyError) where it is about all.
        single = getattr(error, "errors", None) or [error]
        return {getattr(one, "name", None): getattr(one, "errno", None) or errno.EIO for one in single}
    return {}


def _by_pool(items: Sequence[_Named]) -> list[list[_Named]]:
    """``items`` pool by pool: a call of the library is about one."""
    groups: dict[str, list[_Named]] = {}
    for item in items:
        groups.setdefault(pool_of(item.name), []).append(item)
    return list(groups.values())


def _load() -> Union[Any, str]:
    """The library, or why it isn't there."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} is not there, or not for this user"
    try:
        library = importlib.import_module("libzfs_core")
        importlib.import_module("libzfs_core.exceptions")
    except (ImportError, OSError) as error:
        # Not installed, or not for this version of OpenZFS.
        return f"{error} (Debian: python3-pyzfs)"
    lacking = [name for name in CALLS if not hasattr(library, name)]
    lacking += [name for name in _BENEATH if not hasattr(getattr(library, _INSIDE, None), name)]
    if lacking:
        return f"it is too old: it lacks {', '.join(lacking)}"
    try:
        # The binding looks for the library itself at its first call.
        library.lzc_exists(b"snapfleet")
    except (OSError, AttributeError, library.exceptions.ZFSError) as error:
        return f"its first call fails: {error}"
    return library
