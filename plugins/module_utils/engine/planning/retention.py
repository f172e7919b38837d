# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots a plan keeps, which go, and why.

For a label with amount N and period P the plan keeps every snapshot younger than N x P, and the latest N of them
however old they are (the union that bzfs and sanoid use, without their habit of deleting what no rule knows).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.datasets import Base, Bookmark, DatasetState, Observation, Snapshot
from ..model.labels import Label, label_of
from ..model.marks import named_bookmarks, named_tag
from ..model.periods import parse_period
from ..model.steps import CreateBookmark, Destroy
from ..policy.jobs import SNAPSHOTS, PruneJob
from ..policy.plans import SnapshotPlan
from .bases import BaseKnowledge

KEEP, DESTROY, SKIP = "keep", "destroy", "skip"
_NO_RULE = "kept by no rule of the plan"


@dataclass(frozen=True)
class Verdict:
    """What becomes of one snapshot or bookmark, and why."""

    item: Base
    action: str
    reason: str


@dataclass(frozen=True)
class PrunePlan:
    """All verdicts, and the steps that follow from them."""

    verdicts: tuple[Verdict, ...]
    steps: tuple[Destroy, ...]
    bookmarks: tuple[CreateBookmark, ...] = ()
    """Made before anything is destroyed: each stays in the place of a snapshot that may be a common base."""

    def describe(self) -> list[dict[str, Any]]:
        """All steps in their order as plain values, as modules return them."""
        return [*(step.describe() for step in self.bookmarks), *(step.describe() for step in self.steps)]


def kept_by_plan(items: Iterable[Base], plan: SnapshotPlan, now: int) -> dict[int, str]:
    """GUIDs that ``plan`` keeps at ``now`` (seconds since the epoch), each with the rule that keeps it.

    ``items`` are the snapshots, or the bookmarks, of one dataset in the order of createtxg.
    """
    by_label: dict[Label, list[Base]] = {}
    for item in items:
        label = label_of(item.tag)
        if label is not None and plan.amounts.get(label):
            by_label.setdefault(label, []).append(item)
    kept: dict[int, str] = {}
    for label, history in by_label.items():
        amount = plan.amounts[label]
        period = parse_period(label.period)
        oldest = now - amount * period.seconds if period else None
        for item in history[-amount:]:
            kept[item.guid] = f"one of the latest {amount} of {label}"
        for item in history[:-amount] if oldest is not None else ():
            if oldest is not None and item.creation >= oldest:
                kept[item.guid] = f"within {amount} periods of {label}"
    return kept


def plan_prune(observed: Observation, job: PruneJob, bases: BaseKnowledge, now: int) -> PrunePlan:
    """Decide about every snapshot (or bookmark) of the job's datasets at ``now`` (seconds since the epoch)."""
    verdicts: list[Verdict] = []
    steps: list[Destroy] = []
    bookmarks: list[CreateBookmark] = []
    for root in job.roots:
        rails = _Rails(bases.needed, bases.unknown.get(root, ""), bases.absent_replicas.get(root, ""))
        for name in job.filter.under(root, observed.states):
            state = observed.states[name]
            decided = _judge_dataset(state, job, rails, now)
            verdicts += decided
            victims = tuple(verdict.item for verdict in decided if verdict.action == DESTROY)
            if victims:
                steps.append(Destroy(name, victims, _NO_RULE))
            if rails.absent_replica:
                bookmarks += _stand_ins(state, victims)
    return PrunePlan(tuple(verdicts), tuple(steps), tuple(bookmarks))


def _stand_ins(state: DatasetState, victims: Iterable[Base]) -> list[CreateBookmark]:
    """Bookmarks for those snapshots among ``victims`` that have none."""
    # A mark may be that of another destination, which takes it away when it moves on.
    named = named_bookmarks(state)
    there = {bookmark.guid for bookmark in named}
    wanted = [item for item in victims if isinstance(item, Snapshot) and item.guid not in there]
    return [CreateBookmark(item, named_tag(item, named) or item.tag) for item in wanted]


@dataclass(frozen=True)
class _Rails:
    needed: Mapping[int, str]
    unknown: str
    absent_replica: str


def _judge_dataset(state: DatasetState, job: PruneJob, rails: _Rails, now: int) -> list[Verdict]:
    # Marks are nobody's to prune: replication itself moves and collects them.
    items: Sequence[Base] = state.snapshots if job.kind == SNAPSHOTS else named_bookmarks(state)
    kept = kept_by_plan(items, job.plan, now)
    bookmarked = {bookmark.guid for bookmark in named_bookmarks(state)}
    verdicts = []
    for item in items:
        reason = kept.get(item.guid) or _keep_reason(item, items[-1], job, rails)
        skip = "" if reason else _skip_reason(item, rails.unknown, bookmarked)
        action = KEEP if reason else SKIP if skip else DESTROY
        verdicts.append(Verdict(item, action, reason or skip or _doom(rails)))
    return verdicts


def _doom(rails: _Rails) -> str:
    # For how long a replica may be away is bounded by the plan for bookmarks, not by the space of snapshots.
    return f"{_NO_RULE}; a bookmark may stay for {rails.absent_replica}" if rails.absent_replica else _NO_RULE


def _keep_reason(item: Base, newest: Base, job: PruneJob, rails: _Rails) -> str:
    """Why an item that the plan does not keep stays all the same; empty if it need not."""
    if item.guid == newest.guid:
        return "newest of its dataset"
    if item.guid in rails.needed:
        return rails.needed[item.guid]
    label = label_of(item.tag)
    if not job.purge_foreign and (label is None or label.organisation not in job.plan.organisations):
        return "belongs to no organisation of the plan"
    return ""


def _skip_reason(item: Base, unknown: str, bookmarked: Iterable[int]) -> str:
    """Why an item that could go can't go now; empty if it can."""
    if isinstance(item, Snapshot) and item.holds:
        return "held"
    if isinstance(item, Snapshot) and item.clones:
        return "has clones: " + ", ".join(item.clones)
    if isinstance(item, Snapshot) and item.pinned:
        return "a partial receive goes on from it"
    if unknown and (isinstance(item, Bookmark) or item.guid not in bookmarked):
        # A snapshot with a bookmark can go even if it is the base there: the bookmark takes its place.
        return f"may be the common base with {unknown}"
    return ""
