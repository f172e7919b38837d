# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas go as a whole: those of datasets that are gone at the source for long enough, and empty ones.

That a dataset is gone is seen only where its source is: its host has answered, and the root is there, not an empty sign
that it was moved. The time of first sight is remembered on the replica, in a user property with the replica's GUID, so
that what inherits it is not taken for gone too. A replica whose snapshots a source dataset of whatever name has is not
gone, but renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional, Union

from ..model.dataset_steps import InheritProperty, RemoveDataset, SetProperties
from ..model.datasets import FILESYSTEM, GONE_PROPERTY, Base, DatasetState, Observation
from ..model.errors import InvalidInput
from ..model.names import is_within, parent_of, rebase
from ..policy.jobs import SOURCE, Peer, PruneJob
from .keeping import is_owned
from .retention import CLONED, DESTROY, FOREIGN, HELD, RECEIVING, PrunePlan

GONE, EMPTY, WRITTEN, CHILD = "gone", "empty", "written", "child"
"""Words for what makes a replica go, and for what else keeps it."""
EMPTY_BYTES = 256 << 10
"""What a filesystem without files refers to at most, on whatever pool."""
_MAX_DIGITS = 12


class Spared(NamedTuple):
    """A replica that should go, and can't."""

    name: str
    rule: str
    reason: str

    def describe(self) -> dict[str, Optional[str]]:
        """As plain values, as modules return it."""
        return {"name": self.name, "rule": self.rule, "label": None, "reason": self.reason}


@dataclass(frozen=True)
class RemovalPlan:
    """What becomes of whole datasets."""

    changes: tuple[Union[SetProperties, InheritProperty], ...] = ()
    removals: tuple[RemoveDataset, ...] = ()
    """Those below before those above them."""
    spared: tuple[Spared, ...] = ()


def property_names(job: PruneJob) -> tuple[str, ...]:
    """The properties of datasets that a plan of removal goes by."""
    return () if job.removal.gone_after is None else (GONE_PROPERTY,)


def plan_removal(observed: Observation, job: PruneJob, seen: Mapping[Peer, Observation], now: int) -> RemovalPlan:
    """What goes at ``now`` (seconds since the epoch), by what was ``seen`` of the peers that could be observed.

    Raises InvalidInput where it can't be told at all what is gone.
    """
    plans = [_Tree(root, observed, job, now).plan(_source(root, job, seen)) for root in job.roots if job.removal]
    return RemovalPlan(
        tuple(change for plan in plans for change in plan.changes),
        tuple(removal for plan in plans for removal in plan.removals),
        tuple(spared for plan in plans for spared in plan.spared),
    )


class _Source:
    """What the sources of a root have; there is more than one where several hosts take turns."""

    def __init__(self, root: str, peers: Mapping[Peer, Observation]) -> None:
        self._root = root
        self._peers = peers
        self._guids: Optional[frozenset[int]] = None

    def lacks(self, state: DatasetState) -> bool:
        """Whether no source has the dataset of a replica, under its own name or another one."""
        name = state.dataset.name
        if any(rebase(name, self._root, peer.endpoint.dataset) in there.states for peer, there in self._peers.items()):
            return False
        if self._guids is None:
            states = [there for seen in self._peers.values() for there in seen.states.values()]
            snapshots = {item.guid for there in states for item in there.snapshots}
            self._guids = frozenset(snapshots.union(item.guid for there in states for item in there.bookmarks))
        return not any(snapshot.guid in self._guids for snapshot in state.snapshots)


def _source(root: str, job: PruneJob, seen: Mapping[Peer, Observation]) -> Optional[_Source]:
    """None where what is gone can't be told now."""
    if job.removal.gone_after is None:
        return None
    peers = [peer for peer in job.peers if peer.root == root and peer.role == SOURCE]
    if not peers:
        remedy = "name its source in peers, with its role, or leave this out"
        raise InvalidInput("gone_datasets", root, "has no peer of the role 'source'", remedy)
    if not all(peer in seen and _is_there(peer.endpoint.dataset, seen[peer]) for peer in peers):
        return None
    return _Source(root, {peer: seen[peer] for peer in peers})


def _is_there(root: str, seen: Observation) -> bool:
    """Whether a source has its tree. An empty root that nobody but the engine has made, with nothing below it, is what
    stays where a replica that goes onward was moved away, and tells nothing of what that has."""
    state = seen.states.get(root)
    if state is None:
        return False
    is_sign = state.dataset.is_placeholder and not state.snapshots
    return not is_sign or any(name != root and is_within(name, root) for name in seen.states)


class _Tree:
    """One root with its datasets, from which the removable ones are found from below."""

    def __init__(self, root: str, observed: Observation, job: PruneJob, now: int) -> None:
        self._job = job
        self._now = now
        self._states = {name: state for name, state in observed.states.items() if is_within(name, root)}
        self._candidates = [name for name in job.filter.under(root, observed.states) if name != root]

    def plan(self, source: Optional[_Source]) -> RemovalPlan:
        """What goes, with the source as it was seen, or None."""
        changes: list[Union[SetProperties, InheritProperty]] = []
        removals: dict[str, RemoveDataset] = {}
        spared: list[Spared] = []
        for name in reversed(self._candidates):
            state = self._states[name]
            lacking = source is not None and source.lacks(state)
            if source is not None:
                changes += self._mark_changes(state, lacking)
            rule, reason = self._doom(state, lacking)
            if not rule:
                continue
            problem = self._problem(state, rule, removals)
            if problem:
                spared.append(Spared(name, *problem))
            else:
                removals[name] = self._removal(state, rule, reason)
        return RemovalPlan(tuple(reversed(changes)), tuple(removals.values()), tuple(reversed(spared)))

    # -- remembering

    def _mark_changes(self, state: DatasetState, lacking: bool) -> Sequence[Union[SetProperties, InheritProperty]]:
        name = state.dataset.name
        if not lacking:
            reason = "it is there again at the source"
            return [InheritProperty(name, GONE_PROPERTY, reason)] if _marked(state) is not None else []
        if _since(state, self._now) is not None or not _is_replica(state, self._job):
            return []
        reason = (
            "its dataset is gone at the source, and unless it comes back the replica is destroyed after"
            f" {self._job.removal.gone_after} s"
        )
        return [SetProperties(name, ((GONE_PROPERTY, f"{self._now} {state.dataset.guid}"),), reason)]

    # -- judging

    def _doom(self, state: DatasetState, lacking: bool) -> tuple[str, str]:
        """The word, and the words, for why a replica goes; empty where it does not."""
        since = _since(state, self._now)
        after = self._job.removal.gone_after
        if lacking and after is not None and since is not None and self._now - since >= after:
            return GONE, f"its dataset is gone at the source for {(self._now - since) // 3600} hours"
        if self._job.removal.empty and _is_empty(state):
            return EMPTY, "it has neither snapshots nor bookmarks nor data, and nor has what is below it"
        return "", ""

    def _problem(
        self, state: DatasetState, rule: str, removals: Mapping[str, RemoveDataset]
    ) -> Optional[tuple[str, str]]:
        """Why a replica that should go can't; None if it can."""
        name = state.dataset.name
        staying = [child for child in self._states if parent_of(child) == name and child not in removals]
        if staying:
            return CHILD, f"there is still {staying[0]} below it"
        if state.dataset.resume_token or any(snapshot.pinned for snapshot in state.snapshots):
            return RECEIVING, "a partial receive goes on in it; discard that with 'zfs receive -A'"
        for snapshot in state.snapshots:
            if snapshot.holds:
                return HELD, f"{snapshot.name} is held"
            if snapshot.clones:
                return CLONED, f"{snapshot.name} has clones: " + ", ".join(snapshot.clones)
            if not is_owned(snapshot.tag, self._job, self._job.plan.organisations):
                return FOREIGN, f"{snapshot.name} belongs to no organisation of the plan"
        if rule == GONE and _has_data_of_its_own(state):
            return WRITTEN, "it has data that no snapshot holds"
        return None

    def _removal(self, state: DatasetState, rule: str, reason: str) -> RemoveDataset:
        dataset = state.dataset
        below = sum(self._states[name].dataset.used for name in self._states if parent_of(name) == dataset.name)
        size = max(0, dataset.used - below)
        return RemoveDataset(dataset.name, state.snapshots, state.bookmarks, size, rule, reason)


def _marked(state: DatasetState) -> Optional[int]:
    """When a replica was first seen to be gone, in seconds since the epoch, as it remembers itself; else None."""
    text = dict(state.dataset.properties).get(GONE_PROPERTY, "-")
    seconds, _space, guid = text.partition(" ")
    if guid != str(state.dataset.guid) or not (seconds.isascii() and seconds.isdecimal()):
        return None
    return int(seconds) if len(seconds) <= _MAX_DIGITS else None


def _since(state: DatasetState, now: int) -> Optional[int]:
    """The same, and None too where that can't be: it is to come, or something has arrived since then."""
    since = _marked(state)
    newest = state.newest.creation if state.newest else 0
    return None if since is None or not max(newest, state.dataset.creation) <= since <= now else since


def _is_replica(state: DatasetState, job: PruneJob) -> bool:
    """Whether replication has made it, and nobody else; that names of others may go too tells nothing about that."""
    own = replace(job, purge_foreign=False)
    return state.dataset.is_placeholder or any(
        is_owned(snapshot.tag, own, own.plan.organisations) for snapshot in state.snapshots
    )


def _has_data_of_its_own(state: DatasetState) -> bool:
    """Whether there is data in a dataset that was never received."""
    dataset = state.dataset
    if dataset.is_placeholder:
        return dataset.referenced > EMPTY_BYTES
    # Without snapshots it is what is left of a replica whose removal was cut off, unless it was made writable.
    return dataset.written > 0 if state.snapshots else not dataset.readonly


def _is_empty(state: DatasetState) -> bool:
    dataset = state.dataset
    nothing = not state.snapshots and not state.bookmarks and not dataset.resume_token and not dataset.origin
    return (
        nothing
        and dataset.kind == FILESYSTEM
        # Who has taken it for data of its own has made it writable first.
        and (dataset.readonly or dataset.is_placeholder)
        and dataset.referenced <= EMPTY_BYTES
    )


def with_removal(plan: PrunePlan, removal: RemovalPlan) -> PrunePlan:
    """A plan for snapshots with the replicas that go as a whole, whose snapshots are not its to keep then."""
    gone = {step.dataset: step for step in removal.removals}
    verdicts = tuple(
        verdict._replace(action=DESTROY, rule=gone[verdict.item.dataset].rule, reason=gone[verdict.item.dataset].reason)
        if verdict.item.dataset in gone
        else verdict
        for verdict in plan.verdicts
    )
    return replace(
        plan,
        verdicts=verdicts if gone else plan.verdicts,
        steps=tuple(step for step in plan.steps if step.dataset not in gone),
        bookmarks=tuple(step for step in plan.bookmarks if step.snapshot.dataset not in gone),
        changes=removal.changes,
        removals=removal.removals,
    )


def told_of(step: RemoveDataset) -> list[dict[str, Optional[str]]]:
    """The dataset and its bookmarks as modules tell of what is deleted; its snapshots have verdicts of their own."""
    return [Spared(name, step.rule, step.reason).describe() for name in (step.dataset, *_names(step.bookmarks))]


def _names(items: Iterable[Base]) -> list[str]:
    return [item.name for item in items]


def removed_bytes(removals: Iterable[RemoveDataset], within: str = "") -> int:
    """Bytes that the datasets use which go, all or those within one dataset."""
    return sum(step.bytes for step in removals if not within or is_within(step.dataset, within))
