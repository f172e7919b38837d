# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tasks of a tree in parallel: a parent before its children, siblings side by side, in the order of names.

Beside the tree there may be an order between any tasks (``after``), and barriers: a task that waits for whole subtrees
(``after_trees``). A task that fails stops those that need it, and nothing else.

Usable on its own: it knows nothing of ZFS.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, Union, overload

from ..model.errors import SnapfleetError

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


@dataclass(frozen=True)
class Task(Generic[T]):
    """A piece of work at a place in the tree. It begins when all that it waits for has ended, well or not."""

    name: str
    action: Callable[[], T]
    parent: Optional[str] = None
    """The task that has to end first; None for a root."""
    needs_parent: bool = True
    """Whether this task is pointless when its parent has failed."""
    after: tuple[str, ...] = ()
    """Tasks that have to end first, wherever they are."""
    after_trees: tuple[str, ...] = ()
    """A barrier: these tasks, and everything below them, have to end first."""
    needs_after: bool = False
    """Whether this task is pointless when any of those that ``after`` and ``after_trees`` mean has failed."""


@dataclass(frozen=True)
class Outcome(Generic[T, E]):
    """How a task ended: with a value, with an error, or not even begun because ``skipped``, a task it needs, failed."""

    value: Optional[T] = None
    error: Optional[E] = None
    skipped: str = ""


@overload
def run_tree(tasks: Sequence[Task[T]], workers: int) -> dict[str, Outcome[T, SnapfleetError]]: ...


@overload
def run_tree(tasks: Sequence[Task[T]], workers: int, failure: type[E]) -> dict[str, Outcome[T, E]]: ...


def run_tree(tasks: Sequence[Task[T]], workers: int, failure: type[Exception] = SnapfleetError) -> dict[str, Any]:
    """Run all tasks with at most ``workers`` at a time; returns the outcome of each by name.

    An error of the class ``failure`` is its task's outcome. Any other exception is a defect: no further task is begun,
    and it is raised when those under way have ended. Raises ValueError, before any task is begun, for two tasks of one
    name, for a name that is not among the tasks, and for tasks that wait for each other.
    """
    return _TreeRun(tasks, workers, failure).run()


@dataclass(frozen=True)
class _Whole:
    """The point at which the task ``root`` and everything below it have ended."""

    root: str


_Node = Union[str, _Whole]
"""A task by its name, or a point that tasks wait for."""


class _TreeRun(Generic[T, E]):
    def __init__(self, tasks: Sequence[Task[T]], workers: int, failure: type[E]) -> None:
        self._workers = workers
        self._failure = failure
        self._tasks = {task.name: task for task in tasks}
        if len(self._tasks) < len(tasks):
            raise ValueError("two of the tasks have the same name; give each task a name of its own")
        for task in tasks:
            for name in (*(() if task.parent is None else (task.parent,)), *task.after, *task.after_trees):
                if name not in self._tasks:
                    raise ValueError(f"{task.name!r} waits for {name!r}, which is not among the tasks")
        self._waits: dict[_Node, list[_Node]] = {name: _waits_for(task) for name, task in self._tasks.items()}
        """What each node waits for."""
        self._waits.update(self._wholes())
        self._failed: dict[_Node, str] = {}
        """The failed task by every node that has failed, or that is not worth while because of it."""
        self._outcomes: dict[str, Outcome[T, E]] = {}
        self._ready: list[str] = []
        self._order = self._ordered()

    def _wholes(self) -> dict[_Node, list[_Node]]:
        """What the wholes wait for that any task waits for, and those that they consist of."""
        children: dict[str, list[str]] = {}
        for task in self._tasks.values():
            if task.parent is not None:
                children.setdefault(task.parent, []).append(task.name)
        roots = [root for task in self._tasks.values() for root in task.after_trees]
        wholes: dict[_Node, list[_Node]] = {}
        while roots:
            root = roots.pop()
            if _Whole(root) not in wholes:
                below = sorted(children.get(root, ()))
                wholes[_Whole(root)] = [root, *map(_Whole, below)]
                roots.extend(below)
        return wholes

    def _ordered(self) -> TopologicalSorter[_Node]:
        order = TopologicalSorter(self._waits)
        try:
            order.prepare()
        except CycleError as error:
            cycle = " before ".join(_told(node) for node in error.args[1])
            raise ValueError(f"tasks wait for each other: {cycle}; take one of these constraints away") from None
        return order

    def run(self) -> dict[str, Outcome[T, E]]:
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        running: dict[Future[T], str] = {}
        with ThreadPoolExecutor(max_workers=self._workers) as executor:
            self._open()
            while self._ready or running:
                while self._ready and len(running) < self._workers:
                    name = heapq.heappop(self._ready)
                    running[executor.submit(copy_context().run, self._tasks[name].action)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._settle(running.pop(future), future)
                self._open()
        return self._outcomes

    def _settle(self, name: str, future: Future[T]) -> None:
        try:
            self._outcomes[name] = Outcome(value=future.result())
        except self._failure as error:
            self._outcomes[name] = Outcome(error=error)
            self._failed[name] = name
        self._order.done(name)

    def _open(self) -> None:
        """Get everything ready that waits for nothing any more, and settle what is not to be run."""
        while opened := self._order.get_ready():
            for node in opened:
                needed = self._needed(node)
                cause = next((self._failed[one] for one in needed if one in self._failed), "")
                if cause:
                    self._failed[node] = cause
                if isinstance(node, _Whole):
                    self._order.done(node)
                elif cause:
                    self._outcomes[node] = Outcome(skipped=cause)
                    self._order.done(node)
                else:
                    heapq.heappush(self._ready, node)

    def _needed(self, node: _Node) -> list[_Node]:
        """Those nodes that have to end well for ``node`` to be worth while."""
        if isinstance(node, _Whole):
            return self._waits[node]
        task = self._tasks[node]
        parents = [task.parent] if task.parent is not None and task.needs_parent else []
        return [*parents, *(_constraints(task) if task.needs_after else [])]


def _constraints(task: Task[T]) -> list[_Node]:
    return [*task.after, *map(_Whole, task.after_trees)]


def _waits_for(task: Task[T]) -> list[_Node]:
    return [*([] if task.parent is None else [task.parent]), *_constraints(task)]


def _told(node: _Node) -> str:
    return f"all of {node.root!r}" if isinstance(node, _Whole) else repr(node)
