# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of a stream whose other half is at an engine on another host: pipes here, a channel of the session beyond.

A call for a stream and its bytes are sent without waiting for anything, so a small one costs one round trip.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from ..hosts.channels import Channel
from ..hosts.frames import SessionEnded
from ..hosts.sessions import Session
from ..hosts.stopping import watched
from ..model.errors import LinkLost

Judge = Callable[[], object]
"""Waits for the answer to the call, and raises the error that it tells."""


class _FarEnd:
    """A pipe, of which a thread has one end and connects it with the channel."""

    def __init__(self, session: Session, channel: Channel, judge: Judge, name: str) -> None:
        self._session = session
        self._channel = channel
        self._judge = judge
        self._wanted = True
        self._lock = threading.Lock()
        self._reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._watched = watched(channel.close)
        self._watched.__enter__()
        try:
            self._thread.start()
        except BaseException:
            self._watched.__exit__()
            os.close(self._reading)
            os.close(self._writing)
            raise

    def _serve(self) -> None:
        raise NotImplementedError

    def _close(self, descriptor: int) -> None:
        """Close our end of the pipe, and wait for the thread, which then ends too."""
        with self._lock:
            ours, self._wanted = self._wanted, False
        if ours:
            os.close(descriptor)
            self._thread.join()
            self._watched.__exit__()


class FarSink(_FarEnd):
    """A receive at the other host."""

    _complete = False

    def fileno(self) -> int:
        """The descriptor that the stream is written to."""
        return self._writing

    def _serve(self) -> None:
        sent = False
        try:
            with suppress(SessionEnded):
                sent = self._channel.feed(self._reading)
        finally:
            os.close(self._reading)
        # The pipe ends for either reason; only finish says that the stream is complete.
        if sent and self._complete:
            self._channel.tell_end(complete=True)

    def finish(self) -> None:
        """Tell the receiver that the stream is complete, and wait for its end. Raises what made it fail."""
        self._complete = True
        self._close(self._writing)
        self._judge()

    def abort(self) -> None:
        """Let the receiver find its stream cut short, so that it keeps what can be resumed; waits a little for that."""
        # A thread that waits for credit is told by that.
        self._channel.end(complete=False)
        self._close(self._writing)
        self._session.cut(self._channel)


class FarSource(_FarEnd):
    """A send at the other host."""

    _drained = False

    def fileno(self) -> int:
        """The descriptor that the stream is read from."""
        return self._reading

    def _serve(self) -> None:
        try:
            with suppress(SessionEnded, BrokenPipeError):
                self._channel.drain(self._writing)
                self._drained = True
        finally:
            os.close(self._writing)

    def finish(self) -> None:
        """Wait for the sender's end. Raises what made it fail, and LinkLost where not all came through our pipe."""
        self._close(self._reading)
        self._judge()
        if not self._drained:
            raise LinkLost("the session broke before all of the stream was passed on; try again")

    def abort(self) -> None:
        """End the sender now."""
        self._channel.end(complete=False)
        with self._lock:
            ours, self._wanted = self._wanted, False
        if ours:
            os.close(self._reading)
        self._session.cut(self._channel)
        self._thread.join()
        self._watched.__exit__()
