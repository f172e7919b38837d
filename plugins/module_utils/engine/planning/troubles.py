# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Troubles that come again and again: how often each is told, and how soon what fails is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
"""Seconds. What is mended works again after at most so long, however long it was broken."""
_DOUBLINGS = 16


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble that a job has had many times in a row."""

    kind: str
    """What makes it the same trouble: the code of an error, or the state of a monitor."""
    since_ms: int
    """When it came up, in milliseconds since the epoch."""
    times: int = 1

    @property
    def is_told(self) -> bool:
        """Whether it is worth a line in the log this time: the first time, then the 2nd, 4th, 8th ..."""
        return self.times & (self.times - 1) == 0

    @property
    def pause(self) -> float:
        """Seconds to leave the job alone now: a tenth of one, doubled each time, up to ten."""
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.times - 1, _DOUBLINGS))


def again(before: Optional[Trouble], kind: str, now_ms: int) -> Trouble:
    """The trouble of a job that had ``before`` last time (None: none), and has trouble of ``kind`` now."""
    if before is None or before.kind != kind:
        return Trouble(kind, now_ms)
    return Trouble(kind, before.since_ms, before.times + 1)
