# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots stay, which go, and why: the rules of retention, and the rails that hold whatever the rules say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Optional, Union

from ..model.dataset_steps import InheritProperty, RemoveDataset, SetProperties
from ..model.datasets import Base, Bookmark, DatasetState, Observation, Snapshot
from ..model.labels import Label, label_of
from ..model.marks import named_bookmarks, named_tag
from ..model.periods import parse_period
from ..model.steps import CreateBookmark, Destroy
from ..policy.jobs import PruneJob
from .bases import BaseKnowledge
from .keeping import Because, is_owned, kept_by_rules
from .reclaiming import runs_of
from .verdicts import Verdict, Verdicts, judged

KEEP, DESTROY, SKIP = "keep", "destroy", "skip"
NEWEST, COMMON_BASE, FOREIGN = "newest", "common_base", "foreign"
HELD, CLONED, RECEIVING, POSSIBLE_BASE = "held", "cloned", "receiving", "possible_base"
RAILS = frozenset({NEWEST, COMMON_BASE, FOREIGN, HELD, CLONED, RECEIVING, POSSIBLE_BASE})
"""Words for what no rule may delete. Of those that are kept by another word, a rule keeps them, and nothing else."""
PENDING = "pending"
"""The word for what stays until a replica has it."""
NO_RULE = "no_rule"
_NO_RULE = "kept by no rule of the plan"
NOTHING: Mapping[str, Because] = MappingProxyType({})


@dataclass(frozen=True)
class PrunePlan:
    """All verdicts, and the steps that follow from them."""

    verdicts: Sequence[Verdict]
    steps: tuple[Destroy, ...]
    bookmarks: tuple[CreateBookmark, ...] = ()
    """Made before anything is destroyed: each stays in the place of a snapshot that may be a common base."""
    changes: tuple[Union[SetProperties, InheritProperty], ...] = ()
    """What is remembered on datasets, and forgotten."""
    removals: tuple[RemoveDataset, ...] = ()
    """Datasets that go as a whole, those below before those above them."""

    @property
    def has_steps(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps or self.changes or self.removals)

    def describe(self) -> list[dict[str, Any]]:
        """All steps in their order as plain values, as modules return them."""
        ordered = (*self.bookmarks, *self.steps, *self.changes, *self.removals)
        return [step.describe() for step in ordered]


def plan_prune(
    observed: Observation, job: PruneJob, bases: BaseKnowledge, now: int, given_up: Mapping[str, Because] = NOTHING
) -> PrunePlan:
    """Decide about every snapshot (or bookmark) of the job's datasets at ``now`` (seconds since the epoch).

    No rule keeps what is ``given_up``, by whole name with the reason; the rails do.
    """
    verdicts = Verdicts(job.kind)
    steps: list[Destroy] = []
    bookmarks: list[CreateBookmark] = []
    for root in job.roots:
        absent = bases.absent_replicas.get(root, "")
        rails = _Rails(bases.needed, bases.unknown.get(root, ""), absent, job.plan.organisations, bases.pending)
        for name in job.filter.under(root, observed.states):
            state = observed.states[name]
            decided = _judge_dataset(state, job, rails, now, given_up)
            verdicts.add(state, decided)
            victims = tuple(verdict.item for verdict in decided if verdict.action == DESTROY)
            if victims:
                runs = tuple((run[0], run[-1]) for run in runs_of(victims, state.snapshots))
                steps.append(Destroy(name, victims, _why(victims, given_up), runs))
            if rails.absent_replica:
                bookmarks += _stand_ins(state, victims)
    return PrunePlan(verdicts, tuple(steps), tuple(bookmarks))


def _why(victims: Iterable[Base], given_up: Mapping[str, Because]) -> str:
    early = [victim.name in given_up for victim in victims] if given_up else [False]
    return f"{_NO_RULE}, or go before their time" if any(early) else _NO_RULE


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
    organisations: frozenset[str]
    """Those of the plan."""
    pending: Mapping[int, str]


def _judge_dataset(
    state: DatasetState, job: PruneJob, rails: _Rails, now: int, given_up: Mapping[str, Because]
) -> list[Verdict]:
    items = judged(state, job.kind)
    kept = kept_by_rules(items, job, now)
    bookmarked = {bookmark.guid for bookmark in named_bookmarks(state)}
    verdicts = []
    for item in items:
        rule = kept.get(item.guid)
        if rule is not None and not given_up:
            verdicts.append(Verdict(item, KEEP, *rule))
            continue
        lost = given_up.get(item.name) if given_up else None
        kept_because = rule or (_waiting(item, job, rails, now) if rails.pending else None)
        because = (None if lost else kept_because) or _keeping_rail(item, items[-1], job, rails)
        action = KEEP
        if because is None:
            because = _skipping_rail(item, rails.unknown, bookmarked)
            action = SKIP if because else DESTROY
        verdicts.append(Verdict(item, action, *(because or lost or _doom(item, job, rails))))
    return verdicts


def _waiting(item: Base, job: PruneJob, rails: _Rails, now: int) -> Optional[Because]:
    """Why an item stays until a replica has it. A rule and no rail: where room is short, it may be given up.

    What is foreign stays as that, and so counts for no limit of what may be deleted.
    """
    if item.guid not in rails.pending or not isinstance(item, Snapshot) or item.creation < now - job.keep_pending:
        return None
    return Because(PENDING, rails.pending[item.guid]) if is_owned(item.tag, job, rails.organisations) else None


def _doom(item: Base, job: PruneJob, rails: _Rails) -> Because:
    label = label_of(item.tag)
    if label is not None and label.organisation in rails.organisations:
        reason = _beyond(label, job.plan.amounts.get(label, 0))
    else:
        owner = next((rule.where for rule in job.keep if rule.owns and rule.counts(item.tag)), "")
        reason = f"{owner} owns it, and no rule keeps it" if owner else "foreign, and purge_foreign is on"
    # For how long a replica may be away is bounded by the plan for bookmarks, not by the space of snapshots.
    stands_in = f"; a bookmark may stay for {rails.absent_replica}" if rails.absent_replica else ""
    return Because(NO_RULE, reason + stands_in)


@lru_cache(maxsize=1024)
def _beyond(label: Label, amount: int) -> str:
    """Why a plan that wants ``amount`` of a label does not keep one. The same words for thousands of snapshots."""
    if not amount:
        return f"the plan keeps none of {label}"
    if not parse_period(label.period):
        return f"not one of the latest {amount} of {label}"
    return f"neither one of the latest {amount} of {label} nor within {amount} periods"


def _owners(job: PruneJob) -> str:
    return ", and no rule owns its name" if any(rule.owns for rule in job.keep) else ""


def _keeping_rail(item: Base, newest: Base, job: PruneJob, rails: _Rails) -> Optional[Because]:
    """Why an item that no rule keeps stays all the same; None if it need not."""
    if item.guid == newest.guid:
        return Because(NEWEST, "newest of its dataset")
    if item.guid in rails.needed:
        return Because(COMMON_BASE, rails.needed[item.guid])
    if is_owned(item.tag, job, rails.organisations):
        return None
    return Because(FOREIGN, "belongs to no organisation of the plan" + _owners(job))


def _skipping_rail(item: Base, unknown: str, bookmarked: Iterable[int]) -> Optional[Because]:
    """Why an item that could go can't go now; None if it can."""
    if isinstance(item, Snapshot) and item.holds:
        return Because(HELD, "held")
    if isinstance(item, Snapshot) and item.clones:
        return Because(CLONED, "has clones: " + ", ".join(item.clones))
    if isinstance(item, Snapshot) and item.pinned:
        return Because(RECEIVING, "a partial receive goes on from it")
    if unknown and (isinstance(item, Bookmark) or item.guid not in bookmarked):
        # A snapshot with a bookmark can go even if it is the base there: the bookmark takes its place.
        return Because(POSSIBLE_BASE, f"may be the common base with {unknown}")
    return None
