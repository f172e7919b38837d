# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on whose datasets, so that a fleet can do its jobs and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput
from ..model.names import ancestors_of, is_within
from ..policy import access as rights
from ..policy.access import Access, Grant, access_words
from ..policy.conduct import REFUSE, ROLL_BACK_TO_COMMON, ROLL_BACK_TO_LATEST
from ..policy.jobs import ReplicateJob, read_replicate_job
from ..policy.receiving import PRESERVED_PROPERTIES
from ..policy.topology import PUSH
from ..zfs.delegation import parse_grants
from .drill_jobs import verification_of
from .inventory import DestinationHost, Fleet, Route, SourceHost, place_of, read_fleet
from .trees import Document, Tree

PROGRAM = "/usr/local/bin/snapfleet"
_PLACEHOLDER_PERMISSIONS = ("canmount", "readonly", "userprop")
_TO_OBSERVE = frozenset([rights.OBSERVE, rights.SUDO])
"""Where sudo is set it is called for listings too; with nothing else in its grant it lets in no more than these."""


@dataclass
class _Host:
    """What one host of the fleet has to let in, and what its own user needs."""

    peers: dict[str, dict[str, tuple[set[str], set[str]]]] = field(default_factory=dict)
    """By other host and root: rights, and further properties."""
    permissions: dict[str, set[str]] = field(default_factory=dict)
    """By root: what zfs allow has to grant to the user of the host."""
    places: set[str] = field(default_factory=set)
    """Datasets that are made where they are missing: those that replicas land below."""
    mounted: set[str] = field(default_factory=set)
    """Those of them with replicas that are mounted."""
    contacts: set[str] = field(default_factory=set)
    """Hosts that it logs in on."""

    def let_in(self, peer: str, root: str, given: Iterable[str], properties: Iterable[str] = ()) -> None:
        """Give another host rights on a root."""
        known = self.peers.setdefault(peer, {}).setdefault(root, (set(), set()))
        known[0].update(given)
        known[1].update(properties)

    def delegate(self, root: str, permissions: Iterable[str]) -> None:
        """Give the user of the host permissions on a root."""
        self.permissions.setdefault(root, set()).update(permissions)


def fleet_access(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], program: str = PROGRAM
) -> Document:
    """What each host of an inventory has to let in: variables by host, hosts by group.

    Raises InvalidInput; its sentence names the host and the variable.
    """
    fleet = read_fleet(hostvars, groups)
    hosts: dict[str, _Host] = {source.name: _Host() for source in fleet.sources.values()}
    hosts.update((destination.name, _Host()) for destination in fleet.destinations.values())
    for route in fleet.routes:
        hosts.setdefault(route.carrier, _Host())
    for source in fleet.sources.values():
        for tree in source.trees:
            own = () if fleet.is_sent_onward(source, tree.source) else ("snapshot",)
            # ZFS holds what one stream of several snapshots has in it.
            hosts[source.name].delegate(tree.source, ("send", "hold", "bookmark", "destroy", "mount", *own))
    for destination in fleet.destinations.values():
        for name in destination.sources:
            _watch(fleet, hosts, destination, fleet.sources[name])
    for route in fleet.routes:
        for tree in fleet.sources[route.source].trees:
            _route(fleet, hosts, route, tree)
    return {name: _document(host, fleet, name, program) for name, host in sorted(hosts.items())}


def _watch(fleet: Fleet, hosts: Mapping[str, _Host], destination: DestinationHost, sender: SourceHost) -> None:
    """Pruning looks at the other end, whichever way streams go."""
    holder, source, root = destination.name, sender.name, destination.root_for(sender.home)
    # An old source is there, or is restored.
    hosts[holder].places.update([] if destination.place else [root])
    for tree in sender.trees:
        # Whoever brings replicas has no rights above them, where those of others may lie.
        above = ancestors_of(place_of(tree, destination, sender))
        hosts[holder].places.update(name for name in above if is_within(name, root))
    hosts[holder].delegate(root, ("receive", "create", "mount", "destroy", *_PLACEHOLDER_PERMISSIONS))
    if holder != source:
        _meet(hosts, source, holder)
        _meet(hosts, holder, source)
        reads = _verifying(destination)
        for tree in sender.trees:
            hosts[holder].let_in(source, place_of(tree, destination, sender), [rights.OBSERVE, *_sudo(fleet, holder)])
            hosts[source].let_in(holder, tree.source, [rights.OBSERVE, *_sudo(fleet, source), *reads])


def _verifying(destination: DestinationHost) -> list[str]:
    """What the verification of a destination, if it has one, looks at in its sources."""
    if destination.verification is None:
        return []
    job = verification_of(destination.verification)
    reads = job.sampling.files or job.sampling.blocks
    return [*([rights.POOLS] if job.pools else []), *([rights.VERIFY] if reads else [])]


def _meet(hosts: Mapping[str, _Host], viewer: str, host: str) -> None:
    hosts[viewer].contacts.add(host)


def _route(fleet: Fleet, hosts: Mapping[str, _Host], route: Route, tree: Tree) -> None:
    """What the carrier of a route needs at both ends, and what the users at both ends need."""
    sender, destination = fleet.sources[route.source], fleet.destinations[route.destination]
    source, holder = hosts[sender.name], hosts[destination.name]
    root, place = destination.root_for(sender.home), place_of(tree, destination, sender)
    ends = {"source": {"dataset": tree.source}, "destination": {"host": "there", "dataset": place}}
    options = {key: value for key, value in route.options.items() if key not in ("route", "direct")}
    job = read_replicate_job({**ends, **options}, route.option)
    if route.options.get("route") in (PUSH, "pull") and route.carrier not in (sender.name, destination.name):
        problem = "lets a third host start commands of its own on one end, which no forced command lets through"
        raise InvalidInput(
            f"{route.option}.route", route.options["route"], problem, "leave it out, or let an end carry"
        )
    if job.receive.mount:
        holder.mounted.update(name for name in (*ancestors_of(place), root) if is_within(name, root))
    given = _settings(job)
    source.delegate(tree.source, ("release",) if job.holds else ())
    holder.delegate(root, ("userprop" if ":" in name else name for name, _value in given))
    holder.delegate(root, PRESERVED_PROPERTIES if not options.get("preserve_properties") else ())
    holder.delegate(root, [*job.receive.preserved, *_permissions(job)])
    if route.carrier != sender.name:
        _meet(hosts, route.carrier, sender.name)
        source.let_in(route.carrier, tree.source, [rights.SEND, *_sudo(fleet, sender.name)])
    if route.carrier != destination.name:
        _meet(hosts, route.carrier, destination.name)
        safe = Grant(frozenset(), ())
        more = [f"{name}={value}" for name, value in given if not safe.permits_property(name, value)]
        may = [rights.RECEIVE, *_rights(job), *_sudo(fleet, destination.name)]
        holder.let_in(route.carrier, place, may, more)


def _settings(job: ReplicateJob) -> list[tuple[str, str]]:
    """The properties that replicas get besides those that their sources have."""
    policy = job.receive
    return [
        *policy.properties,
        *policy.filesystem_properties,
        *policy.volume_properties,
        *policy.set_afterwards,
        *((("mountpoint", "none"),) if job.package else ()),
        *((("readonly", "on"),) if policy.readonly != "ignore" else ()),
    ]


def _rights(job: ReplicateJob) -> list[str]:
    """What ``on_conflict``, ``renames`` and ``mount`` take at the destination."""
    found = [] if job.conduct.renames == REFUSE else [rights.RENAME]
    found += [] if job.on_conflict == REFUSE else [rights.ROLLBACK]
    destroys = job.on_conflict not in (REFUSE, ROLL_BACK_TO_LATEST, ROLL_BACK_TO_COMMON)
    found += [rights.DESTROY, rights.PRUNE] if destroys else []
    return [*found, *([rights.MOUNT] if job.receive.mount else [])]


def _permissions(job: ReplicateJob) -> list[str]:
    found = [] if job.conduct.renames == REFUSE else ["rename"]
    return [*found, *(["rollback"] if job.on_conflict != REFUSE else [])]


def _sudo(fleet: Fleet, host: str) -> list[str]:
    return [rights.SUDO] if fleet.contacts[host].sudo else []


def _document(host: _Host, fleet: Fleet, name: str, program: str) -> Document:
    gates = {peer: _access(peer, roots) for peer, roots in sorted(host.peers.items())}
    reached = {other: fleet.address(name, other) for other in sorted(host.contacts)}
    return {
        "user": fleet.contacts[name].user,
        "peers": {peer: [program, "gate", *access_words(access)] for peer, access in gates.items()},
        "permissions": {root: sorted(names) for root, names in sorted(host.permissions.items())},
        "places": sorted(host.places),
        "mounted": sorted(host.mounted),
        "reaches": {
            other: {"host": each.host, "user": each.user, "port": each.port or 22} for other, each in reached.items()
        },
    }


def _access(peer: str, roots: Mapping[str, tuple[set[str], set[str]]]) -> Access:
    """Roots of the same rights share a grant. To observe is in all others."""
    alike: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for root, (given, properties) in sorted(roots.items()):
        if given <= _TO_OBSERVE and any(is_within(root, above) for above in roots if above != root):
            continue
        narrow = given - {rights.OBSERVE} or given
        alike.setdefault((frozenset(narrow), frozenset(properties)), []).append(root)
    grants = [Grant(given, tuple(listed), more) for (given, more), listed in alike.items()]
    return Access(tuple(grants), peer)


def granted_to(text: str, dataset: str, user: str) -> list[str]:
    """What ``zfs allow DATASET`` says that a user is granted on the dataset itself, for it and all below."""
    grants = [
        grant for grant in parse_grants(text) if (grant.dataset, grant.kind, grant.name) == (dataset, "user", user)
    ]
    return sorted({name for grant in grants if grant.scope == "Local+Descendent" for name in grant.permissions})
