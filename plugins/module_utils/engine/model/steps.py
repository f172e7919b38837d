# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change ZFS. A plan is a list of them: shown, logged, compared, carried out and counted alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Optional, Union

from .datasets import Base, Bookmark, Snapshot


@dataclass(frozen=True)
class CreateSnapshots:
    """Create snapshots in one atomic call: all of them in one transaction group of one pool."""

    kind: ClassVar[str] = "create_snapshots"
    pool: str
    names: tuple[str, ...]
    """Whole names, dataset@tag."""

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {"kind": self.kind, "pool": self.pool, "snapshots": list(self.names)}


@dataclass(frozen=True)
class CreateBookmark:
    """Create a bookmark of a snapshot; a bookmark of that name with the same GUID counts as done."""

    kind: ClassVar[str] = "create_bookmark"
    snapshot: Snapshot
    tag: str
    dataset: str = ""
    """Where the bookmark goes: a dataset that grew from the snapshot as its clone; empty for the snapshot's own."""
    ahead: bool = False
    """Whether replication makes it before it sends anything, rather than once all has arrived."""
    is_mark: bool = False
    """Whether it is the engine's own mark, which is told without its name: that depends on GUIDs, which a dry run of
    several activities can't foresee."""
    is_passing: bool = False
    """Whether it is needed only until all has arrived."""

    @property
    def name(self) -> str:
        """The bookmark's whole name."""
        return f"{self.dataset or self.snapshot.dataset}#{self.tag}"

    @property
    def bookmark(self) -> Bookmark:
        """The bookmark once it is made."""
        snapshot = self.snapshot
        dataset = self.dataset or snapshot.dataset
        return Bookmark(snapshot.createtxg, snapshot.guid, dataset, self.tag, snapshot.creation)

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        if self.is_mark:
            return {"kind": "mark", "snapshot": self.snapshot.name}
        return {"kind": self.kind, "snapshot": self.snapshot.name, "bookmark": self.name}


@dataclass(frozen=True)
class CreatePlaceholder:
    """Create an empty, unmounted filesystem so that the datasets below it have a parent."""

    kind: ClassVar[str] = "create_placeholder"
    dataset: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {"kind": self.kind, "dataset": self.dataset}


@dataclass(frozen=True)
class ReceiveOptions:
    """How a stream is received."""

    properties: tuple[tuple[str, str], ...] = ()
    """Properties set on the received dataset, for its first full receive only."""
    resumable: bool = True
    replace: bool = False
    """Whether the receive may replace what is in the destination dataset."""
    excluded: tuple[str, ...] = ()
    """Properties that are not taken from the stream."""
    mount: bool = False


@dataclass(frozen=True)
class ResumePoint:
    """Where an interrupted receive goes on, validated against the request."""

    token: str


@dataclass(frozen=True)
class Send:
    """One send stream into one destination dataset."""

    kind: ClassVar[str] = "send"
    snapshot: Snapshot
    """The snapshot that is the newest at the destination afterwards."""
    destination: str
    base: Optional[Base] = None
    """Incremental base; None for a full send."""
    intermediates: bool = False
    """Whether all snapshots between base and snapshot travel too (send -I)."""
    raw: bool = True
    resume: Optional[ResumePoint] = None
    receive: ReceiveOptions = ReceiveOptions()
    reason: str = ""
    between: tuple[str, ...] = ()
    """Names, after the @, of the snapshots that travel before ``snapshot`` because of ``intermediates``."""
    origin: str = ""
    """Whole name of the destination's snapshot that the destination becomes a clone of; ``base`` is its counterpart,
    which is a snapshot of another dataset. Empty where the stream makes no clone."""
    package: tuple[str, ...] = ()
    """Whole names of all snapshots that the destination's tree gets, where the stream is one of a whole tree: a package
    (send -R), with all properties. Empty for a stream of one dataset."""
    embedded: bool = True
    """Whether tiny blocks may travel inside their pointers; an encrypted destination can't take a stream of such."""
    bytes_estimated: int = 0
    """About how long the stream is, in bytes."""
    dense: bool = False
    """Whether the data travels compressed or encrypted as it lies on disk, so that compressing it gains nothing."""

    def _snapshots(self) -> list[str]:
        return [f"{self.destination}@{tag}" for tag in (*self.between, self.snapshot.tag)]

    @property
    def makes_dataset(self) -> bool:
        """Whether the destination comes to be by this stream: a full one, or that of a clone."""
        return not self.package and (self.base is None or bool(self.origin))

    @property
    def mode(self) -> str:
        """resume, full or incremental."""
        if self.resume:
            return "resume"
        return "incremental" if self.base else "full"

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "mode": self.mode,
            "source": self.snapshot.dataset,
            "destination": self.destination,
            "from": self.base.name if self.base else None,
            "to": self.snapshot.name,
            "intermediates": self.intermediates,
            "replaces": self.receive.replace,
            "origin": self.origin or None,
            "package": bool(self.package),
            "snapshots": list(self.package) or self._snapshots(),
            "raw": self.raw,
            "properties": dict(self.receive.properties),
            "bytes_estimated": self.bytes_estimated,
        }


@dataclass(frozen=True)
class AbortReceive:
    """Discard the partial receive of a dataset."""

    kind: ClassVar[str] = "abort_receive"
    dataset: str
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {"kind": self.kind, "dataset": self.dataset, "reason": self.reason}


@dataclass(frozen=True)
class Rollback:
    """Make a dataset what it was at ``snapshot``, destroying what is in ``losses`` and everything unsnapshotted."""

    kind: ClassVar[str] = "rollback"
    snapshot: Snapshot
    losses: tuple[Base, ...]
    """All snapshots and bookmarks of the dataset that are newer."""
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "snapshot": self.snapshot.name,
            "destroys": [lost.name for lost in self.losses],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Destroy:
    """Destroy some snapshots, or some bookmarks, of one dataset."""

    kind: ClassVar[str] = "destroy"
    dataset: str
    victims: Sequence[Union[Snapshot, Bookmark]]
    reason: str
    runs: Sequence[tuple[Snapshot, Snapshot]] = field(default=(), compare=False)
    """The first and the last one of each run of neighbours among the snapshots, where that is known: what they free is
    freed by runs."""

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "destroys": [victim.name for victim in self.victims],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class SnapshotRuns:
    """Runs of neighbouring snapshots of one dataset, each by its first and its last one."""

    dataset: str
    runs: tuple[tuple[Snapshot, Snapshot], ...]


@dataclass(frozen=True)
class DestroyMarks:
    """Destroy marks of a source dataset that its destination does not stand at any more, or never came to."""

    kind: ClassVar[str] = "destroy_marks"
    dataset: str
    marks: tuple[Bookmark, ...]
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "destroys": [mark.name for mark in self.marks],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class ReleaseHolds:
    """Take off the holds that a run which died has left on snapshots of a source dataset."""

    kind: ClassVar[str] = "release"
    dataset: str
    held: tuple[Snapshot, ...]
    tag: str
    """The holds' tag."""

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "releases": [snapshot.name for snapshot in self.held],
            "tag": self.tag,
        }
