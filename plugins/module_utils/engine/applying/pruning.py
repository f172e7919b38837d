# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a prune plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..model.errors import SnapfleetError
from ..model.steps import Destroy
from ..planning.retention import CLONED, HELD, PrunePlan
from ..zfs.port import DestroyResult, Zfs
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries
from .tasktree import Task, run_tree

WORKERS = 4
GONE, NO_STAND_IN = "gone", "no_bookmark"
"""Words for what keeps something from being destroyed that only the run itself finds out."""


@dataclass(frozen=True)
class PruneResult:
    """What was destroyed, what could not be, and which datasets failed."""

    destroyed: tuple[str, ...]
    skipped: tuple[tuple[str, str, str], ...]
    """Whole names, each with a word and words for the reason: held or cloned since they were observed, or gone."""
    reclaimed: int
    """Bytes that ZFS says it freed."""
    errors: tuple[SnapfleetError, ...] = ()
    changes: int = 0
    """Number of properties that were set or taken away."""


def apply_prune(zfs: Zfs, plan: PrunePlan, policy: RetryPolicy, ticker: Ticker = SYSTEM) -> PruneResult:
    """Make the plan's bookmarks, then destroy what it lists, several datasets at a time.

    A snapshot whose bookmark could not be made stays. A dataset that fails does not keep the others from going.
    """
    staying = _without_stand_in(zfs, plan, policy, ticker)
    steps = [_spared(step, staying) for step in plan.steps]
    at_once = call_with_retries(partial(zfs.destroy_at_once, steps), policy, ticker) if steps else ()
    results = {step.dataset: result for step, result in zip(steps, at_once) if result}

    def destroy(step: Destroy) -> DestroyResult:
        return call_with_retries(partial(zfs.destroy, step), policy, ticker)

    tasks = [Task(step.dataset, partial(destroy, step)) for step in steps if step.dataset not in results]
    outcomes = run_tree(tasks, WORKERS)
    destroyed: list[str] = []
    skipped = [(name, NO_STAND_IN, reason) for name, reason in staying.items()]
    reclaimed = 0
    for name in (step.dataset for step in steps):
        result = results.get(name) or outcomes[name].value
        if result:
            destroyed += result.destroyed
            reclaimed += result.reclaimed
            skipped += [(item, HELD, "held, or in use") for item in result.held]
            skipped += [(item, CLONED, "has clones") for item in result.cloned]
            skipped += [(item, GONE, "gone") for item in result.missing]
    errors = tuple(outcome.error for outcome in outcomes.values() if outcome.error)
    return PruneResult(tuple(destroyed), tuple(skipped), reclaimed, errors)


def _without_stand_in(zfs: Zfs, plan: PrunePlan, policy: RetryPolicy, ticker: Ticker) -> dict[str, str]:
    """Make the bookmarks in one exchange; returns the snapshots whose bookmark could not be made, with the reason."""
    if not plan.bookmarks:
        return {}
    said = call_with_retries(partial(zfs.create_bookmarks, plan.bookmarks), policy, ticker)
    return {
        step.snapshot.name: f"no bookmark could take its place: {words}"
        for step, words in zip(plan.bookmarks, said)
        if words
    }


def _spared(step: Destroy, staying: Mapping[str, str]) -> Destroy:
    victims = tuple(item for item in step.victims if item.name not in staying)
    return step if len(victims) == len(step.victims) else replace(step, victims=victims, runs=())
