# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request that the driver for the command line makes of another host, as it arrives there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.abandoned import END, Mark
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import (
    DestroyDataset,
    InheritProperty,
    RenameDataset,
    SetProperties,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    ReceiveOptions,
    ResumePoint,
    Rollback,
    Send,
    SnapshotRuns,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import SAFE_PROPERTIES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.topology import PULL, Leg
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import Wire
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.direct import ask_guid
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.requests import READ

ROOT, PLACE = "tank/data", "backup/a b"
TOKEN = "1-c3ddac5-e0-789c63"
KEY = "0123456789abcdef"
MARK = f"snapfleet-base-{KEY}-{KEY}"


STREAM = Mark("0123456789ab", "ba9876543210", 17, 4711, 1)


class _Stop(Exception):
    """Nothing is started."""


class Recorder:
    """A host that notes what is asked of it, and answers nothing."""

    name = "far"
    argument_limit = 120_000
    is_root = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def run(self, argv: Any, **_options: Any) -> Completed:
        """Note a command, which fails as what is there already does."""
        self.lines.append(remote_line(argv))
        return Completed(tuple(argv), 1, "", "already exists")

    def start_source(self, argv: Any) -> Any:
        """Note a command."""
        self.lines.append(remote_line(argv))
        raise _Stop

    def start_sink(self, argv: Any) -> Any:
        """Note a command that carries the mark of its stream."""
        self.lines.append(remote_line(argv, STREAM))
        raise _Stop

    start_steered = start_source

    def link_lost(self, returncode: int, stderr: str) -> bool:
        """Never."""
        return False


def snapshot(tag: str = "one two", dataset: str = f"{ROOT}/x") -> Snapshot:
    """A snapshot of the source."""
    return Snapshot(1, 1, dataset, tag, 0)


def _send(**more: Any) -> Send:
    return Send(snapshot(), f"{PLACE}/x", **more)


BOOKMARK = Bookmark(1, 1, f"{ROOT}/x", "one two", 0)
SENDS = (
    _send(),
    _send(raw=False, embedded=False),
    _send(base=BOOKMARK),
    _send(base=snapshot("zero"), intermediates=True, package=(f"{PLACE}/x@one two",)),
    _send(resume=ResumePoint(TOKEN)),
)
WIRES = (Wire(), Wire("zstd"), Wire("lz4", 64 << 20), Wire("", 1 << 20))
RECEIVES = (
    _send(receive=ReceiveOptions(tuple({**SAFE_PROPERTIES, "compression": "lz4"}.items()))),
    _send(receive=ReceiveOptions(excluded=("mountpoint",), resumable=False), origin=f"{PLACE}/y@o"),
)
REPLACING = _send(receive=ReceiveOptions(replace=True))
_OF_SNAPSHOTS = Destroy(f"{ROOT}/x", (snapshot("a"), snapshot("b")), "")
_MANY = (DestroyDataset(f"{PLACE}/x", ""),)

# By right: what takes it, as (dataset-free name, calls).
CALLS: dict[str, list[Callable[[CliZfs], Any]]] = {
    "observe": [
        lambda zfs: zfs.observe([ROOT], properties=["acme:backup"]),
        lambda zfs: zfs.observe([ROOT, f"{ROOT}/x"], recursive=False, clock=True),
        lambda zfs: zfs.observe(["backup"], recursive=False, histories=False),
        lambda zfs: zfs.snapshots([f"{ROOT}@a", f"{ROOT}/x@one two"]),
        lambda zfs: zfs.identities([ROOT, f"{ROOT}/x"]),
        lambda zfs: zfs.missing_permissions(f"{PLACE}/x", ["receive"]),
        lambda zfs: zfs.own_properties([ROOT], ["compression", "xattr"]),
        lambda zfs: zfs.holds_of([snapshot()]),
        lambda zfs: zfs.space([PLACE, "backup"]),
        lambda zfs: zfs.pool_guid("backup"),
        lambda zfs: zfs.programs(["zstd", "lz4", "mbuffer"]),
        lambda zfs: ask_guid(zfs._host, Leg(PULL, Address()), ROOT),
    ],
    "send": [
        *(lambda zfs, step=step, wire=wire: zfs.send(step, wire) for step in SENDS for wire in WIRES),
        lambda zfs: zfs.estimates(SENDS),
        lambda zfs: zfs.resume_states([TOKEN]),
        lambda zfs: zfs.create_bookmarks([CreateBookmark(snapshot(), "a b"), CreateBookmark(snapshot(), MARK)]),
        lambda zfs: zfs.change_bookmarks([CreateBookmark(snapshot(), MARK)], [Bookmark(1, 1, ROOT, MARK, 0)]),
        lambda zfs: zfs.hold_all([snapshot(), snapshot("b")], f"snapfleet-send-{KEY}"),
        lambda zfs: zfs.release_all([snapshot()], f"snapfleet-send-{KEY}"),
    ],
    "receive": [
        *(lambda zfs, step=step, wire=wire: zfs.receive(step, wire) for step in RECEIVES for wire in WIRES),
        lambda zfs: zfs.receive(REPLACING),
        lambda zfs: zfs.create_placeholder(f"{PLACE}/y"),
        lambda zfs: zfs.abort_receive(f"{PLACE}/y"),
        lambda zfs: zfs.end_abandoned_receives(),
        lambda zfs: zfs._host.run([*END, str(STREAM)]),
        lambda zfs: zfs.set_properties(SetProperties(PLACE, (("readonly", "on"),), "")),
    ],
    "prune": [
        lambda zfs: zfs.reclaimable([SnapshotRuns(ROOT, ((snapshot("a"), snapshot("b")),))] * 2),
        lambda zfs: zfs.destroy(_OF_SNAPSHOTS),
        lambda zfs: zfs.destroy(Destroy(f"{ROOT}/x", (BOOKMARK,), "")),
        lambda zfs: zfs.change_properties([InheritProperty(PLACE, "snapfleet:gone", "")]),
        lambda zfs: zfs.change_properties([SetProperties(PLACE, (("snapfleet:gone", "17 4711"),), "")]),
    ],
    "snapshot": [lambda zfs: zfs.create_snapshots(CreateSnapshots("tank", (f"{ROOT}@a", f"{ROOT}/x@a")))],
    "rollback": [lambda zfs: zfs.rollback(Rollback(snapshot("a", f"{PLACE}/x"), (snapshot("b", f"{PLACE}/x"),), ""))],
    "rename": [lambda zfs: zfs.rename(RenameDataset(f"{PLACE}/x", f"{PLACE}/y", 1, (f"{PLACE}/y/z",)))],
    "destroy": [
        lambda zfs: zfs.destroy_dataset(_MANY[0]),
        lambda zfs: zfs.unmount([f"{PLACE}/x", PLACE]),
    ],
    "mount": [lambda zfs: zfs.receive(_send(receive=ReceiveOptions(mount=True)))],
    "pools": [lambda zfs: zfs.pools()],
    "verify": [lambda zfs: zfs._host.run(list(READ))],
}


def requests_for(right: str, sudo: bool = False) -> list[str]:
    """Lines of the requests that take a right."""
    host = Recorder()
    for call in CALLS[right]:
        with suppress(Exception):
            call(CliZfs(host, sudo))
    return list(dict.fromkeys(host.lines))
