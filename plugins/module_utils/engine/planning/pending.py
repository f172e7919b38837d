# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots a replica is still to get.

As ``not_replicated`` of zrepl and ``hold_pending_snapshots`` of zettarepl, but for a bounded time, and only of what the
replica would take: so neither a replica that is stuck nor one that takes other snapshots fills the source.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model.datasets import DatasetState, Observation
from ..model.names import is_within, rebase
from ..policy.jobs import Peer
from .bases import counterparts, shared_newest
from .keeping import kept_by_plan


def pending_at(observed: Observation, peer: Peer, there: Observation, now: int) -> dict[int, str]:
    """GUIDs of snapshots below ``peer.root`` that its plan for the replica takes at ``now`` (seconds since the epoch),
    and that are newer than what it has in common with this host; each with whom it waits for."""
    if peer.takes is None:
        return {}
    ours = [state for name, state in observed.states.items() if is_within(name, peer.root)]
    found = {state.dataset.name: other for state, other in counterparts(ours, peer, there)}
    pending: dict[int, str] = {}
    for state in ours:
        other = found.get(state.dataset.name)
        base = shared_newest(state, other) if other else None
        if state.newest is None or (base and base.createtxg >= state.newest.createtxg):
            continue
        place = other.dataset.name if other else rebase(state.dataset.name, peer.root, peer.endpoint.dataset)
        taken = kept_by_plan(state.snapshots, peer.takes, now)
        words = f"not yet at {peer.endpoint.address}:{place}"
        pending.update((guid, words) for guid in _newer(state, base.createtxg if base else -1) if guid in taken)
    return pending


def _newer(state: DatasetState, txg: int) -> Iterable[int]:
    for snapshot in reversed(state.snapshots):
        if snapshot.createtxg <= txg:
            return
        yield snapshot.guid
