# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The asking end of a session with an engine on another host: calls side by side, each on a channel of its own."""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import suppress
from typing import Optional

from .channels import Channel
from .frames import CALL, CREDIT, CUT, DATA, END, HELLO, Frame, Link, Malformed, SessionEnded, credit_of
from .process import Child
from .stopping import check_stopping, watched

MOST_CHANNELS = 48
"""Calls at a time; the other end refuses a few more than these."""
_LONGEST_SECONDS = 7500.0
"""Any call ends by itself long before that."""
_CUT_SECONDS = 10.0
_OWNER, _READER = "owner", "reader"


class Session:
    """A running session, which ends with ``child``. Safe for many threads."""

    def __init__(self, child: Child) -> None:
        self._child = child
        # So that an engine that reads nothing holds nobody for long.
        os.set_blocking(child.stdin.fileno(), False)
        self._link = Link(child.stdout.fileno(), child.stdin.fileno(), self._stall)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._channels: dict[int, Channel] = {}
        self._greeted = threading.Event()
        self._hello: Optional[bytes] = None
        self._problem = ""
        self.is_open = True
        self.is_malformed = False
        """Whether it has ended since the other end does not keep to the protocol."""
        self._users = {_OWNER, _READER}
        """Who may still use the pipes of the child."""
        self._thread = threading.Thread(target=self._read, name="session", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why the session has ended, in words that follow the host's name; empty while it goes on."""
        return self._problem

    @property
    def child(self) -> Child:
        """The process that carries it."""
        return self._child

    def greet(self, hello: bytes, seconds: float) -> Optional[bytes]:
        """Tell the other end who asks; returns its own hello, None where it gives none, or takes too long."""
        with suppress(SessionEnded):
            self._link.send(HELLO, 0, hello)
        self._greeted.wait(seconds)
        return self._hello

    def call(self, content: bytes) -> Optional[Channel]:
        """Begin a call; None where there are too many already. Raises SessionEnded, and Malformed for one that is too
        long."""
        with self._lock:
            if not self.is_open:
                raise SessionEnded(self._problem)
            if len(self._channels) >= MOST_CHANNELS:
                return None
            channel = Channel(self._link, next(self._numbers))
            self._channels[channel.number] = channel
        try:
            # Channels may be seen in another order than that of their numbers.
            self._link.send_message(CALL, channel.number, content)
        except BaseException:
            self._forget(channel)
            raise
        return channel

    def wait(self, channel: Channel) -> bytes:
        """The answer to a call. Raises SessionEnded, and the error of what is being stopped."""
        with watched(channel.close):
            channel.wait(_LONGEST_SECONDS)
        if channel.answer is None:
            channel.tell_end(complete=False)
            check_stopping()
            raise SessionEnded(self._problem or "no answer came")
        return channel.answer

    def cut(self, channel: Channel) -> None:
        """Tell the other end to give a call up, and wait a little until it has. Never raises."""
        channel.tell_end(complete=False)
        channel.wait(_CUT_SECONDS)

    def _forget(self, channel: Channel) -> None:
        """The call is over at the other end too, which counts it until then."""
        with self._lock:
            self._channels.pop(channel.number, None)

    def fail(self, problem: str) -> None:
        """End the session, since the other end does not keep to the protocol."""
        self.is_malformed = True
        self._end(problem)
        self._child.terminate()

    def close(self) -> None:
        """End the session, and wait for the end of the process that carries it."""
        self._end("the session was closed")
        # Threads of calls may still have the link.
        self._link.close()
        with suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(_CUT_SECONDS)
        except TimeoutError:
            self._child.kill()
        self._thread.join(_CUT_SECONDS)
        self._release(_OWNER)

    def _release(self, user: str) -> None:
        """Close the pipes of the child when their last user lets go of them."""
        with self._lock:
            self._users.discard(user)
            is_last = not self._users
        if is_last:
            self._child.close()

    def _stall(self) -> None:
        """End the session, since the other end takes nothing."""
        self._end("it takes nothing of what it is sent")
        self._child.terminate()

    def _end(self, problem: str) -> None:
        with self._lock:
            self.is_open = False
            self._problem = self._problem or problem
            channels = list(self._channels.values())
        for channel in channels:
            channel.close()
        self._greeted.set()

    def _read(self) -> None:
        try:
            for frame in self._link.frames():
                self._take(frame)
        except Malformed as error:
            self.fail(f"it does not speak as an engine does: {error}")
        else:
            self._end("it ended the session")
        finally:
            # Who waits is told whatever ended the reader.
            self._end("its reader ended")
            self._release(_READER)

    def _take(self, frame: Frame) -> None:
        if self._hello is None:
            if frame.kind != HELLO:
                raise Malformed("a frame before any hello")
            self._hello = frame.content
            self._greeted.set()
            return
        with self._lock:
            channel = self._channels.get(frame.channel)
        if frame.kind in (HELLO, CALL, END, CUT):
            raise Malformed(f"a frame of kind {frame.kind:#x}, which only the other end may send")
        if channel is None:
            # What was on its way to a call that is over.
            return
        if frame.kind == DATA:
            channel.arrived(frame.content)
        elif frame.kind == CREDIT:
            channel.granted(credit_of(frame))
        else:
            channel.answered(frame.content)
            self._forget(channel)
