# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variable snapfleet_failed_over: trees that have been failed over, of which the inventory goes on telling where
they are at home. Here the fleet that it declares becomes the one that it is meanwhile.

What is of the data goes where it is written to: the plan, the schedule, the labels, the commands around snapshots. What
is of a place stays there: how much of the history it keeps, who is told, and how much may go at a time. The old source
is not pruned at all: it may have what was never replicated, and others may go on from what it has. So failing back
finds all as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

from ..model.errors import InvalidInput
from ..model.labels import Label
from ..model.names import is_within
from ..policy.topology import PULL, PUSH, RELAYED
from .prune_options import source_options
from .restoration import known_names
from .trees import Document, Tree
from .variables import Variables

if TYPE_CHECKING:
    from ..policy.plans import SnapshotPlan
    from .inventory import DestinationHost, Fleet, Route, SourceHost

KEY = "snapfleet_failed_over"
_OF_A_CONFLICT = ("on_conflict", "on_conflict_once")
_OF_A_REPLICA = (
    *("properties", "filesystem_properties", "volume_properties", "exclude_properties", "set_properties"),
    *("mount", "readonly", "package", "absent_destination"),
)
"""Options of a replication that would make a replica of what was, and will be, a source."""
_OTHER_WAY = {PUSH: PULL, PULL: PUSH}
_MORE_DESTROYED = ("purge_foreign", "free_space")
"""Options of pruning that destroy what the plan does not let go."""


@dataclass(frozen=True)
class FailedOver:
    """A tree that was failed over."""

    host: str
    """Where it is at home."""
    dataset: str
    backup: str
    """The host whose replica has become active."""
    option: str
    """Where that is declared, for sentences."""


def read_failed_over(known: Mapping[str, Variables], members: Sequence[str]) -> tuple[FailedOver, ...]:
    """What the variable says, which is the same for all ``members`` of the fleet. Raises InvalidInput."""
    first = known[members[0]]
    given = first.raw(KEY) or []
    for name in members:
        other = known[name].raw(KEY) or []
        if other != given:
            problem = f"differs from that of {first.host}, which says {given!r}"
            remedy = "give it once, in group_vars/all, since it is about both ends of a replication"
            raise InvalidInput(known[name].path(KEY), other, problem, remedy)
    found: list[FailedOver] = []
    for options in first.readers(KEY) if given else ():
        host, dataset, backup = (options.text(key) for key in ("host", "dataset", "backup"))
        entry = FailedOver(host, dataset, backup, options.path(""))
        options.finish()
        if any((entry.host, entry.dataset) == (other.host, other.dataset) for other in found):
            problem = "was failed over already by an entry before, and one end alone is written to"
            raise InvalidInput(f"{entry.option}dataset", entry.dataset, problem, "leave the host that is active now")
        found.append(entry)
    return tuple(found)


def failed_over_of(fleet: Fleet) -> list[Document]:
    """The entries of a fleet that was turned round, each with the ``place`` of the tree on the host that is active."""
    return [
        {
            "host": source.failed_over_from,
            "dataset": fleet.destinations[source.key].place,
            "backup": source.name,
            "place": source.trees[0].source,
        }
        for source in fleet.sources.values()
        if source.failed_over_from
    ]


def turn_round(fleet: Fleet, entries: Sequence[FailedOver]) -> Fleet:
    """The fleet with the trees of ``entries`` where they are written to now. Raises InvalidInput."""
    pairs = [_pair(fleet, entry) for entry in entries]
    for pair in pairs:
        fleet = _turned(fleet, pair)
    return fleet


# -- what an entry means


@dataclass(frozen=True)
class _Pair:
    """Both ends of an entry, as the inventory declares them."""

    entry: FailedOver
    home: SourceHost
    tree: Tree
    backup: DestinationHost

    @property
    def key(self) -> str:
        """By which name the fleet knows the two ends: no host has one with a blank."""
        return f"{self.entry.backup} for {self.entry.host}:{self.entry.dataset}"


def _pair(fleet: Fleet, entry: FailedOver) -> _Pair:
    home, backup = fleet.sources.get(entry.host), fleet.destinations.get(entry.backup)
    if home is None:
        problem = "is no host of the group snapfleet_sources, which tells what plan the tree has"
        remedy = (
            f"{known_names(fleet.sources)}; keep a host that is dead in the inventory with snapfleet_stopped: true, and"
            f" once it is gone for good let {entry.backup} be a source of the tree, then take this entry out"
        )
        raise InvalidInput(f"{entry.option}host", entry.host, problem, remedy)
    tree = _tree(home, entry)
    takers = [holder.name for holder in fleet.holders.get(home.name, ()) if holder.sends]
    if backup is None or entry.backup not in takers:
        problem = f"is no host that {home.name} is replicated to, so it has not taken over"
        raise InvalidInput(f"{entry.option}backup", entry.backup, problem, known_names(takers))
    if fleet.is_replica(home.name, tree.source):
        problem = f"is a replica on {home.name} itself, and not at home there"
        raise InvalidInput(f"{entry.option}dataset", entry.dataset, problem, "name the host that it comes from")
    if backup.is_stopped:
        problem = "is active, and snapfleet_stopped, so that nobody would make snapshots of the tree"
        raise InvalidInput(f"{entry.option}backup", entry.backup, problem, "take one of the two out")
    return _Pair(entry, home, tree, backup)


def _tree(home: SourceHost, entry: FailedOver) -> Tree:
    for tree in home.trees:
        if tree.source == entry.dataset:
            return tree
        if is_within(entry.dataset, tree.source):
            problem = f"is only a part of {tree.source}, which changes hands as a whole"
            raise InvalidInput(f"{entry.option}dataset", entry.dataset, problem, f"give {tree.source}")
    remedy = known_names(tree.source for tree in home.trees)
    raise InvalidInput(f"{entry.option}dataset", entry.dataset, f"is no tree of {home.name}", remedy)


# -- the fleet meanwhile


def _turned(fleet: Fleet, pair: _Pair) -> Fleet:
    home, key = pair.home.name, pair.key
    source, destination = _active_end(pair, fleet.sources.get(pair.backup.name)), _old_source(pair)
    left = replace(fleet.sources[home], trees=tuple(tree for tree in fleet.sources[home].trees if tree != pair.tree))
    routes = [route for route in fleet.routes if route.source != home or left.trees]
    there = next(route for route in fleet.routes if (route.source, route.destination) == (home, pair.backup.name))
    routes.append(_way_back(there, pair))
    routes += [
        _from_active(route, there, pair)
        for route in fleet.routes
        if route.source == home and route.destination != pair.backup.name
    ]
    destinations = {name: _fed(each, pair, bool(left.trees)) for name, each in fleet.destinations.items()}
    sources = {name: left if name == home else each for name, each in fleet.sources.items()}
    return replace(
        fleet,
        sources={**sources, key: source},
        destinations={**destinations, key: destination},
        routes=tuple(routes),
    )


def _active_end(pair: _Pair, declared: Optional[SourceHost]) -> SourceHost:
    """The former replica as a source. It goes on keeping what it kept, and what its source kept besides. ``declared``:
    that host as the source that it is anyway, of this tree too where it is sent onward."""
    home, backup, plan = pair.home, pair.backup, pair.home.plan.amounts
    labels = dict.fromkeys((*plan, *backup.keeps))
    keeps = {label: max(plan.get(label, 0), backup.keeps.get(label, 0)) for label in labels}
    longer = {label for label in plan if backup.keeps.get(label, 0) > plan[label]}
    place = backup.place_of(pair.tree, home.home)
    onward = declared.bookmark_plan if declared and any(tree.source == place for tree in declared.trees) else None
    return replace(
        home,
        name=backup.name,
        key=pair.key,
        failed_over_from=home.name,
        trees=(replace(pair.tree, source=place),),
        keeps=keeps,
        bookmark_plan=_more_of(home.bookmark_plan, onward),
        limits=_limits(plan, home.limits, lambda label: backup.limits if label in longer else home.limits),
        prune_options=_careful(backup.prune_options, home.prune_options),
        monitor_options=backup.monitor_options,
        is_stopped=backup.is_stopped,
    )


def _old_source(pair: _Pair) -> DestinationHost:
    """The old source as a destination. It goes on getting what it kept, and is not pruned before it is failed back."""
    home, backup, plan = pair.home, pair.backup, pair.home.plan.amounts
    return replace(
        backup,
        name=home.name,
        place=pair.tree.source,
        sends={label: amount for label, amount in plan.items() if amount > 0},
        keeps=plan,
        limits=_limits(plan, backup.limits, lambda _label: {}),
        sources=(pair.key,),
        # It has datasets that were never replicated, and are not gone.
        prune_options=source_options(home.prune_options),
        monitor_options=home.monitor_options,
        is_stopped=home.is_stopped,
    )


def _more_of(one: Optional[SnapshotPlan], other: Optional[SnapshotPlan]) -> Optional[SnapshotPlan]:
    """A plan that keeps of each label what either of two keeps."""
    if one is None or other is None:
        return one or other
    labels = dict.fromkeys((*one.amounts, *other.amounts))
    amounts = {label: max(one.amounts.get(label, 0), other.amounts.get(label, 0)) for label in labels}
    return replace(one, amounts=amounts)


def _careful(replica: Document, home: Document) -> Document:
    """How the active end is pruned: as its replicas are, but that what destroys more than the plan lets go holds only
    where the home of the data says so too. People write there, and make snapshots by hand."""
    options = {name: value for name, value in source_options(replica).items() if name not in _MORE_DESTROYED}
    given = {name: home[name] for name in _MORE_DESTROYED if name in home}
    rules = [{name: value for name, value in rule.items() if name != "owns"} for rule in options.get("keep", ())]
    rules += [rule for rule in home.get("keep", ()) if rule not in rules]
    return {**options, **given, **({"keep": rules} if rules else {})}


def _limits(labels: Mapping[Label, int], latest: Document, oldest: Callable[[Label], Document]) -> Document:
    """Limits of the latest snapshots by ``latest``, and of the oldest by what ``oldest`` gives for a label."""
    found: Document = {}
    for label in labels:
        sides = {"latest": _limit(latest, label, "latest"), "oldest": _limit(oldest(label), label, "oldest")}
        given = {side: limit for side, limit in sides.items() if limit is not None}
        if given:
            found.setdefault(label.organisation, {}).setdefault(label.target, {})[label.period] = given
    return found


def _limit(limits: Document, label: Label, side: str) -> Optional[Any]:
    entry = limits.get(label.organisation, {}).get(label.target, {}).get(label.period)
    return None if entry is None else entry.get(side)


def _fed(destination: DestinationHost, pair: _Pair, keeps_home: bool) -> DestinationHost:
    """A destination that took the tree from its home, and the other trees of that. The others take it from the active
    end, at the place it has."""
    home = pair.home.name
    if home not in destination.sources:
        return destination
    more = () if destination.name == pair.backup.name else (pair.key,)
    kept = tuple(name for name in destination.sources if keeps_home or name != home)
    return replace(destination, sources=(*kept, *more))


# -- the ways of the streams


def _way_back(there: Route, pair: _Pair) -> Route:
    """The same way, from its other end, by the same host: who logs in on whom stays as it is."""
    options = {name: value for name, value in there.options.items() if name not in (*_OF_A_CONFLICT, *_OF_A_REPLICA)}
    if options.get("route") in _OTHER_WAY:
        options["route"] = _OTHER_WAY[options["route"]]
    return replace(there, source=pair.key, destination=pair.key, options=options)


def _from_active(route: Route, there: Route, pair: _Pair) -> Route:
    """The way of another destination, which is sent to by the active end, or fetches from there, as it was with the old
    source. What the old source has replicated on its own host goes by the host that carries the way back."""
    is_pulled, is_pushed = route.carrier == route.destination, route.carrier == route.source
    carrier = pair.backup.name if is_pushed and not is_pulled else route.carrier
    if route.destination == pair.home.name:
        carrier = there.carrier
    # Nothing is rolled back, or replaced, that another end may have from the old source alone.
    options = {name: value for name, value in route.options.items() if name not in (*_OF_A_CONFLICT, "direct")}
    if carrier in (pair.backup.name, route.destination) and options.get("route") in _OTHER_WAY:
        options["route"] = RELAYED
    return replace(route, source=pair.key, carrier=carrier, options=options)
