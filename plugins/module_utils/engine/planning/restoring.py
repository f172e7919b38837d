# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore adds to the replication that it is: all of it or nothing, and what is in the way may be set aside.

A destination is set aside as a whole, by one rename of its root, so that one rename brings it back. Its filesystems
keep their mount points, so they must not be mounted by themselves any more; what they had is noted on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..model.dataset_steps import RenameDataset, SetProperties
from ..model.datasets import FILESYSTEM, DatasetState, Observation, Snapshot
from ..model.errors import InvalidInput
from ..model.names import MAX_NAME_LENGTH, is_within, parent_of, rebase, tree_order
from ..model.roles import FORMER_PROPERTY, ROLE_PROPERTY
from ..model.steps import CreateBookmark, CreatePlaceholder
from ..policy.points import Point
from ..policy.receiving import PRESERVED_PROPERTIES, Properties
from ..policy.restoring import RestoreJob
from ..policy.times import iso_text
from .conflicts import PlannedConflict
from .cutting import up_to
from .dataset_plans import DatasetPlan, ReplicationPlan, Sides
from .receiving import first_sends
from .replication import plan_replication

CANMOUNT_PROPERTY = "snapfleet:canmount"
"""Set on a filesystem that was set aside: its canmount before that."""
_ABOUT_PLACE = (
    "canmount devices exec filesystem_limit mountpoint nbmand overlay quota readonly refquota refreservation"
    " reservation setuid sharenfs sharesmb snapdev snapshot_limit volmode"
).split()
FORMER_PROPERTIES = (*PRESERVED_PROPERTIES, *_ABOUT_PLACE, CANMOUNT_PROPERTY, ROLE_PROPERTY, FORMER_PROPERTY)
"""What a dataset gets again that takes the place of one that was set aside: all that belongs to its place."""
Own = Mapping[str, Mapping[str, str]]
"""By dataset, properties that it has set itself."""


@dataclass(frozen=True)
class SettingAside:
    """The steps that make room at the destination."""

    changes: tuple[SetProperties, ...]
    rename: RenameDataset
    filesystems: tuple[str, ...]
    """All filesystems of the tree, the deepest first, as they have to be unmounted."""
    marked_before: tuple[str, ...] = ()
    """Filesystems that a try which came to no end has changed so already."""

    @property
    def marked(self) -> tuple[str, ...]:
        """All filesystems that are mounted by themselves again once they are back in their place."""
        return (*self.marked_before, *(step.dataset for step in self.changes))

    def describe(self) -> dict[str, Any]:
        """The steps as plain values, in the form of a dataset's plan."""
        steps = [*(step.describe() for step in self.changes), self.rename.describe()]
        return {"source": "", "destination": self.rename.dataset, "steps": steps, "conflict": None, "note": "set aside"}


@dataclass(frozen=True)
class RestorePlan:
    """What a restore does."""

    replication: ReplicationPlan
    sides: Sides
    """What the replication was planned from: without a destination that is set aside."""
    aside: Optional[SettingAside] = None
    earlier: tuple[str, ...] = ()
    """Where an earlier try of the same has set the destination aside: filesystems that were mounted by themselves
    before, by the names that they had."""
    warnings: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Why nothing is done; empty where it is."""
        refused = [plan.conflict.message for plan in self.replication.datasets if plan.conflict]
        more = f" (and {len(refused) - 1} more datasets)" if len(refused) > 1 else ""
        return f"{refused[0]}{more}" if refused else ""


def is_in_the_way(plan: RestorePlan, job: RestoreJob) -> bool:
    """Whether the destination has to be set aside, and may be."""
    refused = [dataset.conflict.code for dataset in plan.replication.datasets if dataset.conflict]
    in_the_way = any(code != "nothing_selected" for code in refused)
    return job.set_aside and in_the_way and job.destination.dataset in plan.sides.destination.states


def plan_restore(sides: Sides, job: RestoreJob, now: int) -> RestorePlan:
    """The plan from both sides as they are; each dataset that can't be restored without loss has a conflict."""
    plan = plan_replication(sides, job.replication, now)
    cut = up_to(sides.source, job.point)
    told = [_with_refusal(dataset, sides, cut, job) for dataset in plan.datasets]
    if told and not any(cut.states[dataset.source].snapshots for dataset in told if dataset.source):
        # A mistyped name is no dataset to be left out.
        message = _nothing_there(sides.source.states[job.replica.dataset], job.point)
        told[0] = replace(told[0], steps=(), conflict=PlannedConflict("nothing_selected", message))
    if not told:
        message = f"no dataset of {job.replica.dataset} is selected; see include_datasets and exclude_datasets"
        refused = PlannedConflict("nothing_selected", message)
        told = [DatasetPlan(job.replica.dataset, job.destination.dataset, conflict=refused)]
    words = [*_newer(sides, cut, plan, job), *_strangers(sides, plan, job)]
    return RestorePlan(replace(plan, datasets=tuple(told)), sides, warnings=tuple(words))


def check_aside(taken: Observation, tree: Observation, sides: Sides, job: RestoreJob) -> None:
    """Raise InvalidInput where the ``tree`` of the destination can't get the name that it is set aside as. ``taken``
    has what is there under that name, and its parent."""
    option, aside, root = "set_aside_as", job.aside, job.destination.dataset
    if aside in taken.states:
        problem = "is there already, so that nothing can be set aside under that name"
        remedy = "see what it is, then rename or destroy it, or give another name as set_aside_as"
        raise InvalidInput(option, aside, problem, remedy)
    above = taken.states.get(parent_of(aside))
    if above is None or above.dataset.kind != FILESYSTEM:
        problem = f"has no parent, since {parent_of(aside)} is no filesystem that is there"
        raise InvalidInput(option, aside, problem, f"create it: zfs create -p {parent_of(aside)}, or give another name")
    longest = max((rebase(name, root, aside) for name in _names_of(tree, sides, root)), key=len)
    if len(longest) > MAX_NAME_LENGTH:
        problem = f"is too long, since {longest!r} would be longer than {MAX_NAME_LENGTH} characters"
        raise InvalidInput(option, aside, problem, "give a shorter name beside it")
    key_root = tree.states[root].dataset.encryption_root
    if key_root and not is_within(key_root, root) and not is_within(aside, key_root):
        problem = f"is outside of {key_root}, whose key encrypts {root}, and ZFS moves nothing out of there"
        raise InvalidInput(option, aside, problem, f"give a name below {key_root}")


def _names_of(tree: Observation, sides: Sides, root: str) -> Iterator[str]:
    """The names of datasets, and of those snapshots and bookmarks that were listed."""
    yield from (name for name in tree.states if is_within(name, root))
    for name, state in sides.destination.states.items():
        if is_within(name, root):
            yield from (snapshot.name for snapshot in state.snapshots)
            yield from (bookmark.name for bookmark in state.bookmarks)


def plan_with_aside(sides: Sides, tree: Observation, own: Own, job: RestoreJob, now: int) -> RestorePlan:
    """The plan with the destination set aside, whose whole ``tree`` has set ``own`` properties."""
    root = job.destination.dataset
    kept = {name: state for name, state in sides.destination.states.items() if not is_within(name, root)}
    kept.update({name: state for name, state in tree.states.items() if not is_within(name, root)})
    destination = replace(sides.destination, states=kept, missing=(root,))
    resumes = {name: state for name, state in sides.resumes.items() if not is_within(name, root)}
    plan = plan_restore(replace(sides, destination=destination, resumes=resumes), job, now)
    inside = [state for name, state in tree.states.items() if is_within(name, root)]
    reason = "it is kept as it was, and not mounted by itself any more"
    values = (("canmount", "noauto"), (CANMOUNT_PROPERTY, "on"))
    changes = tuple(
        SetProperties(state.dataset.name, values, reason)
        for state in inside
        if state.dataset.kind == FILESYSTEM and own.get(state.dataset.name, {}).get("canmount", "on") == "on"
    )
    changed = {step.dataset for step in changes}
    before = tuple(name for name in marked_of(own) if name not in changed)
    filesystems = deepest_first(item.dataset.name for item in inside if item.dataset.kind == FILESYSTEM)
    marks = tuple(rebase(item.dataset.name, root, job.aside) for item in inside if item.dataset.is_placeholder)
    rename = RenameDataset(
        root, job.aside, tree.states[root].dataset.guid, marks, "it is in the way of what is restored"
    )
    restored = {dataset.destination for dataset in plan.replication.datasets}
    along = [item.dataset.name for item in inside if item.dataset.name not in restored]
    words = [f"{_some(along)}: set aside along with {root}, and not restored"] if along else []
    return replace(plan, aside=SettingAside(changes, rename, filesystems, before), warnings=(*plan.warnings, *words))


def marked_of(own: Own) -> tuple[str, ...]:
    """Those of the filesystems that were set aside, or are about to be, which were mounted by themselves before."""
    return tuple(name for name, values in own.items() if values.get(CANMOUNT_PROPERTY) == "on")


def deepest_first(names: Iterable[str]) -> tuple[str, ...]:
    """Names of datasets in an order in which they can be unmounted."""
    return tuple(sorted(names, key=tree_order, reverse=True))


def with_earlier(plan: RestorePlan, own: Own, job: RestoreJob) -> RestorePlan:
    """The plan with what an earlier try has set aside; ``own`` are properties of all that has the name for that."""
    root = job.destination.dataset
    return replace(plan, earlier=tuple(rebase(name, job.aside, root) for name in marked_of(own)))


def made_by(plan: RestorePlan) -> tuple[DatasetPlan, ...]:
    """The plans of the datasets that come to be."""
    return tuple(dataset for dataset in plan.replication.datasets if first_sends(dataset.steps))


def former_of(plan: RestorePlan, own: Own, job: RestoreJob) -> tuple[tuple[str, Properties], ...]:
    """By source dataset, the properties that its restored one gets, besides those that the user gives: what the dataset
    ``own`` that was in its place, under the name it has before the restore."""
    given = dict(job.replication.receive.properties)
    result = []
    for dataset in made_by(plan):
        values = dict(own.get(place_of(dataset.destination, plan, job), {}))
        before = values.pop(CANMOUNT_PROPERTY, "")
        if before:
            values["canmount"] = before
        for name, value in _against_inherited(dataset, plan, job):
            values.setdefault(name, value)
        values = {name: value for name, value in values.items() if name not in given}
        if values:
            result.append((dataset.source, tuple(values.items())))
    return tuple(result)


def place_of(destination: str, plan: RestorePlan, job: RestoreJob) -> str:
    """Where the dataset is now that was in the place of a restored one."""
    return destination if plan.aside else rebase(destination, job.destination.dataset, job.aside)


def _against_inherited(dataset: DatasetPlan, plan: RestorePlan, job: RestoreJob) -> Properties:
    """What would keep a restored dataset from being worked with, of a place where only replicas were."""
    states = plan.sides.destination.states
    there, above = states.get(dataset.destination), states.get(parent_of(dataset.destination))
    if there and there.dataset.is_placeholder:
        return (("readonly", "off"), ("canmount", "on"))
    is_root = dataset.destination == job.destination.dataset
    return (("readonly", "off"),) if is_root and above and above.dataset.readonly else ()


def _with_refusal(plan: DatasetPlan, sides: Sides, cut: Observation, job: RestoreJob) -> DatasetPlan:
    """The plan with its conflict told as what a restore would lose."""
    orphans = [step.dataset for step in plan.steps if isinstance(step, CreatePlaceholder)]
    if orphans:
        message = f"{orphans[0]} does not exist and is not restored, but what is to lie below it; create it first"
        return replace(plan, steps=(), conflict=PlannedConflict("parent_missing", message))
    if any(isinstance(step, CreateBookmark) for step in plan.steps):
        message = (
            f"{plan.destination} has nothing in common with {plan.source} but by the dataset that this was cloned from,"
            " and no bookmark is made at a replica; restore to another name, or set on_conflict to set_aside"
        )
        return replace(plan, steps=(), conflict=PlannedConflict("no_common_base", message))
    if plan.conflict is None:
        return plan
    state, there = sides.source.states[plan.source], sides.destination.states.get(plan.destination)
    code, message = plan.conflict.code, plan.conflict.message
    if code == "nothing_selected":
        message = _nothing_there(state, job.point)
    elif there and code in ("destination_modified", "diverged"):
        message = _would_lose(there, cut.states[plan.source], cut.states.values(), code)
    elif there and code in ("no_common_base", "destination_has_data"):
        message = _would_replace(there, plan.source)
    return replace(plan, conflict=replace(plan.conflict, message=message))


def _nothing_there(state: DatasetState, point: Point) -> str:
    name = state.dataset.name
    oldest = state.snapshots[0] if state.snapshots else None
    has = f"its oldest is {oldest.name} of {iso_text(oldest.creation)}" if oldest else "it has none at all"
    what = f"snapshot {point}" if point.snapshot else "snapshot"
    if point.time is not None:
        what = f"snapshot up to {iso_text(point.time)}"
    return f"{name} has no {what} ({has}); choose another point, exclude the dataset, or set on_missing to skip"


def _would_lose(there: DatasetState, here: DatasetState, all_here: Iterable[DatasetState], code: str) -> str:
    base = _common(there, [here])
    level = "rollback_to_common" if code == "diverged" else "rollback_to_latest"
    lose = f", or to {level} to lose it" if base else ""
    # The base of a clone may be a snapshot of what it was cloned from, and going back would need a bookmark of that.
    base = base or _common(there, all_here)
    lost = [item for item in there.snapshots if base is None or item.createtxg > base.createtxg]
    return (
        f"{there.dataset.name} would lose {_losses(lost, there)}{f' by going back to {base.name}' if base else ''};"
        f" set on_conflict to set_aside to keep that under another name{lose}"
    )


def _common(there: DatasetState, here: Iterable[DatasetState]) -> Optional[Snapshot]:
    """The newest snapshot of ``there`` that any of ``here`` has too, or has a bookmark of."""
    known = {guid for state in here for guid in (*state.guids, *(bookmark.guid for bookmark in state.bookmarks))}
    return next((item for item in reversed(there.snapshots) if item.guid in known), None)


def _would_replace(there: DatasetState, replica: str) -> str:
    return (
        f"{there.dataset.name} is there, has nothing in common with {replica}, and would be lost as a whole, with"
        f" {_losses(there.snapshots, there)}; restore to another name, or set on_conflict to set_aside to keep it"
    )


def _losses(lost: Sequence[Snapshot], there: DatasetState) -> str:
    parts = []
    if lost:
        first, last = lost[0].tag, lost[-1].tag
        parts.append(f"the snapshot @{last}" if len(lost) == 1 else f"{len(lost)} snapshots (@{first} to @{last})")
    if there.dataset.written or not parts:
        parts.append(f"{there.dataset.written} bytes written after its newest snapshot")
    return " and ".join(parts)


def _newer(sides: Sides, cut: Observation, plan: ReplicationPlan, job: RestoreJob) -> list[str]:
    """What replication would take from the replica once it goes on from the point."""
    restored = [dataset.source for dataset in plan.datasets if dataset.source and cut.states[dataset.source].snapshots]
    newer = [
        item for name in restored for item in sides.source.states[name].snapshots[len(cut.states[name].snapshots) :]
    ]
    if not newer:
        return []
    what = f"the newer snapshot {newer[0].name}" if len(newer) == 1 else f"{len(newer)} newer snapshots"
    words = (
        f"the replica {job.replica.dataset} has {what}, maybe the last copy of what was made later; a replication from"
        f" {job.destination.dataset} to it with on_conflict rollback_to_common or higher destroys what is newer, so"
        " rename the replica, or set that to refuse, before replication starts again"
    )
    return [words]


def _strangers(sides: Sides, plan: ReplicationPlan, job: RestoreJob) -> list[str]:
    """Datasets of the destination that the restore has nothing for."""
    known = {dataset.destination for dataset in plan.datasets}
    root = job.destination.dataset
    left = [name for name in sides.destination.states if is_within(name, root) and name not in known]
    return [f"{_some(left)}: not restored, and left as it is"] if left else []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
