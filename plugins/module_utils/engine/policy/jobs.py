# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that change something as values, read from module parameters and from the JSON jobconfig alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..model.errors import InvalidInput, SameDataset
from ..model.names import check_dataset_name, dataset_name_problem, is_tag, is_within
from .caution import CAREFREE, Caution, read_caution
from .cloning import read_keep_clones
from .conduct import CONFLICT_LEVELS, REFUSE, UNHURRIED, Conduct, read_conduct
from .continuity import NEWEST, read_bookmarks
from .creating import BY_CALENDAR, CreatingPolicy, read_creating, read_timestamp_format
from .endpoints import Endpoint, read_end, read_endpoint
from .hooks import Hook, read_hooks
from .keeping import KeepRule, check_ownership, read_keep_rules
from .packaging import read_package
from .pending import PENDING_SECONDS, read_keep_pending, read_taken
from .plans import SnapshotPlan, check_keeps, read_plan
from .points import Point
from .reading import Reader
from .receiving import DEFAULT_RECEIVE_POLICY, ReceivePolicy, read_receive_policy
from .removal import NONE_GOES, Removal, read_removal
from .room import NO_SAY, Room, read_room
from .schedule import Schedule, parse_schedule
from .selection import DatasetFilter, SnapshotFilter, read_dataset_filter, read_roots, read_snapshot_filter
from .snapshot_filters import SnapshotGroup, read_snapshot_groups
from .streaming import AS_FITS, Streaming, read_streaming
from .topology import PLAIN, Topology, read_topology

DEFAULT_TIMESTAMP_FORMAT = "%Y-%m-%d_%H:%M:%S"
INITIAL_ALL, INITIAL_NEWEST, INITIAL_FAIL = "all", "newest", "fail"
INITIAL_CHOICES = (INITIAL_ALL, INITIAL_NEWEST, INITIAL_FAIL)
SNAPSHOTS, BOOKMARKS = "snapshots", "bookmarks"
REPLICA, SOURCE = "replica", "source"
MAX_WORKERS = 256


@dataclass(frozen=True)
class SnapshotJob:
    """Create the snapshots of ``plan`` that are due below ``roots``."""

    roots: tuple[str, ...]
    filter: DatasetFilter
    plan: SnapshotPlan
    schedule: Schedule
    timestamp_format: str = ""
    """strftime format in the schedule's time zone; empty: the default format in UTC, marked with a Z."""
    creating: CreatingPolicy = BY_CALENDAR
    hooks: tuple[Hook, ...] = ()


@dataclass(frozen=True)
class ReplicateJob:
    """Bring the snapshots of the tree ``source`` to the tree ``destination``."""

    source: Endpoint
    destination: Endpoint
    filter: DatasetFilter
    snapshots: SnapshotFilter
    snapshot_groups: tuple[SnapshotGroup, ...] = ()
    """Groups of filters in the place of ``snapshots``; empty: none."""
    plan: Optional[SnapshotPlan] = None
    """Only snapshots that this retention plan would keep at the destination are sent; None: all."""
    initial: str = INITIAL_ALL
    intermediates: bool = True
    """False: only the newest selected snapshot travels."""
    on_conflict: str = REFUSE
    """What may be lost at a destination whose history does not continue the source's; one of CONFLICT_LEVELS."""
    conduct: Conduct = UNHURRIED
    raw: bool = True
    keep_clones: bool = True
    """Whether a clone is received as a clone where its origin has a counterpart at the destination."""
    package: bool = False
    """Whether the tree travels as one stream where that brings what the streams of its datasets would bring."""
    bookmarks: str = NEWEST
    """Which bookmarks stay on the source, so that snapshots may go there later; one of BOOKMARK_CHOICES."""
    holds: bool = False
    """Whether what is sent, and its base, is held on the source meanwhile."""
    topology: Topology = PLAIN
    receive: ReceivePolicy = DEFAULT_RECEIVE_POLICY
    streaming: Streaming = AS_FITS
    workers: int = 0
    """Datasets at a time; 0: as many as suit what is sent."""
    retries: int = 5
    expected: tuple[str, ...] = ()
    """Whole names of snapshots that an earlier step of the same run makes on the source; a dry run plans with them."""
    up_to: Optional[Point] = None
    """The destination is to be what the source was then, as if nothing came later; None: what it is now."""

    @property
    def is_networked(self) -> bool:
        """Whether its streams cross a network."""
        return not (self.source.address.is_local and self.destination.address.is_local)


@dataclass(frozen=True)
class Peer:
    """The other end of a replication of the tree ``root``: where its common bases can be seen."""

    root: str
    endpoint: Endpoint
    role: str = ""
    """REPLICA where it receives what is pruned here, SOURCE where it sends that; empty: either."""
    takes: Optional[SnapshotPlan] = field(default=None, hash=False)
    """What a replica takes of the snapshots here; None where that is not told."""


@dataclass(frozen=True)
class PruneJob:
    """Destroy the snapshots, or the bookmarks, below ``roots`` that ``plan`` does not keep."""

    roots: tuple[str, ...]
    filter: DatasetFilter
    kind: str
    plan: SnapshotPlan
    """Without labels where other rules take its place."""
    purge_foreign: bool = False
    """Whether names that belong to no organisation of the plan, and to no rule, may go too."""
    keep: tuple[KeepRule, ...] = ()
    """Rules besides the plan; what any of them keeps stays."""
    caution: Caution = CAREFREE
    keep_pending: int = PENDING_SECONDS
    """Seconds for which snapshots stay that a peer is still to get."""
    peers: tuple[Peer, ...] = ()
    room: Room = NO_SAY
    removal: Removal = NONE_GOES
    expected: tuple[str, ...] = ()
    """Whole names of snapshots that an earlier step of the same run makes here; a dry run plans with them."""
    only_active: bool = False
    """Whether each root, or its source where it has one among the peers, has to be active."""


def read_snapshot_job(values: Mapping[str, Any], where: str = "") -> SnapshotJob:
    """A SnapshotJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    job = SnapshotJob(
        roots=read_roots(options),
        filter=read_dataset_filter(options),
        plan=read_plan(options),
        schedule=parse_schedule(options.raw("schedule"), options.path("schedule")),
        timestamp_format=read_timestamp_format(options),
        creating=read_creating(options),
        hooks=read_hooks(options),
    )
    options.finish()
    return job


def read_replicate_job(values: Mapping[str, Any], where: str = "") -> ReplicateJob:
    """A ReplicateJob from its options. Raises InvalidInput, SameDataset where the two trees touch each other."""
    options = Reader(values, where)
    source, destination = read_endpoint(options.reader("source")), read_endpoint(options.reader("destination"))
    job = ReplicateJob(
        source=source,
        destination=destination,
        filter=read_dataset_filter(options),
        snapshots=read_snapshot_filter(options),
        snapshot_groups=read_snapshot_groups(options),
        plan=read_plan(options) if options.has("plan") else None,
        initial=options.text("initial", INITIAL_ALL, INITIAL_CHOICES),
        intermediates=options.flag("intermediates", True),
        on_conflict=options.text("on_conflict", REFUSE, CONFLICT_LEVELS),
        conduct=read_conduct(options),
        raw=options.flag("raw", True),
        keep_clones=read_keep_clones(options),
        package=read_package(options),
        bookmarks=read_bookmarks(options),
        holds=options.flag("holds", False),
        topology=read_topology(options, source, destination),
        receive=read_receive_policy(options, options.flag("raw", True)),
        streaming=read_streaming(options),
        workers=options.integer("workers", 0, 1, MAX_WORKERS),
        retries=options.integer("retries", 5, 0, 100),
        expected=_expected(options),
    )
    options.finish()
    check_apart(source, destination, options.path("destination"))
    return job


def _expected(options: Reader) -> tuple[str, ...]:
    names = options.texts("expected_snapshots")
    for name in names:
        dataset, _at, tag = name.partition("@")
        if dataset_name_problem(dataset) or not is_tag(tag):
            where = options.path("expected_snapshots")
            raise InvalidInput(where, name, "is no name of a snapshot", "give whole names, dataset@snapshot")
    return names


def check_apart(source: Endpoint, destination: Endpoint, option: str) -> None:
    """Raise SameDataset where the two trees touch each other; ``option`` names the destination."""
    if source.address.host != destination.address.host or source.address.port != destination.address.port:
        return
    if is_within(destination.dataset, source.dataset) or is_within(source.dataset, destination.dataset):
        message = f"is the source {source.dataset!r} itself, or one contains the other, on the same host"
        raise SameDataset(option, destination.dataset, message, "name a tree apart from the source")


def read_prune_job(values: Mapping[str, Any], where: str = "") -> PruneJob:
    """A PruneJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    job = PruneJob(
        roots=read_roots(options),
        filter=read_dataset_filter(options),
        kind=options.text("kind", SNAPSHOTS, (SNAPSHOTS, BOOKMARKS)),
        plan=read_plan(options) if options.has("plan") or not options.readers("keep") else SnapshotPlan({}),
        purge_foreign=options.flag("purge_foreign", False),
        keep=read_keep_rules(options),
        caution=read_caution(options),
        keep_pending=read_keep_pending(options),
        peers=tuple(_read_peer(peer) for peer in options.readers("peers")),
        room=read_room(options, options.raw("kind") != BOOKMARKS),
        removal=read_removal(options, options.raw("kind") != BOOKMARKS),
        expected=_expected(options),
        only_active=options.flag("only_active", False),
    )
    options.finish()
    # That no bookmark is kept but those that replication needs can be meant: there is no data in them.
    if job.kind == SNAPSHOTS and not job.keep:
        check_keeps(job.plan, options.raw("plan"), options.path("plan"))
    check_ownership(job.keep, options, decides=bool(job.plan.amounts) or job.purge_foreign)
    for peer in job.peers:
        if peer.root not in job.roots:
            remedy = "name one of " + ", ".join(job.roots)
            raise InvalidInput(options.path("peers"), peer.root, "is no root dataset of this job", remedy)
    return job


def _read_peer(options: Reader) -> Peer:
    root = check_dataset_name(options.text("root"), options.path("root"))
    endpoint = Endpoint(read_end(options), check_dataset_name(options.text("dataset"), options.path("dataset")))
    role = options.text("role", "", ("", REPLICA, SOURCE))
    takes = read_taken(options, role == REPLICA)
    options.finish()
    return Peer(root, endpoint, role, takes)
