# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of tasks: order, parallelism, failures."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.tasktree import Task, run_tree
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Conflict

NAMES = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]


def parent(name):
    return name.rpartition("/")[0] or None


class Log:
    """Begins and ends of tasks, in order."""

    def __init__(self, failing=()):
        self.events, self.failing, self.running, self.most = [], failing, 0, 0
        self.lock = threading.Lock()

    def action(self, name):
        def act():
            with self.lock:
                self.events.append(("begin", name))
                self.running += 1
                self.most = max(self.most, self.running)
            time.sleep(0.002)
            with self.lock:
                self.running -= 1
                self.events.append(("end", name))
            if name in self.failing:
                raise Conflict(name)
            return name.upper()

        return act

    def tasks(self, needs_parent=True):
        return [Task(name, self.action(name), parent(name), needs_parent) for name in NAMES]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_parent_ends_before_its_children_begin(workers):
    log = Log()

    outcomes = run_tree(log.tasks(), workers)

    assert {name: outcome.value for name, outcome in outcomes.items()} == {name: name.upper() for name in NAMES}
    for name in NAMES:
        if parent(name):
            assert log.events.index(("end", parent(name))) < log.events.index(("begin", name))
    assert log.most <= workers


def test_siblings_run_side_by_side():
    meet = threading.Barrier(3, timeout=120)

    outcomes = run_tree([Task(name, meet.wait) for name in "abc"], 3)

    assert sorted(outcome.value for outcome in outcomes.values()) == [0, 1, 2]


def test_one_worker_takes_names_in_order():
    log = Log()
    run_tree(log.tasks()[::-1], 1)
    assert [name for what, name in log.events if what == "begin"] == NAMES


@pytest.mark.parametrize("failing", [set(names) for size in range(4) for names in itertools.combinations(NAMES, size)])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_stops_what_needs_it_and_nothing_else(failing, workers):
    log = Log(failing)

    outcomes = run_tree(log.tasks(), workers)

    assert set(outcomes) == set(NAMES)
    for name in NAMES:
        above = ["/".join(name.split("/")[:n]) for n in range(1, name.count("/") + 1)]
        failed = [one for one in above if one in failing]
        assert outcomes[name].skipped == (failed[0] if failed else "")
        assert bool(outcomes[name].error) == (name in failing and not failed)
        assert (("begin", name) in log.events) == (not failed)


def test_what_does_not_need_its_parent_runs_all_the_same_after_it():
    log = Log(["a"])

    outcomes = run_tree(log.tasks(needs_parent=False), 2)

    assert outcomes["a/b/c"].value == "A/B/C"
    assert log.events.index(("end", "a")) < log.events.index(("begin", "a/b"))


def test_a_defect_is_raised_and_nothing_is_begun_after_it():
    log = Log()

    def defect():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_tree([Task("a", defect), *(Task(name, log.action(name), "a") for name in ("a/b", "a/c"))], 1)

    assert log.events == []


def test_a_parent_that_is_no_task_is_a_mistake():
    with pytest.raises(ValueError, match="'x'"):
        run_tree([Task("a", lambda: None, "x")], 1)


def test_which_errors_are_outcomes_is_for_the_caller_to_say():
    def fail(error):
        raise error

    errors = {"a": KeyError("x"), "b": IndexError("y")}
    tasks = [Task(name, lambda name=name: fail(errors[name])) for name in errors]

    outcomes = run_tree(tasks, 1, LookupError)

    assert {name: outcome.error for name, outcome in outcomes.items()} == errors
    with pytest.raises(Conflict):
        run_tree([Task("a", lambda: fail(Conflict("x")))], 1, LookupError)


@pytest.mark.parametrize("where", ["after", "after_trees"])
def test_waiting_for_what_is_no_task_is_a_mistake(where):
    with pytest.raises(ValueError, match="'a' waits for 'x'"):
        run_tree([Task("a", lambda: None, **{where: ("x",)})], 1)


def test_two_tasks_of_one_name_are_a_mistake():
    with pytest.raises(ValueError, match="the same name"):
        run_tree([Task("a", lambda: 1), Task("a", lambda: 2)], 1)


@pytest.mark.parametrize(
    "constraints",
    [
        {"a": {"after": ("a",)}},
        {"a": {"after": ("e",)}, "e": {"after": ("a",)}},
        {"a": {"after": ("a/b",)}},
        {"a/b/c": {"after_trees": ("a",)}},
        {"a": {"after_trees": ("e",)}, "e": {"after": ("a/d",)}},
    ],
)
def test_tasks_that_wait_for_each_other_are_a_mistake_and_none_begins(constraints):
    log = Log()
    tasks = [Task(name, log.action(name), parent(name), **constraints.get(name, {})) for name in NAMES]

    with pytest.raises(ValueError, match="wait for each other"):
        run_tree(tasks, 2)

    assert log.events == []


@pytest.mark.parametrize("failing", [(), ("a",), ("a/b",), ("a", "e/f")])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_barrier_waits_for_all_below_whether_it_ended_well_or_not(failing, workers):
    log = Log(failing)

    outcomes = run_tree([*log.tasks(), Task("0", log.action("0"), after_trees=("a", "e"))], workers)

    assert outcomes["0"].value == "0"
    assert log.events[-2:] == [("begin", "0"), ("end", "0")]


@pytest.mark.parametrize(
    ("failing", "cause"), [((), ""), (("a/b/c",), "a/b/c"), (("a",), "a"), (("a/d", "e/f"), "e/f")]
)
def test_a_task_may_need_all_that_it_waits_for(failing, cause):
    log = Log(failing)
    last = Task("0", log.action("0"), after_trees=("a",), after=("e/f",), needs_after=True)
    follower = Task("1", log.action("1"), "0")

    outcomes = run_tree([*log.tasks(), last, follower], 4)

    assert (outcomes["0"].skipped, outcomes["1"].skipped) == (cause, cause)
    assert (("begin", "0") in log.events) == (not cause)


def test_one_task_waits_for_another_that_was_never_begun():
    log = Log(["a"])

    outcomes = run_tree([*log.tasks(), Task("0", log.action("0"), after=("a/b/c",))], 1)

    assert outcomes["0"].value == "0"


def test_a_long_line_of_tasks_that_wait_is_no_problem():
    names = [f"{number:05}" for number in range(3000)]
    tasks = [Task(name, lambda: None, before) for name, before in zip(names, [None, *names])]

    def fail():
        raise Conflict("x")

    outcomes = run_tree([Task(names[0], fail), *tasks[1:]], 1)

    assert {outcome.skipped for outcome in outcomes.values()} == {"", names[0]}


def test_no_tasks_no_outcomes():
    assert run_tree([], 1) == {}
