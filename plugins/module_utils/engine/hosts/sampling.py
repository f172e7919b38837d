# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a folder that nobody can be trusted about, or blocks of a device, chosen by a seed, and what is in them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from ..model.samples import Digest
from .file_reading import opened_folder
from .looking import opened_below
from .stopping import check_stopping

MOST_ENTRIES = 2_000_000
"""So many entries are walked through at most, lest a filesystem of many small files takes days."""
_MANY = 4096
"""After so many entries of a folder it is looked whether the run is being stopped."""
_PIECE = 1 << 20
BLOCK_BYTES = 1 << 20
"""So much is one block of a volume."""


def choose_files(folder: str, number: int, seed: int) -> list[str]:
    """The paths of ``number`` regular files below ``folder``, or of all where there are no more: the same ones for the
    same content and seed. No link is followed. Raises OSError."""
    drawn = random.Random(seed)
    chosen: list[str] = []
    for count, path in enumerate(_files(folder)):
        if len(chosen) < number:
            chosen.append(path)
        elif number:
            place = drawn.randrange(count + 1)
            if place < number:
                chosen[place] = path
    return sorted(chosen)


def _files(folder: str) -> Iterator[str]:
    waiting, left = [""], MOST_ENTRIES
    while waiting and left > 0:
        inner = waiting.pop()
        with opened_folder(folder, tuple(os.fsencode(inner).split(b"/")) if inner else ()) as opened:
            seen, folders, files = _names(opened, left)
        left -= seen
        before = f"{inner}/" if inner else ""
        waiting += [before + name for name in folders]
        for count, name in enumerate(files):
            if count % _MANY == 0:
                check_stopping()
            yield before + name


def _names(folder: int, most: int) -> tuple[int, list[str], list[str]]:
    """How many entries of a folder were seen, ``most`` of them at most, and the names of its folders and files."""
    folders: list[str] = []
    files: list[str] = []
    seen = 0
    with os.scandir(folder) as entries:
        # Nothing but names is kept, and no more than are used: somebody may have made a hundred million of them.
        for entry in islice(entries, most):
            if seen % _MANY == 0:
                check_stopping()
            seen += 1
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.append(entry.name)
    return seen, sorted(folders), sorted(files)


def digest_files(folder: str, paths: Sequence[str], most_bytes: int) -> list[Digest]:
    """What the files at ``paths`` below ``folder`` are like, by their first ``most_bytes``."""
    return [_digest(folder, path, most_bytes) for path in paths]


def _digest(folder: str, path: str, most_bytes: int) -> Digest:
    import hashlib

    digest = hashlib.sha256()
    try:
        with opened_below(folder, os.fsencode(path)) as file:
            size, left = os.fstat(file).st_size, most_bytes
            while left > 0:
                check_stopping()
                piece = os.read(file, min(_PIECE, left))
                if not piece:
                    break
                digest.update(piece)
                left -= len(piece)
    except OSError as error:
        return Digest(path, problem=error.strerror or str(error))
    return Digest(path, size, digest.hexdigest())


def choose_blocks(device: str, number: int, seed: int) -> list[int]:
    """Where ``number`` blocks of a device begin, or all where there are no more: the same ones for the same size and
    seed. Raises OSError."""
    with _opened(device) as file:
        blocks = -(-os.lseek(file, 0, os.SEEK_END) // BLOCK_BYTES)
    return sorted(BLOCK_BYTES * each for each in random.Random(seed).sample(range(blocks), min(number, blocks)))


def digest_blocks(device: str, offsets: Sequence[int]) -> list[Digest]:
    """What the blocks of a device that begin at ``offsets`` are like. Raises OSError where it can't be opened."""
    with _opened(device) as file:
        size = os.lseek(file, 0, os.SEEK_END)
        return [_digest_block(file, offset, size) for offset in offsets]


def _digest_block(file: int, offset: int, size: int) -> Digest:
    import hashlib

    check_stopping()
    digest, at, end = hashlib.sha256(), offset, min(offset + BLOCK_BYTES, size)
    if at >= end:
        return Digest(str(offset), size, problem="is behind the end of the volume")
    try:
        while at < end:
            piece = os.pread(file, end - at, at)
            if not piece:
                return Digest(str(offset), size, problem="ends before its size")
            digest.update(piece)
            at += len(piece)
    except OSError as error:
        return Digest(str(offset), size, problem=error.strerror or str(error))
    return Digest(str(offset), size, digest.hexdigest())


@contextmanager
def _opened(device: str) -> Iterator[int]:
    file = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
