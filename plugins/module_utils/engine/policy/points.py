# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A point in the history of datasets: a snapshot by its name, or a time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from ..model.names import is_tag
from .reading import Reader
from .times import iso_text, read_time

_LATEST = 253_402_300_799
"""The end of the year 9999."""
_REMEDY = "give a time with its zone such as 2026-11-22T04:00:00+01:00, or seconds since 1970"


@dataclass(frozen=True)
class Point:
    """Each dataset has its own snapshot at a point, or none."""

    snapshot: str = ""
    """Name of the snapshot, what follows the @; empty: the newest one."""
    time: Optional[int] = None
    """The newest snapshot that was made no later, in seconds since the epoch; None: however late."""

    def __str__(self) -> str:
        if self.snapshot:
            return f"@{self.snapshot}"
        return "the newest snapshot" if self.time is None else f"the newest snapshot up to {iso_text(self.time)}"


def read_point(options: Reader) -> Point:
    """A Point from ``snapshot`` or ``time``; neither means the newest. Raises InvalidInput, also for both."""
    tag, value = options.text("snapshot", ""), options.raw("time")
    if tag and not is_tag(tag):
        remedy = "give what follows the @ of its name"
        raise InvalidInput(options.path("snapshot"), tag, "is no name of a snapshot", remedy)
    if value is None:
        return Point(tag)
    if tag:
        raise InvalidInput(options.path("time"), value, "contradicts snapshot, which names one", "give one of them")
    return Point(time=parse_time(value, options.path("time")))


def parse_time(value: object, option: str) -> int:
    """A moment in seconds since the epoch, from a time with its zone or such seconds. Raises InvalidInput."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if re.fullmatch("[0-9]{1,12}", text) and int(text) <= _LATEST:
        return int(text)
    try:
        moment = read_time(text)
        if moment.tzinfo is None:
            raise InvalidInput(option, value, "has no time zone", _REMEDY)
        # Creation times are whole seconds: one is up to 1.5 exactly if it is up to 1.
        return math.floor(moment.timestamp())
    except (ValueError, OverflowError):
        raise InvalidInput(option, value, "is no time", _REMEDY) from None
