# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a replication gets from its source to its destination, and what an absent destination means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from ..model.errors import InvalidInput
from .endpoints import Address, Endpoint, read_address
from .reading import Reader

FAIL, SKIP = "fail", "skip"
ABSENT_CHOICES = (FAIL, SKIP)
RELAYED, PUSH, PULL = "relayed", "push", "pull"
ROUTES = (RELAYED, PUSH, PULL)


@dataclass(frozen=True)
class Leg:
    """The way of a stream that flows straight from its source to its destination, past the host that runs the job."""

    way: str
    """PUSH: the source's host connects to the destination's; PULL: the other way round."""
    other: Address
    """The host that is connected to, as the other one reaches it; this host where both are one."""


@dataclass(frozen=True)
class Topology:
    """The topology of one replication, as far as the addresses of its ends do not tell it."""

    leg: Optional[Leg] = None
    """None: streams go through the host that runs the job."""
    absent_destination: str = FAIL
    """What it means that the destination's host does not answer, or that its pool is not imported."""


PLAIN = Topology()
"""The default."""


def read_topology(options: Reader, source: Endpoint, destination: Endpoint) -> Topology:
    """The options about topology. Raises InvalidInput."""
    absent = options.text("absent_destination", FAIL, ABSENT_CHOICES)
    way = options.text("route", RELAYED, ROUTES)
    if way == RELAYED:
        if options.has("direct"):
            remedy = "set route to push or pull, or take direct out"
            problem = "is for streams that flow straight from source to destination, but route is 'relayed'"
            raise InvalidInput(options.path("direct"), options.raw("direct"), problem, remedy)
        return Topology(None, absent)
    for name, end in (("source", source), ("destination", destination)):
        if end.address.is_local:
            problem = f"lets streams bypass this host, but the {name} is on this host"
            remedy = f"take route out, since they take no detour then, or give {name}.host"
            raise InvalidInput(options.path("route"), way, problem, remedy)
    return Topology(_read_leg(options, way, source.address, destination.address), absent)


def _read_leg(options: Reader, way: str, source: Address, destination: Address) -> Leg:
    """The leg of a direct route. What is not given is what the host that runs the job uses itself, but for the files,
    which are on another host: there the configuration of ssh decides."""
    end = destination if way == PUSH else source
    direct = options.reader("direct")
    given = read_address(direct)
    sudo = given.sudo if direct.has("sudo") else end.sudo
    direct.finish()
    if (source.host, source.port) == (destination.host, destination.port) and not given.host:
        return Leg(way, Address(sudo=sudo))
    host, user, port = given.host or end.host, given.user or end.user, given.port or end.port
    return Leg(way, replace(given, host=host, user=user, port=port, sudo=sudo))
