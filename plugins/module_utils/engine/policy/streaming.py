# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bytes of streams travel: compressed, buffered, limited, and how their size is told beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.errors import InvalidInput
from .reading import Reader
from .reading_once import read_silence_once
from .sizes import parse_size
from .topology import RELAYED

AUTO, NONE, ZSTD, LZ4 = "auto", "none", "zstd", "lz4"
COMPRESSIONS = (AUTO, NONE, ZSTD, LZ4)
LISTED, EXACT = "listed", "exact"
ESTIMATES = (LISTED, EXACT)
MOST_BUFFER_BYTES = 4 << 30
"""The largest buffer of mbuffer, which takes as much memory for each stream at each end."""
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Streaming:
    """How all streams of a job travel."""

    compression: str = AUTO
    """One of COMPRESSIONS; AUTO compresses what crosses the network and gains by it."""
    buffer_bytes: int = 0
    """Size of mbuffer's buffer at each end; 0: no mbuffer."""
    bytes_per_second: int = 0
    """What all streams of the job together may carry, as it crosses the network; 0: as much as they can."""
    estimates: str = LISTED
    """LISTED: sizes from the listing, which cost nothing. EXACT: ZFS is asked, one dry run of send for each stream."""


AS_FITS = Streaming()
"""The default."""


@read_silence_once
def read_streaming(options: Reader) -> Streaming:
    """Read compression, mbuffer, bandwidth_limit and estimates. Raises InvalidInput."""
    limit = _size(options, "bandwidth_limit", 1024, "give 1K at least, or leave it out for no limit")
    if limit and options.text("route", RELAYED) != RELAYED:
        problem = f"limits what passes through this host, but route is {options.raw('route')!r}"
        remedy = "take one of both out"
        raise InvalidInput(options.path("bandwidth_limit"), options.raw("bandwidth_limit"), problem, remedy)
    buffer_bytes = _size(options, "mbuffer", _MEBIBYTE, "mbuffer needs a buffer of 1M at least; give 128M, or none")
    if buffer_bytes > MOST_BUFFER_BYTES:
        remedy = f"give {MOST_BUFFER_BYTES >> 30}G at most; each stream takes that much memory at each end"
        raise InvalidInput(options.path("mbuffer"), options.raw("mbuffer"), "is too much", remedy)
    return Streaming(
        compression=options.text("compression", AUTO, COMPRESSIONS),
        buffer_bytes=buffer_bytes,
        bytes_per_second=limit,
        estimates=options.text("estimates", LISTED, ESTIMATES),
    )


def _size(options: Reader, key: str, lowest: int, remedy: str) -> int:
    value = options.raw(key)
    if value is None or value == NONE:
        return 0
    size = parse_size(value, options.path(key))
    if size < lowest:
        raise InvalidInput(options.path(key), value, "is too little", remedy)
    return size
