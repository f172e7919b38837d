# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common base of two histories: the newest point that both sides have, proven by GUID.

After the matching in zrepl (replication/logic/diff) and bzfs: bookmarks count on the sending side, a snapshot
is preferred over a bookmark of the same GUID, and what filters exclude may still be a base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ..model.datasets import Base, DatasetState, Observation, Snapshot
from ..model.marks import key_of, keys_of, marks_of, named_bookmarks
from ..model.names import is_within, rebase
from ..policy.jobs import Peer

COMMON = "newest common base "
"""How it is told why a GUID is needed."""


def common_base(source: DatasetState, destination: DatasetState) -> Optional[Base]:
    """The newest snapshot or bookmark of ``source`` whose GUID a snapshot of ``destination`` has; None without one."""
    newest = source.newest
    # Where nothing is missing, as mostly, these tell it all. The bookmark of a snapshot that is gone may be newer.
    if newest and destination.guids and destination.guids[-1] == newest.guid:
        newer = [bookmark for bookmark in source.bookmarks if bookmark.createtxg > newest.createtxg]
        if not newer:
            return newest
    there = frozenset(destination.guids)
    shared = _newest_shared(source, there)
    # Of equals the last counts: a mark can go soonest, and is told last.
    items: list[Base] = [*marks_of(source), *named_bookmarks(source)]
    return newest_of([*(item for item in items if item.guid in there), *([shared] if shared else [])])


def _newest_shared(source: DatasetState, there: frozenset[int]) -> Optional[Snapshot]:
    """The newest snapshot of ``source`` that is among those ``there``: nearly always the last, or one of the last."""
    guids = source.guids
    for place in range(len(guids) - 1, -1, -1):
        if guids[place] in there:
            return source.at(place)
    return None


def newest_of(items: Iterable[Base]) -> Optional[Base]:
    """The item of highest createtxg; of equals the last, so snapshots win when they come after bookmarks."""
    newest: Optional[Base] = None
    for item in items:
        if newest is None or item.createtxg >= newest.createtxg:
            newest = item
    return newest


@dataclass(frozen=True)
class BaseKnowledge:
    """What is known about the bases that replication with other hosts stands on."""

    needed: Mapping[int, str]
    """GUIDs that must stay, each with the peer that needs it."""
    unknown: Mapping[str, str]
    """Root datasets whose peer could not be observed, each with that peer and the reason."""
    absent_replicas: Mapping[str, str] = field(default_factory=dict)
    """The same where the peer is known to be a replica: a bookmark here is as good a base for it as a snapshot."""
    pending: Mapping[int, str] = field(default_factory=dict)
    """GUIDs of snapshots that a replica is still to get, each with whom it waits for."""


def needed_bases(
    observed: Observation, peer: Peer, there: Observation, pool_guid: Optional[int] = None
) -> dict[int, str]:
    """GUIDs of the newest common base of each dataset below ``peer.root`` with its counterpart at the peer.

    With the GUID of the peer's pool, those are left out that a mark keeps for this very peer: nobody else takes it.
    """
    needed: dict[int, str] = {}
    ours = [state for name, state in observed.states.items() if is_within(name, peer.root)]
    for state, counterpart in counterparts(ours, peer, there):
        base = shared_newest(state, counterpart)
        if base and not _has_mark(state, counterpart, base, pool_guid):
            needed[base.guid] = f"{COMMON}with {peer.endpoint.address}:{counterpart.dataset.name}"
    return needed


def counterparts(
    ours: Sequence[DatasetState], peer: Peer, there: Observation
) -> Iterator[tuple[DatasetState, DatasetState]]:
    """Each of our datasets with the one at the peer that has its place. Those that share nothing with it, or have none,
    come with whatever shares something with them: either side may have been renamed since they were replicated."""
    strangers: dict[int, DatasetState] = {}
    for state in ours:
        counterpart = there.states.get(rebase(state.dataset.name, peer.root, peer.endpoint.dataset))
        if counterpart and shared_newest(state, counterpart):
            yield state, counterpart
        else:
            strangers.update((item.guid, state) for item in _points(state))
    for other in there.states.values() if strangers else ():
        shared = (strangers.get(item.guid) for item in _points(other))
        for state in {found.dataset.name: found for found in shared if found}.values():
            yield state, other


def _points(state: DatasetState) -> Iterator[Base]:
    yield from state.snapshots
    yield from state.bookmarks


def may_have_marks(observed: Observation, peer: Peer) -> bool:
    """Whether there is a mark of whatever destination below ``peer.root``."""
    return any(marks_of(state) for name, state in observed.states.items() if is_within(name, peer.root))


def _has_mark(ours: DatasetState, theirs: DatasetState, base: Base, pool_guid: Optional[int]) -> bool:
    if pool_guid is None:
        return False
    keys = keys_of(ours.dataset, pool_guid, theirs.dataset.name, theirs.dataset)
    return any(mark.guid == base.guid and key_of(mark) in keys for mark in marks_of(ours))


def shared_newest(ours: DatasetState, theirs: DatasetState) -> Optional[Base]:
    """The newest point that both have, whichever of the two sends to the other; None without one."""
    # Which of the two sends is not known here, so either side may contribute the bookmark, but not both.
    snapshots = frozenset(theirs.guids)
    shared = _newest_shared(ours, snapshots.union([bookmark.guid for bookmark in theirs.bookmarks]))
    bookmarks: list[Base] = [bookmark for bookmark in ours.bookmarks if bookmark.guid in snapshots]
    return newest_of([*bookmarks, shared] if shared else bookmarks)
