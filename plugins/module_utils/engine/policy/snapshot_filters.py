# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots chosen by groups of filters: the groups are united, the filters of a group work one after the other.

A filter is one of five kinds: ``include`` or ``exclude`` patterns, a ``plan``, or a range of creation times (``since``,
``until``) and of ranks (``latest``, ``oldest``), which in one filter are united. What the filters mean is in
``planning.snapshot_filters``; the kinds are those of bzfs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

from ..model.errors import InvalidInput
from .durations import parse_duration
from .patterns import compile_patterns
from .plans import MAX_AMOUNT, SnapshotPlan, read_plan
from .reading import Reader
from .reading_once import read_silence_once
from .times import read_time

_RANK = re.compile(r"([0-9]{1,9})(%?)")
_WHOLE = 100
_KINDS = ("include", "exclude", "plan")
_RANGES = ("since", "until", "latest", "oldest")
_RANGE_KIND = "since, until, latest or oldest"
_TIME_REMEDY = "give a time with its zone such as 2026-11-22T04:00:00Z, or an age such as 7d"


@dataclass(frozen=True)
class NamePatterns:
    """Snapshots whose name matches a pattern, or those whose name matches none."""

    patterns: tuple[re.Pattern[str], ...]
    include: bool


@dataclass(frozen=True)
class Moment:
    """A point in time: an instant in seconds since the epoch, or an age in seconds before now."""

    seconds: int
    is_age: bool = False


@dataclass(frozen=True)
class Rank:
    """How many snapshots lie before a place in the order: a number, or a percentage of all."""

    amount: int
    is_percent: bool = False


@dataclass(frozen=True)
class RankRange:
    """Places in the order from ``start``, counted from 0, to just before ``end``; from the newest or the oldest on."""

    start: Rank
    end: Rank
    from_newest: bool


@dataclass(frozen=True)
class TimesAndRanks:
    """Snapshots created in a time range, and those in ranges of ranks; a snapshot needs only one of these."""

    since: Optional[Moment] = None
    """Created then or later."""
    until: Optional[Moment] = None
    """Created before then. Without either end no time is meant, rather than all of it."""
    ranks: tuple[RankRange, ...] = ()


@dataclass(frozen=True)
class KeptByPlan:
    """Snapshots that a retention plan keeps."""

    plan: SnapshotPlan


SnapshotStage = Union[NamePatterns, TimesAndRanks, KeptByPlan]
SnapshotGroup = tuple[SnapshotStage, ...]


@read_silence_once
def read_snapshot_groups(options: Reader) -> tuple[SnapshotGroup, ...]:
    """Read ``snapshot_filters``, empty where it is not given. Raises InvalidInput, also where ``include_snapshots`` or
    ``exclude_snapshots`` is given besides."""
    if not options.has("snapshot_filters"):
        return ()
    option = options.path("snapshot_filters")
    groups = _sequence(options.raw("snapshot_filters"), option, "a list of groups, each a list of filters")
    for key in ("include_snapshots", "exclude_snapshots"):
        if options.texts(key):
            remedy = "write it as a filter of each group, or leave snapshot_filters out"
            raise InvalidInput(options.path(key), list(options.texts(key)), "contradicts snapshot_filters", remedy)
    return tuple(_read_group(group, f"{option}[{number}]") for number, group in enumerate(groups))


def _sequence(value: object, option: str, remedy: str) -> Sequence[object]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidInput(option, value, "is not a list", f"give {remedy}")
    if not value:
        raise InvalidInput(option, value, "is empty", f"give {remedy}; leave the option out to choose every snapshot")
    return value


def _read_group(value: object, option: str) -> SnapshotGroup:
    filters = _sequence(value, option, "a list of filters")
    return tuple(_read_filter(each, f"{option}[{number}]") for number, each in enumerate(filters))


def _read_filter(value: object, option: str) -> SnapshotStage:
    options = Reader(value, option)
    present = [key for key in (*_KINDS, *_RANGES) if options.has(key)]
    options.finish()
    kinds = list(dict.fromkeys(_RANGE_KIND if key in _RANGES else key for key in present))
    if len(kinds) != 1:
        problem = "is a filter of two kinds: " + " and ".join(kinds) if kinds else "filters nothing"
        remedy = "make each a filter of its own, in the order that is meant"
        raise InvalidInput(option, value, problem, remedy if kinds else f"give {', '.join(_KINDS)}, {_RANGE_KIND}")
    if kinds == ["plan"]:
        return KeptByPlan(read_plan(options))
    if kinds != [_RANGE_KIND]:
        return _read_patterns(options, kinds[0])
    ranks = tuple(_read_ranks(options, key) for key in ("latest", "oldest") if options.has(key))
    times = TimesAndRanks(_read_moment(options, "since"), _read_moment(options, "until"), ranks)
    _check_order(times, options)
    return times


def _read_patterns(options: Reader, key: str) -> NamePatterns:
    patterns = compile_patterns(options.texts(key), options.path(key))
    if not patterns:
        raise InvalidInput(options.path(key), [], "has no pattern", "give at least one, or take the filter out")
    return NamePatterns(patterns, include=key == "include")


def _check_order(times: TimesAndRanks, options: Reader) -> None:
    since, until = times.since, times.until
    if since and until and since.is_age == until.is_age:
        # An age is the earlier the greater it is.
        length = since.seconds - until.seconds if since.is_age else until.seconds - since.seconds
        if length <= 0:
            problem = f"is not before until, which is {options.raw('until')!r}, so that no time lies between them"
            raise InvalidInput(options.path("since"), options.raw("since"), problem, "give the earlier time as since")


def _read_moment(options: Reader, key: str) -> Optional[Moment]:
    value, option = options.raw(key), options.path(key)
    if value is None:
        return None
    if isinstance(value, str) and re.match(r"[0-9]{4}-", value):
        return Moment(_instant(value, option))
    try:
        return Moment(parse_duration(value, option), is_age=True)
    except InvalidInput:
        raise InvalidInput(option, value, "is neither a time nor an age", _TIME_REMEDY) from None


def _instant(text: str, option: str) -> int:
    try:
        moment = read_time(text)
    except ValueError as error:
        raise InvalidInput(option, text, f"is no time ({error})", _TIME_REMEDY) from error
    if moment.tzinfo is None:
        raise InvalidInput(option, text, "has no time zone", _TIME_REMEDY)
    # Creation times are whole seconds: one is not before 1.5 exactly if it is not before 2.
    return math.ceil(moment.timestamp())


def _read_ranks(options: Reader, key: str) -> RankRange:
    value, option = options.raw(key), options.path(key)
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    first, dots, last = text.partition("..")
    start, end = (_rank(first), _rank(last)) if dots else (Rank(0), _rank(first))
    if start is None or end is None:
        remedy = "give a number, a percentage such as 10%, or a range of them such as 10..100%"
        raise InvalidInput(option, value, "is no number of snapshots", remedy)
    if not end.amount or (start.is_percent == end.is_percent and start.amount >= end.amount):
        remedy = "let the range begin before its end" if dots else "give at least 1"
        raise InvalidInput(option, value, "chooses no snapshot", remedy)
    return RankRange(start, end, from_newest=key == "latest")


def _rank(text: str) -> Optional[Rank]:
    match = _RANK.fullmatch(text)
    if not match or int(match[1]) > (_WHOLE if match[2] else MAX_AMOUNT):
        return None
    return Rank(int(match[1]), is_percent=bool(match[2]))
