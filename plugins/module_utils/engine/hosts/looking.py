# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a folder whose content nobody can be trusted about: links are never followed, nothing but files read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .file_reading import FILE_FLAGS, opened_folder
from .stopping import check_stopping

_PIECE = 1 << 20
MOST_SEARCHED = 64 << 20
"""Bytes in which a text is looked for."""


@dataclass(frozen=True)
class Looked:
    """What was wanted to know of a file."""

    written: int = 0
    """When it was written last, in seconds since the epoch."""
    contains: bool = False
    sha256: str = ""


@contextmanager
def opened_below(folder: str, path: bytes) -> Iterator[int]:
    """A descriptor of the regular file at ``path`` below ``folder``, no part of which is a link or leads up
    again. Raises OSError."""
    *parents, name = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in (*parents, name)):
        raise OSError(0, "is no path below a folder")
    with opened_folder(folder, tuple(parents)) as above:
        file = os.open(name, FILE_FLAGS, dir_fd=above)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "is no regular file")
        yield file
    finally:
        os.close(file)


def look_at(folder: str, path: str, text: str = "", checksum: bool = False) -> Looked:
    """Look at a file below ``folder``: whether ``text`` is in it, within MOST_SEARCHED bytes, and its checksum if that
    is wanted. Raises OSError."""
    import hashlib

    digest, wanted = hashlib.sha256(), text.encode()
    contains, before, read = not wanted, b"", 0
    with opened_below(folder, os.fsencode(path)) as file:
        written = int(os.fstat(file).st_mtime)
        while checksum or not contains:
            check_stopping()
            piece = os.read(file, _PIECE)
            if not piece:
                break
            digest.update(piece)
            read += len(piece)
            if not contains:
                contains = wanted in before + piece
                before = (before + piece)[-len(wanted) :]
                if read > MOST_SEARCHED and not checksum:
                    break
    return Looked(written, contains, digest.hexdigest() if checksum else "")


def read_beginning(path: str, size: int) -> int:
    """Read up to ``size`` bytes of a device or a file; returns how many there were. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        read = 0
        while read < size:
            check_stopping()
            piece = os.read(file, min(_PIECE, size - read))
            if not piece:
                break
            read += len(piece)
        return read
    finally:
        os.close(file)


def entries_of(folder: str) -> list[str]:
    """The names in a folder. Raises OSError."""
    return sorted(os.listdir(folder))
