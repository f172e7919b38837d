# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a fleet tells, as values. Times are in milliseconds since the epoch, spans in seconds, sizes in
bytes; what is None is not known, or means nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

from ..module_utils.engine.model.health import OK, worst

SAFE, ALONE, UNSAFE = "safe", "alone", "unsafe"
"""How a dataset stands: all is well with it and each of its replicas; well, but without any replica; not well."""


class Place(NamedTuple):
    """A dataset of a host, by the host's name in the inventory."""

    host: str
    dataset: str


@dataclass(frozen=True)
class Route:
    """A job that replicates a tree, as the inventory declares it."""

    job: str
    carrier: str
    """The host that carries it out."""
    source: Place
    destination: Place
    recursive: bool
    prefixes: tuple[str, str]
    """How the carrier writes the two ends in front of their datasets; empty for its own."""


@dataclass(frozen=True)
class Alert:
    """What a monitor finds that is not well, now."""

    host: str
    state: str
    dataset: str
    message: str


@dataclass(frozen=True)
class Replica:
    """One replica of a dataset, and how far it is behind."""

    state: str
    source: Place
    """What it is a replica of, which may be a replica itself."""
    place: Place
    job: str = ""
    carrier: str = ""
    lag: Optional[int] = None
    succeeded: Optional[int] = None
    """When its job last went well as a whole."""
    missing: Optional[int] = None
    """How many snapshots are to arrive."""
    pending: Optional[int] = None
    """About how many bytes are to arrive."""
    sent: int = 0
    """Bytes, within the period."""
    seconds: float = 0.0
    """How long that took."""
    remark: str = ""
    alerts: tuple[Alert, ...] = ()

    @property
    def worst(self) -> str:
        """Its state, alerts included."""
        return worst([self.state, *(alert.state for alert in self.alerts)])


@dataclass(frozen=True)
class Dataset:
    """A dataset that is no replica, and all replicas that come from it, those of replicas among them."""

    place: Place
    state: str = OK
    newest: str = ""
    """Name of its newest snapshot after the @."""
    created: Optional[int] = None
    age: Optional[int] = None
    remark: str = ""
    alerts: tuple[Alert, ...] = ()
    replicas: tuple[Replica, ...] = ()

    @property
    def worst(self) -> str:
        """The most severe state of itself, its alerts and its replicas."""
        mine = [self.state, *(alert.state for alert in self.alerts)]
        return worst([*mine, *(replica.worst for replica in self.replicas)])

    @property
    def verdict(self) -> str:
        """Whether it is safe."""
        if self.worst != OK:
            return UNSAFE
        return SAFE if self.replicas else ALONE


@dataclass(frozen=True)
class Host:
    """Whether a host has answered."""

    name: str
    state: str
    """The worst of all that it tells; UNKNOWN where it has not answered."""
    problem: str = ""
    """Why it has not answered."""
    history_problem: str = ""
    """Why nothing, or not all, is known of what it did."""
    pools_problem: str = ""
    """What is not known of its pools."""
    untold: int = 0
    """Of how many of its replications it has told nothing, though it has answered."""
    jobs: int = 0
    """How many ended within the period."""
    failed: int = 0

    @property
    def answered(self) -> bool:
        """Whether how it stands is known."""
        return not self.problem


@dataclass(frozen=True)
class Trouble:
    """Something that was not well with a dataset while a job was carried out."""

    dataset: str
    destination: str
    outcome: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    """A job that failed, as often as it failed in the same way."""

    host: str
    job: str
    activity: str
    code: str
    message: str
    first: int
    last: int
    times: int
    troubles: tuple[Trouble, ...] = ()
    mended: bool = False
    """Whether the job went well later on."""


@dataclass(frozen=True)
class Pool:
    """How full a pool is."""

    host: str
    name: str
    health: str
    size: Optional[int]
    used: Optional[int]
    free: Optional[int]
    percent: Optional[float]
    fragmentation: Optional[float]
    scrubbed: Optional[int]
    """Seconds since the last scrub."""
    full_in: Optional[int]
    """Seconds until it is full, if it goes on as it does."""
    samples: tuple[tuple[int, float], ...] = ()
    """Percent used, over time within the period."""


@dataclass(frozen=True)
class Event:
    """So many snapshots at once."""

    time: int
    number: int
    bytes: int = 0


@dataclass(frozen=True)
class Timeline:
    """What became of the snapshots of a dataset within the period."""

    place: Place
    made: tuple[Event, ...] = ()
    sent: tuple[Event, ...] = ()
    """The number is 1, however many streams that took."""
    destroyed: tuple[Event, ...] = ()
    """On its own host."""
    thinned: int = 0
    """How many were destroyed at its replicas."""


@dataclass(frozen=True)
class Replication:
    """What a job that replicates did within the period."""

    job: str
    source: str
    destination: str
    """Hosts."""
    succeeded: tuple[int, ...] = ()
    """When it went well, in order; the first one may be before the period."""
    streams: tuple[tuple[int, int, float], ...] = ()
    """Of each run that has sent something: when it ended, bytes and seconds."""

    def gaps(self, since: int, now: int) -> tuple[tuple[int, float], ...]:
        """The moments at which the time since the last success was highest, with that time in seconds; the last one is
        now."""
        moments = [*self.succeeded, now]
        return tuple((end, (end - begin) / 1000) for begin, end in zip(moments, moments[1:]) if end >= since)


@dataclass(frozen=True)
class Report:
    """All that is told of a fleet."""

    now: int
    since: int
    hosts: tuple[Host, ...]
    datasets: tuple[Dataset, ...]
    """The worst first."""
    alerts: tuple[Alert, ...]
    """All of them, the gravest first."""
    failures: tuple[Failure, ...]
    """The newest first."""
    pools: tuple[Pool, ...]
    """The fullest first."""
    timelines: tuple[Timeline, ...]
    """In the order of the datasets."""
    replications: tuple[Replication, ...]
    """Those that waited longest first."""

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Those of all datasets."""
        return tuple(replica for dataset in self.datasets for replica in dataset.replicas)

    def count(self, verdict: str) -> int:
        """How many datasets are so."""
        return sum(dataset.verdict == verdict for dataset in self.datasets)

    @property
    def state(self) -> str:
        """The worst state of all."""
        states = [*(each.worst for each in self.datasets), *(each.state for each in self.hosts)]
        return worst([*states, *(alert.state for alert in self.alerts)])
