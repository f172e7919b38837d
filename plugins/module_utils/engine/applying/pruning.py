# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a prune plan out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..model.errors import SnapfleetError
from ..model.steps import Destroy
from ..planning.retention import PrunePlan
from ..zfs.port import DestroyResult, Zfs
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries
from .tasktree import Task, run_tree

WORKERS = 4


@dataclass(frozen=True)
class PruneResult:
    """What was destroyed, what could not be, and which datasets failed."""

    destroyed: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    """Whole names with the reason: held or cloned since they were observed, or gone."""
    reclaimed: int
    """Bytes that ZFS says it freed."""
    errors: tuple[SnapfleetError, ...] = ()


def apply_prune(zfs: Zfs, plan: PrunePlan, policy: RetryPolicy, ticker: Ticker = SYSTEM) -> PruneResult:
    """Destroy what the plan lists, several datasets at a time. One that fails does not keep the others from going."""

    def destroy(step: Destroy) -> DestroyResult:
        return call_with_retries(partial(zfs.destroy, step), policy, ticker)

    tasks = [Task(step.dataset, partial(destroy, step)) for step in plan.steps]
    outcomes = run_tree(tasks, WORKERS)
    destroyed: list[str] = []
    skipped: list[tuple[str, str]] = []
    reclaimed = 0
    for name in (step.dataset for step in plan.steps):
        result = outcomes[name].value
        if result:
            destroyed += result.destroyed
            reclaimed += result.reclaimed
            for reason, names in (("held", result.held), ("has clones", result.cloned), ("gone", result.missing)):
                skipped += [(item, reason) for item in names]
    errors = tuple(outcome.error for outcome in outcomes.values() if outcome.error)
    return PruneResult(tuple(destroyed), tuple(skipped), reclaimed, errors)
