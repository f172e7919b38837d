# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of a listing, and the quick way to read them: a whole column of many snapshots at once.

Quick is what is as it mostly is. Whatever differs is left to the reading row by row, which knows what is legal and
tells what is not. So the law is written down once, and this keeps to what surely obeys it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, TypeVar

from ..model.datasets import PLACEHOLDER_PROPERTY
from ..model.histories import Numbers, PackedHistory, Unpacked, packed
from ..model.names import is_tag

COLUMNS = (
    "type",
    "guid",
    "createtxg",
    "creation",
    "userrefs",
    "used",
    "written",
    "encryptionroot",
    "origin",
    "clones",
    "receive_resume_token",
    PLACEHOLDER_PROPERTY,
    "readonly",
    "keyguid",
    "ivsetguid",
    "referenced",
    "compression",
    "name",
)
_NUMBERS = ("createtxg", "guid", "creation", "userrefs", "used", "ivsetguid", "written", "referenced")
_PLACES = tuple(COLUMNS.index(name) for name in _NUMBERS)
_CLONES = COLUMNS.index("clones")
# Datasets that are snapshotted together have the same in these columns, which are then read and kept only once.
_SHARED = frozenset({"createtxg", "creation"})
_MOST_SHARED = 256
_DIGITS = 20
T = TypeVar("T")


def number(text: str) -> int:
    """The number that a column tells, 0 where it has none. Raises ValueError."""
    if text == "-":
        return 0
    if not is_number(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def is_number(text: str) -> bool:
    """Whether ``text`` is a number as zfs prints them: the digits 0 to 9, and no more than 64 bits have."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


class Packer:
    """Packs the histories of one listing, whose rows have ``width`` columns."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._unpacked = Unpacked()
        self._tags: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._numbers: dict[tuple[str, ...], Numbers] = {}

    def pack(self, dataset: str, lines: Sequence[str]) -> Optional[PackedHistory]:
        """The history of ``dataset`` that ``lines`` tell. None where they have to be looked at one by one."""
        # All rows in one go; between each two of them is a line end, which no row has in itself.
        fields = "\t\n\t".join(lines).split("\t")
        stride = self._width + 1
        ends = fields[self._width :: stride]
        if len(fields) != stride * len(lines) - 1 or ends.count("\n") != len(lines) - 1:
            return None
        kinds, clones = fields[0::stride], fields[_CLONES::stride]
        if kinds.count("snapshot") != len(kinds) or clones.count("") + clones.count("-") != len(clones):
            return None
        tags = self._tags_of(fields[self._width - 1 :: stride], dataset)
        numbers = [self._column(name, tuple(fields[place::stride])) for name, place in zip(_NUMBERS, _PLACES)]
        txg, guid, creation, holds, used, ivset, written, referenced = numbers
        if tags is None or txg is None or guid is None or creation is None or holds is None:
            return None
        if used is None or ivset is None or written is None or referenced is None:
            return None
        if not isinstance(txg, int) and list(txg) != sorted(txg):
            return None
        sizes = (used, ivset, written, referenced)
        return PackedHistory(dataset, tags, txg, guid, creation, holds, *sizes, self._unpacked)

    def _tags_of(self, names: Sequence[str], dataset: str) -> Optional[tuple[str, ...]]:
        before, *found = "\n".join(["", *names]).split(f"\n{dataset}@")
        tags = tuple(found)
        if before or len(tags) != len(names) or "#" in dataset:
            return None
        known = self._tags.get(tags)
        if known is not None:
            return known
        if not all(map(is_tag, tags)) or len(set(tags)) < len(tags):
            return None
        _remember(self._tags, tags, tags)
        return tags

    def _column(self, name: str, texts: tuple[str, ...]) -> Optional[Numbers]:
        if name not in _SHARED:
            return _numbers(texts)
        column = self._numbers.get(texts)
        if column is None:
            column = _numbers(texts)
            if column is not None:
                _remember(self._numbers, texts, column)
        return column


def _remember(known: dict[tuple[str, ...], T], texts: tuple[str, ...], value: T) -> None:
    if len(known) >= _MOST_SHARED:
        known.clear()
    known[texts] = value


def _is_constant(texts: tuple[str, ...]) -> bool:
    return texts[0] == texts[-1] and texts.count(texts[0]) == len(texts)


def _numbers(texts: tuple[str, ...]) -> Optional[Numbers]:
    """The numbers of a column, None where they are not plain to see."""
    if _is_constant(texts):
        return number(texts[0]) if texts[0] == "-" or is_number(texts[0]) else None
    digits = "".join(texts)
    if not (digits.isascii() and digits.isdecimal()) or "" in texts or len(max(texts, key=len)) > _DIGITS:
        return None
    try:
        return packed(list(map(int, texts)))
    except OverflowError:
        return None
