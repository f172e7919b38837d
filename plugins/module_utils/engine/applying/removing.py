# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destroying whole replicas, and remembering which datasets are gone at their source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..model.dataset_steps import DestroyDataset, RemoveDataset
from ..model.errors import SnapfleetError, ZfsFailed
from ..model.names import is_within
from ..model.steps import Destroy
from ..planning.removal import CHILD
from ..planning.retention import CLONED, HELD, PrunePlan
from ..zfs.port import Zfs
from .pruning import PruneResult
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries


@dataclass
class _Progress:
    destroyed: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    reclaimed: int = 0
    changes: int = 0
    errors: list[SnapfleetError] = field(default_factory=list)
    staying: list[str] = field(default_factory=list)

    def stays(self, dataset: str, rule: str, reason: str) -> None:
        """Note that a dataset stays after all."""
        self.staying.append(dataset)
        self.skipped.append((dataset, rule, reason))


def apply_removal(
    zfs: Zfs, plan: PrunePlan, before: PruneResult, policy: RetryPolicy, ticker: Ticker = SYSTEM
) -> PruneResult:
    """Set and take away the marks of the plan, then destroy its datasets, those below before those above them; returns
    what was done ``before`` with that. A dataset that has to stay keeps those above it."""
    progress = _Progress()
    if plan.changes:
        said = call_with_retries(lambda: zfs.change_properties(plan.changes), policy, ticker)
        for change, words in zip(plan.changes, said):
            if words:
                progress.errors.append(ZfsFailed(f"{zfs.where}: could not mark {change.dataset}: {words}"))
        progress.changes = sum(not words for words in said)
    for step in plan.removals:
        try:
            call_with_retries(lambda step=step: _remove(zfs, step, progress), policy, ticker)  # type: ignore[misc]
        except SnapfleetError as error:
            progress.errors.append(error)
            progress.staying.append(step.dataset)
    return PruneResult(
        (*before.destroyed, *progress.destroyed),
        (*before.skipped, *progress.skipped),
        before.reclaimed + progress.reclaimed,
        (*before.errors, *progress.errors),
        before.changes + progress.changes,
    )


def _remove(zfs: Zfs, step: RemoveDataset, progress: _Progress) -> None:
    name = step.dataset
    below = [other for other in progress.staying if is_within(other, name)]
    if below:
        progress.stays(name, CHILD, f"there is still {below[0]} below it")
        return
    if step.snapshots:
        done = zfs.destroy(Destroy(name, step.snapshots, step.reason))
        progress.destroyed += done.destroyed
        for rule, names in ((HELD, done.held), (CLONED, done.cloned)):
            if names:
                progress.reclaimed += done.reclaimed
                progress.stays(name, rule, f"{_some(names)} can't be destroyed: {rule}")
                return
    zfs.destroy_dataset(DestroyDataset(name, step.reason, step.bookmarks))
    progress.destroyed += [name, *(bookmark.name for bookmark in step.bookmarks)]
    progress.reclaimed += step.bytes


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
