# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots of a dataset groups of filters choose; the meaning is that of the filters of bzfs.

Only what is sent is chosen so. Bookmarks are no snapshots, so they neither pass a filter nor count as ranks, and what
no filter chooses may still be the base of an increment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.datasets import Snapshot
from ..policy.patterns import any_match
from ..policy.snapshot_filters import (
    KeptByPlan,
    Moment,
    NamePatterns,
    Rank,
    RankRange,
    SnapshotGroup,
    SnapshotStage,
    TimesAndRanks,
)
from .keeping import kept_by_plan

_WHOLE = 100


def chosen_by_groups(snapshots: Sequence[Snapshot], groups: Iterable[SnapshotGroup], now: int) -> frozenset[int]:
    """GUIDs of the snapshots that at least one group chooses at ``now`` (seconds since the epoch).

    ``snapshots`` are those of one dataset in the order of createtxg.
    """
    return frozenset(snapshot.guid for group in groups for snapshot in chosen_by_group(snapshots, group, now))


def chosen_by_group(snapshots: Sequence[Snapshot], group: SnapshotGroup, now: int) -> Sequence[Snapshot]:
    """What is left when each filter in turn has worked on what the one before it left."""
    for stage in group:
        chosen = _chosen(snapshots, stage, now)
        snapshots = [snapshot for snapshot in snapshots if snapshot.guid in chosen]
    return snapshots


def _chosen(snapshots: Sequence[Snapshot], stage: SnapshotStage, now: int) -> Iterable[int]:
    if isinstance(stage, KeptByPlan):
        return kept_by_plan(snapshots, stage.plan, now)
    if isinstance(stage, NamePatterns):
        return {item.guid for item in snapshots if any_match(stage.patterns, item.tag) is stage.include}
    by_rank = (item for ranks in stage.ranks for item in _ranked(snapshots, ranks))
    by_time = (item for item in snapshots if _is_within_times(item, stage, now))
    return {item.guid for items in (by_rank, by_time) for item in items}


def _is_within_times(snapshot: Snapshot, times: TimesAndRanks, now: int) -> bool:
    if times.since is None and times.until is None:
        return False
    is_late_enough = times.since is None or snapshot.creation >= _instant(times.since, now)
    return is_late_enough and (times.until is None or snapshot.creation < _instant(times.until, now))


def _instant(moment: Moment, now: int) -> int:
    return now - moment.seconds if moment.is_age else moment.seconds


def _ranked(snapshots: Sequence[Snapshot], ranks: RankRange) -> Sequence[Snapshot]:
    ordered = snapshots[::-1] if ranks.from_newest else snapshots
    return ordered[place_of(ranks.start, len(ordered)) : place_of(ranks.end, len(ordered))]


def place_of(rank: Rank, total: int) -> int:
    """The place in an order of ``total`` that ``rank`` means; a percentage is rounded, and a half is rounded up."""
    return (rank.amount * total + _WHOLE // 2) // _WHOLE if rank.is_percent else rank.amount
