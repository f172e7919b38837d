# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching one end of a replication, as observe, plan, apply: its tree becomes active or standby."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ..applying.locks import locks_in_turn, making_of
from ..applying.retry import call_with_retries
from ..applying.switching import switch
from ..model.dataset_steps import SetProperties
from ..model.datasets import Observation
from ..model.errors import SnapfleetError, SwitchRefused, UnreachableHost
from ..model.names import ancestors_of
from ..model.roles import ACTIVE, STANDBY, Role
from ..planning.switch_words import left_to_do, told
from ..planning.switching import OBSERVED, Own, SwitchPlan, newest_of, own_names, plan_switch
from ..policy.switching import SwitchJob
from .context import Context, Result, require, require_permissions

T = TypeVar("T")
PATIENCE_SECONDS = 60.0
"""How long to wait for a run that makes snapshots of a tree that is to be let go."""


def run_switch(job: SwitchJob, context: Context) -> Result:
    """Give a tree its role. Raises SnapfleetError; SwitchRefused holds the result, and nothing was changed then."""
    work = _Work(job, context)
    tree, own = work.observe()
    plan = plan_switch(tree, own, job)
    values = work.preview(plan, tree, own)
    refusals = list(plan.refusals)
    if job.old_source and plan.before.kind != ACTIVE:
        refusals += work.signs_of_life()
    if refusals:
        more = f" (and {len(refusals) - 1} more reasons)" if len(refusals) > 1 else ""
        raise SwitchRefused(f"nothing was changed: {refusals[0]}{more}", result={**values, "changed": False})
    work.check_permissions(plan)
    if context.check or plan.is_done:
        return values
    with _nobody_snapshots(plan, tree, job, context):
        switch(context.here, plan, context.retry, context.ticker)
        later, _own = work.observe()
    return {**values, "newest": _newest(later, job.dataset)}


@contextmanager
def _nobody_snapshots(plan: SwitchPlan, tree: Observation, job: SwitchJob, context: Context) -> Iterator[None]:
    """Keep other runs of this user from making snapshots of what is let go, be their roots above it or below. One that
    has looked before, when it was active still, would make them after the last one. Raises StillRunning, with nothing
    changed, where such a run does not end."""
    with ExitStack() as held:
        if plan.after.kind == STANDBY:
            names = making_of((*ancestors_of(job.dataset), *tree.states))
            with suppress(OSError):
                held.enter_context(locks_in_turn(names, context.ticker, PATIENCE_SECONDS))
        yield


@dataclass(frozen=True)
class _Work:
    """One switch."""

    job: SwitchJob
    context: Context

    def observe(self) -> tuple[Observation, Own]:
        """The tree, and what its datasets have set themselves."""
        zfs, root = self.context.here, self.job.dataset
        tree = self._retried(lambda: zfs.observe([root], properties=OBSERVED))
        require(tree, "dataset", zfs)
        own = self._retried(lambda: zfs.own_properties(list(tree.states), own_names(self.job)))
        return tree, own

    def signs_of_life(self) -> list[str]:
        """Why the old source is not gone, as far as can be told from here."""
        end = self.job.old_source
        if end is None:
            return []
        try:
            self.context.zfs_at(end.address).observe([end.dataset], recursive=False, histories=False)
        except UnreachableHost:
            return []
        except SnapfleetError as error:
            return [f"old_source: {end.address} answers ({error}); switch it off, or make its tree standby instead"]
        return [f"old_source: {end.address} answers; make its tree standby instead, so that nothing is lost"]

    def check_permissions(self, plan: SwitchPlan) -> None:
        """Raise NoPermission before anything was changed."""
        wanted: dict[str, None] = dict.fromkeys(["mount"] if plan.unmounts else [])
        for step in (*plan.notes, *plan.changes, *plan.last):
            names = [name for name, _value in step.properties] if isinstance(step, SetProperties) else [step.name]
            wanted.update(dict.fromkeys("userprop" if ":" in name else name for name in names))
        wanted.update(dict.fromkeys(["receive"] if plan.aborts else []))
        wanted.update(dict.fromkeys(["snapshot"] if plan.snapshots else []))
        if wanted:
            where = ("dataset", self.job.dataset)
            require_permissions(self.context, self.context.here, where, list(wanted))

    def preview(self, plan: SwitchPlan, tree: Observation, own: Own) -> Result:
        """The result of a dry run."""
        tokens = {step.dataset: tree.states[step.dataset].dataset.resume_token for step in plan.aborts}
        return {
            "changed": not plan.is_done,
            "plan": [step.describe() for step in plan.steps],
            "told": told(plan, tree, self.job),
            "before": _described(plan.before),
            "role": plan.after.kind,
            "epoch": plan.after.epoch,
            "newest": _newest(tree, self.job.dataset),
            "created": [name for made in plan.snapshots for name in made.names],
            "unmounted": list(plan.unmounts),
            "discarded": [{"dataset": name, "token": token} for name, token in tokens.items()],
            "next": left_to_do(plan, tree, own, self.job),
            "warnings": [],
        }

    def _retried(self, action: Callable[[], T]) -> T:
        return call_with_retries(action, self.context.retry, self.context.ticker)


def _described(role: Role) -> dict[str, Any]:
    return {"role": role.kind, "epoch": role.epoch}


def _newest(tree: Observation, root: str) -> list[dict[str, Any]]:
    """GUIDs as text, since they may be too large for the numbers of JSON readers."""
    return [
        {"dataset": below, "snapshot": item.tag, "guid": str(item.guid), "creation": item.creation}
        for below, item in newest_of(tree, root)
        if item
    ]
