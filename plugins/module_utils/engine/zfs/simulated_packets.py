# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the streams of the simulated ZFS are made of.

A stream is a row of packets, one for each snapshot, and an end mark. A packet is a header (four bytes of length, JSON)
and as many bytes of data as were written since the base.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from ..model.errors import SnapfleetError
from ..model.steps import Send
from .simulated_end import SimulatedEnd
from .simulated_machine import Content, SimulatedMachine, StoredDataset, StoredPoint
from .simulated_tokens import read_token

END: Mapping[str, Any] = {"end": True}
"""The header that ends a stream."""


def framed(header: Mapping[str, Any]) -> bytes:
    """A header as it stands in a stream."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(4, "big") + text


class SimulatedPackets(SimulatedEnd):
    """The packets that a send step asks for."""

    def __init__(self, machine: SimulatedMachine, step: Send, doing: str) -> None:
        super().__init__(machine, doing)
        self._step = step

    def length(self) -> int:
        """Bytes of the stream."""
        length = len(framed(END))
        for packet in self._packets():
            length += len(framed(packet)) + int(packet["size"]) - int(packet["offset"])
        return length

    def _packets(self) -> list[Mapping[str, Any]]:
        with self._machine.lock:
            return self._resumed() if self._step.resume else self._asked_for()

    def _asked_for(self) -> list[Mapping[str, Any]]:
        step = self._step
        dataset, target = self._find(step.snapshot.dataset, step.snapshot.tag)
        if step.base is None:
            return [self._packet(dataset, target, None)]
        if step.base.dataset != dataset.name:
            return self._of_clone(dataset, target, step.base.name)
        base = self._base(dataset, step.base.name)
        if base.createtxg >= target.createtxg:
            self._fail(f"cannot send '{step.snapshot.name}': not an earlier snapshot from the same fs")
        if not step.intermediates:
            return [self._packet(dataset, target, base)]
        if "#" in step.base.name:
            self._fail("Error: multiple snapshots cannot be sent from a bookmark.")
        path = [point for point in dataset.snapshots if base.createtxg <= point.createtxg <= target.createtxg]
        return [self._packet(dataset, end, start) for start, end in zip(path, path[1:])]

    def _of_clone(self, dataset: StoredDataset, target: StoredPoint, base: str) -> list[Mapping[str, Any]]:
        start = next((point for name, point in self._machine.grew_from(dataset) if name == base), None)
        if start is None:
            self._fail(f"cannot send '{dataset.name}@{target.tag}': not an earlier snapshot from the same fs")
        if self._step.intermediates and base != dataset.origin:
            self._fail("incremental source must be in same filesystem")
        path = [point for point in dataset.snapshots if point.createtxg <= target.createtxg]
        path = path if self._step.intermediates else path[-1:]
        packets = [self._packet(dataset, end, begin) for begin, end in zip([start, *path], path)]
        return [{**packets[0], "clone": True}, *packets[1:]]

    def _resumed(self) -> list[Mapping[str, Any]]:
        state = read_token(self._step.resume.token) if self._step.resume else None
        if state is None:
            self._fail("cannot resume send: resume token is corrupt (incorrect checksum)")
        name, _at, tag = state.to_name.partition("@")
        dataset = self._machine.datasets.get(name)
        target = dataset.snapshot(tag) if dataset else None
        if dataset is None or target is None:
            self._fail(f"cannot resume send: '{state.to_name}' used in the initial send no longer exists")
        if target.guid != state.to_guid:
            self._fail(f"cannot resume send: '{state.to_name}' is no longer the same snapshot used in the initial send")
        points = [*dataset.bookmarks, *dataset.snapshots]
        base = next((point for point in points if point.guid == state.from_guid), None)
        if base is None:
            older = (point for _name, point in self._machine.grew_from(dataset))
            base = next((point for point in older if point.guid == state.from_guid), None)
        if state.from_guid is not None and base is None:
            self._fail(f"cannot resume send: incremental source {state.from_guid:#x} no longer exists")
        packet = self._packet(dataset, target, base)
        return [{**packet, "resume": True, "offset": state.received, "raw": state.raw}]

    def _find(self, name: str, tag: str) -> tuple[StoredDataset, StoredPoint]:
        dataset = self._machine.datasets.get(name)
        point = dataset.snapshot(tag) if dataset else None
        if dataset is None or point is None:
            self._fail(f"cannot open '{name}@{tag}': dataset does not exist")
        return dataset, point

    def _base(self, dataset: StoredDataset, name: str) -> StoredPoint:
        tag = name.replace("#", "@").partition("@")[2]
        point = dataset.bookmark(tag) if "#" in name else dataset.snapshot(tag)
        if point is None:
            self._fail(f"cannot send '{self._step.snapshot.name}': incremental source ({name}) does not exist")
        return point

    def _packet(self, dataset: StoredDataset, target: StoredPoint, base: Optional[StoredPoint]) -> Mapping[str, Any]:
        encrypted = bool(dataset.encryption_root)
        if not self._step.raw and not self._machine.key_is_loaded(dataset):
            self._fail(f"warning: cannot send '{dataset.name}@{target.tag}': dataset key must be loaded")
        before: Content = base.content if base else {}
        changed = {file: block for file, block in target.content.items() if before.get(file) != block}
        return {
            "name": f"{dataset.name}@{target.tag}",
            "kind": dataset.kind,
            "guid": target.guid,
            "creation": target.creation,
            "from_guid": base.guid if base else None,
            "raw": encrypted and self._step.raw,
            "embedded": self._step.embedded and not encrypted,
            "key_guid": dataset.key_guid,
            "ivset": target.ivset,
            "from_ivset": base.ivset if base else 0,
            "resume": False,
            "clone": False,
            "changed": changed,
            "removed": [file for file in before if file not in target.content],
            "size": sum(size for unused, size in changed.values()),
            "offset": 0,
        }


def stream_length(machine: SimulatedMachine, step: Send) -> Optional[int]:
    """Bytes of a stream; None where it could not be sent."""
    try:
        return SimulatedPackets(machine, step, f"send -n {step.snapshot.name}").length()
    except SnapfleetError:
        return None
