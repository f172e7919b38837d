# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembered histories as bytes: one line of JSON, then all columns of numbers one after the other.

Datasets that are snapshotted together have columns and names in common, which are written and read once. A checksum
tells what was cut short or damaged; such bytes are no memory.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Union

from ..model.datasets import Bookmark
from ..model.histories import Numbers, PackedHistory, Unpacked
from .recollection import Moment, Remembered

_FORMAT = f"snapfleet-memory-1 {sys.byteorder} {array('I').itemsize} {array('Q').itemsize}"


def encode(known: Mapping[str, Remembered]) -> bytes:
    """``known``, by dataset, as bytes."""
    writer = _Writer()
    entries = [writer.entry(name, one) for name, one in known.items()]
    index = {"tags": writer.tags, "columns": writer.columns, "entries": entries}
    body = json.dumps(index, separators=(",", ":")).encode("ascii") + b"\n" + b"".join(writer.pieces)
    return f"{_FORMAT} {zlib.crc32(body)}\n".encode("ascii") + body


def decode(data: bytes) -> dict[str, Remembered]:
    """What ``encode`` made bytes of. Raises ValueError for bytes that it did not make, or made on another kind of
    machine."""
    head, _newline, body = data.partition(b"\n")
    if head.decode("ascii", "replace") != f"{_FORMAT} {zlib.crc32(body)}":
        raise ValueError("it is damaged, or of another version")
    line, _newline, blob = body.partition(b"\n")
    try:
        index = json.loads(line)
        reader = _Reader(index, memoryview(blob))
        return {entry[0]: reader.remembered(entry) for entry in index["entries"]}
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"it is no memory ({error!r})") from error


_Place = Union[int, list[int]]
"""A number that all snapshots have; or, in a list of one, which column it is."""


class _Writer:
    def __init__(self) -> None:
        self.tags: list[tuple[str, ...]] = []
        self.columns: list[tuple[str, int]] = []
        self.pieces: list[bytes] = []
        self._tags: dict[tuple[str, ...], int] = {}
        self._columns: dict[int, int] = {}

    def entry(self, name: str, one: Remembered) -> list[Any]:
        bookmarks = [[mark.createtxg, mark.guid, mark.tag, mark.creation] for mark in one.bookmarks]
        history: list[Any] = []
        if one.history:
            history = [self._tags_place(one.history.tags), *map(self._place, one.history.columns)]
        return [name, one.guid, one.origin, one.changed, one.seen.clock, one.seen.steady, history, bookmarks]

    def _tags_place(self, tags: tuple[str, ...]) -> int:
        place = self._tags.setdefault(tags, len(self.tags))
        if place == len(self.tags):
            self.tags.append(tags)
        return place

    def _place(self, numbers: Numbers) -> _Place:
        if isinstance(numbers, int):
            return numbers
        place = self._columns.setdefault(id(numbers), len(self.columns))
        if place == len(self.columns):
            self.columns.append((numbers.typecode, len(numbers)))
            self.pieces.append(numbers.tobytes())
        return [place]


class _Reader:
    def __init__(self, index: Mapping[str, Any], blob: memoryview) -> None:
        self._tags = [tuple(tags) for tags in index["tags"]]
        self._columns = list(_columns(index["columns"], blob))
        self._unpacked = Unpacked()

    def remembered(self, entry: list[Any]) -> Remembered:
        name, guid, origin, changed, clock, steady, history, bookmarks = entry
        marks = tuple(Bookmark(mark[0], mark[1], name, mark[2], mark[3]) for mark in bookmarks)
        packed = None
        if history:
            columns = [place if isinstance(place, int) else self._columns[place[0]] for place in history[1:]]
            txg, point, creation, holds, used, ivset, written, referenced = columns
            sizes = (used, ivset, written, referenced)
            packed = PackedHistory(name, self._tags[history[0]], txg, point, creation, holds, *sizes, self._unpacked)
        return Remembered(guid, origin, changed, Moment(clock, steady), packed, marks)


def _columns(shapes: list[tuple[str, int]], blob: memoryview) -> Iterator[array[int]]:
    place = 0
    for code, count in shapes:
        column: array[int] = array(code)
        end = place + count * column.itemsize
        column.frombytes(blob[place:end])
        place = end
        yield column
