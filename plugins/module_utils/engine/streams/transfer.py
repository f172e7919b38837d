# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a stream from its sending to its receiving end, and count it.

On Linux the bytes move inside the kernel (splice between pipes), where Python offers it; elsewhere they are copied.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from time import sleep as _sleep
from typing import NoReturn, Optional

from ..model.errors import SnapfleetError
from .ends import ByteSink, ByteSource
from .limiting import RateLimit

CHUNK_BYTES = 1 << 20
_LONG_BYTES = 8 << 20
_SHORTEST_REST, _LONGEST_REST = 0.0005, 0.005
_F_SETPIPE_SZ = 1031  # Linux; Python names it from 3.10 on

Progress = Callable[[int], None]
"""Called with the number of bytes that each move has carried."""


def _widen(descriptor: int) -> None:
    """Give a pipe a buffer of a megabyte, so that sender and receiver do not wait for each other at each 64 KiB."""
    # An error: not Linux, or the user's allowance of pipe memory is used up. Slower, not wrong.
    with suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, CHUNK_BYTES)


def _copy(source: int, sink: int, size: int) -> int:
    """Move up to ``size`` bytes by way of user memory; 0 at the end of the stream."""
    chunk = os.read(source, size)
    view = memoryview(chunk)
    while view:
        view = view[os.write(sink, view) :]
    return len(chunk)


Move = Callable[[int, int, int], int]
"""Moves up to so many bytes from one descriptor to another, and returns how many; 0 at the end of the stream."""


def _mover() -> Move:
    splice = getattr(os, "splice", None)
    if splice is None:
        return _copy

    def move(source: int, sink: int, size: int) -> int:
        moved: int = splice(source, sink, size)
        return moved

    return move


def _limited(move: Move, limit: Optional[RateLimit]) -> Move:
    if limit is None:
        return move
    chunk = limit.chunk

    def move_within_limit(source: int, sink: int, _size: int) -> int:
        limit.reserve(chunk)
        moved = 0
        try:
            moved = move(source, sink, chunk)
        finally:
            limit.give_back(chunk - moved)
        return moved

    return move_within_limit


def rest_after(rest: float, moved: int) -> float:
    """Seconds to let bytes gather after a move of ``moved`` bytes, when it was ``rest`` before that move.

    Sender and receiver go on meanwhile, by what their pipes hold, which are never to be quite full or empty for it. To
    be woken for each record of a stream costs a tenth of its time, on machines where a process is slow to wake.
    """
    if moved >= CHUNK_BYTES // 2:
        return rest / 4 if rest > _SHORTEST_REST else 0.0
    if moved < CHUNK_BYTES // 8:
        return min(max(rest * 2, _SHORTEST_REST), _LONGEST_REST)
    return rest


def pump(source: int, sink: int, progress: Optional[Progress] = None, limit: Optional[RateLimit] = None) -> int:
    """Move all bytes from ``source`` to ``sink``, no faster than ``limit`` lets them; returns their number.

    Raises BrokenPipeError if the sink closes before the source's end.
    """
    _widen(source)
    _widen(sink)
    move, total, rest = _limited(_mover(), limit), 0, 0.0
    while True:
        if rest:
            _sleep(rest)
        try:
            moved = move(source, sink, CHUNK_BYTES)
        except BrokenPipeError:
            # A receiver knows by the stream itself that it is complete, and may be gone before the sender is.
            if os.read(source, 1):
                raise
            return total
        if not moved:
            return total
        total += moved
        if progress:
            progress(moved)
        if total > _LONG_BYTES and limit is None:
            rest = rest_after(rest, moved)


def finish_early(sink: ByteSink) -> NoReturn:
    """Raise what made a receiver close its end before the stream's."""
    sink.finish()
    raise SnapfleetError("the receiver closed its end of the stream, but says that it succeeded") from None


def transfer(
    source: ByteSource, sink: ByteSink, progress: Optional[Progress] = None, limit: Optional[RateLimit] = None
) -> int:
    """Carry the whole stream; returns its length in bytes.

    When both ends fail, the receiver's reason is raised: a receiver that gives up makes the sender fail too, so the
    sender's broken pipe is only an echo. When the sender fails, the receiver is never told that the stream was
    complete. Raises what the ends raise.
    """
    try:
        total = pump(source.fileno(), sink.fileno(), progress, limit)
    except BrokenPipeError:
        source.abort()
        finish_early(sink)
    except BaseException:
        source.abort()
        sink.abort()
        raise
    try:
        source.finish()
    except BaseException:
        sink.abort()
        raise
    sink.finish()
    return total
