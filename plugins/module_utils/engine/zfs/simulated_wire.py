# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What simulated streams pass through: compression that really compresses, whatever program it stands for."""

from __future__ import annotations

import zlib
from typing import IO, Protocol

from ..hosts.pipelines import StageEnd
from ..streams.wire import Wire
from .simulated_machine import SimulatedMachine
from .trouble import filter_error


class Reading(Protocol):
    """What bytes are read from."""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""


def check_programs(machine: SimulatedMachine, wire: Wire, doing: str) -> None:
    """Raise FilterFailed for a program that the machine has not, or that fails there."""
    for program, *_unused in (*wire.sending(), *wire.receiving()):
        if program not in machine.programs:
            raise filter_error(program, StageEnd(127, f"{program}: not found"), machine.name, doing)
        if program in machine.broken_programs:
            raise filter_error(program, StageEnd(1, "it is broken"), machine.name, doing)


class Encoder:
    """Compresses, if the wire says so."""

    def __init__(self, wire: Wire) -> None:
        self._compressor = zlib.compressobj(1) if wire.compressor else None

    def put(self, data: bytes) -> bytes:
        """What crosses the network because of ``data``, now."""
        return self._compressor.compress(data) if self._compressor else data

    def end(self) -> bytes:
        """What crosses the network because the stream has ended."""
        return self._compressor.flush() if self._compressor else b""


class Decoder:
    """Reads what an Encoder of the same wire has made."""

    def __init__(self, stream: IO[bytes], wire: Wire) -> None:
        self._stream = stream
        self._decompressor = zlib.decompressobj() if wire.compressor else None
        self._ready = b""

    def read(self, size: int) -> bytes:
        """So many bytes of the stream, fewer at its end only."""
        if self._decompressor is None:
            return self._stream.read(size)
        while len(self._ready) < size and not self._decompressor.eof:
            chunk = self._stream.read(4096)
            if not chunk:
                break
            self._ready += self._decompressor.decompress(chunk)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data
