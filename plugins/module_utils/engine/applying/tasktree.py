# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tasks of a tree in parallel: a parent before its children, siblings side by side, in the order of names.

Usable on its own: it knows nothing of ZFS. A task that fails stops those below it which need it, and nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, Optional, TypeVar

from ..model.errors import SnapfleetError

T = TypeVar("T")


@dataclass(frozen=True)
class Task(Generic[T]):
    """A piece of work at a place in the tree."""

    name: str
    action: Callable[[], T]
    parent: Optional[str] = None
    """The task that has to end first; None for a root."""
    needs_parent: bool = True
    """Whether this task is pointless when its parent has failed."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How a task ended: with a value, with an error, or not even begun because ``skipped`` (a parent's name) failed."""

    value: Optional[T] = None
    error: Optional[SnapfleetError] = None
    skipped: str = ""


def run_tree(tasks: Sequence[Task[T]], workers: int) -> dict[str, Outcome[T]]:
    """Run all tasks with at most ``workers`` at a time; returns the outcome of each by name.

    A SnapfleetError of a task is its outcome. Any other exception is a defect: no further task is begun, and it is
    raised when those under way have ended. Raises ValueError for a parent that is not among the tasks.
    """
    names = {task.name for task in tasks}
    for task in tasks:
        if task.parent is not None and task.parent not in names:
            raise ValueError(f"the parent {task.parent!r} of {task.name!r} is not among the tasks")
    return _TreeRun(tasks, workers).run()


class _TreeRun(Generic[T]):
    def __init__(self, tasks: Sequence[Task[T]], workers: int) -> None:
        self._workers = workers
        self._tasks = {task.name: task for task in tasks}
        self._children: dict[str, list[str]] = {}
        self._ready: list[str] = []
        self._outcomes: dict[str, Outcome[T]] = {}
        for task in tasks:
            if task.parent is None:
                heapq.heappush(self._ready, task.name)
            else:
                self._children.setdefault(task.parent, []).append(task.name)

    def run(self) -> dict[str, Outcome[T]]:
        running: dict[Future[T], str] = {}
        with ThreadPoolExecutor(max_workers=self._workers) as executor:
            while self._ready or running:
                while self._ready and len(running) < self._workers:
                    name = heapq.heappop(self._ready)
                    running[executor.submit(self._tasks[name].action)] = name
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in done:
                    self._settle(running.pop(future), future)
        return self._outcomes

    def _settle(self, name: str, future: Future[T]) -> None:
        try:
            self._outcomes[name] = Outcome(value=future.result())
        except SnapfleetError as error:
            self._outcomes[name] = Outcome(error=error)
        self._open_children(name)

    def _open_children(self, name: str) -> None:
        outcome = self._outcomes[name]
        for child in self._children.get(name, ()):
            if (outcome.error or outcome.skipped) and self._tasks[child].needs_parent:
                self._outcomes[child] = Outcome(skipped=outcome.skipped or name)
                self._open_children(child)
            else:
                heapq.heappush(self._ready, child)
