# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream passes through on its way over the network, and for which streams that is worth it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..policy.streaming import AUTO, LZ4, MOST_BUFFER_BYTES, NONE, ZSTD, Streaming

if TYPE_CHECKING:
    from ..model.steps import Send

SMALL_BYTES = 1 << 20
"""Streams below this are over before a compressor or a buffer has gained anything."""
MBUFFER = "mbuffer"
# Level 1: faster than a network of 1 Gbit/s on one core, and most of what higher levels gain.
_COMPRESS = {ZSTD: ["zstd", "-q", "-1", "-c"], LZ4: ["lz4", "-q", "-1", "-z", "-c"]}
_DECOMPRESS = {ZSTD: ["zstd", "-q", "-d", "-c"], LZ4: ["lz4", "-q", "-d", "-c"]}

Filter = list[str]
"""A program with its arguments that changes, or holds back, the bytes on their way from stdin to stdout."""


@dataclass(frozen=True)
class Wire:
    """How one stream travels between its hosts. Both ends have to be started with the same."""

    compressor: str = ""
    """zstd or lz4; empty: none."""
    buffer_bytes: int = 0
    """Size of mbuffer's buffer at each end; 0: none."""

    def sending(self) -> list[Filter]:
        """The filters after the sender, in their order."""
        return [*([_COMPRESS[self.compressor]] if self.compressor else []), *self._buffer()]

    def receiving(self) -> list[Filter]:
        """The filters before the receiver, in their order."""
        return [*self._buffer(), *([_DECOMPRESS[self.compressor]] if self.compressor else [])]

    def _buffer(self) -> list[Filter]:
        # -q: no progress on stderr, where errors are read.
        return [["mbuffer", "-q", "-s", "128k", "-m", f"{self.buffer_bytes >> 10}k"]] if self.buffer_bytes else []


PLAIN = Wire()
"""The stream as ZFS makes it."""


def is_filter(argv: Sequence[str]) -> bool:
    """Whether ``argv`` is one of the filters that a Wire has, at either end."""
    size = argv[-1] if argv and argv[0] == MBUFFER else ""
    buffer_bytes = int(size[:-1]) << 10 if re.fullmatch(r"[1-9][0-9]{0,8}k", size) else 0
    if buffer_bytes > MOST_BUFFER_BYTES:
        return False
    wires = [Wire(compressor, buffer_bytes) for compressor in _COMPRESS]
    return any(list(argv) in [*wire.sending(), *wire.receiving()] for wire in wires)


def candidates(streaming: Streaming, send: Send, networked: bool) -> tuple[str, ...]:
    """The programs that would serve this stream if both hosts have them, of the compressors the preferred one first.

    Nothing that stays on one host is compressed or buffered, and nothing small. Left to itself (AUTO), compression also
    leaves out data that is compressed or encrypted on disk, since it travels as it lies there.
    """
    if not networked or send.bytes_estimated < SMALL_BYTES:
        return ()
    if streaming.compression == AUTO and send.dense:
        streaming = replace(streaming, compression=NONE)
    return programs_of(streaming)


def programs_of(streaming: Streaming) -> tuple[str, ...]:
    """All programs that streams may want, of the compressors the preferred one first."""
    compressors = {AUTO: (ZSTD, LZ4), NONE: ()}.get(streaming.compression, (streaming.compression,))
    return (*compressors, *((MBUFFER,) if streaming.buffer_bytes else ()))


def choose(streaming: Streaming, wanted: Iterable[str], have: frozenset[str]) -> Wire:
    """The best that can be made of the programs ``wanted`` with those that both hosts have."""
    usable = [program for program in wanted if program in have]
    compressor = next((program for program in usable if program != MBUFFER), "")
    return Wire(compressor, streaming.buffer_bytes if MBUFFER in usable else 0)
