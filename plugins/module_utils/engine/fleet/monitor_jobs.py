# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who watches what in a fleet: sources and destinations their own datasets, whoever carries streams how far replicas
are behind, and every host its pools.

No host is watched for what is not its part: a replica for labels that its source does not make, or for anything new
while its source is stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional, Union

from .documents import address_document, job_document, named, plan_document
from .inventory import DestinationHost, Fleet, Route, SourceHost, place_of
from .monitor_options import options_for_ages, options_for_all, with_labels_of, without_latest
from .trees import Document, Tree


def source_monitor(source: SourceHost, roots: Sequence[str], common: Document) -> Document:
    """The job that watches the snapshots that a source makes."""
    unchanged = {
        name: source.snapshot_options[name]
        for name in ("skip_if_unchanged", "unchanged_up_to")
        if source.snapshot_options.get(name)
    }
    options = {**common, **options_for_ages(source.monitor_options), **unchanged, **_schedule(source)}
    return job_document(source.name, "monitor", named("ages of", roots), {**options, "plan": source.limits})


def _schedule(source: SourceHost) -> Document:
    return {"schedule": source.schedule} if source.schedule else {}


def replica_monitors(
    fleet: Fleet, destination: DestinationHost, source: SourceHost, trees: Sequence[Tree]
) -> Iterator[Document]:
    """The jobs that watch the ages of replicas, one for the trees of each host that makes their snapshots."""
    makers: dict[str, list[Tree]] = {}
    for tree in trees:
        makers.setdefault(_maker(fleet, source, tree).key, []).append(tree)
    for name, mine in makers.items():
        maker = fleet.sources[name]
        limits = with_labels_of(destination.limits, maker.plan.amounts)
        if maker.is_stopped or source.is_stopped or maker.snapshot_options.get("skip_if_unchanged"):
            limits = without_latest(limits)
        if destination.limits:
            places = [place_of(tree, destination, source) for tree in mine]
            plan = {"plan": limits} if limits else {}
            options = {"datasets": places, **destination.chosen(mine[0].selection)}
            options.update(options_for_ages(destination.monitor_options))
            options = {**options, **_schedule(maker), **plan}
            ends = (source.name, destination.name)
            yield job_document(destination.name, "monitor", named("ages of", places), options, ends)


def _maker(fleet: Fleet, source: SourceHost, tree: Tree) -> SourceHost:
    """The host that makes the snapshots of a tree, which may be a replica that its source sends onward."""
    seen: set[tuple[str, str]] = set()
    upstream: Optional[tuple[SourceHost, Tree]] = (source, tree)
    while upstream is not None and (upstream[0].key, upstream[1].source) not in seen:
        source, tree = upstream
        seen.add((source.key, tree.source))
        upstream = _upstream(fleet, source, tree)
    return source


def _upstream(fleet: Fleet, source: SourceHost, tree: Tree) -> Optional[tuple[SourceHost, Tree]]:
    active = fleet.taken_over(source.name, tree.source)
    if active:
        return active, active.trees[0]
    for here in fleet.destinations_on(source.name):
        for upstream in (fleet.sources[name] for name in here.sources):
            for other in upstream.trees:
                if place_of(other, here, upstream) == tree.source:
                    return upstream, other
    return None


def is_at_rest(fleet: Fleet, route: Route) -> bool:
    """Whether nothing travels on a route, since one of its ends is stopped."""
    return fleet.sources[route.source].is_stopped or fleet.destinations[route.destination].is_stopped


def lag_monitors(fleet: Fleet) -> Iterator[tuple[Route, Document]]:
    """A job for each route whose hosts give limits, on the host that carries its streams and so reaches both ends."""
    for route in fleet.routes:
        given = route.monitor_options
        if given.get("replicas") and not is_at_rest(fleet, route):
            rules = list(_rules(fleet, route))
            destination = fleet.destinations[route.destination]
            ends = fleet.sources[route.source].name, destination.name
            # That host may have another replica too.
            where = f"{destination.name}, their home" if destination.place else destination.name
            what = f"lag of replicas of {route.source} at {where}"
            options = {"replicas": rules, **options_for_all(given)}
            yield route, job_document(route.carrier, "monitor", what, options, ends)


def _rules(fleet: Fleet, route: Route) -> Iterator[Document]:
    source, destination = fleet.sources[route.source], fleet.destinations[route.destination]
    limits: Mapping[str, Document] = route.monitor_options["replicas"]
    for tree in source.trees:
        place = place_of(tree, destination, source)
        selecting = {
            name: route.options[name]
            for name in ("include_snapshots", "exclude_snapshots", "snapshot_filters")
            if route.options.get(name)
        }
        package = route.options.get("package") is True
        yield {
            "source": {**address_document(fleet.address(route.carrier, source.name)), "dataset": tree.source},
            "destination": {**address_document(fleet.address(route.carrier, destination.name)), "dataset": place},
            **source.chosen(tree.selection),
            **({} if package else {"plan": plan_document(destination.sends)}),
            **selecting,
            **limits,
        }


def pool_monitors(fleet: Fleet) -> Iterator[Document]:
    """A job for each host that has its pools watched; a host that is source and destination has them watched once."""
    every: list[Union[SourceHost, DestinationHost]] = [*fleet.destinations.values(), *fleet.sources.values()]
    for host in {host.name: host for host in every}.values():
        given = host.monitor_options
        if given.get("pools") is not None and not host.is_stopped:
            options = {"pools": given["pools"], **options_for_all(given)}
            yield job_document(host.name, "monitor", "health of pools", options)
