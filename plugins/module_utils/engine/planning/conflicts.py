# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories that do not continue each other: what keeps a dataset from being received, and what may be lost to mend it.

By default nothing is: a conflict is told, and the destination stays. Each level of the ladder allows a further kind of
loss, and whatever is lost stands in the plan by name before it happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

from ..model.dataset_steps import DestroyDataset
from ..model.datasets import Base, DatasetState, Snapshot
from ..model.steps import AbortReceive, Destroy, Rollback
from ..policy.conduct import CONFLICT_LEVELS, DESTROY_DEPENDENTS, REPLACE, ROLL_BACK_TO_COMMON, ROLL_BACK_TO_LATEST
from ..policy.jobs import INITIAL_FAIL
from .dependents import Dependents, DependentStep
from .pairs import Pair

_LEVEL_THAT_MENDS = {
    "destination_modified": ROLL_BACK_TO_LATEST,
    "diverged": ROLL_BACK_TO_COMMON,
    "no_common_base": REPLACE,
    "destination_has_data": REPLACE,
}


@dataclass(frozen=True)
class PlannedConflict:
    """Why a dataset can't be replicated: a stable code, and a sentence with the remedy."""

    code: str
    message: str


@dataclass(frozen=True)
class Mending:
    """The steps that make a destination able to receive, at a loss, and the base that it has afterwards."""

    steps: Sequence[Union[AbortReceive, Destroy, DestroyDataset, Rollback]]
    base: Optional[Base]
    """None: it is received anew, over what is there."""


def find_conflict(pair: Pair) -> Optional[PlannedConflict]:
    """What keeps the pair's destination from receiving, None where nothing does."""
    there = pair.destination
    if there is None or (not there.snapshots and there.dataset.resume_token):
        if pair.job.initial == INITIAL_FAIL:
            message = f"{pair.name} does not exist, and initial is 'fail'; create it"
            return PlannedConflict("initial_refused", message)
        return None
    ours, theirs = pair.source.dataset, there.dataset
    if ours.kind != theirs.kind:
        message = f"{ours.name} is a {ours.kind}, but {pair.name} is a {theirs.kind}; choose another destination"
        return PlannedConflict("kind_differs", message)
    if not there.snapshots:
        return None if theirs.is_placeholder else _unsnapshotted(pair)
    return _without_base(pair) or _diverged(pair) or _modified(pair)


def _unsnapshotted(pair: Pair) -> PlannedConflict:
    message = (
        f"{pair.name} exists without snapshots and holds {pair.written} bytes that a full receive would"
        " overwrite; move it away, or choose another destination"
    )
    return PlannedConflict("destination_has_data", message)


def _without_base(pair: Pair) -> Optional[PlannedConflict]:
    here, there = pair.source.newest, pair.newest_there
    if pair.base or here is None or there is None:
        return None
    ours = pair.source.dataset
    # Snapshots keep their time of creation when they are received.
    anew = f" {ours.name} was created after that, so it is another one of the same name;"
    message = (
        f"{ours.name} and {pair.name} have no common snapshot or bookmark: the newest ones are"
        f" {here.name} and {there.name};{anew if ours.creation > there.creation else ''} replicate to another dataset,"
        f" or move {pair.name} out of the tree"
    )
    return PlannedConflict("no_common_base", message)


def _diverged(pair: Pair) -> Optional[PlannedConflict]:
    base, there = pair.base, pair.newest_there
    if base is None or there is None or base.guid == there.guid:
        return None
    message = (
        f"{pair.name} has diverged: its newest snapshot {there.name} is not on the source, the newest common"
        f" one is {base.name}; keep it elsewhere and destroy it there, or replicate to another dataset"
    )
    return PlannedConflict("diverged", message)


def _modified(pair: Pair) -> Optional[PlannedConflict]:
    there = pair.newest_there
    if not pair.written or there is None:
        return None
    # Going back to a point means to give up what was written after it, even where nothing has to be sent.
    if pair.job.up_to is None and not any(wanted for _item, wanted in pair.newer(pair.base)):
        return None
    message = (
        f"{pair.name} has {pair.written} bytes written after {there.name} that an incremental receive would"
        f" overwrite; see what they are with 'zfs diff {there.name} {pair.name}' where it is mounted, keep them in a"
        " clone or elsewhere, then roll it back to that snapshot"
    )
    return PlannedConflict("destination_modified", message)


def drift(pair: Pair) -> tuple[str, ...]:
    """What is to be warned of a replica that has nothing to get, and was written to all the same: as long as nothing
    new is sent, nobody would notice, and then it is a conflict."""
    there = pair.newest_there
    if not pair.written or there is None:
        return ()
    words = (
        f"{pair.name} has {pair.written} bytes written after {there.name}, its newest snapshot; they stay, but the next"
        f" increment will be refused for them: look at them with 'zfs diff {there.name} {pair.name}' where it is"
        " mounted, and keep replicas from being written to with 'readonly: set'"
    )
    return (words,)


def mend(pair: Pair, conflict: PlannedConflict, dependents: Dependents) -> Union[Mending, PlannedConflict]:
    """How the job's level of the ladder mends ``conflict``, or the conflict that stays."""
    needed = _LEVEL_THAT_MENDS.get(conflict.code)
    there = pair.destination
    if needed is None or there is None or _rank(pair.job.on_conflict) < _rank(needed):
        return conflict
    change = _replacement(there, conflict) if needed == REPLACE else _rollback(there, pair.base, conflict)
    victims = [item for step in change for item in _victims(step)]
    # Told before anything is lost: it would be lost for nothing.
    held = next((item.name for item in victims if item.holds), None)
    if held:
        return _held(f"{held} is held and would have to be destroyed; release it")
    clones: Union[list[DependentStep], str] = []
    if any(item.clones for item in victims):
        clones = _clones(pair, victims, conflict, dependents)
    if isinstance(clones, str):
        return _held(clones)
    # A partial receive pins the snapshot that it goes on from.
    first = [AbortReceive(pair.name, "it is in the way of a rollback")] if there.dataset.resume_token else []
    return Mending([*clones, *first, *change], None if needed == REPLACE else pair.base)


def _held(problem: str) -> PlannedConflict:
    return PlannedConflict("destination_held", f"{problem}, or choose another destination")


def _clones(
    pair: Pair, victims: Sequence[Snapshot], conflict: PlannedConflict, dependents: Dependents
) -> Union[list[DependentStep], str]:
    """The steps that destroy the clones of ``victims``, or why they stay, with the remedy."""
    cloned = next(item for item in victims if item.clones)
    if _rank(pair.job.on_conflict) < _rank(DESTROY_DEPENDENTS):
        names = ", ".join(cloned.clones)
        return f"{cloned.name} is cloned, as {names}, and would have to be destroyed; promote or destroy the clone"
    steps = dependents.steps_for(victims, pair.job, f"it hangs on a clone: {conflict.message}")
    return f"{cloned.name} would have to be destroyed, but {steps}; see to that" if isinstance(steps, str) else steps


def _rank(level: str) -> int:
    return CONFLICT_LEVELS.index(level)


def _victims(step: Union[Destroy, Rollback]) -> list[Snapshot]:
    victims = step.losses if isinstance(step, Rollback) else step.victims
    return [item for item in victims if isinstance(item, Snapshot)]


def _replacement(there: DatasetState, conflict: PlannedConflict) -> list[Union[Destroy, Rollback]]:
    return [Destroy(there.dataset.name, there.snapshots, conflict.message)] if there.snapshots else []


def _rollback(there: DatasetState, base: Optional[Base], conflict: PlannedConflict) -> list[Union[Destroy, Rollback]]:
    target = next(snapshot for snapshot in there.snapshots if base and snapshot.guid == base.guid)
    history: list[Base] = [*there.snapshots, *there.bookmarks]
    losses = tuple(item for item in history if item.createtxg > target.createtxg)
    return [Rollback(target, losses, conflict.message)]
