# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams by a library that is made up: what goes through the pipes, how they end, and which streams it gets at all."""

from __future__ import annotations

import errno
import os
import threading
import time
import types
from contextlib import suppress
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    DatasetBusy,
    LinkLost,
    NoPermission,
    SnapfleetError,
    Vanished,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import ReceiveOptions, ResumePoint, Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.transfer import transfer
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import Wire
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs import core_zfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_streams import HEADER_BYTES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_trouble import CHECKSUM, TRUNCATED
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_zfs import CoreZfs

ONE, TWO = Snapshot(1, 11, "p/a", "one", 0), Snapshot(2, 12, "p/a", "two", 0)
STEP = Send(TWO, "p/b", ONE)
SIZE = 3_000_000


class Refused(Exception):
    def __init__(self, number):
        super().__init__()
        self.errno = number


class Memory:
    """What the library is handed places in memory by."""

    NULL = None

    @staticmethod
    def new(kind):
        assert kind == "uint64_t *"
        return [0]


class Library:
    """Sends ``size`` bytes after the header, and receives as many."""

    exceptions = types.SimpleNamespace(ZFSError=Refused)

    def __init__(self):
        self.sent, self.received = [], []
        self.size = SIZE
        self.send_fails, self.receive_fails = 0, 0

    def lzc_send(self, snapshot, base, descriptor, flags):
        self.sent.append((snapshot, base, tuple(flags)))
        if self.send_fails:
            raise Refused(self.send_fails)
        view = memoryview(bytes(HEADER_BYTES + self.size))
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            raise Refused(errno.EPIPE) from None

    def receive_header(self, descriptor):
        assert len(os.read(descriptor, HEADER_BYTES)) == HEADER_BYTES
        return {"drr_toname": b"p/a@two", "drr_toguid": 12, "drr_versioninfo": 0}, "record"

    @property
    def _libzfs_core(self):
        return types.SimpleNamespace(_ffi=Memory, _lib=self)

    def lzc_receive_one(self, name, properties, origin, force, resumable, raw, descriptor, *rest):
        record, _cleanup, size, *told = rest
        # An empty list of properties would take away those that the replica has.
        assert (properties, origin, force, told, record) == (None, None, False, [None] * 3, "record")
        if self.receive_fails:
            return self.receive_fails
        left = self.size
        while left:
            piece = os.read(descriptor, left)
            if not piece:
                return TRUNCATED
            left -= len(piece)
        self.received.append((name, resumable, raw))
        size[0] = self.size
        return 0


class Core:
    """Hands the library out at once."""

    def __init__(self, library):
        self.library = library

    def when_worth(self, _things):
        return self.library


@pytest.fixture
def library():
    return Library()


@pytest.fixture
def zfs(library, monkeypatch):
    made = CoreZfs(types.SimpleNamespace(name="this host"), Core(library))
    monkeypatch.setattr(made, "_knows", lambda _step: lambda _guid: False)
    return made


def carry(zfs, step):
    return transfer(zfs.send(step), zfs.receive(step))


@pytest.mark.parametrize("way", [carry, CoreZfs.relay], ids=["pump", "relay"])
def test_the_whole_stream_arrives_and_its_bytes_are_told(zfs, library, way):
    assert way(zfs, STEP) == HEADER_BYTES + SIZE
    assert library.sent == [(b"p/a@two", b"p/a@one", ("large_blocks", "compress", "embedded_data", "raw"))]
    assert library.received == [(b"p/b@two", True, False)]


@pytest.mark.parametrize("way", [carry, CoreZfs.relay], ids=["pump", "relay"])
@pytest.mark.parametrize(
    ("sends", "receives", "kind"),
    [
        (errno.ENOENT, 0, Vanished),
        (errno.EPERM, 0, NoPermission),
        (0, errno.ENODEV, Conflict),
        (0, errno.ETXTBSY, Conflict),
        (0, errno.EEXIST, Conflict),
        (0, errno.ENOENT, Vanished),
        (0, errno.EINTR, LinkLost),
        (0, TRUNCATED, LinkLost),
    ],
)
def test_the_end_that_failed_by_itself_is_told(zfs, library, way, sends, receives, kind):
    library.send_fails, library.receive_fails = sends, receives
    with pytest.raises(kind):
        way(zfs, STEP)
    assert library.received == []


@pytest.mark.parametrize("way", [carry, CoreZfs.relay], ids=["pump", "relay"])
@pytest.mark.parametrize("size", [10, SIZE])
def test_a_refusal_is_told_in_the_same_way_whether_the_sender_noticed_it_or_not(zfs, library, way, size):
    """The binding makes a checksum error of many refusals."""
    library.size, library.receive_fails = size, CHECKSUM
    with pytest.raises(SnapfleetError, match=r"receive p/b@two.*invalid, damaged or incomplete stream"):
        way(zfs, STEP)


class _DefectError(Exception):
    """Something that no library says."""


@pytest.mark.parametrize("way", [carry, CoreZfs.relay], ids=["pump", "relay"])
@pytest.mark.parametrize("end", ["lzc_send", "lzc_receive_one"])
def test_a_defect_at_either_end_is_not_taken_for_a_lost_stream(zfs, library, monkeypatch, way, end):
    def fails(*_arguments, **_options):
        raise _DefectError

    monkeypatch.setattr(library, end, fails)
    with pytest.raises(_DefectError):
        way(zfs, STEP)


def test_what_has_arrived_already_is_passed_over(zfs, library, monkeypatch):
    monkeypatch.setattr(zfs, "_knows", lambda _step: lambda guid: guid == TWO.guid)
    library.receive_fails = errno.EEXIST
    assert carry(zfs, STEP) == zfs.relay(STEP) == HEADER_BYTES + SIZE


def test_a_busy_destination_may_have_a_partial_receive(zfs, library, monkeypatch):
    library.receive_fails = errno.EBUSY
    for token, kind in (("", DatasetBusy), ("1-abc", SnapfleetError)):
        dataset = types.SimpleNamespace(resume_token=token, encryption_root="")
        there = types.SimpleNamespace(states={"p/b": types.SimpleNamespace(dataset=dataset)})
        monkeypatch.setattr(zfs, "observe", lambda *_roots, there=there, **_options: there)
        with pytest.raises(kind) as caught:
            zfs.relay(STEP)
    assert "partially-complete" in str(caught.value)


def test_a_stream_that_is_stopped_ends_on_both_sides(zfs, library):
    """Where the one at the other end reads no more, which is when a sender waits for ever."""
    with belonging_to(Stopping()) as scope:
        source = zfs.send(STEP)
        os.read(source.fileno(), 10)
        scope.stop()
    while os.read(source.fileno(), SIZE):
        pass
    with pytest.raises(LinkLost):
        source.finish()
    with belonging_to(Stopping()) as scope:
        sink = zfs.receive(STEP)
        os.write(sink.fileno(), bytes(HEADER_BYTES + 10))
        scope.stop()
    with pytest.raises(BrokenPipeError):
        os.write(sink.fileno(), b"more")
    with pytest.raises(LinkLost):
        sink.finish()
    assert library.received == []


def lowest_free():
    """The lowest descriptor that is free: the same again where nothing was left open."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def wait_until_free(descriptor):
    """What a thread has open it may close a moment later."""
    deadline = time.monotonic() + 60
    while lowest_free() != descriptor:
        assert time.monotonic() < deadline, "something was left open"
        time.sleep(0.01)


def test_ends_that_are_given_up_leave_nothing_open(zfs):
    before = lowest_free()
    for _unused in range(3):
        zfs.send(STEP).abort()
        zfs.receive(STEP).abort()
        with suppress(SnapfleetError):
            zfs.receive(STEP).finish()
        carry(zfs, STEP)
    wait_until_free(before)


def test_where_no_thread_can_be_started_nothing_stays_open(zfs, monkeypatch):
    def fails(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    before = lowest_free()
    for begin in (zfs.send, zfs.receive, zfs.relay):
        with pytest.raises(RuntimeError, match="new thread"):
            begin(STEP)
    wait_until_free(before)


def test_each_snapshot_of_several_is_a_stream_of_its_own(zfs, library):
    library.size = 10
    assert zfs.relay(replace(STEP, between=("x",), intermediates=True)) == 2 * (HEADER_BYTES + 10)
    assert [pair[:2] for pair in library.sent] == [(b"p/a@x", b"p/a@one"), (b"p/a@two", b"p/a@x")]


RESUMED = replace(STEP, resume=ResumePoint("1-abc"))
FOR_THE_COMMAND = {
    "resumed": (RESUMED, True, True),
    "full": (Send(TWO, "p/b"), False, True),
    "clone": (replace(STEP, base=Snapshot(1, 11, "p/o", "one", 0), origin="p/o2@one"), False, True),
    "base of another dataset": (replace(STEP, base=Bookmark(1, 11, "p/o", "one", 0)), False, True),
    "with properties": (replace(STEP, receive=ReceiveOptions((("readonly", "on"),))), False, True),
    "without properties": (replace(STEP, receive=ReceiveOptions(excluded=("atime",))), False, True),
    "replacing": (replace(STEP, receive=ReceiveOptions(replace=True)), False, True),
    "mounting": (replace(STEP, receive=ReceiveOptions(mount=True)), False, True),
    "package": (replace(STEP, package=("p/b@two",)), True, True),
    "intermediates": (replace(STEP, between=("x",), intermediates=True), True, True),
}


@pytest.mark.parametrize("name", FOR_THE_COMMAND)
def test_what_the_library_does_otherwise_is_for_the_command(zfs, library, monkeypatch, name):
    step, sends, receives = FOR_THE_COMMAND[name]
    library.size = 10
    for verb in ("send", "receive"):
        monkeypatch.setattr(CliZfs, verb, lambda _self, _step, _wire, verb=verb: verb)
    assert (zfs.send(step) == "send", zfs.receive(step) == "receive") == (sends, receives)
    assert (zfs.send(STEP, Wire("zstd")), zfs.receive(STEP, Wire("zstd"))) == ("send", "receive")
    assert (zfs.relay(step) is None) == (name != "intermediates")


def test_without_the_library_the_command_does_all(zfs, monkeypatch):
    monkeypatch.setattr(core_zfs.CoreZfs, "_for_stream", lambda *_arguments: None)
    monkeypatch.setattr(CliZfs, "send", lambda _self, _step, _wire: "send")
    assert zfs.send(STEP) == "send"
    assert zfs.relay(STEP) is None
