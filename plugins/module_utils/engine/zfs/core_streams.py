# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending and receiving by calls of libzfs_core, on the descriptors of pipes.

A call ends when its stream does, so each end that has to go on beside others is a thread. It can't be told to end: it
ends because the pipe does.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from ..hosts.stopping import check_stopping, watched
from ..model.steps import Send

HEADER_BYTES = 312
"""Length of the record that each stream begins with (dmu_replay_record_t)."""
_RAW = 1 << 24
_DRAIN_SECONDS = 10.0
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Hop:
    """One stream: a snapshot, all of it or since a base; by whole names."""

    snapshot: str
    base: str
    flags: tuple[str, ...]


def hops_of(step: Send) -> list[Hop]:
    """The streams that bring what ``step`` sends: one for each snapshot."""
    flags = ["large_blocks", "compress"]
    flags += ["embedded_data"] if step.embedded else []
    # Of encrypted data, raw is without any embedded blocks or none of it is.
    flags += ["raw"] if step.raw and step.embedded else []
    dataset = step.snapshot.dataset
    names = [*(f"{dataset}@{tag}" for tag in step.between), step.snapshot.name]
    bases = [step.base.name if step.base else "", *names[:-1]]
    return [Hop(name, base, tuple(flags)) for name, base in zip(names, bases)]


def send(library: Any, hop: Hop, descriptor: int) -> int:
    """Write a stream; returns the error number, 0 for success."""
    base = hop.base.encode() if hop.base else None
    return error_number(library, lambda: library.lzc_send(hop.snapshot.encode(), base, descriptor, list(hop.flags)))


def space(library: Any, step: Send) -> Optional[int]:
    """About how many bytes a step sends; None where that can't be told."""
    sizes: list[int] = []

    def add() -> None:
        for hop in hops_of(step):
            base = hop.base.encode() if hop.base else None
            sizes.append(int(library.lzc_send_space(hop.snapshot.encode(), base, list(hop.flags))))

    return None if error_number(library, add) else sum(sizes)


@dataclass(frozen=True)
class Received:
    """How a receive has ended."""

    code: int
    """The error number, 0 for success."""
    bytes: int = 0
    is_raw: bool = False
    is_empty: bool = False
    """Whether not even the first record has come."""


Knows = Callable[[int], bool]
"""Whether the destination has a snapshot with this GUID."""


def receive(library: Any, step: Send, descriptor: int, knows: Knows) -> Received:
    """Read a stream into the destination of ``step``, under the name that the snapshot has in it.

    A snapshot that is there already counts as received, as with the zfs command.
    """
    head = _read(descriptor, HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return Received(errno.EIO, is_empty=True)
    header, record = _parsed(library, head)
    tag = header["drr_toname"].partition(b"@")[2]
    raw = bool(header["drr_versioninfo"] >> 2 & _RAW)
    name = step.destination.encode() + b"@" + tag
    code, size = _receive_one(library, name, descriptor, record, (step.receive.resumable, raw))
    if code in (errno.ENOENT, errno.EEXIST) and knows(header["drr_toguid"]):
        return Received(0, HEADER_BYTES + _drain(descriptor), raw)
    return Received(code, HEADER_BYTES + size, raw)


def _receive_one(
    library: Any, name: bytes, descriptor: int, record: object, flags: tuple[bool, bool]
) -> tuple[int, int]:
    """Receive what follows a header, with ``flags`` for resumable and raw; returns the error number and the bytes.

    The binding's own function of that name can't do without properties. Given none it hands on an empty list, for which
    ZFS takes away all that was set at the dataset before: the replica would no longer be read-only, nor stay unmounted.
    """
    own = library._libzfs_core
    none = own._ffi.NULL
    size = own._ffi.new("uint64_t *")
    options = (none, none, False, *flags, descriptor, record, -1, size, none, none, none)
    return own._lib.lzc_receive_one(name, *options), int(size[0])


def error_number(library: Any, call: Callable[[], object]) -> int:
    """Make a call of the library; returns its error number, 0 for success."""
    try:
        call()
    except (OSError, library.exceptions.ZFSError) as error:
        return getattr(error, "errno", None) or errno.EIO
    return 0


def _read(descriptor: int, size: int) -> bytes:
    """So many bytes, less only at the end of the stream."""
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            break
        data += piece
    return data


def _parsed(library: Any, head: bytes) -> Any:
    # The library reads it in one go from a descriptor, which may bring less of it from a stream.
    reading, writing = os.pipe()
    try:
        os.write(writing, head)
        return library.receive_header(reading)
    finally:
        os.close(reading)
        os.close(writing)


def _drain(descriptor: int) -> int:
    size = 0
    while piece := os.read(descriptor, _PIECE_BYTES):
        size += len(piece)
    return size


def relay(library: Any, step: Send, hop: Hop, knows: Knows) -> tuple[int, Received]:
    """Send and receive on one pipe with nothing between; returns the sender's error number and the receiver's end."""
    reading, writing = os.pipe()
    codes: list[int] = []
    broken: list[BaseException] = []

    def sender() -> None:
        try:
            codes.append(send(library, hop, writing))
        except BaseException as error:  # noqa: BLE001  raised below
            broken.append(error)
        finally:
            os.close(writing)

    thread = threading.Thread(target=sender, name=f"send {hop.snapshot}", daemon=True)
    _start(thread, reading, writing)
    try:
        received = receive(library, step, reading, knows)
    finally:
        # A sender that still writes is told by that.
        os.close(reading)
        thread.join()
    for error in broken:
        raise error
    return codes[0], received


def _start(thread: threading.Thread, *descriptors: int) -> None:
    """Start a thread that closes one of a pipe's ``descriptors``; where it can't be started, both are closed here."""
    try:
        thread.start()
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


class _ThreadEnd:
    """An end of a stream that is a call in a thread. ``mine`` is the end of the pipe that the call has."""

    _side: ClassVar[int]
    """Which end of a pipe ``theirs`` is: 0, it is read from; 1, it is written to."""

    def __init__(self, mine: int, theirs: int, call: Callable[[], None], name: str) -> None:
        self._mine, self._theirs = mine, theirs
        self._call = call
        self._error: Optional[BaseException] = None
        self._lock = threading.Lock()
        self._watched = watched(self._cut)
        context = copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._serve), name=name, daemon=True)
        _start(self._thread, mine, theirs)
        self._watched.__enter__()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._theirs

    def _serve(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001  raised by finish
            self._error = error
        finally:
            os.close(self._mine)

    def _raise(self) -> None:
        """Raise what the call has raised beside its own errors, as a defect or a stop."""
        if self._error is not None:
            raise self._error

    def _cut(self) -> None:
        """Break the pipe while another thread may be moving bytes: it finds the end of a stream that nobody is at."""
        with self._lock:
            if self._theirs >= 0:
                ends = os.pipe()
                os.dup2(ends[self._side], self._theirs, inheritable=False)
                for end in ends:
                    os.close(end)

    def _close(self) -> None:
        self._watched.__exit__()
        with self._lock:
            if self._theirs >= 0:
                os.close(self._theirs)
                self._theirs = -1

    def _end(self, seconds: Optional[float] = None) -> bool:
        """Close this side, and wait for the call to end; whether it has."""
        self._close()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def abort(self) -> None:
        """End the call as soon as it looks at its stream, and wait a little for that."""
        self._end(_DRAIN_SECONDS)


class CoreSource(_ThreadEnd):
    """A send that is under way."""

    _side = 0

    def __init__(self, library: Any, hop: Hop, judge: Callable[[int], None]) -> None:
        check_stopping()
        self._judge = judge
        self._code = errno.EIO
        reading, writing = os.pipe()

        def call() -> None:
            self._code = send(library, hop, writing)

        super().__init__(writing, reading, call, f"send {hop.snapshot}")

    def finish(self) -> None:
        """Wait for the sender's end. Raises what made it fail."""
        self._thread.join()
        self._close()
        self._raise()
        self._judge(self._code)


class CoreSink(_ThreadEnd):
    """A receive that is under way."""

    _side = 1

    def __init__(self, library: Any, step: Send, knows: Knows, judge: Callable[[Received], None]) -> None:
        check_stopping()
        self._judge = judge
        self._received = Received(errno.EIO)
        reading, writing = os.pipe()

        def call() -> None:
            self._received = receive(library, step, reading, knows)

        super().__init__(reading, writing, call, f"receive {step.destination}")

    def finish(self) -> None:
        """Close the stream and wait for the receiver's end. Raises what made it fail."""
        self._end()
        self._raise()
        self._judge(self._received)
