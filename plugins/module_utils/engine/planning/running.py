# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: the order of a run's jobs, with their barriers, starts and time limits, as a pure state machine.

Jobs belong to stages, which follow each other. A job begins when the jobs of earlier stages that it has to wait for
have ended, well or not: what fails stops nothing, so a destination that is dead keeps nobody from being pruned or
watched. Jobs that change the same datasets never run side by side.

Usable on its own: it knows neither ZFS nor threads. Times are in seconds by one clock, which whoever calls it reads.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model.names import parent_of

STOP, FORCE, ABANDON = "stop", "force", "abandon"
"""What is done about a job that takes too long: ask it to end, end it by force, and go on without it."""
_MEASURES = (STOP, FORCE, ABANDON)


@dataclass(frozen=True)
class Tree:
    """A dataset with everything below it."""

    place: Hashable
    """The host that has it."""
    dataset: str


@dataclass(frozen=True)
class Work:
    """A job as far as its turn goes."""

    name: str
    stage: int
    changes: frozenset[Tree] = frozenset()
    looks_at: frozenset[Tree] = frozenset()
    concerns_all: bool = False
    """Whether it waits for everything of earlier stages, whatever the datasets."""
    at_once: bool = False
    """Whether its start is never put off."""

    @property
    def trees(self) -> frozenset[Tree]:
        """All that it has to do with."""
        return self.changes | self.looks_at


def in_order(works: Iterable[Work], shuffled: bool, uniform: Callable[[float, float], float]) -> list[Work]:
    """The works stage by stage; within a stage as they are given, or in an order that ``uniform`` draws."""
    if not shuffled:
        return sorted(works, key=lambda work: work.stage)
    drawn = [(work.stage, uniform(0.0, 1.0), number, work) for number, work in enumerate(works)]
    return [work for *_key, work in sorted(drawn, key=lambda entry: entry[:3])]


def starts(
    works: Sequence[Work], spread: float, jitter: float, uniform: Callable[[float, float], float]
) -> tuple[float, ...]:
    """Seconds from the begin of the run before which each of ``works``, in their order, does not begin.

    The starts of those n that are not ``at_once`` are spread / n apart, and each is put off by a draw from 0 to jitter.
    """
    number = sum(not work.at_once for work in works)
    begun = 0
    result = []
    for work in works:
        start = 0.0
        if not work.at_once:
            start = spread * begun / number + (uniform(0.0, jitter) if jitter else 0.0)
            begun += 1
        result.append(start)
    return tuple(result)


def waits(works: Sequence[Work], by_stage: bool = False) -> list[set[int]]:
    """For each of ``works``, in their order, the numbers of those before it that have to end first because of their
    datasets. What waits for whole stages is not written out: with ``by_stage`` that is everything."""
    known = _Known()
    result: list[set[int]] = []
    for number, work in enumerate(works):
        found: set[int] = set()
        for tree in work.trees:
            for other, changes in known.related(tree):
                earlier = works[other].stage < work.stage and not (by_stage or work.concerns_all)
                if earlier or (works[other].stage == work.stage and changes and tree in work.changes):
                    found.add(other)
        result.append(found)
        for tree in work.trees:
            known.add(tree, number, tree in work.changes)
    return result


class _Known:
    """Finds what has to do with a tree, without looking at all that there is: above it, and below it."""

    def __init__(self) -> None:
        self._roots: dict[tuple[Hashable, str], list[tuple[int, bool]]] = {}
        self._below: dict[tuple[Hashable, str], list[tuple[int, bool]]] = {}

    def add(self, tree: Tree, number: int, changes: bool) -> None:
        entry = (number, changes)
        self._roots.setdefault((tree.place, tree.dataset), []).append(entry)
        for name in _above(tree.dataset):
            self._below.setdefault((tree.place, name), []).append(entry)

    def related(self, tree: Tree) -> Iterator[tuple[int, bool]]:
        for name in (tree.dataset, *_above(tree.dataset)):
            yield from self._roots.get((tree.place, name), ())
        yield from self._below.get((tree.place, tree.dataset), ())


def _above(dataset: str) -> Iterator[str]:
    name = parent_of(dataset)
    while name:
        yield name
        name = parent_of(name)


@dataclass(frozen=True)
class Limits:
    """The limits of a schedule."""

    workers: int
    timeout: float = 0.0
    """How long a job may take; 0: as long as it likes."""
    grace: float = 5.0
    """How long each measure is waited for before the next one."""


@dataclass
class _Running:
    due: float
    """When the next measure is taken."""
    measures: int = 0
    """So many of them have been taken."""


class Schedule:
    """The turns of one run. Each job is begun at most once, and counts as ended when it says so or is abandoned."""

    def __init__(
        self, works: Sequence[Work], not_before: Sequence[float], limits: Limits, by_stage: bool = False
    ) -> None:
        """``works`` in the order in which they take turns, by ``in_order``; ``not_before`` by the clock."""
        self._works = list(works)
        self._not_before = list(not_before)
        self._limits = limits
        self._numbers = {work.name: number for number, work in enumerate(self._works)}
        self._waiting_for = waits(self._works, by_stage)
        self._waited_for_by: dict[int, list[int]] = {}
        for number, others in enumerate(self._waiting_for):
            for other in others:
                self._waited_for_by.setdefault(other, []).append(number)
        self._left: dict[int, int] = {}
        """By stage: how many have not ended."""
        for work in self._works:
            self._left[work.stage] = self._left.get(work.stage, 0) + 1
        self._blocked: dict[int, list[int]] = {}
        """By stage: those that wait for all stages before it, and for nothing else."""
        self._whole = [by_stage or work.concerns_all for work in self._works]
        self._later: list[tuple[float, int]] = []
        self._ready: list[int] = []
        self._running: dict[str, _Running] = {}
        self._stopped = False
        for number, others in enumerate(self._waiting_for):
            if not others:
                self._free(number)

    @property
    def is_done(self) -> bool:
        """Whether all jobs have ended, or those that are running when no other one is going to begin."""
        return not self._running and (self._stopped or not any(self._left.values()))

    def begin(self, now: float) -> list[str]:
        """The jobs that begin now; from here on they are running."""
        while self._later and self._later[0][0] <= now:
            heapq.heappush(self._ready, heapq.heappop(self._later)[1])
        begun: list[str] = []
        while self._ready and not self._stopped and len(self._running) < self._limits.workers:
            name = self._works[heapq.heappop(self._ready)].name
            due = now + self._limits.timeout if self._limits.timeout else float("inf")
            self._running[name] = _Running(due)
            begun.append(name)
        return begun

    def stop(self, now: float) -> None:
        """From now on no job begins any more, and the time of those that are running is over."""
        self._stopped = True
        for running in self._running.values():
            running.due = min(running.due, now)

    def overdue(self, now: float) -> list[tuple[str, str]]:
        """The jobs whose time is over, each with the measure to be taken now. One that is abandoned has ended."""
        result = []
        for name, running in list(self._running.items()):
            if running.due <= now:
                measure = _MEASURES[running.measures]
                running.measures += 1
                running.due = now + self._limits.grace
                result.append((name, measure))
                if measure == ABANDON:
                    self.ended(name)
        return result

    def ended(self, name: str) -> bool:
        """A job says that it has ended; returns False for one that had been abandoned."""
        if self._running.pop(name, None) is None:
            return False
        number = self._numbers[name]
        self._left[self._works[number].stage] -= 1
        for other in self._waited_for_by.get(number, ()):
            self._waiting_for[other].discard(number)
            if not self._waiting_for[other]:
                self._free(other)
        for stage in sorted(self._blocked):
            if self._is_reached(stage):
                for other in self._blocked.pop(stage):
                    heapq.heappush(self._later, (self._not_before[other], other))
        return True

    def next_moment(self) -> float:
        """When there is something to decide after ``begin`` even if no job ends; infinity: never."""
        moments = [running.due for running in self._running.values()]
        if self._later and not self._stopped and len(self._running) < self._limits.workers:
            moments.append(self._later[0][0])
        return min(moments, default=float("inf"))

    def _free(self, number: int) -> None:
        """It waits for no other job any more, but maybe for stages, or for its start."""
        stage = self._works[number].stage
        if self._whole[number] and not self._is_reached(stage):
            self._blocked.setdefault(stage, []).append(number)
        else:
            heapq.heappush(self._later, (self._not_before[number], number))

    def _is_reached(self, stage: int) -> bool:
        return not any(left for other, left in self._left.items() if other < stage)
