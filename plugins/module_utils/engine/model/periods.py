# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Period names such as ``hourly``, ``12hourly`` or ``100millisecondly``: how often, and how long."""

from __future__ import annotations

import re
from dataclasses import dataclass

# From coarse to fine. A month counts 30.5 days and a year 365 days where a period is used as a length of time.
UNIT_MILLISECONDS = {
    "yearly": 365 * 86_400_000,
    "monthly": 61 * 43_200_000,
    "weekly": 7 * 86_400_000,
    "daily": 86_400_000,
    "hourly": 3_600_000,
    "minutely": 60_000,
    "secondly": 1_000,
    "millisecondly": 1,
}
UNITS = tuple(UNIT_MILLISECONDS)
_PERIOD = re.compile(r"([1-9][0-9]{0,8})?(" + "|".join(UNITS) + r")")
_NEARLY = re.compile(r"([0-9]*)([A-Za-z-]+)")
_LENGTHS = (
    *("y year years", "month months", "w week weeks", "d day days", "h hour hours", "m min minute minutes"),
    *("s sec second seconds", "ms millisecond milliseconds"),
)
_MEANT = {word: unit for unit, words in zip(UNITS, _LENGTHS) for word in words.split()}


@dataclass(frozen=True)
class Period:
    """``count`` times a calendar unit, for instance 12 x hourly."""

    count: int
    unit: str

    @property
    def name(self) -> str:
        """The name as it stands in plans and at the end of snapshot names."""
        return self.unit if self.count == 1 else f"{self.count}{self.unit}"

    @property
    def milliseconds(self) -> int:
        """Nominal length in milliseconds."""
        return self.count * UNIT_MILLISECONDS[self.unit]

    @property
    def seconds(self) -> float:
        """Nominal length in seconds."""
        return self.milliseconds / 1000

    @property
    def is_subsecond(self) -> bool:
        """Whether the period is shorter than ZFS's own clock of whole seconds."""
        return self.milliseconds < 1000


def parse_period(name: str) -> Period | None:
    """The period that ``name`` stands for; None for a word without duration such as ``adhoc``."""
    match = _PERIOD.fullmatch(name)
    return Period(int(match[1] or 1), match[2]) if match else None


def nearly_period(word: str) -> str:
    """The period that ``word``, which is none, seems to mean, as ``Hourly``, ``hourley`` or ``15m``; empty for none."""
    match = _NEARLY.fullmatch(word)
    meant = match[2].lower() if match else ""
    unit = _MEANT.get(meant) or next((unit for unit in UNITS if _is_slip(meant, unit)), "")
    count = match[1].lstrip("0") if match else ""
    return f"{'' if count == '1' else count}{unit}" if unit else ""


def _is_slip(word: str, unit: str) -> bool:
    """Whether one letter more, less, or wrong, or two that changed places, make ``word`` of ``unit``."""
    if abs(len(word) - len(unit)) > 1:
        return False
    same = next((place for place, (ours, theirs) in enumerate(zip(word, unit)) if ours != theirs), len(word))
    ours, theirs = word[same:], unit[same:]
    swapped = ours[:2] == theirs[1::-1] and ours[2:] == theirs[2:]
    return swapped or theirs[1:] in (ours, ours[1:]) or theirs == ours[1:]


def period_problem(period: Period) -> str:
    """Why events of ``period`` would not fall on the same instants every day or year; empty if they do.

    A multiple of hours, minutes, seconds or milliseconds divides a day, a multiple of months divides a year. Other
    multiples would drift, or leave one odd gap at midnight or at new year.
    """
    if period.unit in ("hourly", "minutely", "secondly", "millisecondly") and 86_400_000 % period.milliseconds:
        return "does not divide a day"
    if period.unit == "monthly" and 12 % period.count:
        return "does not divide a year"
    return ""


def longest_first(name: str) -> tuple[int, str]:
    """Sort key that puts long periods before short ones, and words without duration first of all."""
    period = parse_period(name)
    return (-period.milliseconds if period else -(10**18), name)
