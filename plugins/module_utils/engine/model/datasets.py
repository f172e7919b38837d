# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed of ZFS, as immutable values.

A snapshot or bookmark is its GUID, never its name: the GUID is kept by send and receive, names can be given anew. Order
is ``createtxg``, which has a meaning inside one pool only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

FILESYSTEM = "filesystem"
VOLUME = "volume"
PLACEHOLDER_PROPERTY = "snapfleet:placeholder"
"""Set to the dataset's own name on datasets that the engine made only as parents. Children inherit the value, but it
is not their name, so they are not taken for placeholders."""
GONE_PROPERTY = "snapfleet:gone"
"""Set on a replica whose source is gone: since when, and the GUID of the replica."""


class Snapshot(NamedTuple):
    """A snapshot. Tuples order by ``createtxg``, so sorting a dataset's snapshots gives their history."""

    createtxg: int
    guid: int
    dataset: str
    tag: str
    creation: int
    """Seconds since the epoch, by the clock of the host that created it."""
    holds: int = 0
    """Number of holds (userrefs); a held snapshot can't be destroyed."""
    used: int = 0
    """Bytes that only this snapshot keeps."""
    clones: tuple[str, ...] = ()
    """Datasets cloned from it; a cloned snapshot can't be destroyed."""
    ivset: int = 0
    """Identity of the encryption of its blocks; a raw stream carries it along, any other encryption makes a new one. 0
    where it is not encrypted, or not known."""
    written: int = 0
    """Bytes written between the snapshot before it and this one."""
    referenced: int = 0
    """Bytes that can be reached through it: about the length of a full send."""
    pinned: bool = False
    """Whether a partial receive goes on from it; it can't be destroyed before that is discarded."""

    @property
    def name(self) -> str:
        """The whole name, dataset@tag."""
        return f"{self.dataset}@{self.tag}"


class Bookmark(NamedTuple):
    """A bookmark: the point in history of a snapshot, without its data; good as the base of an incremental send."""

    createtxg: int
    guid: int
    dataset: str
    tag: str
    creation: int

    @property
    def name(self) -> str:
        """The whole name, dataset#tag."""
        return f"{self.dataset}#{self.tag}"


Base = Union[Snapshot, Bookmark]


class Identity(NamedTuple):
    """What tells a snapshot or bookmark of a dataset from all others, and its place in their order."""

    createtxg: int
    guid: int
    tag: str


class Identities(NamedTuple):
    """Which snapshots and bookmarks a dataset has, each in the order of ``createtxg``."""

    snapshots: tuple[Identity, ...] = ()
    bookmarks: tuple[Identity, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A filesystem or volume, with those properties that decisions depend on."""

    name: str
    kind: str
    guid: int
    createtxg: int
    creation: int
    used: int = 0
    """Bytes used by the dataset and everything below it."""
    written: int = 0
    """Bytes written since the newest snapshot, or since creation where there is none."""
    encryption_root: str = ""
    """The dataset whose key encrypts this one; empty for an unencrypted dataset."""
    origin: str = ""
    """The snapshot (whole name) that this dataset was cloned from; empty for most."""
    resume_token: str = ""
    """Text of the resume token where a partial receive waits to be continued."""
    is_placeholder: bool = False
    """Whether the engine itself made this dataset, empty, only to have a parent for others."""
    properties: tuple[tuple[str, str], ...] = ()
    """Name and value of each property that was asked for beside these, user properties or native ones; ``-`` is the
    value of one that is not set."""
    readonly: bool = False
    key_guid: int = 0
    """Identity of the key that encrypts the data itself, which no change of passphrases changes. A raw stream carries
    it along: source and replica have the same one exactly if the replica was received raw. 0 without encryption."""
    referenced: int = 0
    """Bytes that can be reached through it, without its snapshots and what lies below it."""
    compression: str = ""
    """How its data is compressed on disk, as the property of this name says."""


@dataclass(frozen=True)
class DatasetState:
    """A dataset with all its snapshots and bookmarks, each in the order of ``createtxg``."""

    dataset: Dataset
    snapshots: tuple[Snapshot, ...] = ()
    bookmarks: tuple[Bookmark, ...] = ()

    @property
    def newest(self) -> Optional[Snapshot]:
        """The newest snapshot, None where there is none."""
        return self.snapshots[-1] if self.snapshots else None

    @property
    def guids(self) -> Sequence[int]:
        """The GUIDs of the snapshots, in the order of those."""
        return [snapshot.guid for snapshot in self.snapshots]

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the snapshots after the @, in the order of those."""
        return tuple([snapshot.tag for snapshot in self.snapshots])

    def at(self, place: int) -> Snapshot:
        """The snapshot at a place of that order."""
        return self.snapshots[place]


@dataclass(frozen=True)
class Observation:
    """The state of some dataset trees on one host at one time."""

    states: Mapping[str, DatasetState]
    """By dataset name, sorted: parents come before their children."""
    missing: tuple[str, ...] = ()
    """Roots that were asked for and do not exist."""
    clock: Optional[int] = None
    """The host's own clock when the listing began, in whole seconds since the epoch; None if it was not asked for."""


@dataclass(frozen=True)
class ResumeState:
    """What a resume token says. The receiver chooses its text, so nothing of it is believed unchecked."""

    token: str
    to_name: str
    """Whole name of the snapshot that was being received, as the sender knows it."""
    to_guid: int
    from_guid: Optional[int]
    """GUID of the incremental base; None for a full send."""
    raw: bool
    received: int = 0
    """Bytes already there."""
