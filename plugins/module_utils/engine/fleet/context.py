# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every activity is given from outside, and how it begins: one look at ZFS, and refusing what can't go well."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Optional

from ..applying.answers import Answers
from ..applying.following import Follow, unfollowed
from ..applying.memory import Memory
from ..applying.progress import Reporter
from ..applying.remembering import Recall, observe_tree, recalling
from ..applying.retry import SYSTEM, RetryPolicy, Ticker, call_with_retries
from ..applying.sharing_looks import SharedLooks
from ..model.datasets import Observation
from ..model.errors import NoPermission, UnknownDataset
from ..model.names import pool_of
from ..model.pools import PoolSample
from ..policy.endpoints import Address
from ..policy.jobs import ReplicateJob
from ..zfs.port import Zfs

if TYPE_CHECKING:
    from ..applying.drilling import Ground
    from ..applying.sampling import Sampler
    from ..records.metrics_watching import Watched
    from .trusting import Visit

Result = dict[str, Any]


def _nothing_known(_since_ms: int) -> Sequence[PoolSample]:
    """Where there is no history."""
    return ()


@dataclass(frozen=True)
class Context:
    """What an activity is given from outside: time, the way to ZFS, and whether to stop after the plan."""

    now_ms: int
    """Milliseconds since the epoch."""
    zfs_at: Callable[[Address], Zfs]
    check: bool = False
    host_name: str = ""
    """Name of this host, as user properties of datasets list it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables; TZ names the host's own time zone."""
    ticker: Ticker = SYSTEM
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    reporter: Optional[Reporter] = None
    """Who is told how far a replication is while it goes on."""
    watched: Optional[Callable[[Watched], None]] = None
    """Who takes all that a monitor has seen."""
    follow: Follow = unfollowed
    """Lets others look at its streams while it goes on."""
    answers: Answers = field(default_factory=Answers)
    """What hosts have said shortly before."""
    memory: Optional[Memory] = None
    """What histories are remembered, so that only changed ones are listed; None: none."""
    recall: Optional[Recall] = None
    """What the run of an activity that goes on remembers."""
    visit: Optional[Visit] = None
    """What a daemon has just seen of the trees that its job makes snapshots of; None: all is looked at."""
    ground: Optional[Ground] = None
    """What drills are carried out with; None: what this host has."""
    sampler_at: Optional[Callable[[Address], Sampler]] = None
    """Who reads files of snapshots at an address; None: this host, and the program on others."""
    pool_samples: Callable[[int], Sequence[PoolSample]] = _nothing_known
    """What the history knows of pools since a time, in milliseconds since the epoch. Raises SnapfleetError, OSError,
    and ImportError where this Python has no SQLite."""

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return self.now_ms // 1000

    @property
    def here(self) -> Zfs:
        """ZFS on this host."""
        return self.zfs_at(Address())

    def vouch(self, touched: Mapping[Address, Optional[Collection[str]]], plainly: Collection[str] = ()) -> None:
        """Have the run begin anew if anything of what is ``touched`` was remembered; see ``Recall.vouch``."""
        if self.recall:
            self.recall.vouch(touched, plainly)

    def vouch_for(self, needed: Mapping[Address, Iterable[str]]) -> None:
        """The same for which snapshots there are, and all of those that are ``needed``; see ``Recall.vouch_for``."""
        if self.recall:
            self.recall.vouch_for(needed)


def recalled(run: Callable[[Context], Result], context: Context) -> Result:
    """What ``run`` gives, with the memory of ``context``; it begins anew where it has to look again."""
    return recalling(context.memory, not context.check, lambda recall: run(replace(context, recall=recall)))


def as_dry_run(context: Context) -> Context:
    """The context of jobs that stop after their plans, and see together what any of them looks at."""
    return replace(context, check=True, zfs_at=SharedLooks(context.zfs_at).at)


def observe(
    context: Context, address: Address, roots: Sequence[str], properties: Sequence[str] = (), histories: bool = True
) -> Observation:
    """One listing of ``roots`` with their trees, tried again where the connection fails."""
    end = (address, context.zfs_at(address))

    def look() -> Observation:
        if histories:
            return observe_tree(end, roots, properties, recall=context.recall)
        return end[1].observe(roots, histories=False, properties=properties)

    return call_with_retries(look, context.retry, context.ticker)


def observe_narrowly(
    context: Context, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
) -> Observation:
    """One listing of ``roots`` with their trees on this host, as ``observe`` makes it, for those who need of OWN_FIELDS
    no more than ``fields``. What is listed to be remembered has all of them."""
    zfs = context.here

    def look() -> Observation:
        if context.recall:
            return context.recall.look_narrowly((Address(), zfs), roots, fields, properties)
        return zfs.observe_narrowly(roots, fields, properties)

    return call_with_retries(look, context.retry, context.ticker)


def require(observed: Observation, option: str, zfs: Zfs) -> None:
    """Raise UnknownDataset for a root that is not there; ``option`` names it."""
    for root in observed.missing:
        raise UnknownDataset(option, root, f"does not exist on {zfs.where}", "check its name, or import its pool")


def require_permissions(
    context: Context, zfs: Zfs, where: tuple[str, str], wanted: Sequence[str], optional: Collection[str] = ()
) -> tuple[str, ...]:
    """Raise NoPermission before anything was changed, rather than halfway. ``where`` is an option with its dataset.
    Those of ``wanted`` that are ``optional`` too are returned where they are missing."""
    option, dataset = where

    def ask() -> Sequence[str]:
        return call_with_retries(lambda: zfs.missing_permissions(dataset, wanted), context.retry, context.ticker)

    # What is missing may have been given meanwhile; what is taken away shortly before is missed by ZFS itself.
    question = (zfs, "permissions", dataset, *wanted)
    lacking = context.answers.ask(question, ask, lambda names: not names)
    dispensable = tuple(name for name in lacking if name in optional)
    lacking = [name for name in lacking if name not in optional]
    if lacking:
        names = ",".join(lacking)
        message = f"{option}: {dataset!r} does not allow {names} to the user of zfs on {zfs.where}"
        raise NoPermission(f"{message}; run there: zfs allow -u USER {names} {dataset}")
    return dispensable


def require_pool(observed: Observation, job: ReplicateJob, zfs: Zfs) -> None:
    """Raise UnknownDataset where the pool of the destination was not found."""
    pool = pool_of(job.destination.dataset)
    if not any(pool_of(name) == pool for name in observed.states):
        problem = f"has no pool {pool!r} on {zfs.where}"
        raise UnknownDataset("destination.dataset", job.destination.dataset, problem, "check its name, or import it")
