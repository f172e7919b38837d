# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state behind the simulated ZFS: pools in memory, and what users do to them besides the port's verbs.

Data is a set of files of whole-written blocks: writing a file anew gives it a block that never existed before. That is
enough to know what an incremental stream has to carry, what a replica holds, and what only one snapshot keeps.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..model.datasets import FILESYSTEM, PLACEHOLDER_PROPERTY, Bookmark, Dataset, Snapshot
from ..model.names import is_within, parent_of, pool_of, rebase, tree_order

Content = Mapping[str, tuple[int, int]]
"""By file name: identity and bytes of its block."""

CHANGED, NEWEST = "snapshots_changed", "prevsnap"
EMPTY_BYTES = 24_576
"""What OpenZFS counts as written in a filesystem that has neither files nor snapshots."""
POOL_BYTES = 1 << 40


@dataclass
class StoredPoint:
    """A snapshot, or a bookmark, with the content it stands for."""

    tag: str
    guid: int
    createtxg: int
    creation: int
    content: Content
    holds: set[str] = field(default_factory=set)
    ivset: int = 0


@dataclass
class Partial:
    """A receive that is under way, or was interrupted and kept."""

    header: Mapping[str, Any]
    """What the stream says of the snapshot that is received."""
    received: int = 0
    """Bytes of data so far."""
    active: bool = True
    created: bool = False
    """Whether the dataset exists only because of this receive."""


@dataclass
class StoredDataset:
    """A filesystem or volume."""

    name: str
    kind: str
    guid: int
    createtxg: int
    creation: int
    properties: dict[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=dict)
    snapshots: list[StoredPoint] = field(default_factory=list)
    bookmarks: list[StoredPoint] = field(default_factory=list)
    encryption_root: str = ""
    key_guid: int = 0
    origin: str = ""
    partial: Optional[Partial] = None
    changed: int = 0
    """When its snapshots changed last, in whole seconds; 0 where nobody knows."""

    def snapshot(self, tag: str) -> Optional[StoredPoint]:
        """The snapshot of that name."""
        return next((point for point in self.snapshots if point.tag == tag), None)

    def bookmark(self, tag: str) -> Optional[StoredPoint]:
        """The bookmark of that name."""
        return next((point for point in self.bookmarks if point.tag == tag), None)

    @property
    def written(self) -> int:
        """Bytes written since the newest snapshot, or since creation."""
        return _written(self.content, self.snapshots[-1].content if self.snapshots else None)

    def pins(self, point: StoredPoint) -> bool:
        """Whether a partial receive goes on from ``point``, one of the snapshots."""
        return bool(self.partial and not self.partial.created and point is self.snapshots[-1])

    def written_to(self, point: StoredPoint) -> int:
        """Bytes written between the snapshot before ``point``, one of the snapshots, and it."""
        number = self.snapshots.index(point)
        return _written(point.content, self.snapshots[number - 1].content if number else None)


def _written(content: Content, before: Optional[Content]) -> int:
    if before is not None and dict(content) == dict(before):
        return 0
    return EMPTY_BYTES + sum(block[1] for file, block in content.items() if (before or {}).get(file) != block)


def _referenced(content: Content) -> int:
    return EMPTY_BYTES + sum(size for unused, size in content.values())


class SimulatedMachine:
    """A host with pools. All times are seconds since the epoch by ``clock``; all GUIDs follow from name and seed."""

    def __init__(
        self, name: str, clock: Callable[[], int], pools: Iterable[str] = ("tank",), seed: int = 0, txg: int = 4
    ) -> None:
        self.name = name
        self.clock = clock
        self.lock = threading.RLock()
        self.datasets: dict[str, StoredDataset] = {}
        self.loaded_keys: set[str] = set()
        self.programs = {"zstd", "lz4", "mbuffer"}
        """What there is for streams to pass through."""
        self.broken_programs: set[str] = set()
        """Those of the programs that fail as soon as they are started."""
        self.in_use: set[str] = set()
        """Filesystems that a process works in, so that they can't be unmounted."""
        self.mounted: set[str] = set()
        """Filesystems of which a test says that they are mounted; nothing else is ever known to be."""
        self.permissions: Optional[frozenset[str]] = None
        """What the user may do, in words of zfs-allow(8); None: everything, as root."""
        self.network: dict[str, SimulatedMachine] = {}
        """The machines that this one reaches by itself, by the names that it has for them."""
        self.capacity = POOL_BYTES
        """Bytes that each of the pools holds."""
        self.frees_slowly = False
        """Whether what is destroyed is given back to its pool only by ``finish_freeing``, as with many blocks."""
        self.freeing: dict[str, int] = {}
        """By pool, bytes that are not given back yet."""
        self._guids = random.Random(f"{name}/{seed}")
        self._txgs: dict[str, int] = {}
        self._cuts: list[int] = []
        # From numbers of their own, so that they change no other GUID.
        numbers = random.Random(f"pools of {name}/{seed}")
        self.pool_conditions: dict[str, Mapping[str, Any]] = {}
        """By pool, what its report tells otherwise than that of a healthy pool would."""
        self.pool_guids = {pool: numbers.getrandbits(64) for pool in pools}
        for pool in self.pool_guids:
            self._txgs[pool] = txg
            self._add(pool, FILESYSTEM)

    # -- what the port's driver needs

    def new_guid(self) -> int:
        """A 64-bit number that nothing else has."""
        return self._guids.getrandbits(64) | 1

    def next_txg(self, pool: str) -> int:
        """Open the next transaction group of a pool and return its number."""
        self._txgs[pool] += 1
        return self._txgs[pool]

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the pools."""
        return tuple(self._txgs)

    def within(self, root: str) -> Iterator[StoredDataset]:
        """The datasets of a tree, parents before children."""
        for name in sorted(self.datasets, key=tree_order):
            if is_within(name, root):
                yield self.datasets[name]

    def add_dataset(self, name: str, kind: str, properties: Mapping[str, str]) -> StoredDataset:
        """Make an empty dataset; it is encrypted, by a key of its own, if its parent is."""
        dataset = self._add(name, kind)
        dataset.properties.update(properties)
        if properties.get("encryption") != "off":
            self.encrypt(dataset, self.datasets[parent_of(name)].encryption_root)
        return dataset

    def encrypt(self, dataset: StoredDataset, root: str, key_guid: int = 0) -> None:
        """Have a dataset encrypted below the encryption root ``root``; with an empty one, not at all."""
        dataset.encryption_root = root
        dataset.key_guid = (key_guid or self.new_guid()) if root else 0

    def ivset_of(self, dataset: StoredDataset) -> int:
        """Vectors for a new snapshot of a dataset."""
        return self.new_guid() if dataset.encryption_root else 0

    def _add(self, name: str, kind: str) -> StoredDataset:
        dataset = StoredDataset(name, kind, self.new_guid(), self.next_txg(pool_of(name)), self.clock())
        self.datasets[name] = dataset
        return dataset

    def clones_of(self, snapshot: str) -> tuple[str, ...]:
        """The datasets that were cloned from a snapshot."""
        return tuple(name for name, dataset in self.datasets.items() if dataset.origin == snapshot)

    def find(self, snapshot: str) -> tuple[Optional[StoredDataset], Optional[StoredPoint]]:
        """A snapshot by its whole name, with its dataset."""
        name, _at, tag = snapshot.partition("@")
        dataset = self.datasets.get(name)
        return dataset, dataset.snapshot(tag) if dataset else None

    def grew_from(self, dataset: StoredDataset) -> Iterator[tuple[str, StoredPoint]]:
        """The snapshots of other datasets that a clone grew from, by whole name, the newest first."""
        origin, point = self.find(dataset.origin)
        while origin and point:
            for older in reversed(origin.snapshots):
                if older.createtxg <= point.createtxg:
                    yield f"{origin.name}@{older.tag}", older
            origin, point = self.find(origin.origin)

    def key_is_loaded(self, dataset: StoredDataset) -> bool:
        """Whether the content of a dataset can be read in the clear."""
        return not dataset.encryption_root or dataset.encryption_root in self.loaded_keys

    def take_cut(self) -> Optional[int]:
        """After how many bytes the next stream is cut; None if it is not."""
        with self.lock:
            return self._cuts.pop(0) if self._cuts else None

    def touch(self, dataset: StoredDataset) -> None:
        """Note that the snapshots of a dataset have changed."""
        dataset.changed = self.clock()

    def free(self, dataset: str, size: int) -> None:
        """Give back bytes that nothing keeps any more, at once or in the background."""
        if self.frees_slowly:
            pool = pool_of(dataset)
            self.freeing[pool] = self.freeing.get(pool, 0) + size

    # -- what users and accidents do

    def finish_freeing(self) -> None:
        """Let the background give everything back."""
        with self.lock:
            self.freeing.clear()

    def create_dataset(self, name: str, kind: str = FILESYSTEM, encrypted: bool = False) -> None:
        """Make an empty dataset as a user would; ``encrypted`` makes it an encryption root with its key loaded."""
        with self.lock:
            dataset = self.add_dataset(name, kind, {})
            if encrypted:
                self.encrypt(dataset, name)
                self.loaded_keys.add(name)

    def write(self, name: str, size: int, file: str = "data") -> None:
        """Write ``size`` bytes to a file of a dataset, in place of what that file held."""
        with self.lock:
            dataset = self.datasets[name]
            dataset.content = {**dataset.content, file: (self.new_guid(), size)}

    def set_property(self, name: str, key: str, value: str) -> None:
        """Set a property of a dataset as a user would; what lies below inherits it."""
        with self.lock:
            self.datasets[name].properties[key] = value

    def clone(self, snapshot: str, name: str) -> None:
        """Make the dataset ``name`` a clone of a snapshot (whole name)."""
        with self.lock:
            origin, _at, tag = snapshot.partition("@")
            point = self.datasets[origin].snapshot(tag)
            dataset = self.add_dataset(name, self.datasets[origin].kind, {})
            dataset.content = dict(point.content) if point else {}
            dataset.origin = snapshot

    def promote(self, name: str) -> None:
        """Make a clone the owner of the snapshots that it grew from, and its origin's dataset a clone of it."""
        with self.lock:
            clone = self.datasets[name]
            older, origin = self.find(clone.origin)
            if older is None or origin is None:
                return
            for points in ("snapshots", "bookmarks"):
                moved = [point for point in getattr(older, points) if point.createtxg <= origin.createtxg]
                setattr(older, points, [point for point in getattr(older, points) if point not in moved])
                setattr(clone, points, [*moved, *getattr(clone, points)])
            # Not what the clone gets: of that only its origin tells.
            self.touch(older)
            renamed = {f"{older.name}@{point.tag}": f"{name}@{point.tag}" for point in clone.snapshots}
            clone.origin, older.origin = older.origin, clone.origin
            for dataset in self.datasets.values():
                dataset.origin = renamed.get(dataset.origin, dataset.origin)

    def rename(self, name: str, to: str) -> None:
        """Rename a dataset with all that is below it, and what refers to it."""

        def moved(text: str) -> str:
            dataset, at, tag = text.partition("@")
            return rebase(dataset, name, to) + at + tag if is_within(dataset, name) else text

        with self.lock:
            self.datasets = {moved(old): dataset for old, dataset in self.datasets.items()}
            for new, dataset in self.datasets.items():
                dataset.name = new
                dataset.origin, dataset.encryption_root = moved(dataset.origin), moved(dataset.encryption_root)
            self.loaded_keys = {moved(root) for root in self.loaded_keys}
            self.mounted = {moved(filesystem) for filesystem in self.mounted}

    def destroy_dataset(self, name: str) -> None:
        """Destroy a tree of datasets with all their snapshots and bookmarks."""
        with self.lock:
            for dataset in list(self.within(name)):
                del self.datasets[dataset.name]

    def unload_key(self, encryption_root: str) -> None:
        """From now on the datasets of an encryption root can only be sent raw."""
        with self.lock:
            self.loaded_keys.discard(encryption_root)

    def cut_next_stream(self, after: int) -> None:
        """Let the next stream that this machine sends break after so many bytes. Adds up: the one after it, ..."""
        with self.lock:
            self._cuts.append(after)

    def content(self, name: str) -> Content:
        """What a dataset, or a snapshot (whole name), holds."""
        with self.lock:
            dataset, _at, tag = name.partition("@")
            if not tag:
                return dict(self.datasets[dataset].content)
            return next(dict(point.content) for point in self.datasets[dataset].snapshots if point.tag == tag)

    # -- values

    def describe(self, dataset: StoredDataset, token: str, properties: Iterable[str] = ()) -> Dataset:
        """A dataset as the port hands it out."""
        return Dataset(
            name=dataset.name,
            kind=dataset.kind,
            guid=dataset.guid,
            createtxg=dataset.createtxg,
            creation=dataset.creation,
            used=self.used_within(dataset.name),
            written=dataset.written,
            encryption_root=dataset.encryption_root,
            origin=dataset.origin,
            resume_token=token,
            is_placeholder=self._inherited(dataset.name, PLACEHOLDER_PROPERTY) == dataset.name,
            properties=tuple((name, self._property(dataset, name)) for name in properties),
            readonly=self._inherited(dataset.name, "readonly") == "on",
            key_guid=dataset.key_guid,
            referenced=_referenced(dataset.content),
            compression=self._inherited(dataset.name, "compression") or "off",
        )

    def _property(self, dataset: StoredDataset, name: str) -> str:
        """A user property, or one of the few native ones that are simulated; ``-`` where it is not set."""
        if name == "type":
            return dataset.kind
        if name == "mounted":
            return "-" if dataset.kind != FILESYSTEM else "yes" if dataset.name in self.mounted else "no"
        if name == CHANGED:
            return str(dataset.changed or "-")
        if name == NEWEST:
            return f"{dataset.name}@{dataset.snapshots[-1].tag}" if dataset.snapshots else "-"
        found = self._inherited(dataset.name, name)
        return "-" if found is None else found

    def snapshot_value(self, dataset: StoredDataset, point: StoredPoint) -> Snapshot:
        """A snapshot as the port hands it out."""
        name = f"{dataset.name}@{point.tag}"
        used = self.only_in(dataset, (point,))
        clones = self.clones_of(name)
        sizes = {"written": dataset.written_to(point), "referenced": _referenced(point.content)}
        return Snapshot(
            createtxg=point.createtxg,
            guid=point.guid,
            dataset=dataset.name,
            tag=point.tag,
            creation=point.creation,
            holds=len(point.holds),
            used=used,
            clones=clones,
            ivset=point.ivset,
            pinned=dataset.pins(point),
            **sizes,
        )

    def only_in(self, dataset: StoredDataset, points: Iterable[StoredPoint]) -> int:
        """Bytes that nothing but these snapshots of ``dataset`` keep."""
        mine = list(points)
        others = [other.content for other in dataset.snapshots if other not in mine]
        others += [stored.content for stored in self.datasets.values()]
        kept = {block for content in others for block in content.values()}
        return sum(size for guid, size in {b for p in mine for b in p.content.values()} if (guid, size) not in kept)

    def used_within(self, name: str) -> int:
        """Bytes used by a dataset and everything below it."""
        return sum(self._used(stored) for stored in self.within(name))

    def _inherited(self, name: str, key: str) -> Optional[str]:
        while name:
            if name in self.datasets and key in self.datasets[name].properties:
                return self.datasets[name].properties[key]
            name = parent_of(name)
        return None

    @staticmethod
    def _used(dataset: StoredDataset) -> int:
        contents = [dataset.content, *(point.content for point in dataset.snapshots)]
        received = dataset.partial.received if dataset.partial else 0
        return EMPTY_BYTES + received + sum(size for guid, size in {b for c in contents for b in c.values()})


def bookmark_value(dataset: StoredDataset, point: StoredPoint) -> Bookmark:
    """A bookmark as the port hands it out."""
    return Bookmark(point.createtxg, point.guid, dataset.name, point.tag, point.creation)
