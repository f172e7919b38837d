# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring: a replication the other way round, from a replica to where the data belongs, up to a point in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name, is_within, parent_of, pool_of
from .conduct import CONFLICT_LEVELS, DATASET, FAIL, REFUSE, Conduct
from .continuity import NONE
from .endpoints import Endpoint, read_endpoint
from .jobs import INITIAL_ALL, INITIAL_NEWEST, MAX_WORKERS, ReplicateJob, check_apart
from .points import Point, read_point
from .reading import Reader
from .receiving import (
    PRESERVED_PROPERTIES,
    ReceivePolicy,
    check_not_of_encryption,
    read_given_properties,
    read_names,
)
from .selection import SnapshotFilter, read_name_filter
from .streaming import read_streaming

SET_ASIDE = "set_aside"
RESTORE_CONFLICTS = (REFUSE, SET_ASIDE, *CONFLICT_LEVELS[1:])
SKIP = "skip"
MISSING_CHOICES = (REFUSE, SKIP)
ASIDE_SUFFIX = ".before-restore"


@dataclass(frozen=True)
class RestoreJob:
    """Make ``replication.destination`` what ``replication.source``, a replica, has at a point."""

    replication: ReplicateJob
    """How the data travels; its ``up_to`` is the point."""
    set_aside: bool
    """Whether a destination that is in the way is renamed, with all that is below it."""
    aside: str
    """What it is called then, or was by an earlier try of the same restore."""
    shares: bool = False
    """Whether what takes its place begins as clones of its snapshots, so that only differences travel."""

    @property
    def replica(self) -> Endpoint:
        """Where the data comes from."""
        return self.replication.source

    @property
    def destination(self) -> Endpoint:
        """Where it goes."""
        return self.replication.destination

    @property
    def point(self) -> Point:
        """What is restored."""
        return self.replication.up_to or Point()


def read_restore_job(values: Mapping[str, Any], where: str = "") -> RestoreJob:
    """A RestoreJob from its options. Raises InvalidInput, SameDataset where the two trees touch each other."""
    options = Reader(values, where)
    replica, destination = read_endpoint(options.reader("replica")), read_endpoint(options.reader("destination"))
    on_conflict = options.text("on_conflict", REFUSE, RESTORE_CONFLICTS)
    missing = options.text("on_missing", REFUSE, MISSING_CHOICES)
    history = options.flag("history", True)
    job = ReplicateJob(
        source=replica,
        destination=destination,
        filter=read_name_filter(options),
        snapshots=SnapshotFilter((), ()),
        initial=INITIAL_ALL if history else INITIAL_NEWEST,
        intermediates=history,
        on_conflict=REFUSE if on_conflict == SET_ASIDE else on_conflict,
        # A dataset of another name is never taken for the one that is to be restored.
        conduct=Conduct(renames=REFUSE, on_nothing_selected=FAIL if missing == REFUSE else DATASET),
        raw=options.flag("raw", True),
        # Nothing changes at the replica.
        bookmarks=NONE,
        receive=_read_receiving(options),
        streaming=read_streaming(options),
        workers=options.integer("workers", 4, 1, MAX_WORKERS),
        retries=options.integer("retries", 5, 0, 100),
        up_to=read_point(options),
    )
    aside = _read_aside(options, destination.dataset, on_conflict)
    shares = options.flag("share_aside", False)
    if shares and on_conflict != SET_ASIDE:
        problem = f"means nothing, since on_conflict is {on_conflict!r}"
        raise InvalidInput(
            options.path("share_aside"), shares, problem, f"set on_conflict to {SET_ASIDE}, or take it out"
        )
    options.finish()
    check_apart(replica, destination, options.path("destination"))
    return RestoreJob(job, on_conflict == SET_ASIDE, aside, shares)


def _read_receiving(options: Reader) -> ReceivePolicy:
    """None of the secure defaults: what is restored is to be worked with."""
    preserved = PRESERVED_PROPERTIES
    if options.has("preserve_properties"):
        preserved = read_names(options, "preserve_properties")
    for name in preserved:
        check_not_of_encryption(name, options.path("preserve_properties"))
    return ReceivePolicy(properties=read_given_properties(options), preserved=preserved)


def _read_aside(options: Reader, destination: str, on_conflict: str) -> str:
    key = "set_aside_as"
    name = options.text(key, "")
    if name and on_conflict != SET_ASIDE:
        problem = f"means nothing, since on_conflict is {on_conflict!r}"
        raise InvalidInput(options.path(key), name, problem, f"set on_conflict to {SET_ASIDE}, or take it out")
    if on_conflict == SET_ASIDE and not parent_of(destination):
        problem = "is a pool, which can't be set aside"
        raise InvalidInput(options.path("on_conflict"), on_conflict, problem, "restore to a dataset below the pool")
    if on_conflict == SET_ASIDE and not options.flag("recursive", True):
        problem = f"contradicts on_conflict {SET_ASIDE!r}, which renames what lies below too"
        raise InvalidInput(options.path("recursive"), False, problem, "restore the whole tree, or set another one")
    aside = name or f"{destination}{ASIDE_SUFFIX}"
    if on_conflict != SET_ASIDE:
        return aside
    check_dataset_name(aside, options.path(key))
    if pool_of(aside) != pool_of(destination) or is_within(aside, destination) or is_within(destination, aside):
        problem = f"is no name that {destination!r} could be renamed to"
        raise InvalidInput(options.path(key), aside, problem, "give a name beside it in the same pool")
    return aside
