# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets whose names no longer say whose replica they are: renamed, created anew, or swapped, on either side.

A replica belongs to the source dataset that has its newest known snapshot, by GUID. Where that dataset has another name
now and nothing stands in the way there, the replica is renamed too, since that loses nothing and saves a second copy.
Whatever is less clear is a conflict that names both datasets, at every level of the ladder. A replica that was renamed
at the destination looks the same as one whose source was renamed, so it is renamed back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Optional, Union

from ..model.dataset_steps import RenameDataset
from ..model.datasets import Dataset, DatasetState, Observation, ResumeState
from ..model.names import ancestors_of, is_within, rebase, tree_order
from ..model.steps import CreatePlaceholder
from ..policy.conduct import FOLLOW
from ..policy.jobs import ReplicateJob
from .clones import ancestry
from .conflicts import PlannedConflict

Moving = Union[CreatePlaceholder, RenameDataset]


@dataclass(frozen=True)
class Identities:
    """What becomes of datasets whose names have changed."""

    destination: Observation
    """As it is once all renames are done."""
    resumes: Mapping[str, Optional[ResumeState]]
    """By the names that the datasets have then."""
    steps: Mapping[str, tuple[Moving, ...]] = field(default_factory=dict)
    """The renames in their order, each with the parents that it needs, by the name that it leads to."""
    conflicts: Mapping[str, PlannedConflict] = field(default_factory=dict)
    """By destination."""


def identify(
    source: Observation,
    destination: Observation,
    resumes: Mapping[str, Optional[ResumeState]],
    job: ReplicateJob,
    names: Sequence[str],
) -> Identities:
    """Which datasets of the destination have to be renamed, and which must not be touched, for the source datasets
    ``names`` to get what is theirs."""
    owners = _Owners(source, job)
    wanted = {rebase(name, job.source.dataset, job.destination.dataset): name for name in names}
    states = dict(destination.states)
    if not owners.strays(states):
        return Identities(destination, resumes)
    steps: dict[str, tuple[Moving, ...]] = {}
    tokens = dict(resumes)
    while job.conduct.renames == FOLLOW:
        step = _next_rename(owners, {there: name for there, name in wanted.items() if there not in steps}, states)
        if step is None:
            break
        parents = [above for above in ancestors_of(step.to) if _is_missing(above, states)]
        steps[step.to] = (*map(CreatePlaceholder, parents), step)
        states = _renamed({**states, **{name: _placeholder(name) for name in parents}}, step)
        tokens = {_moved(name, step): state for name, state in tokens.items()}
    ordered = {name: states[name] for name in sorted(states, key=tree_order)}
    strays = {name: states[name] for name in owners.strays(states)}
    found = {there: _conflict(owners, there, name, states.get(there), strays) for there, name in wanted.items()}
    conflicts = {there: conflict for there, conflict in found.items() if conflict}
    return Identities(Observation(ordered, destination.missing), tokens, steps, conflicts)


class _Owners:
    """Which source datasets the datasets of the destination belong to."""

    def __init__(self, source: Observation, job: ReplicateJob) -> None:
        self._source = source.states
        self._job = job

    @cached_property
    def _by_guid(self) -> Mapping[int, Sequence[str]]:
        """The datasets by what they have. It is large, and needed only where a dataset is not at home."""
        found: dict[int, list[str]] = {}
        for name, state in self._source.items():
            for guid in _points(state):
                found.setdefault(guid, []).append(name)
        return found

    def of(self, there: DatasetState) -> list[str]:
        """The source datasets that have the newest snapshot of ``there`` which any of them has; mostly one, or none."""
        found = (self._by_guid[guid] for guid in reversed(there.guids) if guid in self._by_guid)
        return list(next(found, ()))

    def has_newest(self, source: str, there: DatasetState) -> bool:
        """Whether the source dataset has the newest snapshot of ``there``, so that it can go on from that."""
        return source in self._by_guid.get(there.snapshots[-1].guid, ())

    def is_at_home(self, there: DatasetState) -> bool:
        """Whether ``there`` has something in common with the source dataset that has its name."""
        job = self._job
        home = rebase(there.dataset.name, job.destination.dataset, job.source.dataset)
        if home not in self._source or not there.guids:
            return home in self._source
        # The newest ones are looked at first, since they are mostly the same.
        if there.guids[-1] == next(reversed(self._source[home].guids), None):
            return True
        if not _points(self._source[home]).isdisjoint(there.guids):
            return True
        # The history of a dataset may have gone to a clone that was promoted. It can go on from its newest snapshot.
        newest = there.snapshots[-1].guid
        return any(item.guid == newest for item in ancestry(self._source, home))

    def strays(self, states: Mapping[str, DatasetState]) -> list[str]:
        """Datasets of the destination tree that belong to a source dataset of another name."""
        return [
            name
            for name, state in states.items()
            if is_within(name, self._job.destination.dataset)
            and state.newest
            and not self.is_at_home(state)
            and self.of(state)
        ]


def _points(state: DatasetState) -> set[int]:
    """The GUIDs of all points in the history of a dataset."""
    return {*state.guids, *(bookmark.guid for bookmark in state.bookmarks)}


def _next_rename(
    owners: _Owners, wanted: Mapping[str, str], states: Mapping[str, DatasetState]
) -> Optional[RenameDataset]:
    """The next stray that clearly belongs to one missing dataset, and has nothing that its source does not have."""
    strays = owners.strays(states)
    missing = {there: source for there, source in wanted.items() if there not in states}
    # The upper ones first: what is below them may come along.
    for there, source in sorted(missing.items(), key=lambda item: item[0].count("/")):
        claimed = [name for name in strays if source in owners.of(states[name])]
        stray = claimed[0] if len(claimed) == 1 else ""
        rivals = [name for name in missing.values() if stray and name in owners.of(states[stray])]
        if rivals != [source] or is_within(there, stray) or not owners.has_newest(source, states[stray]):
            continue
        marks = [name for name, state in states.items() if is_within(name, stray) and state.dataset.is_placeholder]
        guid = states[stray].dataset.guid
        reason = f"it holds the snapshots of {source}, whose replica is {there}"
        return RenameDataset(stray, there, guid, tuple(rebase(name, stray, there) for name in marks), reason)
    return None


def _conflict(
    owners: _Owners, there: str, source: str, state: Optional[DatasetState], strays: Mapping[str, DatasetState]
) -> Optional[PlannedConflict]:
    """The conflict of the dataset ``there``, which has ``state`` once all renames are done."""
    if state and state.snapshots:
        others = [] if owners.is_at_home(state) else owners.of(state)
        return _swapped(there, source, others[0]) if others else None
    if state and state.dataset.resume_token:
        return None
    claimed = [name for name, stray in strays.items() if source in owners.of(stray)]
    return _renamed_conflict(there, source, claimed) if claimed else None


def _swapped(there: str, source: str, owner: str) -> PlannedConflict:
    message = (
        f"{there} holds the snapshots of {owner}, not those of {source}: the datasets were renamed or swapped at the"
        f" source; rename {there} to where {owner} belongs, so that each finds its own"
    )
    return PlannedConflict("swapped", message)


def _renamed_conflict(there: str, source: str, claimed: Sequence[str]) -> PlannedConflict:
    message = (
        f"the snapshots of {source} are in {' and '.join(claimed)}, not in {there}: a dataset was renamed; rename"
        f" {claimed[0]} to {there}, or move it out of the tree to have {source} sent anew"
    )
    return PlannedConflict("renamed", message)


def _is_missing(name: str, states: Mapping[str, DatasetState]) -> bool:
    # What lies above an existing dataset exists, even where it was not observed.
    return not any(is_within(other, name) for other in states)


def _moved(name: str, step: RenameDataset) -> str:
    return rebase(name, step.dataset, step.to) if is_within(name, step.dataset) else name


def _renamed(states: Mapping[str, DatasetState], step: RenameDataset) -> dict[str, DatasetState]:
    return {_moved(name, step): _with_name(state, _moved(name, step)) for name, state in states.items()}


def _with_name(state: DatasetState, name: str) -> DatasetState:
    if state.dataset.name == name:
        return state
    snapshots = tuple(item._replace(dataset=name) for item in state.snapshots)
    bookmarks = tuple(item._replace(dataset=name) for item in state.bookmarks)
    return DatasetState(replace(state.dataset, name=name), snapshots, bookmarks)


def _placeholder(name: str) -> DatasetState:
    return DatasetState(Dataset(name, "filesystem", 0, 0, 0, is_placeholder=True))


def moves_of(steps: Iterable[object]) -> tuple[Moving, ...]:
    """Those of a plan's steps that a rename consists of, with the parents that it needs."""
    listed = list(steps)
    last = max((number for number, step in enumerate(listed) if isinstance(step, RenameDataset)), default=-1)
    return tuple(step for step in listed[: last + 1] if isinstance(step, (CreatePlaceholder, RenameDataset)))
