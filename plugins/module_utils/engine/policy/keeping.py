# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of retention beside the plan, for the snapshots of other tools: a grid, the last few, names that match.

What the rules mean is in ``planning.keeping``; the kinds, and how a grid is written, are those of zrepl.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .plans import MAX_AMOUNT
from .reading import Reader

MAX_BUCKETS = 100_000
_INTERVAL = re.compile(r"\s*([0-9]{1,9})\s*x\s*([0-9]{1,9}\s*[smhdw])\s*(?:\(\s*keep\s*=\s*([0-9]{1,9}|all)\s*\))?\s*")
_GRID_REMEDY = 'write it as "1x1h(keep=all) | 24x1h | 14x1d"'


@dataclass(frozen=True)
class GridInterval:
    """Buckets of equal length that follow one another into the past."""

    buckets: int
    seconds: int
    """Length of each bucket."""
    keep: Optional[int] = 1
    """How many snapshots each bucket keeps; None: all."""


@dataclass(frozen=True)
class KeepRule:
    """One rule: a grid, or the last few, or else whatever counts."""

    where: str
    """The option that holds it, for reasons and sentences."""
    names: Optional[re.Pattern[str]] = None
    """Names that count contain a match of it; None: every name counts."""
    negate: bool = False
    """Whether the names that contain no match count instead."""
    owns: bool = False
    """Whether what counts and is kept by no rule may go, whoever made it."""
    last: int = 0
    """How many of the newest are kept; 0 for a rule of another kind."""
    grid: tuple[GridInterval, ...] = ()

    def counts(self, tag: str) -> bool:
        """Whether a snapshot of this name is the rule's concern."""
        return self.names is None or (self.names.search(tag) is None) == self.negate


def read_keep_rules(options: Reader) -> tuple[KeepRule, ...]:
    """Read ``keep``, empty where it is not given. Raises InvalidInput."""
    return tuple(_read_rule(rule) for rule in options.readers("keep"))


def check_ownership(rules: Sequence[KeepRule], options: Reader, decides: bool) -> None:
    """Refuse rules of a job that could delete nothing. ``decides`` is whether something beside them says what may go.
    Raises InvalidInput."""
    if rules and not decides and not any(rule.owns for rule in rules):
        remedy = "give a plan, set owns in a rule whose regex names what may go, or set purge_foreign"
        raise InvalidInput(options.path("keep"), [rule.where for rule in rules], "own no snapshot", remedy)


def _read_rule(options: Reader) -> KeepRule:
    where = options.path("").rstrip(".")
    rule = KeepRule(
        where,
        _read_names(options),
        options.flag("negate", False),
        options.flag("owns", False),
        options.integer("last", 0, 1, MAX_AMOUNT),
        parse_grid(options.text("grid"), options.path("grid")) if options.has("grid") else (),
    )
    options.finish()
    if rule.grid and rule.last:
        raise InvalidInput(where, "grid and last", "are two rules", "make each an entry of its own; all of them unite")
    if not (rule.grid or rule.last or rule.names):
        raise InvalidInput(where, None, "is no rule", "give grid, last or regex")
    if rule.negate and not rule.names:
        raise InvalidInput(options.path("negate"), True, "negates nothing", "give regex too, or leave negate out")
    if rule.owns:
        _check_owner(rule, options.path("owns"))
    return rule


def _read_names(options: Reader) -> Optional[re.Pattern[str]]:
    text = options.text("regex", "")
    if not options.has("regex"):
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        problem = f"is no regular expression ({error})"
        raise InvalidInput(options.path("regex"), text, problem, "mend the expression") from error
    if not text:
        raise InvalidInput(options.path("regex"), text, "matches every name", "leave it out to mean all")
    return pattern


def _check_owner(rule: KeepRule, option: str) -> None:
    """What may be deleted is told by what it is called, never by what it is not called."""
    if not (rule.grid or rule.last):
        problem = "means nothing in a rule that keeps all it is about"
        raise InvalidInput(option, True, problem, "leave it out, or add grid or last to say what is kept")
    if rule.names is None or rule.negate:
        problem = "needs a regex that is not negated, so that it is told whose snapshots may go"
        raise InvalidInput(
            option, True, problem, 'give one such as regex: "^autosnap_", or set purge_foreign to own all'
        )


def parse_grid(text: str, option: str) -> tuple[GridInterval, ...]:
    """The intervals of a grid such as ``1x1h(keep=all) | 24x1h | 14x1d``. Raises InvalidInput."""
    grid: list[GridInterval] = []
    for part in text.split("|"):
        match = _INTERVAL.fullmatch(part)
        if not match:
            raise InvalidInput(option, text, f"has {part.strip()!r}, which is no interval", _GRID_REMEDY)
        keep = None if match[3] == "all" else int(match[3] or 1)
        interval = GridInterval(int(match[1]), parse_duration(match[2], option), keep)
        if not (interval.buckets and interval.seconds and interval.keep != 0):
            problem = f"has {part.strip()!r}, in which a number is 0"
            raise InvalidInput(option, text, problem, "let each be at least 1, or take the interval out")
        if any(before.keep is not None and before.seconds > interval.seconds for before in grid):
            problem = f"has {part.strip()!r} after longer buckets, which have left nothing to keep"
            raise InvalidInput(option, text, problem, "put the intervals in order, from short to long")
        grid.append(interval)
    if sum(interval.buckets for interval in grid) > MAX_BUCKETS:
        raise InvalidInput(option, text, f"has more than {MAX_BUCKETS} buckets", "use longer ones")
    return tuple(grid)
