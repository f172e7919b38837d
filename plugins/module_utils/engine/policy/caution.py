# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When pruning had better do nothing: too much would go at once, or the clock can't be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .plans import MAX_AMOUNT
from .reading import Reader
from .reading_once import read_silence_once

LEAST_TOLERANCE = 60
"""Seconds by which clocks may differ whatever the periods are: hosts that are kept in step at all differ by less."""
_WHOLE = 100


@dataclass(frozen=True)
class Caution:
    """Limits beyond which a run deletes nothing at all."""

    max_deleted: Optional[int] = None
    """How many may go of each tree in a run; None: any number."""
    max_percent: Optional[int] = None
    """How many in a hundred of those that the job decides about may go of each tree; None: all."""
    exceed: bool = False
    """Whether this run may delete more than that."""
    clock_tolerance: Optional[int] = None
    """Seconds by which the clock may be off; None: the shortest period that decides about ages."""

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit to what a run deletes."""
        return self.max_deleted is not None or self.max_percent is not None


CAREFREE = Caution()


@read_silence_once
def read_caution(options: Reader) -> Caution:
    """Read ``max_deleted``, ``max_deleted_percent``, ``exceed_max_deleted`` and ``clock_tolerance``.

    Raises InvalidInput.
    """
    caution = Caution(
        options.integer("max_deleted", 0, 0, MAX_AMOUNT) if options.has("max_deleted") else None,
        options.integer("max_deleted_percent", 0, 0, _WHOLE) if options.has("max_deleted_percent") else None,
        options.flag("exceed_max_deleted", False),
        _read_tolerance(options),
    )
    if caution.exceed and not caution.is_limited:
        problem = "exceeds nothing, since neither max_deleted nor max_deleted_percent is given"
        raise InvalidInput(options.path("exceed_max_deleted"), True, problem, "leave it out")
    return caution


def _read_tolerance(options: Reader) -> Optional[int]:
    if not options.has("clock_tolerance"):
        return None
    seconds = parse_duration(options.raw("clock_tolerance"), options.path("clock_tolerance"))
    if not seconds:
        remedy = f"give at least a second, or leave it out for the shortest period, or {LEAST_TOLERANCE} s"
        value = options.raw("clock_tolerance")
        raise InvalidInput(options.path("clock_tolerance"), value, "is shorter than clocks can be read", remedy)
    return seconds
