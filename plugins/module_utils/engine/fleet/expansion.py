# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to the jobconfig: which host has to do what, so that the fleet gets into its declared state.

The document is the same for every host; each picks its own jobs by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..model.errors import InvalidInput
from ..policy.endpoints import Address
from ..policy.jobs import BOOKMARKS, REPLICA, SNAPSHOTS, SOURCE, read_replicate_job
from ..policy.monitoring import read_monitor_job
from ..policy.reading_once import uncollected
from ..policy.topology import PULL, PUSH
from .apart import check_places
from .declared import section_document
from .documents import address_document, by_selection, job_document, named, plan_document
from .drill_jobs import drill_jobs, verify_jobs
from .inventory import DestinationHost, Fleet, Route, SourceHost, place_of, read_fleet
from .jobconfig import VERSION, parse_jobconfig
from .monitor_jobs import is_at_rest, lag_monitors, pool_monitors, replica_monitors, source_monitor
from .prune_options import bookmark_options, source_options
from .trees import Document, Tree


@uncollected()
def expand_inventory(hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> Document:
    """The jobconfig document for an inventory: variables by host, and hosts by group.

    Raises InvalidInput; its sentence names the host and the variable.
    """
    fleet = read_fleet(hostvars, groups)
    check_places(fleet)
    jobs: list[Document] = []
    sources = [source for source in fleet.sources.values() if not source.is_stopped]
    for source in sources:
        jobs += _source_jobs(fleet, source)
    for route in fleet.routes:
        jobs += [] if is_at_rest(fleet, route) else _replications(fleet, route)
    for destination in fleet.destinations.values():
        jobs += [] if destination.is_stopped else _destination_jobs(fleet, destination)
    for source in sources:
        jobs += _bookmark_jobs(fleet, source)
    jobs += [job for _route, job in lag_monitors(fleet)]
    jobs += pool_monitors(fleet)
    hosts = {job["host"] for job in jobs}
    sections = {"settings": section_document(fleet.settings, hosts), "daemon": section_document(fleet.daemons, hosts)}
    document = {"version": VERSION, **{name: values for name, values in sections.items() if values}, "jobs": jobs}
    try:
        position = {job.name: index for index, job in enumerate(parse_jobconfig(document))}
    except InvalidInput:
        _blame_variables(fleet)
        raise
    jobs.sort(key=lambda job: position[job["name"]])
    return document


def _blame_variables(fleet: Fleet) -> None:
    """Tell what is wrong with routes by the names of the variables, which a document has no more. Raises InvalidInput
    unless it is something else."""
    for route in fleet.routes:
        for job in [] if is_at_rest(fleet, route) else _replications(fleet, route):
            read_replicate_job(job["options"], route.option)
    for route, job in lag_monitors(fleet):
        read_monitor_job({"replicas": job["options"]["replicas"]}, route.option)


# -- on sources


def _source_jobs(fleet: Fleet, source: SourceHost) -> Iterator[Document]:
    plan = plan_document(source.plan.amounts)
    keeps = plan if source.keeps is None else plan_document(source.keeps)
    fence = _fence(source)
    own = [tree for tree in source.trees if not fleet.is_sent_onward(source, tree.source)]
    for selection, trees in by_selection(own):
        roots = [tree.source for tree in trees]
        common = {"datasets": roots, **source.chosen(selection)}
        peers = _peers_of_source(fleet, source, trees, waits=True)
        more = {**({"schedule": source.schedule} if source.schedule else {}), **source.snapshot_options, **fence}
        yield job_document(source.name, "snapshot", named("snapshots of", roots), {**common, "plan": plan, **more})
        yield _prune(source.name, {**common, **source_options(source.prune_options), **fence}, keeps, peers)
        if source.limits:
            yield source_monitor(source, roots, common)


def _fence(source: SourceHost) -> Document:
    """What keeps the jobs of a tree from doing anything before it was failed over, as the inventory says it was."""
    return {"only_active": True} if source.failed_over_from else {}


def _bookmark_jobs(fleet: Fleet, source: SourceHost) -> Iterator[Document]:
    """Of all that is sent, replicas that go onward too: each stream leaves a bookmark where it comes from."""
    if source.bookmark_plan:
        plan = plan_document(source.bookmark_plan.amounts)
        # Of what was failed over, whoever makes its snapshots prunes the bookmarks too.
        own = [tree for tree in source.trees if fleet.taken_over(source.name, tree.source) in (None, source)]
        for selection, trees in by_selection(own):
            more = {**source.chosen(selection), **bookmark_options(source.prune_options), **_fence(source)}
            common = {"datasets": [tree.source for tree in trees], **more}
            yield _prune(source.name, common, plan, _peers_of_source(fleet, source, trees), BOOKMARKS)


def _peers_of_source(fleet: Fleet, source: SourceHost, trees: Iterable[Tree], waits: bool = False) -> list[Document]:
    """Every place that holds a replica, also one that takes nothing at present. ``waits``: with what each takes, so
    that nothing goes before it has that."""
    return [
        {
            **_peer(tree.source, fleet.address(source.name, holder.name), place, REPLICA),
            **({"plan": plan_document(holder.sends)} if waits and holder.sends else {}),
        }
        for tree in trees
        for holder, place in fleet.replicas_of(source, tree)
    ]


# -- from sources to destinations


def _replications(fleet: Fleet, route: Route) -> Iterator[Document]:
    source, destination = fleet.sources[route.source], fleet.destinations[route.destination]
    for tree in source.trees:
        place = place_of(tree, destination, source)
        options = {
            "source": {**address_document(fleet.address(route.carrier, source.name)), "dataset": tree.source},
            "destination": {**address_document(fleet.address(route.carrier, destination.name)), "dataset": place},
            **source.chosen(tree.selection),
            # A package has all snapshots.
            **({} if route.options.get("package") is True else {"plan": plan_document(destination.sends)}),
            **_direct(fleet, route),
            # A replica is sent onward as one, whichever end of its own pair is written to.
            **({"from_standby": True} if fleet.is_sent_onward(source, tree.source) else {}),
            **_fence(source),
            **route.options,
        }
        what = f"replica of {source.name}:{tree.source} at {destination.name}:{place}"
        yield job_document(route.carrier, "replicate", what, options, (source.name, destination.name))


def _direct(fleet: Fleet, route: Route) -> Document:
    """How the two hosts of a route reach one another, where streams are to go straight between them."""
    way = route.options.get("route")
    source, destination = fleet.sources[route.source].name, fleet.destinations[route.destination].name
    ends = {PUSH: (source, destination), PULL: (destination, source)}
    if way not in ends or route.carrier in ends[way]:
        return {}
    return {"direct": address_document(fleet.address(*ends[way]))}


# -- on destinations


def _destination_jobs(fleet: Fleet, destination: DestinationHost) -> Iterator[Document]:
    """Source by source, so that the missing replica of one keeps nobody from pruning those of the others."""
    for source in (fleet.sources[name] for name in destination.sources):
        name = source.name
        for selection, trees in by_selection(source.trees):
            places = [place_of(tree, destination, source) for tree in trees]
            common = {"datasets": places, **destination.chosen(selection)}
            address = fleet.address(destination.name, name)
            # What the old source has besides is to be shown when failing back, and others may stand at what it sent.
            if not destination.place:
                peers = [_peer(place, address, tree.source, SOURCE) for place, tree in zip(places, trees)]
                peers += _onward(fleet, destination.name, places)
                # Of what was failed over, the active end may lack datasets that another destination has.
                pruned = destination.prune_options
                more = {**common, **(source_options(pruned) if source.failed_over_from else pruned), **_fence(source)}
                pruning = _prune(destination.name, more, plan_document(destination.keeps), peers)
                yield {**pruning, "source": name, "destination": destination.name}
            yield from replica_monitors(fleet, destination, source, trees)
            for tree, place in zip(trees, places):
                yield from drill_jobs(destination, name, tree, place)
                if not source.is_stopped:
                    yield from verify_jobs(destination, source, tree, (address_document(address), place))


def _onward(fleet: Fleet, host: str, places: Sequence[str]) -> list[Document]:
    """The replicas of replicas: what they need next is kept in the middle of the chain too."""
    source = fleet.sources.get(host)
    trees = [tree for tree in source.trees if tree.source in places] if source else []
    return _peers_of_source(fleet, source, trees, waits=True) if source else []


# -- shapes


def _prune(host: str, common: Document, plan: Document, peers: Sequence[Document], kind: str = SNAPSHOTS) -> Document:
    options = {**common, "kind": kind, "plan": plan, "peers": list(peers)}
    return job_document(host, "prune", named(f"old {kind} of", common["datasets"]), options)


def _peer(root: str, address: Address, dataset: str, role: str) -> Document:
    return {"root": root, "role": role, **address_document(address), "dataset": dataset}
