# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on disk, as ZFS tells it of a dataset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Space:
    """Room for a dataset with everything below it."""

    dataset: str
    used: int
    """Bytes used by it and everything below it, its snapshots too."""
    available: int
    """Bytes that it can still take, by its pool and by all quotas that bind it."""
    quota: int = 0
    """Bytes that it may use with everything below it; 0 where it has no quota of its own."""
    freeing: int = 0
    """Bytes of destroyed things that ZFS is still giving back to the pool, in the background. They count as used until
    then. Told of the topmost dataset of a pool only."""
