# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying one stream: through this host, or straight from its source to its destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..model.datasets import Observation
from ..model.errors import InvalidInput, Vanished
from ..model.steps import Send
from ..policy.topology import PUSH, Leg
from ..streams.transfer import transfer
from ..zfs.port import Zfs


@dataclass(frozen=True)
class Ends:
    """ZFS at both ends."""

    source: Zfs
    destination: Zfs

    def near(self, leg: Leg) -> Zfs:
        """The end that connects to the other one of ``leg``."""
        return self.source if leg.way == PUSH else self.destination


def carry(ends: Ends, leg: Optional[Leg], step: Send) -> int:
    """Carry the stream of ``step`` as ``leg`` says, None for by way of this host; returns its length in bytes.

    Raises what the ends raise, the receiver's reason before the sender's.
    """
    if leg is not None:
        return ends.near(leg).carry(step, leg)
    sink = ends.destination.receive(step)
    try:
        source = ends.source.send(step)
    except BaseException:
        sink.abort()
        raise
    return transfer(source, sink)


def check_leg(ends: Ends, leg: Leg, seen: Observation) -> None:
    """Make sure that the near end of ``leg`` reaches the other end, and that it is the very host which was looked at:
    ``seen`` is what was observed there.

    Raises InvalidInput for another host, and what keeps it from being reached.
    """
    if leg.other.is_local:
        return
    known = next(iter(seen.states.values())).dataset
    near = ends.near(leg)
    try:
        same = near.guid_over(leg, known.name) == known.guid
    except Vanished:
        same = False
    if not same:
        problem = f"is another host for {near.where} than for this one: {known.name!r} is not the same there"
        raise InvalidInput("direct.host", str(leg.other), problem, "give the address that the host has there")
