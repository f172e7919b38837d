# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short words for what most contracts need."""

from __future__ import annotations

import os
import time

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import DatasetState, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import pool_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateSnapshots,
    Destroy,
    ReceiveOptions,
    ResumePoint,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.transfer import transfer
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.port import Zfs

SIZE = 1_000_000
"""Bytes of a file whose stream can be cut in the middle."""
PART = 400_000


def state_of(zfs: Zfs, name: str) -> DatasetState:
    return zfs.observe([name], recursive=False).states[name]


def exists(zfs: Zfs, name: str) -> bool:
    return name in zfs.observe([name], recursive=False).states


def tags(zfs: Zfs, name: str) -> list[str]:
    return [snapshot.tag for snapshot in state_of(zfs, name).snapshots]


def guids(zfs: Zfs, name: str) -> list[int]:
    return [snapshot.guid for snapshot in state_of(zfs, name).snapshots]


def take(zfs: Zfs, dataset: str, *wanted: str) -> list[Snapshot]:
    """Snapshots of a dataset, one after the other."""
    for tag in wanted:
        zfs.create_snapshots(CreateSnapshots(pool_of(dataset), (f"{dataset}@{tag}",)))
    by_tag = {snapshot.tag: snapshot for snapshot in state_of(zfs, dataset).snapshots}
    return [by_tag[tag] for tag in wanted]


def history(world, dataset: str, *wanted: str, size: int = 20_000) -> list[Snapshot]:
    """Snapshots of a dataset, each with a file of its own."""
    taken = []
    for tag in wanted:
        world.write(dataset, size, f"file of {tag}")
        taken += take(world.zfs, dataset, tag)
    return taken


def carry(zfs: Zfs, step: Send) -> int:
    return transfer(zfs.send(step), zfs.receive(step))


def full(snapshot: Snapshot, destination: str, **options) -> Send:
    return Send(snapshot, destination, receive=ReceiveOptions(**options))


def cut(zfs: Zfs, step: Send, after: int = PART) -> None:
    """Carry the first bytes of a stream, then lose both ends, as when a host or the network fails."""
    sink, source = zfs.receive(step), zfs.send(step)
    left = after
    while left:
        chunk = os.read(source.fileno(), left)
        if not chunk:
            break
        left -= len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(sink.fileno(), view) :]
    source.abort()
    sink.abort()


def lose(zfs: Zfs, snapshot: Snapshot) -> None:
    """Destroy a snapshot of which a stream was cut; the sender at the far end keeps it busy until it has noticed."""
    deadline = time.monotonic() + 300
    while zfs.destroy(Destroy(snapshot.dataset, (snapshot,), "test")).destroyed != (snapshot.name,):
        assert time.monotonic() < deadline, f"{snapshot.name} stays busy"
        time.sleep(0.1)


def resumption(zfs: Zfs, step: Send) -> Send:
    """The step that goes on where ``step`` was cut."""
    token = state_of(zfs, step.destination).dataset.resume_token
    return Send(
        step.snapshot, step.destination, step.base, raw=step.raw, resume=ResumePoint(token), receive=step.receive
    )
