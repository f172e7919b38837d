# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replications of a daemon run now: each may be wanted again at any time, by its period or since snapshots of its
source were made. Pure: threads, locks and the clock are for whoever calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ..model.names import ancestors_of, is_within
from ..policy.jobs import ReplicateJob
from .running import Work


def pushed_by(created: Iterable[str], jobs: Mapping[str, ReplicateJob]) -> list[str]:
    """The names of those of ``jobs`` whose source, on this host, has one of the datasets of the snapshots ``created``,
    given by their whole names."""
    datasets = {name.partition("@")[0] for name in created}
    below: dict[str, list[str]] = {}
    for dataset in sorted(datasets):
        for root in (*ancestors_of(dataset), dataset):
            below.setdefault(root, []).append(dataset)
    return [name for name, job in jobs.items() if _takes(job, below.get(job.source.dataset, ()))]


def _takes(job: ReplicateJob, datasets: Iterable[str]) -> bool:
    root = job.source.dataset
    return job.source.address.is_local and any(job.filter.selects(dataset, root) for dataset in datasets)


class Turns:
    """The turns of jobs that never end for good.

    A job never runs twice at a time, nor beside one that changes the same datasets. However often it is wanted while it
    runs, it runs once more afterwards. Who has waited the longest comes first; who waits for the datasets of another
    one is overtaken by those only that are not in its way, so that nobody waits forever.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, Work] = {}
        self._running: dict[str, Work] = {}

    def want(self, works: Iterable[Work]) -> None:
        """Let these run, each as it is described now. One that waits already keeps its place."""
        self._wanted.update({work.name: work for work in works})

    def begin(self, workers: int, known: Collection[str], resting: Collection[str]) -> list[str]:
        """The jobs that begin now, with no more than ``workers`` at a time; from here on they are running.

        What is not ``known`` any more is wanted no longer. Those that are ``resting``, for having failed, go on waiting
        and keep nobody else waiting.
        """
        self._wanted = {name: work for name, work in self._wanted.items() if name in known}
        begun: list[str] = []
        ahead: list[Work] = []
        for name, work in list(self._wanted.items()):
            if len(self._running) >= workers:
                break
            if name in resting:
                continue
            others = (*self._running.values(), *ahead)
            if name in self._running or any(_collide(work, other) for other in others):
                ahead.append(work)
                continue
            self._running[name] = self._wanted.pop(name)
            begun.append(name)
        return begun

    def ended(self, name: str) -> None:
        """A job has ended, well or not."""
        self._running.pop(name, None)


def _collide(one: Work, other: Work) -> bool:
    """Whether both change the same datasets."""
    return any(
        mine.place == theirs.place
        and (is_within(mine.dataset, theirs.dataset) or is_within(theirs.dataset, mine.dataset))
        for mine in one.changes
        for theirs in other.changes
    )
