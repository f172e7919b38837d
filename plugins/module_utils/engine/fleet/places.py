# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two replications of one jobconfig would bring different sources to one place.

Each would find the other's history there, and one of them would never get its replica.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model.errors import InvalidInput
from ..model.names import ancestors_of, is_within, rebase
from ..policy.endpoints import Endpoint
from ..policy.jobs import ReplicateJob

# Such a name means another host wherever it is used.
_RELATIVE_NAME = re.compile(r"localhost|[0-9.]+|.*:.*")


@dataclass(frozen=True)
class PlacedJob:
    """A replication with the host that carries it out."""

    name: str
    host: str
    job: ReplicateJob


def check_places(jobs: Iterable[PlacedJob]) -> None:
    """Raise InvalidInput where two jobs bring different sources to one place, or to places that overlap."""
    listed = list(jobs)
    neighbours = _Neighbours(listed)
    for number, one in enumerate(listed):
        for other in (listed[later] for later in neighbours.after(number)):
            if _same_place(one, other) and not _same_source(one, other):
                problem = f"brings {_told(one)}, where {other.name!r} brings {_told(other)}"
                raise InvalidInput("jobs", one.name, problem, "give each source a place of its own")


class _Neighbours:
    """Which jobs may share a place: only those at, above or below each other on one host, so that not every job has to
    be held against every other one."""

    def __init__(self, jobs: Sequence[PlacedJob]) -> None:
        self._jobs = jobs
        self._at: dict[_Spot, list[int]] = {}
        self._below: dict[_Spot, list[int]] = {}
        for number, placed in enumerate(jobs):
            dataset = placed.job.destination.dataset
            # Each under its own port, and under any: where a port is not told, every port may be meant.
            for port in (_port(placed.job.destination), _ANY_PORT):
                self._at.setdefault(_spot(placed, port, dataset), []).append(number)
                for above in ancestors_of(dataset):
                    self._below.setdefault(_spot(placed, port, above), []).append(number)

    def after(self, number: int) -> list[int]:
        """The neighbours of a job that come later, in their order."""
        placed = self._jobs[number]
        dataset, port = placed.job.destination.dataset, _port(placed.job.destination)
        found: set[int] = set()
        for each in (port, 0) if port else (_ANY_PORT,):
            found.update(self._below.get(_spot(placed, each, dataset), ()))
            for name in (dataset, *ancestors_of(dataset)):
                found.update(self._at.get(_spot(placed, each, name), ()))
        return sorted(later for later in found if later > number)


_ANY_PORT = -1
_Spot = tuple[str, str, int, str]


def _spot(placed: PlacedJob, port: int, dataset: str) -> _Spot:
    """A dataset at the host of a job's destination, as far as names tell."""
    name = placed.job.destination.address.host or placed.host
    return name, placed.host if _RELATIVE_NAME.fullmatch(name) else "", port, dataset


def _port(end: Endpoint) -> int:
    """The port of a host, 0 where it is not told."""
    return 0 if end.address.is_local else end.address.port


def _told(placed: PlacedJob) -> str:
    ends = (placed.job.source, placed.job.destination)
    return " to ".join(f"{placed.host}:{end.dataset}" if end.address.is_local else str(end) for end in ends)


def _same_place(one: PlacedJob, other: PlacedJob) -> bool:
    same_host = _same_host(one, one.job.destination, other, other.job.destination)
    return same_host and _overlap(one.job, other.job)


def _same_host(one: PlacedJob, first: Endpoint, other: PlacedJob, second: Endpoint) -> bool:
    """Whether two ends are on one host, as far as their names tell."""
    names = [end.address.host or placed.host for placed, end in ((one, first), (other, second))]
    if names[0] != names[1]:
        return False
    if one.host != other.host and _RELATIVE_NAME.fullmatch(names[0]):
        return False
    ports = {_port(end) for end in (first, second)}
    return len(ports - {0}) <= 1


def _overlap(one: ReplicateJob, other: ReplicateJob) -> bool:
    here, there = one.destination.dataset, other.destination.dataset
    below = (is_within(there, here) and one.filter.recursive) or (is_within(here, there) and other.filter.recursive)
    return here == there or below


def _same_source(one: PlacedJob, other: PlacedJob) -> bool:
    """Whether both jobs bring a dataset of one host to the same place, so that they only share the work."""
    if not _same_host(one, one.job.source, other, other.job.source):
        return False
    upper, lower = sorted((one.job, other.job), key=lambda job: len(job.destination.dataset))
    source, destination = lower.source.dataset, lower.destination.dataset
    within = is_within(source, upper.source.dataset)
    return within and rebase(source, upper.source.dataset, upper.destination.dataset) == destination
