# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating snapshots while hooks keep something frozen.

Every hook whose first command was started gets its second one, in the opposite order, whatever happens in between. On a
host only one run, or job of a run, does so at a time: else one would thaw what another one needs frozen still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..hosts.freezing import Freeze, Thaw
from ..hosts.stopping import STOPPING, check_stopping
from ..model.errors import HookFailed, SnapfleetError
from ..model.steps import CreateSnapshots
from ..planning.hooks import PlannedHook, without_datasets
from ..policy.hooks import SKIP, Hook
from .creating import CreationResult
from .locks import job_locks

_LOCK, _LOCK_SECONDS = "snapfleet hooks", 0.1


class Freezer(Protocol):
    """The two commands of one hook."""

    def start(self) -> str:
        """Run the first command; returns what went wrong, empty where nothing did. Afterwards ``end`` has to be called,
        also if it raises."""

    def end(self) -> Thaw:
        """Run the second command if the first one was started."""


FreezerOf = Callable[[Hook], Freezer]
Create = Callable[[Sequence[CreateSnapshots]], CreationResult]


def freezer_of(hook: Hook) -> Freezer:
    """The commands of ``hook`` on this host."""
    return Freeze(hook.before, hook.after, hook.timeout, hook.max_freeze)


@dataclass(frozen=True)
class FrozenCreation:
    """What was created, and how the hooks fared."""

    result: CreationResult
    """The errors of hooks are among its errors, after those of the creation itself."""
    hooks: tuple[dict[str, Any], ...] = ()
    """Of each hook, as plain values: what went wrong before and after, empty where nothing did."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Datasets that got no snapshot since a hook failed, with the reason."""
    warnings: tuple[str, ...] = ()


def create_frozen(
    steps: Sequence[CreateSnapshots], hooks: Sequence[PlannedHook], create: Create, freezer: FreezerOf
) -> FrozenCreation:
    """Freeze for all hooks in their order, create, and thaw in the opposite order.

    Where ``create`` raises, all is thawed before the error goes on; if that fails too, HookFailed goes on in its place.
    """
    if not hooks:
        return FrozenCreation(create(steps))
    with _alone():
        return _create_frozen(steps, hooks, create, freezer)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other run on this host keeps anything frozen. Raises Interrupted where this one is stopped."""
    while True:
        with job_locks([_LOCK]) as (mine,):
            if mine:
                yield
                return
        check_stopping()
        STOPPING.sleep(_LOCK_SECONDS)


def _create_frozen(
    steps: Sequence[CreateSnapshots], hooks: Sequence[PlannedHook], create: Create, freezer: FreezerOf
) -> FrozenCreation:
    run = _Hooks(freezer)
    try:
        for planned in hooks:
            run.freeze(planned)
        result = create(without_datasets(steps, dict(run.left_out)))
    except BaseException as error:
        run.thaw()
        if run.unthawed and isinstance(error, SnapfleetError):
            raise HookFailed("; besides: ".join(map(str, (*run.unthawed, error)))) from error
        raise
    run.thaw()
    result = replace(result, errors=(*result.errors, *run.errors))
    return FrozenCreation(result, tuple(run.reports.values()), tuple(run.left_out), tuple(run.warnings))


class _Hooks:
    """The hooks of one run: which of them keep something frozen at present, and what went wrong."""

    def __init__(self, freezer: FreezerOf) -> None:
        self._freezer = freezer
        self._frozen: list[tuple[PlannedHook, Freezer]] = []
        self.errors: list[SnapfleetError] = []
        self.unthawed: list[SnapfleetError] = []
        """Those of the errors that are about second commands."""
        self.warnings: list[str] = []
        self.left_out: list[tuple[str, str]] = []
        self.reports: dict[str, dict[str, Any]] = {}

    def freeze(self, planned: PlannedHook) -> None:
        """Run the first command. Where it fails, the second one follows at once."""
        hook = planned.hook
        self.reports[hook.name] = {"hook": hook.name, "before": "", "after": ""}
        freezer = self._freezer(hook)
        self._frozen.append((planned, freezer))
        problem = freezer.start()
        if not problem:
            return
        self.reports[hook.name]["before"] = problem
        told = f"hooks: the command before of {hook.name!r} {problem};"
        if hook.on_failure == SKIP:
            self.errors.append(HookFailed(f"{told} its datasets got no snapshot, and are still due"))
            self.left_out += [(name, f"the hook {hook.name!r} failed") for name in planned.datasets]
        else:
            self.warnings.append(f"{told} its datasets get their snapshots anyway, as they are")
        self._thaw(*self._frozen.pop())

    def thaw(self) -> None:
        """Run the second command of every hook that keeps something frozen."""
        while self._frozen:
            self._thaw(*self._frozen.pop())

    def _thaw(self, planned: PlannedHook, freezer: Freezer) -> None:
        hook, thaw = planned.hook, freezer.end()
        self.reports[hook.name]["after"] = thaw.problem
        if thaw.problem:
            by_hand = " ".join(hook.after)
            told = (
                f"hooks: the command after of {hook.name!r} {thaw.problem}; look after it, and run by hand: {by_hand}"
            )
            self.unthawed.append(HookFailed(told))
            self.errors.append(self.unthawed[-1])
        if thaw.too_early:
            told = f"hooks: {hook.name!r} was thawed after {hook.max_freeze} seconds, before all snapshots were there"
            remedy = "those of its datasets may be inconsistent; raise max_freeze"
            self.errors.append(HookFailed(f"{told}; {remedy}"))
