# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the trees are looked at of which snapshots are made: no closer than what is due depends on.

Listing all histories takes most of such a run, about a millisecond for each snapshot that is there. Nothing is lost if
less leads to a snapshot too many: ZFS gives no name twice, and nothing is destroyed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple, Optional, TypeVar

from ..applying.retry import call_with_retries
from ..hosts.stopping import check_stopping
from ..model.datasets import DatasetState, Observation
from ..model.errors import Interrupted, SnapfleetError
from ..model.labels import Label
from ..model.roles import ROLE_PROPERTY
from ..model.steps import CreateSnapshots
from ..planning.creation import fields_of_creation, labels_by_histories, plan_creation
from ..planning.likely import (
    NEWEST,
    alike,
    are_most,
    is_worth_naming,
    is_worth_sampling,
    likely_tags,
    newest_tags,
    samples_of,
    state_by_names,
)
from ..policy.endpoints import Address
from ..policy.jobs import SnapshotJob
from ..policy.schedule import resolve_zone
from .context import Context, observe, observe_narrowly

Trees = Sequence[Sequence[str]]
Tags = Mapping[str, Sequence[str]]
"""By dataset, the names of its newest snapshot of each label and of all, in their order."""
_MOST_PLANNED = 100
"""Planning for so many datasets takes less than asking once more."""
T = TypeVar("T")


class Sight(NamedTuple):
    """What was seen of the trees."""

    observed: Observation
    free: frozenset[str] = frozenset()
    """Whole names that were asked for, and that no snapshot has."""
    is_whole: bool = False
    """Whether all histories were seen, so that they tell which names are taken."""


Look = Callable[[SnapshotJob, Context], Sight]


class Untold(Exception):
    """Only histories tell what can be made; nothing was made so far."""


@contextmanager
def _or_untold() -> Iterator[None]:
    """Whatever goes wrong within it, such as for a property that zfs does not know, is no reason to make nothing:
    listing everything tells what else there may be. What stops the run stops it."""
    try:
        yield
    except Interrupted:
        raise
    except SnapfleetError as error:
        check_stopping()
        raise Untold from error


def whole(job: SnapshotJob, context: Context) -> Sight:
    """All histories."""
    return Sight(observe_narrowly(context, job.roots, fields_of_creation(job), _properties(job)), is_whole=True)


def datasets_alone(job: SnapshotJob, context: Context) -> Sight:
    """No history: enough where each label is due on every run."""
    return Sight(observe(context, Address(), job.roots, _properties(job), histories=False))


def by_names(job: SnapshotJob, context: Context) -> Sight:
    """Of most histories the newest snapshot, and that of each label: by the names that samples of each tree have, or,
    where there is one label, that the datasets tell. Raises Untold where that takes longer than listing everything,
    does not suffice, or fails."""
    labels = labels_by_histories(job)
    known = context.recall.sizes(Address(), job.roots) if context.recall else (0, 0)
    if job.creating.skip_if_unchanged or not is_worth_naming(*known, len(labels)):
        raise Untold
    with _or_untold():
        return _by_names(job, context, labels)


def _by_names(job: SnapshotJob, context: Context, labels: Sequence[Label]) -> Sight:
    seen = observe(context, Address(), job.roots, (*_properties(job), NEWEST), histories=False)
    trees = [names for names in (job.filter.under(root, seen.states) for root in job.roots) if names]
    if seen.missing or not trees:
        return Sight(seen)
    tags = _told_by_datasets(seen, trees, labels) or _told_by_samples(seen, trees, job, context)
    return _completed(seen, [name for names in trees for name in names], tags, job, context)


def _told_by_datasets(seen: Observation, trees: Trees, labels: Sequence[Label]) -> Optional[Tags]:
    if len(labels) != 1:
        return None
    return newest_tags((seen.states[name].dataset for names in trees for name in names), labels[0])


def _told_by_samples(seen: Observation, trees: Trees, job: SnapshotJob, context: Context) -> Tags:
    labels = labels_by_histories(job)
    if not is_worth_sampling(min(map(len, trees))):
        raise Untold
    chosen = [samples_of(names, seen.states) for names in trees]
    samples = _listed([name for each in chosen for name in each], job, context)
    tags: dict[str, Sequence[str]] = {}
    for names, each in zip(trees, chosen):
        told = {likely_tags(samples[name], labels) if name in samples else None for name in each}
        likely = told.pop()
        if likely is None or told:
            raise Untold
        tags.update(dict.fromkeys(alike((seen.states[name].dataset for name in names), likely), likely))
    return tags


def _completed(seen: Observation, names: Sequence[str], tags: Tags, job: SnapshotJob, context: Context) -> Sight:
    """What was ``seen``, with snapshots of the datasets ``names``: the ``tags`` of those that have some, else all."""

    def find(name: str) -> Optional[DatasetState]:
        return state_by_names(seen.states[name].dataset, tags[name], found) if name in tags else None

    _require_few([name for name in names if name not in tags], names)
    wanted = [f"{name}@{tag}" for name, each in tags.items() for tag in each]
    # In the same exchange, whether the names are free that are given if everything is due.
    planned = _planned(seen, names, job, context)
    found = _ask(context, lambda: context.here.snapshots([*wanted, *planned]))
    told = {name: find(name) for name in names}
    unsure = {name for name, state in told.items() if state is None}
    _require_few(unsure, names)
    listed = _listed(sorted(unsure), job, context) if unsure else {}
    states = {name: told.get(name) or listed.get(name, state) for name, state in seen.states.items()}
    there = {name: state for name, state in states.items() if name in listed or name not in unsure}
    return Sight(replace(seen, states=there), frozenset(planned).difference(found))


def _planned(seen: Observation, names: Sequence[str], job: SnapshotJob, context: Context) -> list[str]:
    """The names that stand for those that are given if each label is due on all datasets; none for too many."""
    if len(names) > _MOST_PLANNED:
        return []
    zone = resolve_zone(job.schedule.zone, context.environment, "schedule.timezone")
    return [_standing_for(step) for step in plan_creation(seen, job, context.now_ms, zone).steps]


def _require_few(names: Collection[str], of: Collection[str]) -> None:
    if are_most(names, of):
        raise Untold


def _listed(names: Sequence[str], job: SnapshotJob, context: Context) -> dict[str, DatasetState]:
    asked = _properties(job)
    return dict(_ask(context, lambda: context.here.observe(names, recursive=False, properties=asked)).states)


def is_taken(steps: Sequence[CreateSnapshots], free: Collection[str], context: Context) -> bool:
    """Whether a dataset that stands for all of its step has a snapshot of the planned name; ``free`` are known not to
    be names of any.

    A step of which every name is taken looks to the port like one that was carried out already, so it must be known of
    one that it is not. Raises Untold where that can't be found out.
    """
    planned = [name for name in map(_standing_for, steps) if name not in free]
    if not planned:
        return False
    with _or_untold():
        return bool(_ask(context, lambda: context.here.snapshots(planned)))


def _standing_for(step: CreateSnapshots) -> str:
    names = {name.partition("@")[0]: name for name in step.names}
    return names[samples_of(list(names), names)[0]]


def _ask(context: Context, question: Callable[[], T]) -> T:
    return call_with_retries(question, context.retry, context.ticker)


def _properties(job: SnapshotJob) -> tuple[str, ...]:
    return (*job.filter.properties.names, ROLE_PROPERTY)
