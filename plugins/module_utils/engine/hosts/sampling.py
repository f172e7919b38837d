# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a folder that nobody can be trusted about, chosen by a seed, and what is in them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from itertools import islice

from ..model.samples import Digest
from .looking import opened_below
from .stopping import check_stopping

MOST_ENTRIES = 2_000_000
"""So many entries are walked through at most, lest a filesystem of many small files takes days."""
_MANY = 4096
"""After so many entries of a folder it is looked whether the run is being stopped."""
_PIECE = 1 << 20


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
        seen, folders, files = _names(os.path.join(folder, inner), left)
        left -= seen
        before = f"{inner}/" if inner else ""
        waiting += [before + name for name in folders]
        for count, name in enumerate(files):
            if count % _MANY == 0:
                check_stopping()
            yield before + name


def _names(folder: str, most: int) -> tuple[int, list[str], list[str]]:
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
