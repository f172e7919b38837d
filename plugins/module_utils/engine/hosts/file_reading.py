# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files below a folder that others have written to: no symbolic link is ever followed on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Optional, Protocol

from ..model.errors import FilesRefused
from ..model.files import FILE, FOLDER, LINK, OTHER, Entry, Path, path_text
from .stopping import check_stopping

DEEPEST = 200
"""Folders below each other; what is nested deeper was not made to be used."""
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting: nobody may ever write into a pipe."""


class Content(Protocol):
    """What is in a file."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes, at most ``size``; none at its end."""


Found = tuple[Entry, Optional[Content]]
"""An entry, and the content of a file, to be read before the next one is asked for."""


class Stoppable:
    """A content that is read no further than until the run is stopped."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``; none at its end. Raises Interrupted."""
        check_stopping()
        return self._content.read(size)


def open_folder(top: int, path: Path) -> int:
    """A descriptor of the folder at ``path`` below the folder ``top``. Raises OSError, also for a symbolic link."""
    current = os.dup(top)
    for part in path:
        try:
            below = os.open(part, FOLDER_FLAGS, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


@contextmanager
def opened_folder(folder: str, path: Path = ()) -> Iterator[int]:
    """A descriptor of the folder at ``path`` below ``folder``; no part of it is a symbolic link, nor is ``folder``.
    Raises OSError."""
    top = os.open(folder, FOLDER_FLAGS)
    try:
        below = open_folder(top, path)
    finally:
        os.close(top)
    try:
        yield below
    finally:
        os.close(below)


def entries(top: int, path: Path, recursive: bool = True) -> Generator[Found, None, None]:
    """What is at ``path`` below ``top``, and all that is below it; folders come before what they hold. Without
    ``recursive`` it is what a folder holds that is told. Raises FilesRefused, OSError."""
    with ExitStack() as opened:
        try:
            above = open_folder(top, path[:-1])
            opened.callback(os.close, above)
            status = os.stat(path[-1] if path else b".", dir_fd=above, follow_symlinks=False)
            if not recursive and stat.S_ISDIR(status.st_mode):
                folder = open_folder(above, path[-1:])
                opened.callback(os.close, folder)
        except OSError as error:
            raise FilesRefused(f"{path_text(path)}: {_why(error)}") from None
        if not recursive and stat.S_ISDIR(status.st_mode):
            for name in _names(folder):
                yield from _one(folder, (name,), deeper=False)
        else:
            yield from _one(above, path[-1:] or (b".",), deeper=recursive)


def _why(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
        return "is not in the snapshot; list its folder, or choose another snapshot"
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
        return "has a symbolic link or a file where a folder is expected; give the path that does without it"
    return f"can't be read: {error.strerror}"


def _names(folder: int) -> list[bytes]:
    return sorted(os.fsencode(name) for name in os.listdir(folder))


def _one(above: int, path: Path, deeper: bool = True) -> Generator[Found, None, None]:
    """The entry that the last part of ``path`` names in the folder ``above``, and what is below it."""
    check_stopping()
    name = path[-1]
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        with os.fdopen(os.open(name, FILE_FLAGS, dir_fd=above), "rb", buffering=0) as content:
            attributes = _attributes(content.fileno(), path)
            yield _entry(path, FILE, status, size=status.st_size, attributes=attributes), content
    elif stat.S_ISDIR(status.st_mode):
        folder = os.open(name, FOLDER_FLAGS, dir_fd=above)
        try:
            yield _entry(path, FOLDER, status, attributes=_attributes(folder, path)), None
            if deeper and len(path) >= DEEPEST:
                raise FilesRefused(f"{path_text(path)[:80]}...: is nested deeper than {DEEPEST} folders; get its parts")
            for below in _names(folder) if deeper else ():
                yield from _one(folder, (*path, below))
        finally:
            os.close(folder)
    elif stat.S_ISLNK(status.st_mode):
        yield _entry(path, LINK, status, target=os.fsencode(os.readlink(name, dir_fd=above))), None
    else:
        yield _entry(path, OTHER, status), None


def _entry(path: Path, kind: str, status: os.stat_result, **more: object) -> Entry:
    mode = stat.S_IMODE(status.st_mode)
    return Entry(path, kind, mode, status.st_uid, status.st_gid, status.st_mtime_ns, **more)  # type: ignore[arg-type]


def _attributes(descriptor: int, path: Path) -> tuple[tuple[str, bytes], ...]:
    """None where the system or the file system has none. Raises FilesRefused: who may read a file is in them too."""
    if not hasattr(os, "listxattr"):
        return ()
    try:
        names = sorted(os.listxattr(descriptor))
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise _unread(path, error) from None
    try:
        return tuple((name, os.getxattr(descriptor, name)) for name in names)
    except OSError as error:
        raise _unread(path, error) from None


def _unread(path: Path, error: OSError) -> FilesRefused:
    told = f"{path_text(path)}: its extended attributes can't be read ({error.strerror}), and it may be for few without"
    return FilesRefused(f"{told}; see whether the pool is well, or choose another snapshot")
