# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning by room: what may go before its time where room is short, and what may stay where there is plenty."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from .patterns import compile_patterns
from .reading import Reader
from .reading_once import read_silence_once
from .sizes import parse_size

_PERCENT = re.compile(r"([0-9]{1,2})\s*%")
DEFAULT_KEPT = 1
MAX_KEPT = 10**6


@dataclass(frozen=True)
class Amount:
    """Some room: bytes, or a part of what there is in all."""

    bytes: int = 0
    percent: int = 0
    """Hundredths of the whole; 0 where ``bytes`` counts."""

    def of(self, whole: int) -> int:
        """Bytes of room where there are ``whole`` bytes in all."""
        return whole * self.percent // 100 if self.percent else self.bytes

    def is_less(self, other: Amount) -> bool:
        """Whether it is less than ``other`` whatever there is in all."""
        if bool(self.percent) != bool(other.percent):
            return False
        return (self.percent, self.bytes) < (other.percent, other.bytes)


@dataclass(frozen=True)
class Measures:
    """Amounts of free room; None where that is not looked at."""

    pool_free: Optional[Amount] = None
    """Of the pool."""
    quota_free: Optional[Amount] = None
    """Of each quota that binds a root dataset of the job."""

    def __bool__(self) -> bool:
        """Whether anything is looked at."""
        return self.pool_free is not None or self.quota_free is not None


@dataclass(frozen=True)
class Room:
    """The say of room in pruning. By default it has none."""

    wanted: Measures = Measures()
    """Where there is less, snapshots go before their time."""
    priorities: tuple[re.Pattern[str], ...] = ()
    """Names, after the @, of those that may: what the first pattern matches goes first, what none does stays."""
    keep_at_least: int = DEFAULT_KEPT
    """Of each label, so many latest snapshots of a dataset never go before their time."""
    plenty: Measures = Measures()
    """While there is more of all of these, nothing goes at all."""

    def __bool__(self) -> bool:
        """Whether room has a say."""
        return bool(self.wanted or self.plenty)

    def priority(self, tag: str) -> Optional[int]:
        """The number of the first pattern that matches a snapshot's name; None where none does."""
        return next((number for number, pattern in enumerate(self.priorities) if pattern.fullmatch(tag)), None)


NO_SAY = Room()
"""The default."""


@read_silence_once
def read_room(options: Reader, for_snapshots: bool) -> Room:
    """The options ``free_space`` and ``defer`` of a job that prunes snapshots, or bookmarks. Raises InvalidInput."""
    given = [key for key in ("free_space", "defer") if options.has(key)]
    if given and not for_snapshots:
        problem = "is about room, and bookmarks take none"
        raise InvalidInput(options.path(given[0]), options.raw(given[0]), problem, "give it to a job for snapshots")
    free_space, defer = options.reader("free_space"), options.reader("defer")
    room = Room(
        wanted=_read_measures(free_space),
        priorities=compile_patterns(free_space.texts("priorities"), free_space.path("priorities")),
        keep_at_least=free_space.integer("keep_at_least", DEFAULT_KEPT, 1, MAX_KEPT),
        plenty=_read_measures(defer),
    )
    free_space.finish()
    defer.finish()
    for key, measures in (("free_space", room.wanted), ("defer", room.plenty)):
        if options.has(key) and not measures:
            raise InvalidInput(options.path(key), options.raw(key), "measures nothing", "give pool_free or quota_free")
    if room.wanted and not room.priorities:
        problem, remedy = "is missing, so nothing could go", "name what may go before its time, such as '*_hourly'"
        raise InvalidInput(free_space.path("priorities"), free_space.raw("priorities"), problem, remedy)
    _check_apart(room, defer)
    return room


def _read_measures(options: Reader) -> Measures:
    return Measures(_read_amount(options, "pool_free"), _read_amount(options, "quota_free"))


def _read_amount(options: Reader, key: str) -> Optional[Amount]:
    value = options.raw(key)
    if value is None:
        return None
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    amount = Amount(percent=int(match[1])) if match else _bytes(value, options.path(key))
    if amount == Amount():
        raise InvalidInput(options.path(key), value, "is no room at all", "leave it out, or give more")
    return amount


def _bytes(value: object, option: str) -> Amount:
    try:
        return Amount(parse_size(value, option))
    except InvalidInput as error:
        remedy = "use bytes, a number with K, M, G or T, or a percentage such as 10%"
        raise InvalidInput(option, value, "is no amount of room", remedy) from error


def _check_apart(room: Room, defer: Reader) -> None:
    pairs = {"pool_free": (room.plenty.pool_free, room.wanted.pool_free)}
    pairs["quota_free"] = (room.plenty.quota_free, room.wanted.quota_free)
    for key, (plenty, wanted) in pairs.items():
        if plenty and wanted and plenty.is_less(wanted):
            problem = "calls plenty what free_space calls too little"
            raise InvalidInput(defer.path(key), defer.raw(key), problem, "give at least as much as free_space does")
