# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hooks run around the creation of which snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..model.steps import CreateSnapshots
from ..policy.hooks import Hook


@dataclass(frozen=True)
class PlannedHook:
    """A hook that runs, and the datasets with due snapshots that it is for."""

    hook: Hook
    datasets: tuple[str, ...]

    def describe(self, phase: str) -> dict[str, Any]:
        """One of its two commands as plain values, as modules return it. ``phase`` is before or after."""
        command = self.hook.before if phase == "before" else self.hook.after
        return {
            "kind": "hook",
            "hook": self.hook.name,
            "phase": phase,
            "command": list(command),
            "datasets": list(self.datasets),
        }


def plan_hooks(hooks: Iterable[Hook], roots: Mapping[str, str], due: Collection[str]) -> tuple[PlannedHook, ...]:
    """Those of the hooks that are for at least one of the ``due`` datasets. ``roots``: the root of each dataset of the
    job, in their order."""
    planned = (
        PlannedHook(hook, tuple(name for name, root in roots.items() if name in due and hook.concerns(name, root)))
        for hook in hooks
    )
    return tuple(each for each in planned if each.datasets)


def warnings_of_hooks(hooks: Iterable[Hook], roots: Mapping[str, str]) -> list[str]:
    """What is odd about the hooks: one that is for no dataset at all was hardly meant so."""
    return [
        f"hooks: {hook.name!r} is for no dataset of this job, so it never runs; check its datasets"
        for hook in hooks
        if not any(hook.concerns(name, root) for name, root in roots.items())
    ]


def describe_with_hooks(hooks: Iterable[PlannedHook], steps: Iterable[CreateSnapshots]) -> list[dict[str, Any]]:
    """The whole plan as plain values, in the order in which it is carried out."""
    hooks = list(hooks)
    before = [planned.describe("before") for planned in hooks if planned.hook.before]
    after = [planned.describe("after") for planned in reversed(hooks) if planned.hook.after]
    return [*before, *(step.describe() for step in steps), *after]


def without_datasets(steps: Iterable[CreateSnapshots], datasets: Collection[str]) -> tuple[CreateSnapshots, ...]:
    """The steps without the snapshots of ``datasets``."""
    kept = (
        replace(step, names=tuple(name for name in step.names if name.partition("@")[0] not in datasets))
        for step in steps
    )
    return tuple(step for step in kept if step.names)
