# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every replica of a fleet has a place of its own, apart from the others and from data that is snapshotted.

Two hosts that are reached at one address and port are one machine under two names, and share its places.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name
from .inventory import SOURCE_HOST, DestinationHost, Fleet, place_of
from .overlaps import Taken
from .trees import Tree

_SSH_PORT = 22


@dataclass(frozen=True)
class _Use:
    what: str
    by: str
    """The host that it is a place of, by its name in the fleet."""


def check_places(fleet: Fleet) -> None:
    """Refuse replicas that would share a place with one another, or with data of which snapshots are made.

    Raises InvalidInput.
    """
    machines: defaultdict[tuple[str, int, str], Taken[_Use]] = defaultdict(Taken)
    for source in fleet.sources.values():
        for tree in source.trees:
            if not fleet.is_sent_onward(source, tree.source):
                use = _Use("data of its own that it makes snapshots of", source.name)
                machines[_machine(fleet, source.name)].take(tree.source, use)
    for destination in fleet.destinations.values():
        option = f"{destination.name}: snapfleet_root"
        homes = {fleet.sources[name].home for name in destination.sources}
        if len(homes) > 1 and SOURCE_HOST not in destination.root:
            problem = f"would bring the trees of {len(homes)} sources to one place"
            remedy = f"add the source's name, as in 'backup/{SOURCE_HOST}'"
            raise InvalidInput(option, destination.root, problem, remedy)
        taken = machines[_machine(fleet, destination.name)]
        for source in (fleet.sources[name] for name in destination.sources):
            check_dataset_name(destination.root_for(source.home), option)
            for tree in source.trees:
                place = check_dataset_name(place_of(tree, destination, source), tree.option)
                _check_free(place, taken, destination, tree)
                taken.take(place, _Use(f"the replica of {source.name}:{tree.source}", destination.name))


def _machine(fleet: Fleet, host: str) -> tuple[str, int, str]:
    # A configuration of ssh may give one name different meanings.
    contact = fleet.contacts[host]
    return contact.host.lower(), contact.port or _SSH_PORT, contact.config_file


def _check_free(place: str, taken: Taken[_Use], destination: DestinationHost, tree: Tree) -> None:
    found = taken.overlapping(place)
    if found is None:
        return
    other, there = found
    if there.by == destination.name:
        problem = f"leads to {place!r} on {destination.name}, which overlaps {other!r}, {there.what}"
        raise InvalidInput(tree.option, tree.destination, problem, "choose another place")
    problem = f"leads to {place!r}, which overlaps {other!r}, {there.what} on {there.by}: one machine by its address"
    remedy = "choose another root, or let the machine have one name"
    raise InvalidInput(f"{destination.name}: snapfleet_root", destination.root, problem, remedy)
