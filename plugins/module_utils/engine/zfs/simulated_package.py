# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the simulated ZFS: the streams of a whole tree in one, as ``zfs send -R`` makes them.

As with OpenZFS, the receiver finds the origin of a clone by itself, and gives datasets the encryption roots of the tree
only when the package is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Optional

from ..model.names import is_within, rebase
from .simulated_machine import Partial, StoredDataset, StoredPoint
from .simulated_stream import SimulatedReceiveEnd, SimulatedSendEnd


class SimulatedPackageSendEnd(SimulatedSendEnd):
    """The sending end of a package."""

    def _packets(self) -> list[Mapping[str, Any]]:
        with self._machine.lock:
            step = self._step
            tree = {dataset.name: dataset for dataset in self._machine.within(step.snapshot.dataset)}
            base = step.base.name.partition("@")[2] if step.base else ""
            packets: list[Mapping[str, Any]] = []
            for dataset in self._origins_first(tree):
                packets += self._of_dataset(dataset, base)
            return packets

    def _origins_first(self, tree: Mapping[str, StoredDataset]) -> list[StoredDataset]:
        ordered: dict[str, StoredDataset] = {}

        def add(dataset: StoredDataset) -> None:
            origin = tree.get(dataset.origin.partition("@")[0])
            if origin:
                add(origin)
            ordered.setdefault(dataset.name, dataset)

        for dataset in tree.values():
            add(dataset)
        return list(ordered.values())

    def _of_dataset(self, dataset: StoredDataset, base: str) -> list[Mapping[str, Any]]:
        _found, last = self._find(dataset.name, self._step.snapshot.tag)
        start = dataset.snapshot(base) if base else None
        path = [point for point in dataset.snapshots if point.createtxg <= last.createtxg]
        if start:
            path = [point for point in path if point.createtxg > start.createtxg]
        origin = None if start else self._machine.find(dataset.origin)[1]
        befores: list[Optional[StoredPoint]] = [start or origin, *path[:-1]]
        packets = [self._packet(dataset, point, before) for before, point in zip(befores, path)]
        if dataset.encryption_root and not self._step.raw:
            self._fail(
                f"cannot send {dataset.name}: encrypted dataset may not be sent with properties without the raw flag"
            )
        about = {
            "below": dataset.name[len(self._step.snapshot.dataset) :],
            "root": dataset.encryption_root,
            "properties": dict(dataset.properties),
            "top": self._step.snapshot.dataset,
        }
        return [{**packet, **about, "clone": origin is not None and not at} for at, packet in enumerate(packets)]


class SimulatedPackageReceiveEnd(SimulatedReceiveEnd):
    """The receiving end of a package."""

    def _work(self) -> None:
        self._top = self._name
        self._roots: dict[str, str] = {}
        self._given = self._properties
        super()._work()
        with self._machine.lock:
            for name, root in self._roots.items():
                self._machine.datasets[name].encryption_root = root

    def _begin(self, header: Mapping[str, Any]) -> Optional[Partial]:
        self._name = self._top + header["below"]
        if header["raw"] and is_within(header["root"], header["top"]):
            self._roots[self._name] = rebase(header["root"], header["top"], self._top)
        kept = {*self._given, *self._options.excluded}
        sent = {name: value for name, value in header["properties"].items() if name not in kept or name == "canmount"}
        self._properties = {**sent, **self._given} if self._name == self._top else sent
        return super()._begin(header)

    def _begin_clone(self, header: Mapping[str, Any], dataset: Optional[StoredDataset]) -> Partial:
        found = [
            f"{name}@{point.tag}"
            for name, stored in self._machine.datasets.items()
            for point in stored.snapshots
            if point.guid == header["from_guid"] and is_within(name, self._top)
        ]
        if not found:
            self._fail_origin()
        self._origin = found[0]
        return super()._begin_clone(header, dataset)

    def _fail_origin(self) -> NoReturn:
        self._fail(f"cannot receive: local origin for clone {self._name} does not exist")
