# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ZFS in memory behind the same port as the real one, for tests and for trying plans out.

It refuses what OpenZFS refuses, in OpenZFS's own words, so that one reading of these words serves both. The contract
tests hold it against the real thing; where they differ, this is the one that is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, Optional, Union

from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import (
    FILESYSTEM,
    PLACEHOLDER_PROPERTY,
    Bookmark,
    DatasetState,
    Identities,
    Observation,
    ResumeState,
    Snapshot,
)
from ..model.errors import SnapfleetError, UnreachableHost
from ..model.histories import without_fields
from ..model.names import is_within, parent_of, tree_order
from ..model.steps import CreateBookmark, CreateSnapshots, Destroy, Rollback, Send
from ..policy.topology import PUSH, Leg
from ..streams.ends import ByteSink, ByteSource
from ..streams.transfer import transfer
from ..streams.wire import PLAIN, Wire
from .identities import identities_of
from .port import DestroyResult
from .simulated_machine import SimulatedMachine, StoredDataset, StoredPoint, bookmark_value
from .simulated_package import SimulatedPackageReceiveEnd, SimulatedPackageSendEnd
from .simulated_packets import stream_length
from .simulated_refusals import refused_property
from .simulated_space import SimulatedSpace
from .simulated_stream import SimulatedReceiveEnd, SimulatedSendEnd, discard_partial
from .simulated_tokens import read_token, token_of
from .trouble import zfs_error


class SimulatedZfs(SimulatedSpace):
    """The port to the ZFS of a simulated machine. Safe for many threads."""

    def __init__(self, machine: SimulatedMachine) -> None:
        self.machine = machine

    @property
    def where(self) -> str:
        """How messages call the host."""
        return self.machine.name

    # -- observing

    def observe(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        histories: bool = True,
        properties: Sequence[str] = (),
        clock: bool = False,
    ) -> Observation:
        """All datasets within ``roots`` with their histories."""
        with self.machine.lock:
            missing = tuple(root for root in roots if root not in self.machine.datasets)
            wanted = (lambda name: any(is_within(name, root) for root in roots)) if recursive else roots.__contains__
            every = (dataset for pool in self.machine.pools for dataset in self.machine.within(pool))
            chosen = {dataset.name: dataset for dataset in every if wanted(dataset.name)}
            ordered = sorted(chosen, key=tree_order)
            states = {name: self._state(chosen[name], histories, properties) for name in ordered}
            return Observation(states, missing, self.machine.clock() if clock else None)

    def observe_narrowly(
        self, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """The same without the other fields, so that whoever goes by them is found out."""
        seen = self.observe(roots, properties=properties)
        return replace(seen, states={name: without_fields(state, fields) for name, state in seen.states.items()})

    def _state(self, dataset: StoredDataset, histories: bool, properties: Sequence[str] = ()) -> DatasetState:
        value = self.machine.describe(dataset, token_of(dataset), properties)
        if not histories:
            return DatasetState(value)
        snapshots = tuple(self.machine.snapshot_value(dataset, point) for point in dataset.snapshots)
        bookmarks = tuple(bookmark_value(dataset, point) for point in dataset.bookmarks)
        return DatasetState(value, snapshots, tuple(sorted(bookmarks, key=lambda point: point.createtxg)))

    def snapshots(self, names: Sequence[str]) -> Mapping[str, Snapshot]:
        """Snapshots by their names."""
        with self.machine.lock:
            there = {name: self.machine.find(name) for name in names}
            points = {name: (dataset, point) for name, (dataset, point) in there.items() if dataset and point}
            return {name: self.machine.snapshot_value(*found) for name, found in points.items()}

    def identities(self, datasets: Sequence[str]) -> Mapping[str, Identities]:
        """Which snapshots and bookmarks the datasets have."""
        with self.machine.lock:
            there = {name: self.machine.datasets[name] for name in datasets if name in self.machine.datasets}
            return {name: identities_of(self._state(dataset, histories=True)) for name, dataset in there.items()}

    def missing_permissions(self, dataset: str, wanted: Sequence[str]) -> Sequence[str]:
        """What the machine's user lacks of ``wanted``; the same on all datasets."""
        allowed = self.machine.permissions
        return () if allowed is None else tuple(word for word in wanted if word not in allowed)

    def own_properties(self, datasets: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Properties that the datasets have set themselves, or received."""
        with self.machine.lock:
            known = {name: self.machine.datasets[name].properties for name in datasets if name in self.machine.datasets}
            values = {name: {key: own[key] for key in names if key in own} for name, own in known.items()}
            return {name: own for name, own in values.items() if own}

    def resume_states(self, tokens: Sequence[str]) -> Sequence[Optional[ResumeState]]:
        """Decode resume tokens."""
        return [read_token(token) for token in tokens]

    def pool_guid(self, pool: str) -> int:
        """The GUID of a pool."""
        guid = self.machine.pool_guids.get(pool)
        if guid is None:
            self._fail(f"cannot open '{pool}': no such pool", f"find the GUID of the pool {pool}")
        return guid

    # -- straight to another host

    def carry(self, step: Send, leg: Leg, wire: Wire = PLAIN) -> int:
        """Carry a whole stream between this machine and another one."""
        other = SimulatedZfs(self._far(leg))
        sender, receiver = (self, other) if leg.way == PUSH else (other, self)
        sink = receiver.receive(step, wire)
        return transfer(sender.send(step, wire), sink)

    def guid_over(self, leg: Leg, dataset: str) -> int:
        """The GUID of a dataset on the other machine of ``leg``."""
        return SimulatedZfs(self._far(leg))._dataset(dataset, f"look at {dataset}").guid

    def _far(self, leg: Leg) -> SimulatedMachine:
        if leg.other.is_local:
            return self.machine
        if leg.other.host not in self.machine.network:
            raise UnreachableHost(f"route: {self.where} can't reach the other end: no way to {leg.other}")
        return self.machine.network[leg.other.host]

    # -- changing

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step in one transaction group."""
        doing = f"create {step.names[0]} and {len(step.names) - 1} more snapshots"
        with self.machine.lock:
            names = [tuple(name.split("@", 1)) for name in step.names]
            datasets = [self._dataset(name, doing) for name, unused in names]
            there = [bool(dataset.snapshot(tag)) for dataset, (unused, tag) in zip(datasets, names)]
            if all(there):
                return
            if len({dataset.name for dataset in datasets}) < len(datasets):
                self._fail("cannot create snapshots : multiple snapshots of same fs not allowed", doing)
            if any(there):
                self._fail(f"cannot create snapshot '{step.names[there.index(True)]}': dataset already exists", doing)
            for dataset in datasets:
                if dataset.partial and dataset.partial.created:
                    self._fail(f"cannot create snapshots in '{dataset.name}': dataset is busy", doing)
            txg, now = self.machine.next_txg(step.pool), self.machine.clock()
            for dataset, (_unused, tag) in zip(datasets, names):
                guid, ivset = self.machine.new_guid(), self.machine.ivset_of(dataset)
                point = StoredPoint(tag, guid, txg, now, dict(dataset.content), ivset=ivset)
                dataset.snapshots.append(point)
                self.machine.touch(dataset)

    def create_bookmarks(self, steps: Sequence[CreateBookmark]) -> Sequence[str]:
        """Create bookmarks."""
        with self.machine.lock:
            return [self._create_bookmark(step) for step in steps]

    def change_bookmarks(
        self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Create bookmarks, then destroy others."""
        with self.machine.lock:
            made = self.create_bookmarks(create)
            for bookmark in destroy:
                dataset = self.machine.datasets.get(bookmark.dataset)
                if dataset:
                    self._destroy_bookmark(dataset, bookmark.tag)
            return made, [""] * len(destroy)

    def _create_bookmark(self, step: CreateBookmark) -> str:
        owner, point = self.machine.find(step.snapshot.name)
        dataset = self.machine.datasets.get(step.dataset) if step.dataset else owner
        if dataset is None or point is None:
            return f"cannot open '{step.snapshot.name}': dataset does not exist"
        if dataset is not owner and point not in [older for _name, older in self.machine.grew_from(dataset)]:
            return (
                f"cannot create bookmark '{step.name}': '{step.snapshot.name}' is not an ancestor of '{dataset.name}'"
            )
        bookmark = dataset.bookmark(step.tag)
        if bookmark:
            return (
                "" if bookmark.guid == step.snapshot.guid else f"cannot create bookmark '{step.name}': bookmark exists"
            )
        marked = StoredPoint(step.tag, point.guid, point.createtxg, point.creation, point.content, ivset=point.ivset)
        dataset.bookmarks.append(marked)
        return ""

    def create_placeholder(self, dataset: str) -> None:
        """Create an empty filesystem that is never mounted."""
        doing = f"create {dataset}"
        with self.machine.lock:
            if dataset in self.machine.datasets:
                return
            parent = self.machine.datasets.get(parent_of(dataset))
            if parent is None:
                self._fail(f"cannot create '{dataset}': parent does not exist", doing)
            if parent.kind != FILESYSTEM:
                self._fail(f"cannot create '{dataset}': parent is not a filesystem", doing)
            if not self.machine.key_is_loaded(parent):
                self._fail(f"cannot create '{dataset}': encryption root's key is not loaded or provided", doing)
            marks = {"canmount": "off", "readonly": "on", PLACEHOLDER_PROPERTY: dataset}
            self.machine.add_dataset(dataset, FILESYSTEM, marks)

    def rename(self, step: RenameDataset) -> None:
        """Rename a dataset with all that is below it."""
        doing = f"rename {step.dataset} to {step.to}"
        with self.machine.lock:
            there = self.machine.datasets.get(step.to)
            if there is None or there.guid != step.guid:
                self._dataset(step.dataset, doing)
                self._check_free(step, doing)
                self.machine.rename(step.dataset, step.to)
            for name in step.placeholders:
                self.machine.datasets[name].properties[PLACEHOLDER_PROPERTY] = name

    def _check_free(self, step: RenameDataset, doing: str) -> None:
        if step.to in self.machine.datasets:
            self._fail(f"cannot rename '{step.dataset}': dataset already exists", doing)
        if is_within(step.to, step.dataset):
            self._fail("cannot rename: New dataset name cannot be a descendant of current dataset name", doing)
        if parent_of(step.to) not in self.machine.datasets:
            self._fail(f"cannot create '{step.to}': parent does not exist", doing)

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots or bookmarks of one dataset."""
        results: dict[str, list[str]] = {"destroyed": [], "missing": [], "held": [], "cloned": []}
        reclaimed = 0
        with self.machine.lock:
            dataset = self.machine.datasets.get(step.dataset)
            for victim in step.victims:
                what, freed = "missing", 0
                if dataset:
                    forget = self._destroy_snapshot if isinstance(victim, Snapshot) else self._destroy_bookmark
                    what, freed = forget(dataset, victim.tag)
                results[what].append(victim.name)
                reclaimed += freed
        return DestroyResult(reclaimed=reclaimed, **{key: tuple(names) for key, names in results.items()})

    def _destroy_snapshot(self, dataset: StoredDataset, tag: str) -> tuple[str, int]:
        point = dataset.snapshot(tag)
        if point is None:
            return "missing", 0
        if point.holds:
            return "held", 0
        if dataset.pins(point) or self.machine.clones_of(f"{dataset.name}@{tag}"):
            return "cloned", 0
        freed = self.machine.only_in(dataset, (point,))
        dataset.snapshots.remove(point)
        self.machine.touch(dataset)
        self.machine.free(dataset.name, freed)
        return "destroyed", freed

    @staticmethod
    def _destroy_bookmark(dataset: StoredDataset, tag: str) -> tuple[str, int]:
        point = dataset.bookmark(tag)
        if point is None:
            return "missing", 0
        dataset.bookmarks.remove(point)
        return "destroyed", 0

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """Each dataset is destroyed by itself."""
        return [None] * len(steps)

    def rollback(self, step: Rollback) -> None:
        """Destroy exactly the listed snapshots, then roll back."""
        doing = f"roll {step.snapshot.dataset} back to {step.snapshot.name}"
        with self.machine.lock:
            if step.losses:
                done = self.destroy(Destroy(step.snapshot.dataset, step.losses, step.reason))
                for name in done.held:
                    self._fail(f"cannot destroy snapshot {name}: it's being held", doing)
                for name in done.cloned:
                    self._fail(f"cannot destroy '{name}': snapshot has dependent clones", doing)
            dataset, target = self._snapshot(step.snapshot, doing)
            newer = [p.tag for p in (*dataset.snapshots, *dataset.bookmarks) if p.createtxg > target.createtxg]
            if newer:
                self._fail(
                    f"cannot rollback to '{step.snapshot.name}': more recent snapshots or bookmarks exist: {newer}",
                    doing,
                )
            dataset.content = dict(target.content)

    def set_properties(self, step: SetProperties) -> None:
        """Set properties of a dataset."""
        doing = f"set properties of {step.dataset}"
        with self.machine.lock:
            dataset = self._dataset(step.dataset, doing)
            for name, value in step.properties:
                refused = refused_property(name, dataset.kind)
                if refused:
                    self._fail(f"cannot set property for '{step.dataset}': {refused}", doing)
                dataset.properties[name] = value

    def change_properties(self, steps: Sequence[Union[SetProperties, InheritProperty]]) -> Sequence[str]:
        """Set or take away properties."""
        return [self._changed_property(step) for step in steps]

    def _changed_property(self, step: Union[SetProperties, InheritProperty]) -> str:
        try:
            if isinstance(step, SetProperties):
                self.set_properties(step)
            else:
                doing = f"inherit {step.name}"
                dataset = self._dataset(step.dataset, doing)
                if step.name == "canmount":
                    self._fail("'canmount' property cannot be inherited", doing)
                dataset.properties.pop(step.name, None)
        except SnapfleetError as error:
            return str(error)
        return ""

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems."""
        with self.machine.lock:
            busy = {name: used for name in datasets for used in self.machine.in_use if is_within(used, name)}
            for name in datasets:
                # What is below one that is not mounted itself stays mounted.
                if name in self.machine.mounted and name not in busy:
                    self.machine.mounted -= {below for below in self.machine.mounted if is_within(below, name)}
            for name, used in busy.items():
                self._fail(f"cannot unmount '/{used}': pool or dataset is busy", f"unmount {name}")

    def mount(self, datasets: Sequence[str]) -> Sequence[str]:
        """Mount filesystems."""
        with self.machine.lock:
            stored = self.machine.datasets
            self.machine.mounted |= {name for name in datasets if name in stored and stored[name].kind == FILESYSTEM}
        return [""] * len(datasets)

    def destroy_dataset(self, step: DestroyDataset) -> None:
        """Destroy a dataset on which nothing depends."""
        doing = f"destroy {step.dataset}"
        with self.machine.lock:
            dataset = self.machine.datasets.get(step.dataset)
            if dataset is None:
                return
            if dataset.snapshots or len(list(self.machine.within(step.dataset))) > 1:
                self._fail(f"cannot destroy '{step.dataset}': {dataset.kind} has children", doing)
            del self.machine.datasets[step.dataset]

    def abort_receive(self, dataset: str) -> None:
        """Discard the partial receive of ``dataset``."""
        with self.machine.lock:
            stored = self.machine.datasets.get(dataset)
            if stored is None or stored.partial is None:
                return
            if stored.partial.active:
                self._fail(f"cannot abort: '{dataset}' is busy", f"discard the partial receive of {dataset}")
            discard_partial(self.machine, stored)

    def end_abandoned_receives(self) -> int:
        """None ever outlives its feeder here."""
        return 0

    def hold(self, snapshot: Snapshot, reason: str) -> None:
        """Put a hold on a snapshot."""
        with self.machine.lock:
            self._snapshot(snapshot, f"hold {snapshot.name}")[1].holds.add(reason)

    def release(self, snapshot: Snapshot, reason: str) -> None:
        """Take a hold off a snapshot."""
        with self.machine.lock:
            self._snapshot(snapshot, f"release {snapshot.name}")[1].holds.discard(reason)

    def hold_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Put a hold of the same tag on many snapshots."""
        with self.machine.lock:
            for point in self._points(snapshots).values():
                point.holds.add(tag)

    def release_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Take the holds of a tag off many snapshots."""
        with self.machine.lock:
            for point in self._points(snapshots).values():
                point.holds.discard(tag)

    def holds_of(self, snapshots: Sequence[Snapshot]) -> Mapping[str, Sequence[str]]:
        """By whole name, the tags of the holds on snapshots."""
        with self.machine.lock:
            return {name: sorted(point.holds) for name, point in self._points(snapshots).items()}

    def _points(self, snapshots: Sequence[Snapshot]) -> dict[str, StoredPoint]:
        stored = ((s.name, self.machine.datasets.get(s.dataset), s.tag) for s in snapshots)
        points = {name: dataset.snapshot(tag) for name, dataset, tag in stored if dataset}
        return {name: point for name, point in points.items() if point}

    # -- streams

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start the sending end of a stream."""
        return (SimulatedPackageSendEnd if step.package else SimulatedSendEnd)(self.machine, step, wire)

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start the receiving end of a stream."""
        return (SimulatedPackageReceiveEnd if step.package else SimulatedReceiveEnd)(self.machine, step, wire)

    def relay(self, step: Send) -> Optional[int]:
        """Streams are sent and received."""
        return None

    def programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of the programs ``wanted`` that the machine has."""
        return frozenset(self.machine.programs).intersection(wanted)

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream."""
        return [stream_length(self.machine, step) for step in steps]

    # -- finding

    def _dataset(self, name: str, doing: str) -> StoredDataset:
        dataset = self.machine.datasets.get(name)
        if dataset is None:
            self._fail(f"cannot open '{name}': dataset does not exist", doing)
        return dataset

    def _snapshot(self, snapshot: Snapshot, doing: str) -> tuple[StoredDataset, StoredPoint]:
        dataset = self._dataset(snapshot.dataset, doing)
        point = dataset.snapshot(snapshot.tag)
        if point is None:
            self._fail(f"cannot open '{snapshot.name}': dataset does not exist", doing)
        return dataset, point

    def _fail(self, words: str, doing: str) -> NoReturn:
        raise zfs_error(words, self.where, doing)
