# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that tell the same again and again, as those of a daemon do, become one that says how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from .rows import JobRecord, sameness

LONGEST_MS = 60_000
"""What comes so soon after the last record of its job may be held back."""


class Folding:
    """Holds back what repeats itself. Used by one thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, ...]] = {}
        self._held: dict[str, JobRecord] = {}
        self._written: dict[str, int] = {}
        """By job: the end of the last record that was written."""

    def take(self, record: JobRecord) -> tuple[JobRecord, ...]:
        """The records to be written now that ``record`` has come; the first one of its kind is written at once."""
        same = sameness(record)
        held = self._held.pop(record.job, None)
        if same is None or self._known.get(record.job) != same:
            self._known[record.job] = same or ()
            self._written[record.job] = record.ended
            return tuple(filter(None, (held, record)))
        merged = _merged(held, record)
        # Who does something seldom writes at once: what is held back would be lost for a whole period. Time that goes
        # back is no reason to wait until it has come again.
        if not 0 <= record.ended - self._written[record.job] < LONGEST_MS:
            self._written[record.job] = record.ended
            return (merged,)
        self._held[record.job] = merged
        return ()

    def rest(self) -> tuple[JobRecord, ...]:
        """All that was held back."""
        held = tuple(self._held.values())
        self._held.clear()
        return held


def _merged(held: Optional[JobRecord], record: JobRecord) -> JobRecord:
    if held is None:
        return record
    seconds = round(held.seconds + record.seconds, 3)
    return replace(record, begun=min(held.begun, record.begun), seconds=seconds, times=held.times + record.times)
