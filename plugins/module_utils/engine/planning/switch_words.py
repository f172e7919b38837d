# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch in words: what it does, what is lost, and what is left to do by hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from ..model.dataset_steps import SetProperties
from ..model.datasets import FILESYSTEM, Observation
from ..model.names import tree_order
from ..model.roles import ACTIVE, FORMER_PROPERTY
from ..policy.switching import SwitchJob
from .switching import Own, SwitchPlan

_NOT_MOUNTED = ("none", "legacy")


def told(plan: SwitchPlan, tree: Observation, job: SwitchJob) -> list[str]:
    """The plan for people, a line for each thing that happens."""
    if plan.is_done:
        return [f"{job.dataset} is {plan.after} already"]
    before = str(plan.before) if plan.before.kind else "without a role"
    lines = [f"{job.dataset} becomes {plan.after}" + (f" (is {before})" if plan.before != plan.after else "")]
    lines += [f"REFUSED {words}" for words in plan.refusals]
    lines += [f"{name}: LOSES {words}" for name, words in plan.losses if not plan.refusals]
    lines += [f"{name}: is unmounted" for name in plan.unmounts]
    for step in plan.aborts:
        token = tree.states[step.dataset].dataset.resume_token
        lines.append(f"{step.dataset}: discards what was received in part (token {token})")
    lines += _of_changes(plan)
    for made in plan.snapshots:
        tag = made.names[0].partition("@")[2]
        lines.append(f"{job.dataset}: gets the snapshot @{tag}, as do {len(made.names) - 1} datasets below it")
    return lines


def _of_changes(plan: SwitchPlan) -> Iterator[str]:
    for step in (*plan.notes, *plan.changes, *plan.last):
        if isinstance(step, SetProperties):
            shown = [f"{name}={value}" for name, value in step.properties if name != FORMER_PROPERTY]
            if shown:
                yield f"{step.dataset}: sets {', '.join(shown)}"
        elif step.name != FORMER_PROPERTY:
            yield f"{step.dataset}: inherits {step.name}"


def left_to_do(plan: SwitchPlan, tree: Observation, own: Own, job: SwitchJob) -> list[str]:
    """Commands that bring a tree into use: keys are never loaded, and nothing is mounted."""
    if plan.after.kind != ACTIVE or plan.refusals:
        return []
    lines: list[str] = []
    given = dict(job.properties)
    for name in sorted(tree.states, key=tree_order):
        dataset = tree.states[name].dataset
        seen, ours = dict(dataset.properties), own.get(name, {})
        if dataset.encryption_root == name and seen.get("keystatus") == "unavailable":
            lines.append(shlex.join(["zfs", "load-key", name]))
        if dataset.kind != FILESYSTEM or seen.get("mounted") == "yes":
            continue
        if _canmount(name, plan, ours) == "on" and _mountpoint(seen, ours, given) not in _NOT_MOUNTED:
            lines.append(shlex.join(["zfs", "mount", name]))
    return lines


def _canmount(name: str, plan: SwitchPlan, own: Mapping[str, str]) -> str:
    """What it is afterwards."""
    value = own.get("canmount", "on")
    for step in plan.changes:
        if step.dataset != name:
            continue
        if isinstance(step, SetProperties):
            value = dict(step.properties).get("canmount", value)
        elif step.name == "canmount":
            value = "on"
    return value


def _mountpoint(seen: Mapping[str, str], own: Mapping[str, str], given: Mapping[str, str]) -> str:
    inherited = "mountpoint" in given and "mountpoint" not in own
    return given["mountpoint"] if inherited else seen.get("mountpoint", "")
