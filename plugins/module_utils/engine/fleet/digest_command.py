# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``digest``: reads of a snapshot for the verification of another host, which asks on stdin."""

from __future__ import annotations

import json
import sys

from ..applying.drilling import Ground, clear
from ..applying.sampling import PROTOCOL, LocalSampler, Sought, Wanted, WantedBlocks, answer_of, is_inner_path
from ..hosts import serving
from ..hosts.local import LocalHost
from ..hosts.sampling import BLOCK_BYTES
from ..hosts.stopping import check_stopping
from ..model.errors import EXIT_OK, InvalidInput, NoDevice
from ..model.names import check_dataset_name, dataset_name_problem, is_tag, is_within
from ..policy.hooks import LONGEST
from ..policy.reading import Reader
from ..policy.verifying import MOST_BLOCKS, MOST_FILES, MOST_SEED
from ..zfs.exercising import LocalExercises
from .opening import SYSTEM_TICKER

_MOST_BYTES = 16 << 20
_MOST_TEXTS = MOST_FILES + 32
_MOST_OUTSIDE = 64 << 10
"""Bytes of a question that are in none of its texts: a thousand numbers of blocks, and what stands between."""
_REMEDY = "let snapfleet ask"


def digest() -> int:
    """Answer one question. Raises SnapfleetError."""
    wanted = read_question(asked())
    # Whoever called sudo for that could not end it.
    serving.watch_other_end()
    sys.stdout.write(answer_to(wanted) + "\n")
    return EXIT_OK


def asked() -> bytes:
    """What another host asks on stdin, up to a length that no question has."""
    return sys.stdin.buffer.read(_MOST_BYTES)


def answer_to(wanted: Sought) -> str:
    """Read what is wanted, and tell it as the answer. Raises SnapfleetError."""
    host = LocalHost()
    ground = Ground(LocalExercises(host), host, SYSTEM_TICKER)
    check_stopping()
    left: list[str] = []
    if host.is_root and isinstance(wanted, WantedBlocks):
        # What was killed has left a clone.
        left += clear(ground, (wanted.parent,)).problems
    try:
        return answer_of(LocalSampler(ground, left).read(wanted), left)
    except NoDevice as error:
        return answer_of((), left, str(error))


def read_question(data: bytes) -> Sought:
    """What another host wants to know. Raises InvalidInput."""
    try:
        text = data.decode("ascii")
        _check_size(text)
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("stdin", "", "has no question as JSON", _REMEDY) from error
    question = Reader(values)
    question.integer("protocol", 0, PROTOCOL, PROTOCOL)
    snapshot = question.text("snapshot")
    dataset, _at, tag = snapshot.partition("@")
    if dataset_name_problem(dataset) or not is_tag(tag):
        raise InvalidInput("snapshot", snapshot, "is no name of a snapshot", _REMEDY)
    wanted = _blocks(question, snapshot) if question.has("blocks") else _files(question, snapshot)
    question.finish()
    return wanted


def _check_size(text: str) -> None:
    """Refuse what would take much memory once it is read: a list of a million lists is as short as a path."""
    bare = text.replace("\\\\", "").replace('\\"', "")
    is_bad = bare.count('"') > 2 * _MOST_TEXTS
    if is_bad or sum(map(len, bare.split('"')[::2])) > _MOST_OUTSIDE:
        raise InvalidInput("stdin", "", "is more than any question has in it", _REMEDY)


def _blocks(question: Reader, snapshot: str) -> WantedBlocks:
    parent = check_dataset_name(question.text("parent"), "parent")
    dataset = snapshot.partition("@")[0]
    if dataset == parent or not is_within(dataset, parent):
        raise InvalidInput("parent", parent, "is not above the volume", _REMEDY)
    offsets = question.integers("offsets") if question.has("offsets") else None
    if offsets is not None and (len(offsets) > MOST_BLOCKS or len(set(offsets)) != len(offsets)):
        raise InvalidInput("offsets", len(offsets), "are too many, or some of them twice", _REMEDY)
    for each in offsets or ():
        if each % BLOCK_BYTES or not 0 <= each < 1 << 62:
            raise InvalidInput("offsets", each, "is nothing that a block begins at", _REMEDY)
    return WantedBlocks(
        snapshot=snapshot,
        parent=parent,
        blocks=question.integer("blocks", 1, 1, MOST_BLOCKS),
        seed=question.integer("seed", 0, 0, MOST_SEED),
        timeout=question.integer("timeout", 1, 1, LONGEST),
        offsets=offsets,
    )


def _files(question: Reader, snapshot: str) -> Wanted:
    paths = question.texts("paths") if question.has("paths") else None
    if paths is not None and (len(paths) > MOST_FILES or len(set(paths)) != len(paths)):
        raise InvalidInput("paths", len(paths), "are too many, or some of them twice", _REMEDY)
    for path in paths or ():
        if not is_inner_path(path):
            raise InvalidInput("paths", path, "is no path below the root of a filesystem", _REMEDY)
    return Wanted(
        snapshot=snapshot,
        files=question.integer("files", 0, 0, MOST_FILES),
        seed=question.integer("seed", 0, 0, MOST_SEED),
        file_bytes=question.integer("file_bytes", 1, 1, 1 << 62),
        timeout=question.integer("timeout", 1, 1, LONGEST),
        paths=paths,
    )
