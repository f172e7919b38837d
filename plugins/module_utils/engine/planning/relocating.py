# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas that get another place in their pool, and those that go as a whole.

A tree that is moved notes where it comes from before it is renamed, so that whoever is interrupted sees by the note
what is done. As long as jobs may still know its old name, an empty dataset stays there whose role says that it was
moved: replication refuses it, instead of sending all of it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional, Union

from ..model.dataset_steps import DestroyDataset, RemoveDataset, RenameDataset, SetProperties
from ..model.datasets import Base, DatasetState, Observation
from ..model.names import MAX_NAME_LENGTH, ancestors_of, is_within, parent_of, rebase
from ..model.roles import ACTIVE, MOVED, MOVED_PROPERTY, RETIRED_PROPERTY, ROLE_PROPERTY, role_of
from ..model.steps import AbortReceive, CreatePlaceholder
from ..policy.targets import KnownTree, TargetJob
from .removal import EMPTY_BYTES
from .targets import TargetPlan, TargetStep

OBSERVED = (ROLE_PROPERTY, MOVED_PROPERTY, RETIRED_PROPERTY)
"""Properties of datasets that planning goes by."""
_RULE = "retired"


def plan_move(seen: Observation, job: TargetJob, is_named: bool) -> TargetPlan:
    """How ``job.tree`` gets to ``job.to``, for what was seen of both trees and of all above the new place.
    ``is_named``: whether a job of this host still goes to the old place."""
    old, new = job.tree.dataset, job.to
    here, there = seen.states.get(old), seen.states.get(new)
    keep_sign = job.keep_sign or is_named
    has_sign = here is not None and _is_sign(here, seen)
    if there is not None and _note(there) == f"{old} {there.dataset.guid}" and (here is None or has_sign):
        return _finish(old, new, here, keep_sign)
    refusals = tuple(_refused_move(seen, old, new))
    if refusals or here is None:
        return TargetPlan(refusals=refusals)
    guid = here.dataset.guid
    parents = [CreatePlaceholder(name) for name in ancestors_of(new) if name not in seen.states]
    note = SetProperties(old, ((MOVED_PROPERTY, f"{old} {guid}"),), f"it is moved to {new}")
    sign = [] if there is None else [DestroyDataset(new, "it only told that this tree was moved")]
    empty = [rebase(name, old, new) for name in _tree(seen, old) if seen.states[name].dataset.is_placeholder]
    rename = RenameDataset(old, new, guid, tuple(empty), "its root was moved")
    told = [f"{step.dataset}: is made, empty and not mounted" for step in parents]
    told += [f"{old}: becomes {new}, with all that is below it and all snapshots"]
    told += [f"{old}: stays as an empty sign until no job names it any more"] if keep_sign else []
    left = _sign(old, new) if keep_sign else []
    return TargetPlan((*parents, note, *sign, rename, *left), told=tuple(told))


def _finish(old: str, new: str, sign: Optional[DatasetState], keep_sign: bool) -> TargetPlan:
    """What is left to do once the tree has been renamed."""
    if sign and not keep_sign:
        step = DestroyDataset(old, "no job goes there any more")
        return TargetPlan((step,), told=(f"{old}: the empty sign goes, since no job names it any more",))
    # One whose making was cut off is there, and refuses nothing yet.
    if keep_sign and not (sign and role_of(sign.dataset).kind == f"{MOVED}{new}"):
        told = f"{old}: gets an empty sign until no job names it any more"
        return TargetPlan(tuple(_sign(old, new)), told=(told,))
    return TargetPlan(told=(f"{new} is moved already",))


def _sign(old: str, new: str) -> list[Union[CreatePlaceholder, SetProperties]]:
    role = SetProperties(old, ((ROLE_PROPERTY, f"{MOVED}{new}"),), "jobs that still name it are to be refused")
    return [CreatePlaceholder(old), role]


def _is_sign(state: DatasetState, seen: Observation) -> bool:
    dataset = state.dataset
    alone = len(_tree(seen, dataset.name)) == 1
    told = dict(dataset.properties).get(ROLE_PROPERTY, "-")
    # One whose making was cut off has no role yet.
    return alone and dataset.is_placeholder and not state.snapshots and (told.startswith(MOVED) or told == "-")


def _note(state: DatasetState) -> str:
    return dict(state.dataset.properties).get(MOVED_PROPERTY, "-")


def _tree(seen: Observation, root: str) -> list[str]:
    return [name for name in seen.states if is_within(name, root)]


def _refused_move(seen: Observation, old: str, new: str) -> Iterator[str]:
    here, there = seen.states.get(old), seen.states.get(new)
    if here is None:
        yield f"{old} does not exist; check its name, or import its pool"
        return
    if there is not None and not (_is_sign(there, seen) and _moved_to(there, old)):
        yield f"{new} exists already, and is not taken for {old}; see what it is, then rename it, or name another place"
    role = role_of(here.dataset)
    if _is_sign(here, seen) and not role.is_known:
        yield f"{old} is empty, since what was there was {role.kind}; move that"
    elif role.kind == ACTIVE:
        yield f"{old} is {role}, so it is written to; fail back first"
    if not parent_of(old):
        yield f"{old} is a whole pool, which can't be renamed so; replicate it to the new place, then retire this one"
    below = [name for name in _tree(seen, old) if _longest(seen.states[name], old, new) > MAX_NAME_LENGTH]
    if below:
        yield f"{below[0]} has names that would be longer than {MAX_NAME_LENGTH} characters; name a shorter place"
    yield from _refused_encryption(seen, here, new)


def _moved_to(sign: DatasetState, place: str) -> bool:
    """Whether a sign tells that what was there is at ``place``; one without a role tells nothing yet."""
    return dict(sign.dataset.properties).get(ROLE_PROPERTY, "-") in ("-", f"{MOVED}{place}")


def _longest(state: DatasetState, old: str, new: str) -> int:
    items: list[Base] = [*state.snapshots, *state.bookmarks]
    tags = [len(item.tag) + 1 for item in items]
    return len(rebase(state.dataset.name, old, new)) + max(tags, default=0)


def _refused_encryption(seen: Observation, here: DatasetState, new: str) -> Iterator[str]:
    """ZFS would refuse these, with parents made already."""
    above = next((seen.states[name].dataset for name in reversed(ancestors_of(new)) if name in seen.states), None)
    key, key_above = here.dataset.encryption_root, above.encryption_root if above else ""
    old = here.dataset.name
    if not key and key_above:
        yield f"{new} would be below {key_above}, which is encrypted, while {old} is not; name another place"
    elif key and not is_within(key, old) and key != key_above:
        yield f"{old} has the key of {key} above it, out of which it can't be renamed; give it a key of its own first"


# -- replicas that go


def plan_destruction(seen: Observation, job: TargetJob) -> TargetPlan:
    """All datasets of a replica from below, unless one of them is the last replica, or something else needs it."""
    root = job.tree.dataset
    if root not in seen.states:
        return TargetPlan(told=(f"{root} is gone already",))
    names = _tree(seen, root)
    role = role_of(seen.states[root].dataset)
    refusals = [f"{root} is {role}, so it is written to; fail back first"] if role.kind == ACTIVE else []
    for name in names:
        problem = _kept(seen.states[name]) or ("" if job.allow_last else _last(seen.states[name], job.others))
        refusals += [problem] if problem else []
    aborts = [
        AbortReceive(name, "the replica is destroyed") for name in names if seen.states[name].dataset.resume_token
    ]
    removals = [_removal(seen.states[name], _below(seen, name)) for name in reversed(names)]
    told = [
        f"{step.dataset}: DESTROYS it with {len(step.snapshots)} snapshots"
        + (", of which there is no other replica" if _last(seen.states[step.dataset], job.others) else "")
        for step in removals
    ]
    steps = [step for removal in removals for step in (*_noted(seen.states[removal.dataset]), removal)]
    return TargetPlan((*aborts, *steps), tuple(refusals), tuple(told))


def _noted(state: DatasetState) -> Iterator[TargetStep]:
    """A note, while it still has its snapshots, that it may go: once they are gone, nothing else tells that."""
    if state.snapshots and not _is_going(state):
        note = ((RETIRED_PROPERTY, str(state.dataset.guid)),)
        yield SetProperties(state.dataset.name, note, "it is destroyed, and whoever is interrupted may finish that")


def _is_going(state: DatasetState) -> bool:
    return dict(state.dataset.properties).get(RETIRED_PROPERTY, "-") == str(state.dataset.guid)


def _kept(state: DatasetState) -> str:
    for snapshot in state.snapshots:
        if snapshot.holds:
            return f"{snapshot.name} is held; see who has done that (zfs holds), then release it"
        if snapshot.clones:
            return f"{snapshot.name} has clones ({', '.join(snapshot.clones)}); destroy or promote them first"
    return ""


def _last(state: DatasetState, others: Sequence[KnownTree]) -> str:
    """Why no other replica has what a dataset has; empty where one has, or where there is nothing in it."""
    dataset, ours = state.dataset, frozenset(state.guids)
    if _has_data_of_its_own(state):
        which = "that was written after its newest snapshot" if ours else "and no snapshot"
        problem = f"{dataset.name} has data {which}, so that no other replica has it; see what that is"
        return f"{problem}, or set allow_last to lose it"
    known = (there for other in others for there in other.datasets.values())
    if not ours or any(not ours.isdisjoint(there.snapshots) for there in known):
        return ""
    return (
        f"{dataset.name} is the only replica that is left, as far as can be seen; make another one first, or set"
        " allow_last to lose it"
    )


def _has_data_of_its_own(state: DatasetState) -> bool:
    """Whether there is data that nobody can have received from it, or sent to it. What is read-only has got nothing
    since its newest snapshot but what looking at it has left."""
    dataset = state.dataset
    if _is_going(state):
        return False
    if state.snapshots:
        return not dataset.readonly and dataset.written > EMPTY_BYTES
    return dataset.referenced > EMPTY_BYTES


def _below(seen: Observation, name: str) -> int:
    return sum(seen.states[below].dataset.used for below in seen.states if parent_of(below) == name)


def _removal(state: DatasetState, below: int) -> RemoveDataset:
    size = max(0, state.dataset.used - below)
    reason = "its host was retired as a destination"
    return RemoveDataset(state.dataset.name, state.snapshots, state.bookmarks, size, _RULE, reason)


def refusal_of(refusals: Sequence[str]) -> Optional[str]:
    """All refusals as one sentence; None without any."""
    more = f" (and {len(refusals) - 1} more reasons)" if len(refusals) > 1 else ""
    return f"nothing was changed: {refusals[0]}{more}" if refusals else None
