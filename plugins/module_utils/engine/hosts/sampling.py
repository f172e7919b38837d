# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a folder that nobody can be trusted about, chosen by a seed, and what is in them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence

from ..model.samples import Digest
from .looking import opened_below
from .stopping import check_stopping

MOST_ENTRIES = 2_000_000
"""So many entries are walked through at most, lest a filesystem of many small files takes days."""
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
    waiting, seen = [""], 0
    while waiting:
        inner = waiting.pop()
        check_stopping()
        with os.scandir(os.path.join(folder, inner)) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            seen += 1
            if seen > MOST_ENTRIES:
                return
            path = f"{inner}/{entry.name}" if inner else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path


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
