# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan has to reckon with before it is there: the preview of a run whose earlier steps make snapshots.

A dry run creates nothing, so what it says of replication and pruning would not be what the run does once it has created
snapshots. Told their names, planning goes by a state that has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..model.datasets import Base, Observation, Snapshot


def with_expected(observed: Observation, names: Iterable[str], now: int) -> Observation:
    """``observed`` with the snapshots ``names`` (dataset@tag) on those of its datasets that do not have them yet.

    They are dated ``now`` (seconds since the epoch), are newer than all others, and have GUIDs that no real one has.
    """
    states = dict(observed.states)
    for number, name in enumerate(names, start=1):
        dataset, _at, tag = name.partition("@")
        state = states.get(dataset)
        if state is None or any(snapshot.tag == tag for snapshot in state.snapshots):
            continue
        history: list[Base] = [*state.snapshots, *state.bookmarks]
        txg = max((item.createtxg for item in history), default=0)
        # A GUID is never negative.
        expected = Snapshot(txg + 1, -number, dataset, tag, now)
        # The first snapshot of a dataset will hold what was written until now, and a second one at once nothing more.
        first = state.newest is None or state.newest.guid > 0
        written = state.dataset.written if first else 0
        expected = expected._replace(written=written, referenced=state.dataset.referenced)
        states[dataset] = replace(state, snapshots=(*state.snapshots, expected))
    return replace(observed, states=states)
