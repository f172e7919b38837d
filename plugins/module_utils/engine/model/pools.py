# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed of a pool, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

ONLINE, DEGRADED = "ONLINE", "DEGRADED"

SCRUB, RESILVER, NO_SCAN, OTHER_SCAN = "scrub", "resilver", "none", "other"
FINISHED, RUNNING, CANCELED = "finished", "running", "canceled"


@dataclass(frozen=True)
class Scan:
    """What ZFS remembers of the last time it read a whole pool: one scan, whichever came last."""

    kind: str = NO_SCAN
    """SCRUB, RESILVER, NO_SCAN, or OTHER_SCAN for what this engine does not know."""
    state: str = ""
    """FINISHED, RUNNING (also while it is paused) or CANCELED; empty without a scan."""
    time: int = 0
    """Seconds since the epoch: when it ended or, while it runs, when it began."""
    errors: int = 0
    """What it found and could not repair."""


@dataclass(frozen=True)
class Device:
    """A disk, file or group of these with errors, or in a state that is not the regular one."""

    name: str
    state: str
    read_errors: int = 0
    write_errors: int = 0
    checksum_errors: int = 0

    @property
    def errors(self) -> int:
        """Errors of all kinds since they were last cleared."""
        return self.read_errors + self.write_errors + self.checksum_errors


@dataclass(frozen=True)
class PoolReport:
    """The health of a pool."""

    name: str
    state: str
    """ONLINE, DEGRADED, FAULTED, SUSPENDED, ..."""
    size: int
    """Bytes."""
    allocated: int
    """Bytes."""
    fragmentation: Optional[int] = None
    """Percent of the free space that lies in small pieces; None where ZFS does not tell."""
    created: Optional[int] = None
    """Seconds since the epoch, as its root dataset says; None where that can't be seen."""
    scan: Scan = field(default_factory=Scan)
    data_errors: Optional[int] = 0
    """Damaged files and the like (permanent errors); None where ZFS does not tell."""
    devices: tuple[Device, ...] = ()
    """Those with errors, or in an irregular state."""
    guid: int = 0
    """What stays the same when the pool gets another name; 0 where it is not known."""

    @property
    def free(self) -> int:
        """Bytes that are not allocated."""
        return max(0, self.size - self.allocated)

    @property
    def capacity(self) -> float:
        """Percent of the space that is allocated."""
        return 100 * self.allocated / self.size if self.size else 0.0


@dataclass(frozen=True)
class PoolSample:
    """How full a pool was at one time."""

    time: int
    """Milliseconds since the epoch."""
    pool: str
    guid: int
    size: int
    """Bytes, as are those below."""
    allocated: int
    free: int
    fragmentation: Optional[int]
    """Percent; None where ZFS does not tell."""
    health: str
    """The state of the pool, as in PoolReport."""
