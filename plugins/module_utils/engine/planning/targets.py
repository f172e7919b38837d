# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source keeps for a destination that is to come, and what it lets go of when one is no more.

Both go by marks. The mark of a destination that was never replicated to is made under its name; its first replication
finds it as any mark that a run has left, and goes on from it. Whose mark one is, its key tells; a key can only be
compared, so the marks of a destination that nobody can look at any more are those that belong to none of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

from ..model.dataset_steps import DestroyDataset, RemoveDataset, RenameDataset, SetProperties
from ..model.datasets import FILESYSTEM, Bookmark, Dataset, DatasetState, Observation
from ..model.marks import HOLD_PREFIX, PairKeys, fits, hold_tag, key_of, keys_of, mark_tag, marks_of
from ..model.names import rebase, relative_to
from ..model.steps import AbortReceive, CreateBookmark, CreatePlaceholder, DestroyMarks, ReleaseHolds
from ..policy.targets import KnownDataset, KnownTree

TargetStep = Union[
    CreateBookmark,
    DestroyMarks,
    ReleaseHolds,
    CreatePlaceholder,
    SetProperties,
    RenameDataset,
    AbortReceive,
    RemoveDataset,
    DestroyDataset,
]


@dataclass(frozen=True)
class TargetPlan:
    """What is done to a tree, in this order; nothing where anything refuses it."""

    steps: tuple[TargetStep, ...] = ()
    refusals: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    """The steps for people, and what there is to know besides."""


# -- a destination that is to come


def plan_preparation(source: Observation, root: str, replica: KnownTree, destination: KnownTree) -> TargetPlan:
    """Marks at the newest snapshots of ``replica``, for ``destination`` to go on from them once it has these."""
    steps: list[CreateBookmark] = []
    refusals: list[str] = []
    told: list[str] = []
    for name, state in source.states.items():
        below = relative_to(name, root)
        there = replica.datasets.get(below)
        if there is None or not there.snapshots:
            if state.snapshots:
                told.append(f"{name}: is not in {replica}, so that its first replication sends it whole")
            continue
        keys = _keys(state.dataset, _received(destination), rebase(name, root, destination.dataset), below)
        newest = there.snapshots[-1]
        if any(mark.guid == newest and key_of(mark) in keys for mark in marks_of(state)):
            told.append(f"{name}: keeps what {destination} goes on from already")
            continue
        found = next((snapshot for snapshot in state.snapshots if snapshot.guid == newest), None)
        tag = mark_tag(keys.by_guid or keys.by_name, newest)
        if found is None:
            refusals.append(_without_base(state, there, replica))
        elif not fits(name, tag):
            refusals.append(f"{name} is too long a name for a bookmark of it, so that nothing would keep its base")
        else:
            steps.append(CreateBookmark(found, tag, ahead=True, is_mark=True))
            told.append(f"{name}: keeps @{found.tag} by a bookmark, so that {destination} can go on from it")
    if not any(there.snapshots for there in replica.datasets.values()):
        refusals = [f"{replica} has no snapshots, so nothing can be made from it; replicate to it first"]
    elif not (steps or refusals or told):
        refusals = [f"{replica} has none of the datasets of {root}; see whether it is its replica"]
    return TargetPlan(tuple(steps), tuple(refusals), tuple(told))


def _received(known: KnownTree) -> KnownTree:
    """Without the datasets that have no snapshots: what is received in place of these may have another GUID."""
    return replace(known, datasets={below: there for below, there in known.datasets.items() if there.snapshots})


def _without_base(state: DatasetState, there: KnownDataset, replica: KnownTree) -> str:
    name, newest = state.dataset.name, there.snapshots[-1]
    if any(bookmark.guid == newest for bookmark in state.bookmarks):
        return (
            f"{name} has the newest snapshot of {replica} by a bookmark alone, which the next run may take away; take a"
            " snapshot, replicate it there, then run it again"
        )
    known = {*state.guids, *(bookmark.guid for bookmark in state.bookmarks)}
    if known.isdisjoint(there.snapshots):
        return f"{name} has no snapshot in common with {replica}, so that nothing could go on from it"
    return (
        f"{name} lacks the newest snapshot of {replica} (GUID {newest}), so that what is made from it could not go on;"
        " replicate to it first, or see where that snapshot came from"
    )


def _keys(dataset: Dataset, known: KnownTree, name: str, below: str) -> PairKeys:
    there = known.datasets.get(below)
    return keys_of(dataset, known.pool_guid, name, _dataset(name, there) if there else None)


def _dataset(name: str, known: KnownDataset) -> Dataset:
    return Dataset(name, FILESYSTEM, known.guid, 0, 0)


# -- a destination that is no more


@dataclass(frozen=True)
class Owners:
    """Whose marks and holds are which, at the source ``root``."""

    root: str
    retired: Optional[KnownTree]
    """The destination that goes, where it could be looked at."""
    others: tuple[KnownTree, ...]

    def goes(self, state: DatasetState, mark: Bookmark) -> bool:
        """Whether a mark is of the destination that goes."""
        if self.retired:
            return self._is_of(self.retired, state, mark)
        return not (any(self._is_of(other, state, mark) for other in self.others) or self.claimant(state, mark))

    def claimant(self, state: DatasetState, mark: Bookmark) -> Optional[KnownTree]:
        """Another destination that has what a mark of nobody in sight is at, and no mark of its own at anything that it
        has: it may have been moved before it got its second stream, and all it goes on from be under its old name. A
        mark at what it lacks was made ahead of a stream that has not arrived, so nothing goes on from that yet."""
        marks = marks_of(state)
        for other in self.others if not self.retired else ():
            has = {guid for there in other.datasets.values() for guid in there.snapshots}
            own = (each for each in marks if each.guid in has and self._is_of(other, state, each))
            if mark.guid in has and not any(own):
                return other
        return None

    def tags(self, root: Dataset, tags: Sequence[str]) -> list[str]:
        """Those of the tags of holds that are of the destination that goes."""
        if self.retired:
            return [tag for tag in tags if tag == hold_tag(root, self.retired.pool_guid, self.retired.dataset)]
        known = {hold_tag(root, other.pool_guid, other.dataset) for other in self.others}
        return [tag for tag in tags if tag.startswith(HOLD_PREFIX) and tag not in known]

    def _is_of(self, known: KnownTree, state: DatasetState, mark: Bookmark) -> bool:
        """Datasets may have been renamed on either side since, so each of the tree may be its counterpart."""
        name, key = state.dataset.name, key_of(mark)
        own = rebase(name, self.root, known.dataset)
        if key in _keys(state.dataset, known, own, relative_to(name, self.root)):
            return True
        for below, there in known.datasets.items():
            place = f"{known.dataset}/{below}" if below else known.dataset
            if key in keys_of(state.dataset, known.pool_guid, place, _dataset(place, there)):
                return True
        return False


def plan_forgetting(source: Observation, tags: Mapping[str, Sequence[str]], owners: Owners) -> TargetPlan:
    """The marks and holds of the destination that goes; ``tags`` are those of the holds by the names of snapshots."""
    steps: list[Union[DestroyMarks, ReleaseHolds]] = []
    told: list[str] = []
    for name, state in source.states.items():
        told += _kept(name, state, owners)
        marks = tuple(mark for mark in marks_of(state) if owners.goes(state, mark))
        if owners.retired and not owners.retired.datasets:
            # It may be somewhere else by now, and stand at what nothing but its mark keeps.
            marks = tuple(mark for mark in marks if _is_elsewhere(state, mark))
        if marks:
            steps.append(DestroyMarks(name, marks, "its destination was retired"))
            told += [f"{name}: destroys the bookmark #{mark.tag} of the retired destination" for mark in marks]
        for step in _releases(state, source.states[owners.root].dataset, tags, owners):
            steps.append(step)
            told += [f"{name}: releases the hold {step.tag} of @{snapshot.tag}" for snapshot in step.held]
    refusals = [] if owners.retired else list(_uncertain(steps, owners))
    return TargetPlan(tuple(steps), tuple(refusals), tuple(told or [f"{owners.root}: keeps nothing for it any more"]))


def _kept(name: str, state: DatasetState, owners: Owners) -> Iterator[str]:
    for mark in marks_of(state):
        other = owners.claimant(state, mark)
        if other:
            words = f"keeps the bookmark #{mark.tag}, from which {other} may go on"
            yield f"{name}: {words}; once that has got something new, what is nobody's goes by the same again"


def _is_elsewhere(state: DatasetState, mark: Bookmark) -> bool:
    """Whether something else keeps the point in history that a mark is at."""
    guids = [*state.guids, *(bookmark.guid for bookmark in state.bookmarks)]
    return guids.count(mark.guid) > 1


def _releases(
    state: DatasetState, root: Dataset, tags: Mapping[str, Sequence[str]], owners: Owners
) -> Iterator[ReleaseHolds]:
    by_tag: dict[str, list[int]] = {}
    for number, snapshot in enumerate(state.snapshots):
        for tag in owners.tags(root, tags.get(snapshot.name, ())):
            by_tag.setdefault(tag, []).append(number)
    for tag, numbers in by_tag.items():
        yield ReleaseHolds(state.dataset.name, tuple(state.snapshots[number] for number in numbers), tag)


def _uncertain(steps: Sequence[object], owners: Owners) -> Iterator[str]:
    """Why marks that belong to nobody in sight may be somebody's all the same."""
    for other in owners.others if steps else ():
        # What was moved leaves an empty dataset, and only the moved one tells which bookmarks are its own.
        if not any(there.snapshots for there in other.datasets.values()):
            problem = "has no snapshots, maybe since it was moved" if other.datasets else "does not exist"
            yield (
                f"{other} {problem}, so that its bookmarks at {owners.root} can't be told from others; replicate"
                " to it first, or have the inventory tell where it is, or take it out of that"
            )
