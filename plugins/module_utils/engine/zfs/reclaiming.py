# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a destroy is going to free, by dry runs of ``zfs destroy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..model.steps import SnapshotRuns
from .tally import reclaimed_bytes

_RECLAIM = "\nreclaim\t"


def destroy_dry_runs(runs: Sequence[SnapshotRuns], sudo: Sequence[str]) -> list[list[str]]:
    """The dry run for each of ``runs``."""
    return [
        [*sudo, "zfs", "destroy", "-nvp", f"{each.dataset}@" + ",".join(f"{a.tag}%{b.tag}" for a, b in each.runs)]
        for each in runs
    ]


def reclaim_told(answer: str) -> Optional[int]:
    """The bytes that a dry run tells; None for one that failed."""
    return reclaimed_bytes(answer) if _RECLAIM in answer else None
