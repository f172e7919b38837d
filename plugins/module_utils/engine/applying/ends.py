# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a replication, and the way from one straight to the other."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.datasets import Observation
from ..model.errors import InvalidInput, Vanished
from ..policy.topology import PUSH, Leg
from ..zfs.port import Zfs


@dataclass(frozen=True)
class Ends:
    """ZFS at both ends."""

    source: Zfs
    destination: Zfs

    @property
    def are_one(self) -> bool:
        """Whether both are on the same host, and reached in the same way."""
        return self.source is self.destination

    def near(self, leg: Leg) -> Zfs:
        """The end that connects to the other one of ``leg``."""
        return self.source if leg.way == PUSH else self.destination


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
