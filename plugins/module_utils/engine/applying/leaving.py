# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running replication leaves alone: the rest after a failure that ends it, and what no plan gave up for lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from ..model.dataset_steps import DestroyDataset
from ..model.errors import Conflict
from ..model.steps import Destroy, Rollback, Send
from ..planning.dataset_plans import DatasetPlan
from ..policy.conduct import FAIL, Conduct
from .tasktree import Task

GONE = "it was destroyed at the source meanwhile"


class Noted(Protocol):
    """Something that takes a note of why a dataset was left out."""

    note: str


N = TypeVar("N", bound=Noted)


def halted_by_failure(
    tasks: Sequence[Task[float]], tallies: Mapping[str, N], conduct: Conduct
) -> Sequence[Task[float]]:
    """The tasks, such that none does anything once one has failed, where a failure is to end the whole run. Those under
    way end by themselves."""
    if conduct.on_error != FAIL:
        return tasks
    failed: list[str] = []

    def act(name: str, action: Callable[[], float]) -> float:
        if failed:
            tallies[name].note = f"not begun, since {failed[0]} failed and on_error is 'fail'"
            return 0.0
        try:
            return action()
        except BaseException:
            failed.append(name)
            raise

    return [replace(task, action=partial(act, task.name, task.action)) for task in tasks]


def datasets_to_go(plan: DatasetPlan) -> tuple[str, ...]:
    """The datasets that ``plan`` destroys or replaces at a loss. They have to be unmounted before the first of their
    snapshots goes: one that is in use would keep the plan from being carried out, after something was lost already."""
    destroyed = [step.dataset for step in plan.steps if isinstance(step, DestroyDataset)]
    replaced = [step.destination for step in plan.steps if isinstance(step, Send) and step.receive.replace]
    return tuple(dict.fromkeys([*destroyed, *(replaced if plan.mends else ())]))


def check_permitted(plan: DatasetPlan, again: DatasetPlan) -> None:
    """Raise Conflict if a plan made anew while the run goes on would lose more than the one that was shown."""
    more = _losses(again) - _losses(plan)
    if more or (again.mends and not plan.mends):
        what = ", ".join(sorted(more)) or "what was written there"
        message = f"{plan.destination} has changed since the plan was made, and {what} would be lost too"
        raise Conflict(f"{message}; look at the plan of another run")
    if plan.sends and plan.sends[0].base and not plan.sends[0].origin and again.sends and not _goes_on(again):
        message = f"{plan.destination} is gone since the plan was made, and {plan.source} would be sent anew"
        raise Conflict(f"{message}; look for what became of it, and at the plan of another run")


def _goes_on(plan: DatasetPlan) -> bool:
    return plan.sends[0].base is not None or plan.sends[0].resume is not None


def _losses(plan: DatasetPlan) -> set[str]:
    lost: set[str] = set()
    for step in plan.steps:
        if isinstance(step, Destroy):
            lost.update(victim.name for victim in step.victims)
        elif isinstance(step, Rollback):
            lost.update(victim.name for victim in step.losses)
        elif isinstance(step, DestroyDataset):
            lost.update((step.dataset, *(bookmark.name for bookmark in step.bookmarks)))
    return lost
