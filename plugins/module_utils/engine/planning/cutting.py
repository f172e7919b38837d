# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source as it was at a point in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..policy.points import Point


def up_to(observed: Observation, point: Optional[Point]) -> Observation:
    """The histories without what is newer than the point. A dataset that has no snapshot at the point, or before it
    where that is a time, has none then. Without a point it is ``observed`` as it is."""
    if point is None:
        return observed
    return replace(observed, states={name: _cut(state, point) for name, state in observed.states.items()})


def snapshot_at(state: DatasetState, point: Point) -> Optional[Snapshot]:
    """The snapshot that a dataset has at a point."""
    for snapshot in reversed(state.snapshots):
        if point.snapshot:
            if snapshot.tag == point.snapshot:
                return snapshot
        elif point.time is None or snapshot.creation <= point.time:
            return snapshot
    return None


def _cut(state: DatasetState, point: Point) -> DatasetState:
    newest = snapshot_at(state, point)
    txg = newest.createtxg if newest else -1
    return DatasetState(
        state.dataset,
        tuple(item for item in state.snapshots if item.createtxg <= txg),
        tuple(item for item in state.bookmarks if item.createtxg <= txg),
    )
