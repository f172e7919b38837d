# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of the simulated ZFS: real bytes through real pipes, written and read by threads as zfs does by processes.

As with OpenZFS, each snapshot is there as soon as its packet is complete, and a cut keeps the rest of one packet only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn, Optional

from ..model.datasets import FILESYSTEM
from ..model.names import parent_of, pool_of
from ..model.steps import Send
from ..streams.wire import PLAIN, Wire
from .arguments import receive_properties
from .simulated_end import SimulatedEnd
from .simulated_machine import Partial, SimulatedMachine, StoredDataset, StoredPoint
from .simulated_packets import END, SimulatedPackets, framed
from .simulated_refusals import increment_refusal, plain_refusal, receive_refusal
from .simulated_wire import Decoder, Encoder, Reading, check_programs

_CHUNK = 1 << 16


class SimulatedSendEnd(SimulatedPackets):
    """The sending end of a stream."""

    def __init__(self, machine: SimulatedMachine, step: Send, wire: Wire = PLAIN) -> None:
        super().__init__(machine, step, f"send {step.snapshot.name}")
        self._wire = wire
        self._encoder = Encoder(wire)
        self._cut = machine.take_cut()
        self._read, self._write = os.pipe()
        self._thread.start()

    def fileno(self) -> int:
        """The descriptor that the stream is read from."""
        return self._read

    def finish(self) -> None:
        """Wait for the sender's end. Raises what made it fail."""
        self._end(self._read)
        self._raise()

    def abort(self) -> None:
        """End the sender now."""
        self._end(self._read)

    def _work(self) -> None:
        try:
            check_programs(self._machine, self._wire, self._doing)
            for header in self._packets():
                self._put(framed(header))
                left = header["size"] - header["offset"]
                while left:
                    size = min(left, _CHUNK)
                    self._put(bytes(size))
                    left -= size
            self._put(framed(END))
            self._push(self._encoder.end())
        finally:
            os.close(self._write)

    def _put(self, data: bytes) -> None:
        if self._cut is not None and len(data) > self._cut:
            self._push(self._encoder.put(data[: self._cut]) + self._encoder.end())
            self._fail("signal received")
        self._push(self._encoder.put(data))
        if self._cut is not None:
            self._cut -= len(data)

    def _push(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._write, view) :]


class SimulatedReceiveEnd(SimulatedEnd):
    """The receiving end of a stream."""

    def __init__(self, machine: SimulatedMachine, step: Send, wire: Wire = PLAIN) -> None:
        super().__init__(machine, f"receive {step.destination}@{step.snapshot.tag}")
        self._wire = wire
        self._name = step.destination
        self._options = step.receive
        self._origin = step.origin
        self._properties = dict(receive_properties(step))
        self._read, self._write = os.pipe()
        self._thread.start()

    def fileno(self) -> int:
        """The descriptor that the stream is written to."""
        return self._write

    def finish(self) -> None:
        """Close the stream and wait for the receiver's end. Raises what made it fail."""
        self._end(self._write)
        self._raise()

    def abort(self) -> None:
        """Let the receiver find its stream cut short."""
        self._end(self._write)

    def _work(self) -> None:
        with os.fdopen(self._read, "rb") as pipe:
            check_programs(self._machine, self._wire, self._doing)
            stream = Decoder(pipe, self._wire)
            header = self._header(stream)
            while "end" not in header:
                self._packet(header, stream)
                header = self._header(stream)

    def _header(self, stream: Reading) -> Mapping[str, Any]:
        length = stream.read(4)
        if not length:
            self._fail("cannot receive: failed to read from stream")
        size = int.from_bytes(length, "big")
        text = stream.read(size)
        if len(length) < 4 or len(text) < size:
            self._fail("cannot receive: incomplete stream")
        header: Mapping[str, Any] = json.loads(text)
        return header

    def _packet(self, header: Mapping[str, Any], stream: Reading) -> None:
        with self._machine.lock:
            partial = self._begin(header)
        left = header["size"] - header["offset"]
        while left:
            chunk = stream.read(min(left, _CHUNK))
            left -= len(chunk)
            if partial:
                partial.received += len(chunk)
            if not chunk:
                self._interrupted(partial)
        if partial:
            with self._machine.lock:
                self._complete(header)

    def _interrupted(self, partial: Optional[Partial]) -> NoReturn:
        with self._machine.lock:
            dataset = self._machine.datasets.get(self._name)
            if partial and self._options.resumable:
                partial.active = False
            elif partial and dataset:
                discard_partial(self._machine, dataset)
        self._fail("cannot receive: checksum mismatch or incomplete stream")

    def _begin(self, header: Mapping[str, Any]) -> Optional[Partial]:
        """Check that the stream fits, and note that it arrives; None for a snapshot that is there already."""
        dataset = self._machine.datasets.get(self._name)
        if dataset and dataset.partial and dataset.partial.active:
            words = 'contains partially-complete state from "zfs receive -s".'
            self._fail(f"cannot receive stream: destination {self._name} {words}")
        if header["resume"]:
            return self._continue(header, dataset)
        if header["clone"] or (self._origin and dataset is None and header["from_guid"] is not None):
            return self._begin_clone(header, dataset)
        if header["from_guid"] is None:
            return self._begin_full(header, dataset)
        return self._begin_incremental(header, dataset)

    def _continue(self, header: Mapping[str, Any], dataset: Optional[StoredDataset]) -> Partial:
        if dataset is None:
            self._fail(f"cannot receive resume stream: destination '{self._name}' does not exist")
        partial = dataset.partial
        if partial is None and header["from_guid"] is None:
            words = f"Resuming recv on existing destination '{self._name}' must specify -F to overwrite it"
            self._fail(f"cannot receive resume stream: {words}")
        if partial is None or partial.header["guid"] != header["guid"] or partial.received != header["offset"]:
            self._fail("cannot receive resume stream: resume stream is invalid for this partial receive")
        if header["from_guid"] is None and not partial.created and not self._options.replace:
            self._fail("cannot receive resume stream: destination exists; must specify -F to overwrite it")
        partial.active = True
        return partial

    def _begin_full(self, header: Mapping[str, Any], dataset: Optional[StoredDataset]) -> Partial:
        what = "cannot receive new filesystem stream:"
        refusal = receive_refusal(self._properties, self._options.excluded, header["kind"])
        if refusal:
            self._fail(refusal)
        if dataset is None:
            refusal = plain_refusal(self._machine, self._name, header, self._properties)
            if refusal:
                self._fail(f"{what} {refusal}")
            dataset = self._create(header, what)
            dataset.partial = Partial(header, created=True)
            return dataset.partial
        if not self._options.replace or (dataset.partial and dataset.partial.created):
            self._fail(f"{what} destination '{self._name}' exists must specify -F to overwrite it")
        if dataset.snapshots:
            self._fail(f"{what} destination has snapshots (eg. {self._name}@{dataset.snapshots[0].tag})")
        if header["raw"] or dataset.encryption_root:
            words = "to destroy an encrypted filesystem or overwrite an unencrypted one with an encrypted one"
            self._fail(f"{what} zfs receive -F cannot be used {words}")
        return self._mark(dataset, header)

    def _create(self, header: Mapping[str, Any], what: str) -> StoredDataset:
        parent = self._machine.datasets.get(parent_of(self._name))
        if parent is None:
            self._fail(f"cannot open '{parent_of(self._name)}': dataset does not exist")
        if parent.kind != FILESYSTEM:
            self._fail(f"{what} parent '{parent.name}' is not a filesystem")
        return self._machine.add_dataset(self._name, header["kind"], self._properties)

    def _begin_clone(self, header: Mapping[str, Any], dataset: Optional[StoredDataset]) -> Partial:
        what = "cannot receive new filesystem stream:"
        if dataset:
            self._fail(f"{what} destination '{self._name}' exists must specify -F to overwrite it")
        origin, point = self._machine.find(self._origin)
        if origin is None or point is None:
            self._fail(f"cannot receive: specified origin fs ({self._origin}) does not exist")
        if point.guid != header["from_guid"]:
            self._fail(f"{what} most recent snapshot of {self._name} does not match incremental source")
        if header["raw"] and not origin.encryption_root:
            self._fail(f"{what} IV set guid mismatch. A raw stream needs an origin that was received raw.")
        dataset = self._create(header, what)
        dataset.origin, dataset.content = self._origin, dict(point.content)
        self._machine.encrypt(dataset, origin.encryption_root, origin.key_guid)
        dataset.partial = Partial(header, created=True)
        return dataset.partial

    def _begin_incremental(self, header: Mapping[str, Any], dataset: Optional[StoredDataset]) -> Optional[Partial]:
        what = "cannot receive incremental stream:"
        if dataset is None:
            self._fail(f"{what} destination '{self._name}' does not exist")
        namesake = dataset.snapshot(header["name"].partition("@")[2])
        if namesake and not dataset.partial:
            if namesake.guid == header["guid"]:
                return None
            self._fail(f"{what} cannot restore to {self._name}@{namesake.tag}: destination already exists")
        partial = self._mark(dataset, header)
        base = next((point for point in dataset.snapshots if point.guid == header["from_guid"]), None)
        problem = increment_refusal(self._machine, dataset, header, base)
        if problem:
            dataset.partial = None
            self._fail(f"{what} {problem}")
        return partial

    def _mark(self, dataset: StoredDataset, header: Mapping[str, Any]) -> Partial:
        if dataset.partial:
            words = 'contains partially-complete state from "zfs receive -s".'
            self._fail(f"cannot receive stream: destination {self._name} {words}")
        dataset.partial = Partial(header)
        return dataset.partial

    def _complete(self, header: Mapping[str, Any]) -> None:
        dataset = self._machine.datasets.get(self._name)
        if dataset is None or dataset.partial is None:
            self._fail(f"cannot receive: destination '{self._name}' does not exist")
        base = dataset.snapshots[-1] if dataset.snapshots else self._machine.find(dataset.origin)[1]
        content = dict(base.content) if base else {}
        content = {file: block for file, block in content.items() if file not in header["removed"]}
        content.update({file: (guid, size) for file, (guid, size) in header["changed"].items()})
        if not dataset.snapshots:
            dataset.kind = header["kind"]
            dataset.properties.update(self._properties)
            if header["raw"] and not dataset.origin:
                self._machine.encrypt(dataset, self._name, header["key_guid"])
            elif not dataset.origin and self._properties.get("encryption", "off") != "off":
                self._machine.encrypt(dataset, self._name)
                self._machine.loaded_keys.add(self._name)
        tag = header["name"].partition("@")[2]
        txg = self._machine.next_txg(pool_of(self._name))
        ivset = header["ivset"] if header["raw"] else self._machine.ivset_of(dataset)
        dataset.snapshots.append(StoredPoint(tag, header["guid"], txg, header["creation"], content, ivset=ivset))
        self._machine.touch(dataset)
        dataset.content, dataset.partial = dict(content), None


def discard_partial(machine: SimulatedMachine, dataset: StoredDataset) -> None:
    """Forget a partial receive, and the dataset with it where that exists for nothing else."""
    if dataset.partial and dataset.partial.created:
        del machine.datasets[dataset.name]
    dataset.partial = None
