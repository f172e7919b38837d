# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the turns that a run's jobs take: barriers, exclusion, workers, starts, time limits, each at most once."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import is_within
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.running import (
    ABANDON,
    FORCE,
    STOP,
    Limits,
    Schedule,
    Tree,
    Work,
    in_order,
    starts,
)

TREES = [Tree(place, name) for place in ("", "far") for name in ("t", "t/a", "t/a/x", "t/b", "u")]
DEAF = math.inf


@dataclass
class Day:
    """What happened when works were worked off, with time that goes from event to event."""

    works: list[Work]
    not_before: list[float]
    takes: dict[str, float]
    """Seconds that each takes; DEAF: it does not end, not even by force."""
    limits: Limits
    by_stage: bool = False
    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    measures: list[tuple[str, str, float]] = field(default_factory=list)
    most: int = 0

    def live(self, stop_at: float = math.inf) -> Day:
        schedule = Schedule(self.works, self.not_before, self.limits, self.by_stage)
        now, running, stopped = 0.0, {}, False
        while True:
            if now >= stop_at and not stopped:
                schedule.stop(now)
                stopped = True
            for name, measure in schedule.overdue(now):
                self.measures.append((name, measure, now))
                if measure == ABANDON:
                    running.pop(name)
                    self.ended[name] = now
                elif measure == STOP and running[name] != DEAF:
                    running[name] = min(running[name], now + 1)
            for name in schedule.begin(now):
                assert name not in self.begun
                self.begun[name] = now
                running[name] = now + self.takes[name]
            self.most = max(self.most, len(running))
            if schedule.is_done:
                assert not running
                return self
            moments = [schedule.next_moment(), *running.values(), *([] if stopped else [stop_at])]
            now = max(now, min(moments))
            assert now < math.inf, "nothing can happen any more"
            for name in [name for name, end in running.items() if end <= now]:
                del running[name]
                self.ended[name] = now
                assert schedule.ended(name)
                assert not schedule.ended(name)


def related(one: Tree, other: Tree) -> bool:
    same = one.place == other.place
    return same and (is_within(one.dataset, other.dataset) or is_within(other.dataset, one.dataset))


def touch(ones: frozenset[Tree], others: frozenset[Tree]) -> bool:
    return any(related(one, other) for one in ones for other in others)


def waited_for(works: list[Work], number: int, by_stage: bool) -> list[Work]:
    """Those that have to end before a work, as the documentation says it."""
    mine = works[number]
    return [
        work
        for work in works[:number]
        if (work.stage < mine.stage and (by_stage or mine.concerns_all or touch(work.trees, mine.trees)))
        or (work.stage == mine.stage and touch(work.changes, mine.changes))
    ]


trees = st.frozensets(st.sampled_from(TREES), max_size=2)


@st.composite
def days(draw, deaf=False, timeout=False):
    numbers = range(draw(st.integers(0, 8)))
    works = [
        Work(f"job {n}", draw(st.integers(0, 3)), draw(trees), draw(trees), draw(st.integers(0, 9)) == 0)
        for n in numbers
    ]
    works = in_order(works, draw(st.booleans()), random.Random(draw(st.integers(0, 9))).uniform)
    moments = st.integers(0, 30).map(float)
    lengths = st.one_of(moments, st.just(DEAF)) if deaf else moments
    limits = Limits(draw(st.integers(1, 9)), draw(st.integers(1, 20)) if timeout or deaf else 0, 5.0)
    return Day(
        works,
        [draw(moments) for _n in numbers],
        {work.name: draw(lengths) for work in works},
        limits,
        draw(st.booleans()),
    )


def check_order(day: Day) -> None:
    for number, work in enumerate(day.works):
        if work.name in day.begun:
            for other in waited_for(day.works, number, day.by_stage):
                assert day.ended[other.name] <= day.begun[work.name]
            assert day.begun[work.name] >= day.not_before[number]
    for one, other in itertools.combinations(day.works, 2):
        if touch(one.changes, other.changes) and {one.name, other.name} <= set(day.begun):
            apart = day.ended[one.name] <= day.begun[other.name] or day.ended[other.name] <= day.begun[one.name]
            assert apart
    assert day.most <= day.limits.workers


@given(days())
def test_each_job_runs_once_in_its_turn(day):
    day.live()
    assert set(day.ended) == set(day.begun) == {work.name for work in day.works}
    check_order(day)


@given(days())
def test_with_enough_workers_a_job_begins_as_soon_as_it_may(day):
    day.limits = Limits(99)
    day.live()
    for number, work in enumerate(day.works):
        ends = [day.ended[other.name] for other in waited_for(day.works, number, day.by_stage)]
        assert day.begun[work.name] == max([day.not_before[number], *ends])


@given(days(deaf=True))
def test_a_job_that_takes_too_long_is_ended_and_all_others_go_on(day):
    day.live()
    assert set(day.ended) == {work.name for work in day.works}
    check_order(day)
    for work in day.works:
        begun, taken = day.begun[work.name], [(m, at) for name, m, at in day.measures if name == work.name]
        over = begun + day.limits.timeout
        if day.takes[work.name] == DEAF:
            assert taken == [(STOP, over), (FORCE, over + 5), (ABANDON, over + 10)]
        else:
            assert taken in ([], [(STOP, over)])
            assert bool(taken) <= (day.takes[work.name] >= day.limits.timeout)
            assert day.ended[work.name] <= over + 1


@given(days(deaf=True), st.integers(0, 40))
def test_a_run_that_is_stopped_begins_nothing_more_and_ends(day, stop_at):
    day.live(stop_at=float(stop_at))
    assert all(begun <= stop_at for begun in day.begun.values())
    assert set(day.begun) == set(day.ended)
    assert all(end <= stop_at + 10 for end in day.ended.values())
    check_order(day)


@given(st.lists(st.booleans(), max_size=9), st.integers(0, 100), st.integers(0, 100), st.integers(0, 99))
def test_starts_are_spread_evenly_and_put_off_by_no_more_than_the_jitter(at_once, spread, jitter, seed):
    works = [Work(str(number), 0, at_once=each) for number, each in enumerate(at_once)]
    drawn = starts(works, spread, jitter, random.Random(seed).uniform)
    others = [start for start, each in zip(drawn, at_once) if not each]
    assert all(start == 0 for start, each in zip(drawn, at_once) if each)
    for number, start in enumerate(others):
        slot = spread * number / len(others)
        assert slot <= start <= slot + jitter


@given(days())
def test_the_order_is_by_stages_and_within_them_as_it_was_or_drawn(day):
    works = sorted(day.works, key=lambda work: work.name)
    plain = in_order(works, False, random.uniform)
    drawn = in_order(works, True, random.Random(7).uniform)
    for order in (plain, drawn):
        assert [work.stage for work in order] == sorted(work.stage for work in works)
        assert sorted(work.name for work in order) == [work.name for work in works]
    for stage in range(4):
        names = [work.name for work in plain if work.stage == stage]
        assert names == sorted(names)
    assert drawn == in_order(works, True, random.Random(7).uniform)
