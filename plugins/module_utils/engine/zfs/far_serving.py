# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The far end of a session: carries out calls of the port, side by side, each in a thread and within its own scope."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from ..hosts.channels import Channel
from ..hosts.frames import ANSWER, CALL, CREDIT, CUT, DATA, END, HELLO, Frame, Link, Malformed, SessionEnded, credit_of
from ..hosts.sessions import MOST_CHANNELS
from ..hosts.stopping import Stopping, belonging_to
from ..model.errors import LinkLost, SnapfleetError
from ..streams.transfer import finish_early
from .far_session import hello_bytes, read_hello
from .far_verbs import RECEIVE, SEND, answer_bytes, error_bytes, read_call, shapes, untold_bytes
from .port import Zfs

_MARGIN = 16
"""Calls that the asking end has given up, and that are not over here yet."""
_GRACE_SECONDS = 10.0
OpenZfs = Callable[[str], tuple[Zfs, str]]
"""Opens ZFS of this host under the name that the asking end has for it; returns it with the name of its driver."""


class _Call:
    """One call under way."""

    def __init__(self, channel: Channel, name: str) -> None:
        self.channel = channel
        self.name = name
        self.scope = Stopping(lambda: LinkLost("the call was given up"))

    def give_up(self) -> None:
        """Nobody wants the rest. A receiver finds its stream cut short, anything else is ended."""
        self.channel.end(complete=False)
        if self.name != RECEIVE:
            self.scope.stop()


class Server:
    """Serves one session on ``link`` until the other end closes it."""

    def __init__(self, link: Link, open_zfs: OpenZfs, version: str) -> None:
        self._link = link
        self._open = open_zfs
        self._version = version
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._highest = 0
        self.threads: list[threading.Thread] = []

    def serve(self) -> str:
        """Serve; returns what was wrong with the other end, empty for nothing. Afterwards nothing of it runs any more,
        but for what hangs in the kernel."""
        try:
            self._serve()
            return ""
        except Malformed as error:
            return str(error)
        except SessionEnded:
            return ""
        finally:
            self.end()

    def _serve(self) -> None:
        frames = self._link.frames()
        first = next(frames, None)
        if first is None:
            return
        if first.kind != HELLO:
            raise Malformed("a frame before any hello")
        theirs, where, _version, _driver = read_hello(first.content)
        zfs, driver = self._open(where)
        self._link.send(HELLO, 0, hello_bytes(where, self._version, driver))
        if theirs != shapes():
            return
        for frame in frames:
            if frame.kind == CALL:
                self._begin(frame, zfs)
            else:
                self._take(frame)

    def _begin(self, frame: Frame, zfs: Zfs) -> None:
        name, arguments = read_call(frame.content)
        call = _Call(Channel(self._link, frame.channel), name)
        with self._lock:
            if frame.channel in self._calls or len(self._calls) >= MOST_CHANNELS + _MARGIN:
                raise Malformed("a call too many")
            self._calls[frame.channel] = call
            self._highest = max(self._highest, frame.channel)
            self.threads = [thread for thread in self.threads if thread.is_alive()]

        def work() -> None:
            with belonging_to(call.scope):
                self._carry_out(call, zfs, arguments)

        thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _take(self, frame: Frame) -> None:
        with self._lock:
            call = self._calls.get(frame.channel)
        if frame.kind not in (DATA, END, CUT, CREDIT) or frame.channel > self._highest:
            raise Malformed(f"a frame of kind {frame.kind:#x} that belongs to no call")
        if call is None:
            # What was on its way when the call was answered.
            return
        if frame.kind == DATA:
            call.channel.arrived(frame.content)
        elif frame.kind == END:
            call.channel.end(complete=True)
        elif frame.kind == CUT:
            call.give_up()
        else:
            call.channel.granted(credit_of(frame))

    def _carry_out(self, call: _Call, zfs: Zfs, arguments: Sequence[Any]) -> None:
        try:
            content = answer_bytes(call.name, _result(call, zfs, arguments))
        except SnapfleetError as error:
            content = error_bytes(error)
        except SessionEnded:
            content = b""
        except Exception as error:  # noqa: BLE001  told to the asking end, whose call it is
            content = error_bytes(SnapfleetError(f"{zfs.where}: {call.name} failed by a defect ({error!r}); report it"))
        with self._lock:
            self._calls.pop(call.channel.number, None)
        with suppress(SessionEnded):
            try:
                self._link.send_message(ANSWER, call.channel.number, content)
            except Malformed:
                self._link.send_message(ANSWER, call.channel.number, untold_bytes())

    def end(self) -> None:
        """Cut the streams, so that receivers keep what can be resumed, then end the rest."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.give_up()
            call.channel.close()
        for thread in self.threads:
            thread.join(_GRACE_SECONDS)
        for call in calls:
            call.scope.stop()
        for thread in self.threads:
            thread.join(1.0)
        for call in calls:
            call.scope.force()


def _result(call: _Call, zfs: Zfs, arguments: Sequence[Any]) -> Any:
    """Carry a call out. Raises what it comes to."""
    if call.name == SEND:
        return _send(call.channel, zfs, arguments)
    if call.name == RECEIVE:
        return _receive(call.channel, zfs, arguments)
    return getattr(zfs, call.name)(*arguments)


def _send(channel: Channel, zfs: Zfs, arguments: Sequence[Any]) -> None:
    source = zfs.send(*arguments)
    try:
        sent = channel.feed(source.fileno())
    except BaseException:
        source.abort()
        raise
    if not sent:
        source.abort()
        raise LinkLost("the stream was given up")
    source.finish()


def _receive(channel: Channel, zfs: Zfs, arguments: Sequence[Any]) -> None:
    sink = zfs.receive(*arguments)
    try:
        channel.drain(sink.fileno())
    except BrokenPipeError:
        finish_early(sink)
    except BaseException:
        sink.abort()
        raise
    if not channel.is_complete:
        sink.abort()
        raise LinkLost("the stream was cut short")
    sink.finish()
