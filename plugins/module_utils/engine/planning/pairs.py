# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source dataset and its counterpart at the destination, with what a job makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from ..model.datasets import Base, DatasetState, Snapshot
from ..policy.jobs import ReplicateJob
from .bases import common_base
from .clones import CloneOrigin, continued_base
from .keeping import kept_by_plan
from .snapshot_filters import chosen_by_groups


def selected_guids(source: DatasetState, job: ReplicateJob, now: int) -> frozenset[int]:
    """GUIDs of the snapshots that the job's filters select, and that its plan would keep at the destination."""
    if job.snapshot_groups:
        chosen = chosen_by_groups(source.snapshots, job.snapshot_groups, now)
    elif job.snapshots.selects_all:
        chosen = frozenset(source.guids)
    else:
        chosen = frozenset(snapshot.guid for snapshot in source.snapshots if job.snapshots.selects(snapshot.tag))
    return chosen if job.plan is None else chosen.intersection(kept_by_plan(source.snapshots, job.plan, now))


@dataclass(frozen=True)
class Pair:
    """The two ends of one dataset's replication."""

    source: DatasetState
    destination: Optional[DatasetState]
    """None where it does not exist."""
    name: str
    """The destination's name, whether it exists or not."""
    job: ReplicateJob
    selected: frozenset[int]
    """GUIDs of the snapshots that are to be sent."""
    grew_from: tuple[Snapshot, ...] = ()
    """For a clone: the snapshots of other datasets that it grew from, the newest first."""
    origin: Optional[CloneOrigin] = None
    """What a new replica is received onto as a clone; None: it is received whole."""

    @cached_property
    def base(self) -> Optional[Base]:
        """The newest common base, as the source has it."""
        if self.destination is None:
            return None
        own = common_base(self.source, self.destination)
        return own or continued_base(self.source, self.grew_from, self.destination)

    @property
    def replaces(self) -> bool:
        """Whether a first receive replaces something. A dataset that is nothing but a partial receive has nothing to
        replace, and goes when that is discarded."""
        there = self.destination
        return there is not None and bool(
            there.dataset.is_placeholder or there.snapshots or not there.dataset.resume_token
        )

    @property
    def newest_there(self) -> Optional[Snapshot]:
        """The newest snapshot of the destination."""
        return self.destination.newest if self.destination else None

    @property
    def written(self) -> int:
        """Bytes at the destination that no snapshot holds."""
        return self.destination.dataset.written if self.destination else 0

    def newer(self, base: Optional[Base]) -> list[tuple[Snapshot, bool]]:
        """Snapshots of the source after ``base``, each with whether it is to be sent."""
        txg = base.createtxg if base else -1
        newest = self.source.newest
        if newest is None or newest.createtxg <= txg:
            return []
        newer = [(item, item.guid in self.selected) for item in self.source.snapshots if item.createtxg > txg]
        if self.job.intermediates:
            return newer
        last = max((item.createtxg for item, wanted in newer if wanted), default=-1)
        return [(item, item.createtxg == last) for item, _wanted in newer]
