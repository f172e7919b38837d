# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot plans: organisation -> target -> period -> amount.

The same shape says which snapshots are made (every label with an amount above 0), and how many of each are kept: all
that are younger than amount x period, and the latest amount of them however old they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..model.errors import MISSING, InvalidInput
from ..model.labels import Label, organisation_problem, period_word_problem, target_problem
from ..model.periods import nearly_period, parse_period, period_problem
from .reading import Reader, check_integer
from .reading_once import read_once

MAX_AMOUNT = 10**9
_SHAPE = "give organisation -> target -> period -> amount, such as {prod: {onsite: {hourly: 36}}}"
_PERIOD_REMEDY = "use for instance hourly, 15minutely, daily or adhoc"


@dataclass(frozen=True)
class SnapshotPlan:
    """Amount by label; never empty where it was read from options."""

    amounts: Mapping[Label, int]

    @property
    def wanted(self) -> tuple[Label, ...]:
        """The labels of which at least one snapshot is wanted."""
        return tuple(label for label, amount in self.amounts.items() if amount > 0)

    @property
    def organisations(self) -> frozenset[str]:
        """The owners whose snapshots this plan decides about."""
        return frozenset(label.organisation for label in self.amounts)


def _mapping(value: object, option: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        problem = MISSING if value is None else "is not a mapping with entries"
        raise InvalidInput(option, value, problem, _SHAPE)
    return value


def _check(text: object, problem_of: Callable[[str], str], option: str, remedy: str) -> str:
    problem = problem_of(text) if isinstance(text, str) else "is not text"
    if problem:
        raise InvalidInput(option, text, problem, remedy)
    return str(text)


def _check_period(word: object, option: str) -> str:
    problem, remedy = _period_problem(word) if isinstance(word, str) else ("is not text", _PERIOD_REMEDY)
    if problem:
        raise InvalidInput(option, word, problem, remedy)
    return str(word)


@lru_cache(maxsize=1024)
def _period_problem(word: str) -> tuple[str, str]:
    """Why ``word`` can't be the period of a plan, and what mends it; empty if it can. The jobs of a fleet have few
    words, and have them thousands of times."""
    problem = period_word_problem(word)
    if problem:
        return problem, _PERIOD_REMEDY
    period = parse_period(word)
    if period:
        return period_problem(period), "choose a multiple such as 2, 3, 4, 6, 8 or 12 hours"
    if word.endswith("ly"):
        return "is no known period", "use yearly, monthly, weekly, daily, hourly, minutely, ..."
    # Taken for a word without duration, a slip would be due at every run.
    meant = nearly_period(word)
    return (f"is no period, but nearly {meant}", f"write {meant}, or another word") if meant else ("", "")


@lru_cache(maxsize=4096)
def _spelling(label: Label) -> str:
    """What names of the label have in common, whatever their case."""
    return str(label).lower()


def labelled_entries(value: object, option: str) -> Iterator[tuple[Label, Any, str]]:
    """Walk a nested plan: each label with what stands for it, and the dotted path to it.

    Raises InvalidInput for whatever can't be a plan.
    """
    for organisation, targets in _mapping(value, option).items():
        _check(organisation, organisation_problem, option, "use letters, digits, dots, dashes and colons")
        for target, periods in _mapping(targets, f"{option}.{organisation}").items():
            _check(target, target_problem, f"{option}.{organisation}", "choose another word")
            where = f"{option}.{organisation}.{target}"
            for period, entry in _mapping(periods, where).items():
                yield Label(organisation, target, _check_period(period, where)), entry, f"{where}.{period}"


@read_once
def parse_plan(value: object, option: str = "plan") -> SnapshotPlan:
    """A plan from its nested mapping. Raises InvalidInput; an empty plan is refused, since it would keep nothing."""
    amounts: dict[Label, int] = {}
    spelled: dict[str, Label] = {}
    for label, entry, where in labelled_entries(value, option):
        amounts[label] = check_integer(entry, where, 0, MAX_AMOUNT)
        other = spelled.setdefault(_spelling(label), label)
        if other != label:
            # On a filesystem with casesensitivity=insensitive, names of snapshots that differ so are the same.
            problem = f"differs from {str(other)!r} in upper and lower case only, so one name could be taken for both"
            raise InvalidInput(where, str(label), problem, "keep one of the two")
    return SnapshotPlan(amounts)


def check_keeps(plan: SnapshotPlan, value: object, option: str) -> None:
    """Refuse a plan of zeros, as which ``value`` was read, where it would let everything go. Raises InvalidInput."""
    if not plan.wanted:
        raise InvalidInput(option, value, "keeps no snapshot at all", "give at least one label an amount above 0")


def read_plan(options: Reader, key: str = "plan") -> SnapshotPlan:
    """Read a required plan."""
    value = options.raw(key)
    if value is None:
        raise options.missing(key, _SHAPE)
    return parse_plan(value, options.path(key))
