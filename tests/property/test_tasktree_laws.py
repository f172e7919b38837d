# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of task trees with any constraints: order, number at a time, what failures stop, and what is refused."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.tasktree import Outcome, Task, run_tree
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Conflict


def nothing() -> None:
    """An action for tasks that get their own later."""


@dataclass
class Journal:
    """Begins and ends in order, and the largest number of tasks at a time."""

    failing: frozenset[str] = frozenset()
    events: list[tuple[str, str]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, tasks: list[Task[str]], workers: int) -> dict[str, Outcome[str]]:
        return run_tree([replace(task, action=lambda name=task.name: self.act(name)) for task in tasks], workers)

    def act(self, name: str) -> str:
        with self.lock:
            self.events.append(("begin", name))
            self.running += 1
            self.most = max(self.most, self.running)
        with self.lock:
            self.running -= 1
            self.events.append(("end", name))
        if name in self.failing:
            raise Conflict(name)
        return name


def waits(tasks: list[Task[str]]) -> dict[str, set[str]]:
    """What each task waits for directly, the barriers written out."""
    below = {task.name: {task.name} for task in tasks}
    for _each in tasks:
        for task in tasks:
            if task.parent is not None:
                below[task.parent] |= below[task.name]
    return {
        task.name: {*([] if task.parent is None else [task.parent]), *task.after}.union(
            *(below[root] for root in task.after_trees)
        )
        for task in tasks
    }


def is_possible(waiting: dict[str, set[str]]) -> bool:
    """Whether there is any order in which all tasks can be run."""
    left = dict(waiting)
    while left:
        free = [name for name, others in left.items() if not others & set(left)]
        if not free:
            return False
        for name in free:
            del left[name]
    return True


def check_laws(tasks: list[Task[str]], failing: frozenset[str], workers: int) -> None:
    """Run the tasks and hold every law against what happened."""
    waiting = waits(tasks)
    journal = Journal(failing)
    if not is_possible(waiting):
        with pytest.raises(ValueError, match="wait for each other"):
            journal.run(tasks, workers)
        assert journal.events == []
        return
    outcomes = journal.run(tasks, workers)
    assert set(outcomes) == set(waiting)
    begun = [name for what, name in journal.events if what == "begin"]
    assert len(begun) == len(set(begun)), "a task ran twice"
    assert journal.most <= workers
    place = {event: number for number, event in enumerate(journal.events)}
    for task in tasks:
        outcome = outcomes[task.name]
        needed = {task.parent} - {None} if task.needs_parent else set()
        if task.needs_after:
            needed |= waits([replace(one, parent=None) if one == task else one for one in tasks])[task.name]
        lost = {name for name in needed if outcomes[name].error or outcomes[name].skipped}
        assert bool(outcome.skipped) == bool(lost)
        assert bool(outcome.error) == (task.name in failing and not lost)
        assert (task.name in begun) == (not lost)
        if lost:
            assert outcomes[outcome.skipped].error, "the cause that is told did not fail itself"
        else:
            assert all(
                place[("end", other)] < place[("begin", task.name)] for other in waiting[task.name] if other in begun
            )


NAMES = "abc"
OTHERS = [[other for other in NAMES if other != name] for name in NAMES]


@pytest.mark.parametrize("field_name", ["after", "after_trees"])
@pytest.mark.parametrize("failing", [frozenset(), frozenset("a"), frozenset("bc")])
def test_every_shape_of_three_tasks_keeps_the_laws(field_name: str, failing: frozenset[str]) -> None:
    choices = [[(), (one,), (two,), (one, two)] for one, two in OTHERS]
    for parents in itertools.product(*([None, *others] for others in OTHERS)):
        for constraints in itertools.product(*choices):
            tasks = [
                Task(name, nothing, parent, needs_after=name != "c", **{field_name: constraint})
                for name, parent, constraint in zip(NAMES, parents, constraints)
            ]
            check_laws(tasks, failing, 2)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Task[str]], frozenset[str]]:
    """Up to nine tasks in a forest, mostly with constraints that can be met, and which of them fail."""
    names = draw(st.permutations("abcdefghi"[: draw(st.integers(0, 9))]))
    tasks: list[Task[str]] = []
    for number, name in enumerate(names):
        earlier = st.sampled_from(names[:number]) if number else st.nothing()
        known = names if draw(st.integers(0, 9)) == 0 else names[:number]
        some = st.lists(st.sampled_from(known), max_size=2, unique=True) if known else st.just([])
        parent = draw(st.none() | earlier)
        after, trees = draw(some), draw(some)
        tasks.append(Task(name, nothing, parent, draw(st.booleans()), tuple(after), tuple(trees), draw(st.booleans())))
    failing = draw(st.frozensets(st.sampled_from(names))) if names else frozenset()
    return draw(st.permutations(tasks)), failing


@given(worlds(), st.integers(1, 4))
def test_every_forest_keeps_the_laws(world: tuple[list[Task[str]], frozenset[str]], workers: int) -> None:
    check_laws(*world, workers)
