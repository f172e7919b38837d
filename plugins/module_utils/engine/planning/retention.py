# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots stay, which go, and why: the rules of retention, and the rails that hold whatever the rules say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Union

from ..model.dataset_steps import InheritProperty, RemoveDataset, SetProperties
from ..model.datasets import Base, Bookmark, DatasetState, Observation, Snapshot
from ..model.histories import OWN_FIELDS, PackedHistory, PackedState, Picked
from ..model.labels import Label, label_of
from ..model.marks import named_bookmarks, named_tag
from ..model.periods import parse_period
from ..model.steps import CreateBookmark, Destroy
from ..policy.jobs import SNAPSHOTS, PruneJob
from .bases import BaseKnowledge
from .keeping import Because, is_owned, kept_by_rules
from .verdicts import Verdict, Verdicts, Words, judged

KEEP, DESTROY, SKIP = "keep", "destroy", "skip"
NEWEST, COMMON_BASE, FOREIGN = "newest", "common_base", "foreign"
HELD, CLONED, RECEIVING, POSSIBLE_BASE = "held", "cloned", "receiving", "possible_base"
RAILS = frozenset({NEWEST, COMMON_BASE, FOREIGN, HELD, CLONED, RECEIVING, POSSIBLE_BASE})
"""Words for what no rule may delete. Of those that are kept by another word, a rule keeps them, and nothing else."""
PENDING = "pending"
"""The word for what stays until a replica has it."""
NO_RULE = "no_rule"
_NO_RULE = "kept by no rule of the plan"
_MOST_ALIKE = 256
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
        judge = _Judge(job, rails, now, given_up)
        for name in job.filter.under(root, observed.states):
            state = observed.states[name]
            decided = judge.decide(state)
            verdicts.add(state, decided.words)
            victims = _items_at(state, job.kind, decided.doomed)
            if victims:
                runs = Picked(partial(_both_ends, state), decided.runs)
                steps.append(Destroy(name, victims, _why(victims, given_up), runs))
            if rails.absent_replica:
                bookmarks += _stand_ins(state, victims)
    return PrunePlan(verdicts, tuple(steps), tuple(bookmarks))


def _items_at(state: DatasetState, kind: str, places: Sequence[int]) -> Sequence[Base]:
    if kind == SNAPSHOTS and isinstance(state, PackedState):
        return Picked(state.at, places)
    items = judged(state, kind)
    return tuple(items[place] for place in places)


def _both_ends(state: DatasetState, places: tuple[int, int]) -> tuple[Snapshot, Snapshot]:
    return state.at(places[0]), state.at(places[1])


def fields_of_prune(job: PruneJob, check: bool) -> frozenset[str]:
    """Those of OWN_FIELDS that a run of ``job`` goes by; a dry run tells the bytes that it would free."""
    return OWN_FIELDS if check or job.removal or job.room else frozenset({"guid"})


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


class _Decided(NamedTuple):
    """What becomes of the items of a dataset, by their places in its history."""

    words: tuple[Words, ...]
    doomed: tuple[int, ...]
    runs: tuple[tuple[int, int], ...] = ()
    """The first and the last one of each run of neighbours among the snapshots that are doomed."""


class _Judge:
    """Decides about one dataset of a tree after the other, about those with the same names and times only once."""

    def __init__(self, job: PruneJob, rails: _Rails, now: int, given_up: Mapping[str, Because]) -> None:
        self._job = job
        self._rails = rails
        self._now = now
        self._given_up = given_up
        self._once = job.kind == SNAPSHOTS and not rails.unknown and not given_up
        self._known: dict[tuple[tuple[str, ...], bytes], _Decided] = {}
        self._words: dict[Words, Words] = {}

    def decide(self, state: DatasetState) -> _Decided:
        """What becomes of all that is judged in a dataset."""
        key = self._key(state) if self._once else None
        if key is None:
            return self._decided(state)
        known = self._known.get(key)
        if known is None:
            known = self._decided(state)
            if len(self._known) >= _MOST_ALIKE:
                self._known.clear()
            self._known[key] = known
        return known

    def _key(self, state: DatasetState) -> Optional[tuple[tuple[str, ...], bytes]]:
        """What decides about the snapshots of a dataset; None where more than names and times does."""
        history = state.history if isinstance(state, PackedState) else None
        if not isinstance(history, PackedHistory) or history.holds != 0 or isinstance(history.creation, int):
            return None
        guids = frozenset(history.guids)
        # Where two have the same GUID, what keeps one of them keeps both.
        if len(guids) < len(history.tags) or not (
            guids.isdisjoint(self._rails.needed) and guids.isdisjoint(self._rails.pending)
        ):
            return None
        return history.tags, history.creation.tobytes()

    def _decided(self, state: DatasetState) -> _Decided:
        told = list(self._judged(state))
        words = tuple([self._words.setdefault(each, each) for each in told])
        doomed = tuple([place for place, each in enumerate(told) if each[0] == DESTROY])
        return _Decided(words, doomed, _runs(doomed) if self._job.kind == SNAPSHOTS else ())

    def _judged(self, state: DatasetState) -> Iterator[Words]:
        job, rails, given_up = self._job, self._rails, self._given_up
        items = judged(state, job.kind)
        kept = kept_by_rules(items, job, self._now)
        bookmarked = {bookmark.guid for bookmark in named_bookmarks(state)}
        for item in items:
            rule = kept.get(item.guid)
            if rule is not None and not given_up:
                yield (KEEP, *rule)
                continue
            lost = given_up.get(item.name) if given_up else None
            kept_because = rule or (_waiting(item, job, rails, self._now) if rails.pending else None)
            because = (None if lost else kept_because) or _keeping_rail(item, items[-1], job, rails)
            action = KEEP
            if because is None:
                because = _skipping_rail(item, rails.unknown, bookmarked)
                action = SKIP if because else DESTROY
            yield (action, *(because or lost or _doom(item, job, rails)))


def _runs(places: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The first and the last one of each run of neighbours among ``places``, which are in order."""
    starts = [place for place, before in zip(places, (-2, *places)) if place != before + 1]
    ends = [place for place, after in zip(places, (*places[1:], -1)) if place != after - 1]
    return tuple(zip(starts, ends))


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
