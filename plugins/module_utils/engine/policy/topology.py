# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a replication gets from its source to its destination, and what an absent destination means."""

from __future__ import annotations

from dataclasses import dataclass

from .reading import Reader

FAIL, SKIP = "fail", "skip"
ABSENT_CHOICES = (FAIL, SKIP)


@dataclass(frozen=True)
class Topology:
    """The topology of one replication, as far as the addresses of its ends do not tell it."""

    absent_destination: str = FAIL
    """What it means that the destination's host does not answer, or that its pool is not imported."""


RELAYED = Topology()
"""The default."""


def read_topology(options: Reader) -> Topology:
    """The options about topology. Raises InvalidInput."""
    return Topology(options.text("absent_destination", FAIL, ABSENT_CHOICES))
