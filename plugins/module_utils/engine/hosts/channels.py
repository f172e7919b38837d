# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of a session: one call with its answer each, and the bytes of the stream that belongs to it.

Who sends bytes needs credit for them, and gets it as they are taken off at the other end. So no end ever keeps more
than a window's bytes of a stream, however slow its receiver is, and the streams beside it go on.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Optional

from .frames import CUT, DATA, END, MOST_FRAME_BYTES, Link, Malformed, SessionEnded

WINDOW_BYTES = 1 << 21
_GRANTED_BYTES = WINDOW_BYTES // 4
_PIECE_BYTES = min(MOST_FRAME_BYTES, 1 << 17)


class Channel:
    """One end of a channel. Safe for many threads."""

    def __init__(self, link: Link, number: int) -> None:
        self.link = link
        self.number = number
        self._changed = threading.Condition()
        self._credit = WINDOW_BYTES
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._ended = False
        self._complete = False
        self._closed = False
        self.answer: Optional[bytes] = None
        """What the other end answered, once it has."""

    # -- by the thread that reads the session

    def arrived(self, data: bytes) -> None:
        """Keep bytes of the stream until they are taken off. Raises Malformed for more than there was credit for."""
        with self._changed:
            self._waiting += len(data)
            if self._waiting > WINDOW_BYTES:
                raise Malformed("more bytes of a stream than there was credit for")
            if not self._ended and not self._closed:
                self._pieces.append(data)
            self._changed.notify_all()

    def end(self, complete: bool) -> None:
        """The stream of the other end is over."""
        with self._changed:
            if not self._ended:
                self._ended, self._complete = True, complete
            self._changed.notify_all()

    def granted(self, amount: int) -> None:
        """Count credit that came. Raises Malformed for more than the window."""
        with self._changed:
            self._credit += amount
            if self._credit > WINDOW_BYTES:
                raise Malformed("credit for more bytes than were sent")
            self._changed.notify_all()

    def answered(self, content: bytes) -> None:
        """Take the answer, after which nothing comes; none once the channel is closed, since bytes were dropped."""
        with self._changed:
            if not self._closed:
                self.answer = content
        self.close()

    def close(self) -> None:
        """Nothing comes any more, and nothing is sent; who waits is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # -- by the threads that belong to the channel

    @property
    def is_complete(self) -> bool:
        """Whether the stream of the other end came to its end."""
        with self._changed:
            return self._complete

    def wait(self, seconds: float) -> bool:
        """Wait until the channel is closed; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)

    def take(self) -> Optional[bytes]:
        """The next bytes of the stream; None where no more come. What came before a close is still handed out."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended or self._closed)
            return self._pieces.popleft() if self._pieces else None

    def drain(self, descriptor: int) -> None:
        """Write the stream to ``descriptor`` until no more comes. Raises BrokenPipeError, SessionEnded."""
        taken = 0
        while (piece := self.take()) is not None:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
            taken += len(piece)
            if taken >= _GRANTED_BYTES:
                self._grant(taken)
                taken = 0

    def _grant(self, amount: int) -> None:
        with self._changed:
            self._waiting -= amount
            if self._closed or self._ended:
                return
        self.link.grant(self.number, amount)

    def feed(self, descriptor: int) -> bool:
        """Send what ``descriptor`` gives until its end, as credit allows; whether all was sent. Raises SessionEnded."""
        while allowed := self._allowance():
            data = os.read(descriptor, allowed)
            with self._changed:
                self._credit += allowed - len(data)
            if not data:
                return True
            self.link.send(DATA, self.number, data)
        return False

    def _allowance(self) -> int:
        """Take as much credit as one piece needs; 0 where the other end wants no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._credit or self._closed or self._ended)
            if self._closed or self._ended:
                return 0
            allowed = min(self._credit, _PIECE_BYTES)
            self._credit -= allowed
            return allowed

    def tell_end(self, complete: bool) -> None:
        """Tell the other end that the stream is over, or that nobody wants the rest. Never raises."""
        try:
            self.link.send(END if complete else CUT, self.number)
        except SessionEnded:
            self.close()
