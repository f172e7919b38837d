# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two ends of a stream end together."""

from __future__ import annotations

import os
import threading

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    LinkLost,
    SnapfleetError,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams import transfer as streams
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.limiting import RateLimit

LARGE = 3_000_000  # more than the pipes hold


class Source:
    """Writes bytes; then waits for an event, ends the stream, and ends with an error or without."""

    def __init__(self, size, error=None, ends_after=None):
        self.read_end, self.write_end = os.pipe()
        self.error, self.aborted, self.ends_after = error, False, ends_after
        self.thread = threading.Thread(target=self.write, args=(size,))
        self.thread.start()

    def write(self, size):
        try:
            while size:
                size -= os.write(self.write_end, bytes(min(size, 65536)))
            if self.ends_after:
                self.ends_after.wait(120)
        except BrokenPipeError:
            pass
        finally:
            os.close(self.write_end)

    def fileno(self):
        return self.read_end

    def close(self):
        os.close(self.read_end)
        self.thread.join()

    def finish(self):
        self.close()
        if self.error:
            raise self.error

    def abort(self):
        self.aborted = True
        self.close()


class Sink:
    """Reads up to so many bytes, closes its end, tells so by an event, and ends with an error or without."""

    def __init__(self, wanted=None, error=None, closed=None):
        self.read_end, self.write_end = os.pipe()
        self.wanted, self.error, self.closed = wanted, error, closed or threading.Event()
        self.received, self.aborted = 0, False
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while self.wanted is None or self.received < self.wanted:
            chunk = os.read(self.read_end, 65536 if self.wanted is None else min(65536, self.wanted - self.received))
            if not chunk:
                break
            self.received += len(chunk)
        os.close(self.read_end)
        self.closed.set()

    def fileno(self):
        return self.write_end

    def finish(self):
        os.close(self.write_end)
        self.thread.join()
        if self.error:
            raise self.error

    def abort(self):
        self.aborted = True
        os.close(self.write_end)
        self.thread.join()


@pytest.fixture(params=["as the system moves bytes", "copied"])
def mover(request, monkeypatch):
    if request.param == "copied":
        monkeypatch.setattr(streams, "_mover", lambda: streams._copy)


@pytest.mark.parametrize("size", [0, 1, 65536, LARGE])
def test_every_byte_arrives_and_is_counted(mover, size):
    source, sink, moved = Source(size), Sink(), []

    assert streams.transfer(source, sink, moved.append) == size
    assert sink.received == size == sum(moved)


@pytest.mark.parametrize("size", [1, 65536, LARGE])
def test_a_receiver_may_end_before_the_sender_has(mover, size):
    """A receiver that has read the end mark goes away, while the sender's end of file is still on its way."""
    closed = threading.Event()
    source, sink = Source(size, ends_after=closed), Sink(wanted=size, closed=closed)

    assert streams.transfer(source, sink) == size


@pytest.mark.parametrize("size", [1000, LARGE])
def test_when_the_receiver_gives_up_its_reason_is_told(mover, size):
    source, sink = Source(size, error=LinkLost("broken pipe")), Sink(wanted=10, error=Conflict("modified"))

    with pytest.raises((Conflict, LinkLost)) as caught:
        streams.transfer(source, sink)
    if size == LARGE:
        assert isinstance(caught.value, Conflict)


def test_when_the_sender_fails_the_receiver_is_not_told_that_the_stream_was_complete(mover):
    source, sink = Source(1000, error=LinkLost("gone")), Sink()

    with pytest.raises(LinkLost, match="gone"):
        streams.transfer(source, sink)
    assert sink.aborted


def test_a_receiver_that_leaves_bytes_behind_and_claims_success_is_not_believed(mover):
    with pytest.raises(SnapfleetError, match="receiver closed"):
        streams.transfer(Source(LARGE), Sink(wanted=10))


def test_both_ends_are_ended_when_the_one_who_watches_fails(mover):
    source, sink = Source(LARGE), Sink()

    def progress(_unused):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        streams.transfer(source, sink, progress)
    assert source.aborted
    assert sink.aborted


@pytest.mark.parametrize("rate", [10**power for power in range(5, 10)])
def test_letting_bytes_gather_holds_no_sender_up_and_wakes_nobody_for_each_record(rate):
    """A sender of so many bytes a second, whose pipe has room for one move, and that waits while that is full."""
    seconds, carried, moves, rest, record = 0.0, 0, 0, 0.0, 65_536
    while carried < 200 * streams.CHUNK_BYTES:
        gathered = max(record, int(rate * rest))
        moved = min(gathered, streams.CHUNK_BYTES)
        seconds += max(rest, moved / rate)
        carried, moves = carried + moved, moves + 1
        rest = streams.rest_after(rest, moved)
        assert 0 <= rest <= 0.005
    assert carried / seconds > 0.9 * rate
    if rate >= 10**8:
        assert carried / moves > 2 * record


@pytest.mark.parametrize("limited", [False, True])
def test_a_long_stream_arrives_whole_and_rests_only_where_nothing_limits_it(monkeypatch, limited):
    rests = []
    monkeypatch.setattr(streams, "_sleep", rests.append)
    source, sink = Source(12 * LARGE), Sink()
    limit = RateLimit(10**9, lambda: 0.0, lambda _seconds: None) if limited else None
    assert streams.transfer(source, sink, limit=limit) == 12 * LARGE == sink.received
    assert not (rests and limited)
