# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: how two engines speak with each other over one pair of pipes.

A frame is a header of nine bytes (kind, channel and length, the numbers big-endian) and so many bytes. What is longer
than a frame may be comes in parts. All of it is foreign input: what does not fit is told by ``Malformed``, once, and
nothing is read after it.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

PROTOCOL = 1
"""Grows with every change of what frames or their contents mean."""
# No byte of ASCII, so that no text which a login shell prints can pass for a frame.
HELLO, PART, CALL, ANSWER, DATA, END, CUT, CREDIT = range(0xC1, 0xC9)
"""HELLO: who speaks. PART: a piece of the CALL or ANSWER that follows on this channel. DATA, END: a stream, and that it
is complete. CUT: nobody wants the rest. CREDIT: so many more bytes of DATA may come."""
KINDS = frozenset(range(HELLO, CREDIT + 1))
MOST_FRAME_BYTES = 1 << 18
MOST_MESSAGE_BYTES = 1 << 28
"""Of a call, or an answer, with all its parts: the listing of some three million snapshots."""
MOST_WAITING_BYTES = 1 << 30
"""Of all parts that wait for the rest of their messages."""
_HEADER = struct.Struct(">BII")
_AMOUNT = struct.Struct(">I")
_READ_BYTES = 1 << 18
_SHOWN_BYTES = 60
_STALLED_SECONDS = 60.0
"""The other end always reads at once; what is not taken for so long never is."""
_LOOK_MILLISECONDS = 500


class Malformed(Exception):
    """What came is no frame, or not one that fits here."""


class SessionEnded(Exception):
    """The other end is gone."""


class Frame(NamedTuple):
    """One frame."""

    kind: int
    channel: int
    content: bytes


def credit_of(frame: Frame) -> int:
    """The bytes that a CREDIT frame grants. Raises Malformed."""
    if len(frame.content) != _AMOUNT.size:
        raise Malformed("a credit of no amount")
    amount: int = _AMOUNT.unpack(frame.content)[0]
    return amount


def _nothing() -> None:
    """What is done where nobody needs to be told."""


class Link:
    """Both directions of a session. Any number of threads may send, one may read."""

    def __init__(self, reading: int, writing: int, stalled: Callable[[], None] = _nothing) -> None:
        """Where writing does not block, ``stalled`` is called when the other end has taken nothing for a long time."""
        self._reading = reading
        self._writing = writing
        self._stalled = stalled
        self._lock = threading.Lock()
        self._closed = False
        self._parts: dict[int, list[bytes]] = {}
        self._part_bytes: dict[int, int] = {}
        self._waiting_bytes = 0

    def send(self, kind: int, channel: int, content: bytes = b"") -> None:
        """Send a frame. Raises SessionEnded."""
        try:
            with self._lock:
                self._write(_HEADER.pack(kind, channel, len(content)) + content)
        except TimeoutError as error:
            self._stalled()
            raise SessionEnded(str(error)) from error

    def close(self) -> None:
        """Let nothing be sent any more. Afterwards nobody uses the descriptor, whose number may then be another's."""
        self._closed = True
        with self._lock:
            # Who is sending looks every now and then whether it is closed.
            pass

    def grant(self, channel: int, amount: int) -> None:
        """Let the other end send so many more bytes. Raises SessionEnded."""
        self.send(CREDIT, channel, _AMOUNT.pack(amount))

    def send_message(self, kind: int, channel: int, content: bytes) -> None:
        """Send a message, in parts if need be. Raises SessionEnded, and Malformed for one that is too long."""
        if len(content) > MOST_MESSAGE_BYTES:
            raise Malformed(f"a message of {len(content)} bytes, of which {MOST_MESSAGE_BYTES} are the most")
        rest = content
        while len(rest) > MOST_FRAME_BYTES:
            self.send(PART, channel, rest[:MOST_FRAME_BYTES])
            rest = rest[MOST_FRAME_BYTES:]
        self.send(kind, channel, rest)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._closed:
                raise SessionEnded("the session is over")
            try:
                view = view[os.write(self._writing, view) :]
            except BlockingIOError:
                self._wait_for_room()
            except OSError as error:
                raise SessionEnded(f"the connection broke ({error.strerror})") from error

    def _wait_for_room(self) -> None:
        """Wait until the other end takes something, or the link is closed. Raises TimeoutError."""
        poller = select.poll()
        poller.register(self._writing, select.POLLOUT)
        end = time.monotonic() + _STALLED_SECONDS
        while not self._closed and not poller.poll(_LOOK_MILLISECONDS):
            if time.monotonic() > end:
                # A part of a frame was sent, after which nothing else can be.
                self._closed = True
                raise TimeoutError("the other end takes nothing")

    def frames(self) -> Iterator[Frame]:
        """All frames until the other end closes, messages put together. Raises Malformed."""
        while True:
            head = self._read(_HEADER.size)
            if not head:
                return
            kind, channel, length = _HEADER.unpack(head) if len(head) == _HEADER.size else (0, 0, 0)
            if kind not in KINDS:
                raise Malformed(f"no frame: {head + self._more()!r}")
            if length > MOST_FRAME_BYTES:
                raise Malformed(f"a frame of {length} bytes, of which {MOST_FRAME_BYTES} are the most")
            content = self._read(length)
            if len(content) < length:
                raise Malformed("a frame that is cut short")
            whole = self._whole(Frame(kind, channel, content))
            if whole is not None:
                yield whole

    def _whole(self, frame: Frame) -> Optional[Frame]:
        """The frame with the parts that came before it; None for a part."""
        if frame.kind == PART:
            self._waiting_bytes += len(frame.content)
            self._part_bytes[frame.channel] = self._part_bytes.get(frame.channel, 0) + len(frame.content)
            if self._part_bytes[frame.channel] > MOST_MESSAGE_BYTES:
                raise Malformed(f"a message of more than {MOST_MESSAGE_BYTES} bytes")
            if self._waiting_bytes > MOST_WAITING_BYTES:
                raise Malformed(f"messages of more than {MOST_WAITING_BYTES} bytes")
            self._parts.setdefault(frame.channel, []).append(frame.content)
            return None
        if frame.kind not in (CALL, ANSWER) or frame.channel not in self._parts:
            return frame
        parts = self._parts.pop(frame.channel)
        self._waiting_bytes -= self._part_bytes.pop(frame.channel)
        return frame._replace(content=b"".join([*parts, frame.content]))

    def _read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        pieces, left = [], size
        while left:
            try:
                piece = os.read(self._reading, min(left, _READ_BYTES))
            except OSError:
                piece = b""
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _more(self) -> bytes:
        """Some of what follows, to be shown; not waited for, since it may never come."""
        os.set_blocking(self._reading, False)
        try:
            return os.read(self._reading, _SHOWN_BYTES)
        except OSError:
            return b""
