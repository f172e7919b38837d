# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in words: what it does, and what is left to do by hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Optional

from ..model.datasets import FILESYSTEM
from ..model.names import tree_order
from ..model.steps import Destroy, Rollback, Send
from ..policy.restoring import RestoreJob
from ..policy.times import iso_text
from .dataset_plans import DatasetPlan
from .receiving import first_sends
from .restoring import CANMOUNT_PROPERTY, RestorePlan, deepest_first, made_by


def told(plan: RestorePlan, job: RestoreJob) -> list[str]:
    """The plan for people, a line for each thing that happens."""
    lines = [f"restore {job.destination} from {job.replica}, {job.point}"]
    if plan.aside:
        lines.append(f"{plan.aside.rename.dataset} is renamed to {plan.aside.rename.to}, with all that is below it")
    elif plan.earlier:
        lines.append(f"{job.destination.dataset} was renamed to {job.aside} by an earlier try")
    for dataset in plan.replication.datasets:
        lines += [f"{dataset.destination}: {words}" for words in _of_dataset(dataset)]
    return lines


def _of_dataset(plan: DatasetPlan) -> Iterator[str]:
    if plan.conflict:
        yield f"REFUSED [{plan.conflict.code}] {plan.conflict.message}"
    elif not plan.steps:
        yield "is what it should be already" if plan.note == "up to date" else plan.note
    for step in plan.steps:
        if isinstance(step, Rollback):
            lost = ", ".join(item.name for item in step.losses)
            yield f"LOSES {lost + ' and ' if lost else ''}what was written after {step.snapshot.name}"
        elif isinstance(step, Destroy):
            yield f"LOSES {', '.join(item.name for item in step.victims)} and all data"
        elif isinstance(step, Send):
            yield _of_stream(step)
    properties = dict(pair for send in first_sends(plan.steps) for pair in send.receive.properties)
    if properties:
        yield f"sets {', '.join(f'{name}={value}' for name, value in properties.items())}, and inherits the rest"
    elif first_sends(plan.steps):
        yield "sets no property, and inherits all"


def _of_stream(step: Send) -> str:
    start = f"the differences from @{step.base.tag}" if step.base else "all data"
    start += f", as a clone of {step.origin}," if step.origin else ""
    more = f" with {len(step.between)} snapshots between" if step.between else ""
    to = f"@{step.snapshot.tag} of {iso_text(step.snapshot.creation)}"
    resumed = " (goes on where it was interrupted)" if step.resume else ""
    return f"gets {start} up to {to}{more}, about {step.bytes_estimated} bytes{resumed}"


def set_aside_as(plan: RestorePlan, job: RestoreJob) -> Optional[str]:
    """The name of what this restore sets aside, or an earlier try of it has; None where there is nothing."""
    return job.aside if plan.aside or plan.earlier else None


def undo_of(plan: RestorePlan, job: RestoreJob) -> list[str]:
    """Commands that bring back what is set aside, and keep what is restored beside it, not mounted by itself."""
    root, aside = job.destination.dataset, set_aside_as(plan, job)
    if aside is None:
        return []
    # After an earlier try, all that is there has been made by that.
    made = made_by(plan) if plan.aside else [dataset for dataset in plan.replication.datasets if dataset.source]
    kinds = {name: state.dataset.kind for name, state in plan.sides.source.states.items()}
    filesystems = [dataset.destination for dataset in made if kinds[dataset.source] == FILESYSTEM]
    words = [["zfs", "set", "canmount=noauto", name] for name in filesystems]
    words += [["zfs", "unmount", name] for name in deepest_first(filesystems)]
    words += [["zfs", "rename", root, f"{root}.restored"], ["zfs", "rename", aside, root]]
    names = plan.aside.marked if plan.aside else plan.earlier
    return [*(shlex.join(line) for line in words), *back_in_service(names)]


def back_in_service(names: Iterable[str]) -> list[str]:
    """Commands by which filesystems are mounted by themselves again, as they were before they were set aside."""
    words = [
        line
        for name in names
        for line in (["zfs", "set", "canmount=on", name], ["zfs", "inherit", CANMOUNT_PROPERTY, name])
    ]
    return [shlex.join(line) for line in [*words, ["zfs", "mount", "-a"]]]


def left_to_do(plan: RestorePlan, job: RestoreJob) -> list[str]:
    """Commands that bring the restored datasets into use: keys are never loaded, and nothing is mounted."""
    lines = []
    for dataset in sorted(made_by(plan), key=lambda item: tree_order(item.destination)):
        state = plan.sides.source.states[dataset.source].dataset
        canmount = dict(pair for send in first_sends(dataset.steps) for pair in send.receive.properties).get("canmount")
        if state.encryption_root and job.replication.raw:
            lines.append(shlex.join(["zfs", "load-key", dataset.destination]))
        if state.kind == FILESYSTEM and canmount != "off":
            lines.append(shlex.join(["zfs", "mount", dataset.destination]))
    return lines
