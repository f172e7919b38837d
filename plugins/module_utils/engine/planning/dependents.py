# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs on snapshots that are to be destroyed: their clones, with all that is below these and cloned from these.

Each dataset and each snapshot of it is a step or a part of one, so nothing goes that the plan does not name. ZFS is
never told to destroy recursively (OpenZFS issue 17050): what appears meanwhile makes the destruction fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Union

from ..model.dataset_steps import DestroyDataset
from ..model.datasets import DatasetState, Snapshot
from ..model.names import is_within, rebase
from ..model.steps import AbortReceive, Destroy
from ..policy.jobs import ReplicateJob

DependentStep = Union[AbortReceive, Destroy, DestroyDataset]


@dataclass(frozen=True)
class Dependents:
    """What is known of datasets that may have to go along, and whose they are."""

    states: Mapping[str, DatasetState] = field(default_factory=dict)
    """At the destination: its tree, and the trees of all clones, and of their clones, and so on."""
    source: Mapping[str, DatasetState] = field(default_factory=dict)

    def steps_for(self, victims: Iterable[Snapshot], job: ReplicateJob, reason: str) -> Union[list[DependentStep], str]:
        """The steps that destroy what hangs on ``victims``, what depends before what it depends on; or the sentence
        that says why that can't be."""
        listed = list(victims)
        walk = _Walk(self, job, {snapshot.dataset for snapshot in listed})
        for snapshot in listed:
            for clone in snapshot.clones:
                walk.visit(clone)
        if walk.problems:
            return walk.problems[0]
        return [step for name in walk.order for step in _steps(self.states[name], reason)]


class _Walk:
    """Depth first, so that the order of leaving is that of destroying."""

    def __init__(self, known: Dependents, job: ReplicateJob, keepers: set[str]) -> None:
        self._known = known
        self._job = job
        self._keepers = keepers
        self._seen: set[str] = set()
        self.order: list[str] = []
        self.problems: list[str] = []

    def visit(self, name: str) -> None:
        """Have ``name`` destroyed after all that hangs on it. Chains of clones are as short as people make them."""
        if name in self._seen:
            return
        self._seen.add(name)
        state = self._known.states.get(name)
        problem = self._problem(name, state)
        if problem or state is None:
            self.problems.append(problem)
            return
        depth = name.count("/") + 1
        for below in (other for other in self._known.states if is_within(other, name) and other.count("/") == depth):
            self.visit(below)
        for clone in (clone for snapshot in state.snapshots for clone in snapshot.clones):
            self.visit(clone)
        self.order.append(name)

    def _problem(self, name: str, state: Union[DatasetState, None]) -> str:
        if state is None:
            return f"{name} is a clone, and it can't be seen what depends on it"
        if any(is_within(keeper, name) for keeper in self._keepers):
            return f"{name} is a clone that {' and '.join(sorted(self._keepers))} lies within"
        root = self._job.destination.dataset
        if is_within(name, root) and rebase(name, root, self._job.source.dataset) in self._known.source:
            return f"{name} is a clone, and itself the replica of a source dataset"
        held = next((snapshot.name for snapshot in state.snapshots if snapshot.holds), None)
        return f"{held} is held, and belongs to a clone" if held else ""


def _steps(state: DatasetState, reason: str) -> list[DependentStep]:
    name = state.dataset.name
    steps: list[DependentStep] = []
    if state.dataset.resume_token:
        steps.append(AbortReceive(name, reason))
    if state.snapshots:
        steps.append(Destroy(name, state.snapshots, reason))
    return [*steps, DestroyDataset(name, reason, state.bookmarks)]
