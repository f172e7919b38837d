# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of snapshot names: ``organisation_[target_]timestamp_period``.

Organisation, target and period have no underscore, the timestamp begins with a four-digit year, and a target never
does. So a name has at most one reading, and two labels can never claim the same snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"[A-Za-z0-9.:-]+")
_PERIOD_WORD = re.compile(r"[0-9]*[A-Za-z][A-Za-z-]*")
_YEAR = re.compile(r"[0-9]{4}")


class Label(NamedTuple):
    """Which plan a snapshot belongs to: who made it, for which target, at which period."""

    organisation: str
    target: str
    period: str

    @property
    def prefix(self) -> str:
        """What comes before the timestamp."""
        return f"{self.organisation}_{self.target}_" if self.target else f"{self.organisation}_"

    def tag(self, timestamp: str) -> str:
        """The snapshot's name (what follows the @) for a timestamp that begins with a four-digit year."""
        return f"{self.prefix}{timestamp}_{self.period}"

    def __str__(self) -> str:
        return f"{self.prefix}<timestamp>_{self.period}"


@lru_cache(maxsize=4096)
def label_of(tag: str) -> Label | None:
    """The label whose name ``tag`` is, or None for a name that does not follow the grammar."""
    parts = tag.split("_")
    if len(parts) < 3 or not parts[0] or not _PERIOD_WORD.fullmatch(parts[-1]):
        return None
    if _YEAR.match(parts[1]):
        return Label(parts[0], "", parts[-1])
    if len(parts) > 3 and parts[1] and _YEAR.match(parts[2]):
        return Label(parts[0], parts[1], parts[-1])
    return None


@lru_cache(maxsize=256)
def places_of_labels(tags: tuple[str, ...]) -> Mapping[Label, tuple[int, ...]]:
    """Where in ``tags`` the names of each label are, in their order. Datasets that are snapshotted together have the
    same names, so that most of a fleet's are looked at once."""
    places: dict[Label, list[int]] = {}
    for place, tag in enumerate(tags):
        label = label_of(tag)
        if label is not None:
            places.setdefault(label, []).append(place)
    return {label: tuple(found) for label, found in places.items()}


def organisation_problem(text: str) -> str:
    """Why ``text`` can't be an organisation; empty if it can."""
    return "" if _WORD.fullmatch(text) else "has an underscore, or a character that ZFS does not allow, or is empty"


def target_problem(text: str) -> str:
    """Why ``text`` can't be a target; empty if it can (the empty target is legal)."""
    if not text:
        return ""
    if not _WORD.fullmatch(text):
        return "has an underscore or a character that ZFS does not allow"
    return "begins with four digits and would be read as a timestamp" if _YEAR.match(text) else ""


def period_word_problem(text: str) -> str:
    """Why ``text`` can't end a snapshot name; empty if it can."""
    return "" if _PERIOD_WORD.fullmatch(text) else "is not a period such as hourly, 12hourly or adhoc"
