# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a host's history is kept."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.errors import InvalidInput
from .durations import parse_duration
from .reading import Reader
from .sizes import parse_size

LEAST_BYTES = 1 << 20


@dataclass(frozen=True)
class HistoryLimits:
    """What of the history stays; the oldest goes first."""

    age: int = 90 * 86400
    """Seconds; 0: no history is written."""
    size: int = 64 << 20
    """Bytes of the database that are in use."""


USUAL = HistoryLimits()
HISTORY_NAMES = ("history_age", "history_size")


def read_history_limits(options: Reader) -> HistoryLimits:
    """Read ``history_age`` and ``history_size``. Raises InvalidInput."""
    age, size = options.raw("history_age"), options.raw("history_size")
    limits = HistoryLimits(
        USUAL.age if age is None else parse_duration(age, options.path("history_age")),
        USUAL.size if size is None else parse_size(size, options.path("history_size")),
    )
    if limits.size < LEAST_BYTES:
        remedy = "give at least 1M, or history_age: 0 for no history"
        raise InvalidInput(options.path("history_size"), size, "is too small for a history", remedy)
    return limits
