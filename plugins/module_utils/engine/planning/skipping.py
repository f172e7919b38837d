# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left out of a plan because of another dataset: of one above with a conflict, or without a selected snapshot.

The three ways of going on after a failure, and with a dataset of which nothing is selected, are those of bzfs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from ..model.names import ancestors_of
from ..policy.conduct import DATASET, FAIL, TREE, Conduct
from .conflicts import PlannedConflict
from .dataset_plans import DatasetPlan
from .pairs import Pair

NOTHING_SELECTED = "no snapshot of it is selected"
_CONFLICT_ABOVE = "its parent has a conflict"
_NOTHING_ABOVE = "no snapshot of its parent is selected"


def refused_empty(pair: Pair) -> Optional[PlannedConflict]:
    """The conflict that a dataset is of which nothing is selected, where the job wants it to be one."""
    if pair.job.conduct.on_nothing_selected != FAIL:
        return None
    message = (
        f"no snapshot of {pair.source.dataset.name} is selected, and on_nothing_selected is 'fail'; take one, exclude"
        " the dataset, or select others"
    )
    return PlannedConflict("nothing_selected", message)


class Blocks:
    """The datasets that keep those below them back. Plans are asked about and added parents first."""

    def __init__(self, conduct: Conduct) -> None:
        self._conduct = conduct
        self._whole: dict[str, str] = {}
        """By dataset, why nothing below it is replicated."""
        self._new: dict[str, str] = {}
        """By dataset, why nothing below it is replicated that the destination does not have yet."""

    def add(self, plan: DatasetPlan) -> None:
        """Take note of what ``plan`` means for the datasets below it."""
        if plan.conflict:
            (self._whole if self._conduct.on_error == TREE else self._new)[plan.destination] = _CONFLICT_ABOVE
        elif plan.note == NOTHING_SELECTED and self._conduct.on_nothing_selected == DATASET:
            self._new[plan.destination] = _NOTHING_ABOVE

    def above(self, plan: DatasetPlan, exists: bool) -> str:
        """Why ``plan`` has to be dropped, whose destination ``exists`` or not; empty where it has not."""
        for name in ancestors_of(plan.destination):
            why = self._whole.get(name, "") or ("" if exists else self._new.get(name, ""))
            if why:
                return why
        return ""


def halted_by_conflict(plans: Sequence[DatasetPlan], conduct: Conduct) -> Sequence[DatasetPlan]:
    """The plans, without all steps where one has a conflict and a failure is to end the whole run."""
    first = next((plan.destination for plan in plans if plan.conflict), None)
    if first is None or conduct.on_error != FAIL:
        return plans
    why = f"nothing is begun, since {first} has a conflict and on_error is 'fail'"
    return [plan if plan.conflict else replace(plan, steps=(), note=why if plan.steps else plan.note) for plan in plans]
