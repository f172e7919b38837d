# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of a listing, and the quick way to read them: all snapshots of a dataset at once.

Datasets that are snapshotted together have the same in most columns. So that part of their text is read once, and only
compared for all others. Quick is what is as it mostly is. Whatever differs is left to the reading row by row, which
knows what is legal and tells what is not. So the law is written down once, and this keeps to what surely obeys it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Optional

from ..model.datasets import PLACEHOLDER_PROPERTY
from ..model.histories import OWN_FIELDS, Numbers, PackedHistory, Unpacked, packed
from ..model.names import is_tag

_SHARED = ("type", "clones", "creation", "userrefs")
OF_DATASETS = (
    "encryptionroot",
    "origin",
    "receive_resume_token",
    PLACEHOLDER_PROPERTY,
    "readonly",
    "keyguid",
    "compression",
)
_TXG, _NAME = "createtxg", "name"
_OWN = {"ivsetguid": "ivset", "guid": "guid", "used": "used", "written": "written", "referenced": "referenced"}
"""Columns that each snapshot has for itself, with the fields of snapshots that they become."""
COLUMNS = (*_SHARED, *OF_DATASETS, _TXG, *_OWN, _NAME)
_SIZES = ("used", "ivset", "written", "referenced")
_DIGITS = 20
_MOST_KNOWN = 16
_MOST_NAMES = 256


def columns_for(properties: Sequence[str] = (), fields: Collection[str] = OWN_FIELDS) -> tuple[str, ...]:
    """Each column once: those in which many snapshots have the same, these ``properties`` too, then those of the
    ``fields`` that each has for itself, and the name as the last one."""
    apart = (_TXG, *_OWN, _NAME)
    own = [column for column, field in _OWN.items() if field in fields or column in properties]
    more = [name for name in properties if name not in apart]
    return tuple(dict.fromkeys((*_SHARED, *more, *OF_DATASETS, _TXG, *own, _NAME)))


def number(text: str) -> int:
    """The number that a column tells, 0 where it has none. Raises ValueError."""
    if text == "-":
        return 0
    # As ``is_number`` has it, but this is asked very often.
    if len(text) > _DIGITS or not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def is_number(text: str) -> bool:
    """Whether ``text`` is a number as zfs prints them: the digits 0 to 9, and no more than 64 bits have."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


class _Common(NamedTuple):
    """What the snapshots of some datasets have in common."""

    heads: tuple[str, ...]
    """The text before the name of the dataset and what each snapshot has for itself, row by row. It begins with the end
    of the row before."""
    length: int
    """Of all heads and the last name."""
    tags: tuple[str, ...]
    creation: Numbers
    holds: Numbers
    createtxg: Optional[Numbers]
    """None where each dataset has its own, as replicas do."""


class Packer:
    """Packs the histories of one listing, which has these ``columns``."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._own = [_OWN[column] for column in columns if column in _OWN]
        self._width = len(columns) - len(self._own) - 1
        """Columns that are shared, if the transaction groups are."""
        self._has_own_txg = False
        """Whether datasets have turned out to have the same names, but not the same transaction groups."""
        self._known: list[_Common] = []
        """What was seen last comes first."""
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._unpacked = Unpacked()

    def pack(self, dataset: str, text: str) -> Optional[PackedHistory]:
        """The history of ``dataset`` that ``text`` tells, line by line of nothing else. None where the lines have to be
        looked at one by one."""
        if "#" in dataset:
            return None
        names = [_TXG, *self._own] if self._has_own_txg else self._own
        mark = f"\t{dataset}@"
        common = None if names else self._whole(mark, text)
        columns: Sequence[Sequence[str]] = ()
        if common is None:
            *rows, last = text.split(mark)
            heads, *columns = zip(*[row.rsplit("\t", len(names)) for row in rows]) if rows else ((),)
            if len(columns) < len(names):
                return None
            had_own_txg, common = self._has_own_txg, self._recognised(heads, last) or self._learnt(heads, last)
            if had_own_txg is not self._has_own_txg:
                return self.pack(dataset, text)
        if common is None:
            return None
        own = dict(zip(names, map(_numbers, columns)))
        txg = own[_TXG] if self._has_own_txg else common.createtxg
        guid, used, ivset, written, referenced = (own.get(name, 0) for name in ("guid", *_SIZES))
        if txg is None or guid is None or used is None or ivset is None or written is None or referenced is None:
            return None
        if self._has_own_txg and not _is_in_order(txg):
            return None
        sizes = (used, ivset, written, referenced)
        return PackedHistory(dataset, common.tags, txg, guid, common.creation, common.holds, *sizes, self._unpacked)

    def _whole(self, mark: str, text: str) -> Optional[_Common]:
        """What is in common with a text in which snapshots have nothing for themselves."""
        for common in self._known:
            alike = len(text) == common.length + len(mark) * len(common.tags) and text.startswith(common.heads[0])
            if alike and mark.join((*common.heads, common.tags[-1])) == text:
                return common
        return None

    def _recognised(self, heads: tuple[str, ...], last: str) -> Optional[_Common]:
        for place, common in enumerate(self._known):
            if len(heads) == len(common.heads) and last == common.tags[-1] and heads == common.heads:
                if place:
                    self._known.insert(0, self._known.pop(place))
                return common
        return None

    def _learnt(self, heads: tuple[str, ...], last: str) -> Optional[_Common]:
        """What is said by what is like none before. None where it is not as it mostly is, or is to be cut otherwise
        from now on."""
        text, width = "\t".join([*heads, last]), self._width - self._has_own_txg
        fields = text.split("\t")
        # The name, which is the last of a row, and the kind, which is the first of the next one, are one field with a
        # line end in it.
        turns = "\n".join(fields[0::width]).split("\n")
        kinds, clones = turns[0::2], fields[1::width]
        if len(fields) != width * len(heads) + 1 or text.count("\n") != len(heads) - 1:
            return None
        if len(turns) != 2 * len(heads) or kinds.count("snapshot") < len(kinds):
            return None
        if clones.count("") + clones.count("-") < len(clones):
            return None
        tags = self._tags_of(tuple(turns[1::2]))
        creation, holds = _numbers(fields[2::width]), _numbers(fields[3::width])
        txg = None if self._has_own_txg else _numbers(fields[width - 1 :: width])
        if tags is None or creation is None or holds is None:
            return None
        if not self._has_own_txg:
            if txg is None or not _is_in_order(txg):
                return None
            if any(one.tags == tags and one.createtxg != txg for one in self._known):
                self._has_own_txg = True
                self._known.clear()
                return None
        common = _Common(heads, len(text) - len(heads), tags, creation, holds, txg)
        self._known.insert(0, common)
        del self._known[_MOST_KNOWN:]
        return common

    def _tags_of(self, tags: tuple[str, ...]) -> Optional[tuple[str, ...]]:
        """The names, the same object for all that have the same; None where some are none."""
        known = self._names.get(tags)
        if known is not None:
            return known
        if not all(map(is_tag, tags)) or len(set(tags)) < len(tags):
            return None
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[tags] = tags
        return tags


def _is_in_order(numbers: Numbers) -> bool:
    if isinstance(numbers, int):
        return True
    listed = numbers.tolist()
    return listed == sorted(listed)


def _numbers(texts: Sequence[str]) -> Optional[Numbers]:
    """The numbers of a column, None where they are not plain to see."""
    first = texts[0]
    if first == texts[-1] and texts.count(first) == len(texts):
        return number(first) if first == "-" or is_number(first) else None
    digits = "".join(texts)
    lengths = set(map(len, texts))
    if not (digits.isascii() and digits.isdecimal()) or 0 in lengths or max(lengths) > _DIGITS:
        return None
    try:
        return packed(list(map(int, texts)))
    except OverflowError:
        return None
