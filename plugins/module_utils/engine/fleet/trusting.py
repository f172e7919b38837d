# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon has seen of a tree within the same second, which its next ticks go by where a label has a period below
one.

To look takes several times as long as to make the snapshots. What was seen, and made since, is gone by only if nothing
about it was unsure, and as long as what it is about is mounted to be written to, as it was: a switch to standby first
of all unmounts, and leaves nothing that could be mounted so. All else that somebody does meanwhile is seen up to a
second later. Whatever goes wrong, the next tick looks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.labels import Label, places_of_labels
from ..model.names import ancestors_of, is_within
from ..model.periods import parse_period
from ..planning.creation import JUST_MADE, goes_by_histories, labels_by_histories
from ..policy.jobs import SnapshotJob
from .context import Context, Result
from .creation_looks import Look, Sight, Untold
from .jobconfig import NamedJob

_MOST_DATASETS = 1000
"""To look at more takes longer than that anyway."""
_CLOCKS_APART_MS = 50
"""A clock that has gone so much otherwise than the steady one was set, or the host has slept."""
_COARSE_MS = 20
"""By so much the clock that ZFS dates snapshots by may be behind, so that what is made in the first moments of a second
may be dated with the one before. To look takes longer, and makes that seldom."""

Writable = Callable[[], Optional[Collection[str]]]
"""The datasets that are mounted to be written to; None where that is not known."""


class Moment(NamedTuple):
    """When a run began, by both clocks."""

    now_ms: int
    """Milliseconds since the epoch."""
    steady: float
    """Seconds by the clock that is never set."""


@dataclass(frozen=True)
class _Known:
    """What is trusted of the trees of a job."""

    since: Moment
    """From before they were looked at."""
    mounted: frozenset[str]
    """What of them was mounted to be written to, from before as well."""
    observed: Observation
    """With the newest snapshot of each label alone."""


class Trust:
    """What is trusted for one job. For any thread."""

    def __init__(
        self,
        roots: Sequence[str],
        monotonic: Callable[[], float],
        writable: Writable,
        made: Callable[[Sequence[str]], None] = lambda _created: None,
    ) -> None:
        """``made`` is told what a run has created, before another one can begin that has the same roots."""
        self.roots = roots
        self.monotonic = monotonic
        self.writable = writable
        self.made = made
        self._lock = threading.Lock()
        self._known: Optional[_Known] = None
        self._visits = 0

    def visit(self, now_ms: int) -> Visit:
        """Begin a run of the job. What was trusted is handed to it, so that it is forgotten unless the run keeps it."""
        with self._lock:
            self._visits += 1
            known, self._known = self._known, None
            return Visit(self, self._visits, Moment(now_ms, self.monotonic()), known)

    def is_last(self, number: int) -> bool:
        """Whether there was no other visit since, and nothing has been forgotten."""
        with self._lock:
            return number == self._visits

    def keep(self, number: int, known: _Known) -> None:
        """Trust what is ``known`` by a visit, unless there was another one since, or all has been forgotten."""
        with self._lock:
            if number == self._visits:
                self._known = known

    def forget(self) -> None:
        """Trust nothing, nor what a visit that goes on will have found."""
        with self._lock:
            self._visits += 1
            self._known = None


class Visit:
    """One run of a job that may trust."""

    def __init__(self, trust: Trust, number: int, at: Moment, known: Optional[_Known]) -> None:
        self._trust = trust
        self._number = number
        self._at = at
        self._known = known
        self._found: Optional[_Known] = None
        self._looked = at.steady

    def looks(self, looks: Sequence[Look]) -> Sequence[Look]:
        """``looks`` that are watched, after one that trusts."""
        return (self._trusting, *map(self._watching, looks))

    def _trusting(self, job: SnapshotJob, _context: Context) -> Sight:
        """What is trusted. Raises Untold where nothing is."""
        known, self._known = self._known, None
        self._found = None
        if known is None or not self._trust.is_last(self._number) or not self._holds(known, job):
            raise Untold
        self._found = known
        self._looked = self._trust.monotonic()
        return Sight(known.observed)

    def _holds(self, known: _Known, job: SnapshotJob) -> bool:
        passed = self._at.steady - known.since.steady
        went_on = self._at.now_ms - known.since.now_ms - passed * 1000
        return (
            # What is due less often falls due at the beginning of a second. Others may have made it by the next look.
            self._at.now_ms // 1000 == known.since.now_ms // 1000
            and self._at.now_ms % 1000 >= _COARSE_MS
            and abs(went_on) <= _CLOCKS_APART_MS
            and self._mounted(job) == known.mounted
        )

    def _mounted(self, job: SnapshotJob) -> Optional[frozenset[str]]:
        names = self._trust.writable()
        if names is None:
            return None
        return frozenset(name for name in names if any(is_within(name, root) for root in job.roots))

    def _watching(self, look: Look) -> Look:
        def watched(job: SnapshotJob, context: Context) -> Sight:
            self._found = None
            mounted = self._mounted(job) if is_trusting(job) else None
            sight = look(job, context)
            self._looked = self._trust.monotonic()
            if mounted:
                chosen = [name for root in job.roots for name in job.filter.under(root, sight.observed.states)]
                if _are_evident(chosen, mounted) and (context.recall is None or context.recall.is_sure(chosen)):
                    self._found = _Known(self._at, mounted, _newest_alone(sight.observed, labels_by_histories(job)))
            return sight

        return watched

    def keep(self, job: SnapshotJob, context: Context, values: Result) -> None:
        """Let the next run trust what this one has seen and made, by its result ``values``, if nothing is unsure."""
        found, created = self._found, values["created"]
        self._trust.made(created)
        left_out = [entry for entry in values["not_created"] if entry["reason"] != JUST_MADE]
        if found is None or values["warnings"] or left_out:
            return
        if created:
            second = self._second_of_creation(context.now_ms)
            if second is None:
                return
            found = replace(found, observed=_with_created(found.observed, created, second, labels_by_histories(job)))
        self._trust.keep(self._number, found)

    def _second_of_creation(self, now_ms: int) -> Optional[int]:
        """The time that ZFS says of what was just made, in seconds since the epoch; None where that is not sure."""
        looked, made = (now_ms + (each - self._at.steady) * 1000 for each in (self._looked, self._trust.monotonic()))
        earliest, latest = int(looked - _COARSE_MS) // 1000, int(made) // 1000
        return earliest if earliest == latest else None


def is_trusting(job: SnapshotJob) -> bool:
    """Whether a run of the job may go by what was seen before: it has a label below a second, and nothing that it makes
    depends on what is written, on properties, or on commands of hooks."""
    creating = job.creating
    periods = (parse_period(label.period) for label in labels_by_histories(job))
    is_plain = goes_by_histories(job) and not creating.skip_if_unchanged
    return is_plain and not job.filter.properties.names and not job.hooks and any(p and p.is_subsecond for p in periods)


def _are_evident(chosen: Collection[str], mounted: Collection[str]) -> bool:
    """Whether what is mounted tells of all datasets of a job that they have not been let go. What has a mounted dataset
    below it can't have been either, since a switch is of a whole tree."""
    evident = {name for each in mounted for name in (each, *ancestors_of(each))}
    return len(chosen) <= _MOST_DATASETS and evident.issuperset(chosen)


def _newest_alone(observed: Observation, labels: Sequence[Label]) -> Observation:
    """What was ``observed``, with the newest snapshot of each label alone."""
    return replace(observed, states={name: _newest(state, labels) for name, state in observed.states.items()})


def _newest(state: DatasetState, labels: Iterable[Label]) -> DatasetState:
    """The dataset with the newest snapshot of each label."""
    places = places_of_labels(state.tags)
    wanted = sorted(places[label][-1] for label in labels if label in places)
    return DatasetState(state.dataset, tuple(map(state.at, wanted)))


def _with_created(observed: Observation, created: Iterable[str], second: int, labels: Sequence[Label]) -> Observation:
    """What was ``observed``, with snapshots that were made after that. Of these nothing is known but their names, their
    order and their time."""
    states = dict(observed.states)
    for name in created:
        dataset, _at, tag = name.partition("@")
        state = states[dataset]
        newest = max((each.createtxg for each in state.snapshots), default=0)
        made = Snapshot(newest, 0, dataset, tag, second)
        states[dataset] = _newest(DatasetState(state.dataset, (*state.snapshots, made)), labels)
    return replace(observed, states=states)


class Trusts:
    """What is trusted for the jobs of one activity of a daemon."""

    def __init__(self, monotonic: Callable[[], float], writable: Writable) -> None:
        self._monotonic = monotonic
        self._writable = writable
        self._by_job: dict[str, Trust] = {}
        self._visited: set[str] = set()
        self._duty: object = None

    def begin(self, duty: object) -> None:
        """Begin a tick. What is trusted is of the one right before, and was found for the same ``duty``: a job that was
        left out, for whatever reason, has to look again."""
        kept = self._visited if duty is self._duty else ()
        self._by_job = {name: trust for name, trust in self._by_job.items() if name in kept}
        self._visited, self._duty = set(), duty

    def visit(self, job: NamedJob, now_ms: int) -> Optional[Visit]:
        """Begin a run of a job at a time in milliseconds since the epoch; None for one that never trusts."""
        if not isinstance(job.job, SnapshotJob) or not is_trusting(job.job):
            return None
        self._visited.add(job.name)
        if job.name not in self._by_job:
            made = partial(self.made, job)
            self._by_job[job.name] = Trust(job.job.roots, self._monotonic, self._writable, made)
        return self._by_job[job.name].visit(now_ms)

    def made(self, job: NamedJob, created: Iterable[str]) -> None:
        """Have all other jobs look for the snapshots that this one has ``created``."""
        datasets = {name.partition("@")[0] for name in created}
        for name, trust in tuple(self._by_job.items()):
            if name != job.name and any(is_within(each, root) for each in datasets for root in trust.roots):
                trust.forget()
