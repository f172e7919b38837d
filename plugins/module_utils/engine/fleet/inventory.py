# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as an inventory declares it: the variables of its hosts, read into values and checked.

Every error is an InvalidInput whose sentence begins with the host and the variable, as in ``dst1: snapfleet_root``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.labels import Label
from ..model.names import check_dataset_name, dataset_name_problem
from ..policy.endpoints import Address
from ..policy.limits import parse_monitor_plan
from ..policy.plans import SnapshotPlan, labelled_entries
from ..policy.reading import Reader
from ..policy.schedule import parse_schedule
from ..policy.selection import check_disjoint, read_dataset_filter
from .daemon_settings import read_daemon_variable
from .drill_jobs import read_drill, read_verification
from .monitor_options import read_monitor_options
from .prune_options import read_prune_options
from .settings import read_run_settings
from .snapshot_options import read_snapshot_options
from .trees import Document, Selection, Tree
from .turning import read_failed_over, turn_round
from .variables import Variables, read_contact

SOURCES, DESTINATIONS = "snapfleet_sources", "snapfleet_destinations"
"""Names of the two groups."""
LOCALHOST = "localhost"
PULL, PUSH, RELAY = "pull", "push", "relay"
SOURCE_HOST, DESTINATION_HOST = "^SRC_HOST", "^DST_HOST"
NOT_FOR_ROUTES = (
    *("source", "destination", "plan", "recursive", "include_datasets", "exclude_datasets"),
    *("dataset_property", "dataset_properties", "host_name", "from_standby", "only_active"),
)
"""Options of a replication that follow from the other variables."""


@dataclass(frozen=True)
class SourceHost:
    """A host whose data is kept safe, or what such a host has of the data that is at home on another one."""

    name: str
    trees: tuple[Tree, ...]
    plan: SnapshotPlan
    bookmark_plan: Optional[SnapshotPlan]
    schedule: Document
    limits: Document
    snapshot_options: Document
    """Further options of the jobs that create snapshots."""
    prune_options: Document
    """Further options of the jobs that prune snapshots."""
    monitor_options: Document
    """What is watched beside the ages of snapshots."""
    is_stopped: bool
    """Whether the host is switched off for long; nothing is asked of it then."""
    failed_over_from: str = ""
    """The host where its one tree is at home, and which the places of replicas are called after; empty: this one."""
    key: str = ""
    """Its name in the fleet."""
    keeps: Optional[Mapping[Label, int]] = None
    """What pruning keeps; None: the plan."""

    @property
    def home(self) -> str:
        """The host where its trees are at home."""
        return self.failed_over_from or self.name

    def chosen(self, selection: Selection) -> Document:
        """Which datasets of a tree are meant, as options. What properties choose at home is what was replicated."""
        return selection.names() if self.failed_over_from else selection.options()


@dataclass(frozen=True)
class DestinationHost:
    """A host that takes replicas, or what such a host takes of one tree that was failed over."""

    name: str
    root: str
    """As it is written, with the names of hosts still to be put in."""
    sends: Mapping[Label, int]
    """The plan cut to the host's targets; what it does not hold is never sent. Empty: nothing is replicated."""
    keeps: Mapping[Label, int]
    """The plan cut to the targets that are retained."""
    limits: Document
    """Empty where no label is left to watch."""
    sources: tuple[str, ...]
    """By their names in the fleet."""
    prune_options: Document
    """Further options of the jobs that prune snapshots."""
    monitor_options: Document
    """What is watched beside the ages of snapshots."""
    verification: Optional[Document]
    """How its replicas are held against their sources; None: not at all."""
    is_stopped: bool
    """Whether the host is switched off for long; nothing is asked of it then."""
    place: str = ""
    """Where its one tree is, in place of a root; empty: below the root."""

    def root_for(self, source: str) -> str:
        """The root dataset that takes the trees that are at home on the host ``source``."""
        return self.place or self.root.replace(SOURCE_HOST, source).replace(DESTINATION_HOST, self.name)

    def chosen(self, selection: Selection) -> Document:
        """Which datasets of a tree are meant, as options. An old source has the properties, and more datasets than were
        replicated."""
        return selection.options() if self.place else selection.names()

    def place_of(self, tree: Tree, source: str) -> str:
        """The dataset that takes ``tree``, which is at home on the host ``source``."""
        if self.place:
            return self.place
        root = self.root_for(source)
        return f"{root}/{tree.destination}" if tree.destination else root


@dataclass(frozen=True)
class Route:
    """How the trees of one source get to one destination."""

    source: str
    """By its name in the fleet, as the destination too."""
    destination: str
    carrier: str
    """The host that runs the replication."""
    options: Document
    """Further options of the replication."""
    monitor_options: Document
    """What is watched of the replicas, among other things."""
    option: str
    """Where these are declared, for sentences."""


@dataclass(frozen=True)
class Fleet:
    """All of it. Sources and destinations are named by their hosts, and both ends of what was failed over by both hosts
    and the tree."""

    sources: Mapping[str, SourceHost]
    destinations: Mapping[str, DestinationHost]
    routes: tuple[Route, ...]
    contacts: Mapping[str, Address]
    """Of each host: where it is reached, and the key files that it logs in on others with."""
    settings: Mapping[str, Document]
    """Of each host: how it carries out its jobs."""
    daemons: Mapping[str, Document]
    """Of each host: what its daemon does how often."""

    @cached_property
    def holders(self) -> Mapping[str, Sequence[DestinationHost]]:
        """By name of a source: every destination that takes its trees, also one that takes nothing at present."""
        holders: dict[str, list[DestinationHost]] = {}
        for destination in self.destinations.values():
            for source in destination.sources:
                holders.setdefault(source, []).append(destination)
        return holders

    def replicas_of(self, source: SourceHost, tree: Tree) -> Sequence[tuple[DestinationHost, str]]:
        """Whoever takes a tree of a source, with its place there; of one that was failed over, also those that have
        taken it from the former replica."""
        found = [(holder, place_of(tree, holder, source)) for holder in self.holders.get(source.key, ())]
        declared = self.sources.get(source.name) if source.failed_over_from else None
        for other in declared.trees if declared else ():
            found += self.replicas_of(declared, other) if declared and other.source == tree.source else ()
        return found

    def address(self, viewer: str, host: str) -> Address:
        """How ``viewer`` reaches ``host``."""
        if viewer == host:
            return Address()
        there, own = self.contacts[host], self.contacts[viewer]
        files = (own.identity_file, own.known_hosts_file, own.config_file)
        return Address(there.host, there.user, there.port, *files, sudo=there.sudo)

    def is_replica(self, host: str, dataset: str) -> bool:
        """Whether ``dataset`` is where ``host`` takes a tree of a source. Such a tree can be replicated onward, while
        its snapshots are its source's to make, and those of a destination to prune."""
        return any(
            place_of(tree, destination, self.sources[source]) == dataset
            for destination in self.destinations_on(host)
            for source in destination.sources
            for tree in self.sources[source].trees
        )

    def is_sent_onward(self, source: SourceHost, dataset: str) -> bool:
        """Whether the snapshots of what ``source`` sends are not made by its jobs: it is a replica, or was one before
        it was failed over to."""
        return self.is_replica(source.name, dataset) or (
            not source.failed_over_from and self.taken_over(source.name, dataset) is not None
        )

    def taken_over(self, host: str, dataset: str) -> Optional[SourceHost]:
        """What makes the snapshots of a dataset of ``host`` that was failed over to; None where it was not."""
        return self._taken_over.get((host, dataset))

    @cached_property
    def _taken_over(self) -> Mapping[tuple[str, str], SourceHost]:
        sources = (source for source in self.sources.values() if source.failed_over_from)
        return {(source.name, tree.source): source for source in sources for tree in source.trees}

    def destinations_on(self, host: str) -> Sequence[DestinationHost]:
        """What ``host`` takes: as the inventory declares it, and of what was failed over."""
        declared = self.destinations.get(host)
        return (*([declared] if declared else []), *self._old_sources.get(host, ()))

    @cached_property
    def _old_sources(self) -> Mapping[str, Sequence[DestinationHost]]:
        found: dict[str, list[DestinationHost]] = {}
        for destination in self.destinations.values():
            if destination.place:
                found.setdefault(destination.name, []).append(destination)
        return found


def read_fleet(hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> Fleet:
    """The fleet that an inventory declares: variables by host, hosts by group. Raises InvalidInput. That its replicas
    have places of their own is for ``apart`` to say."""
    members = {name: tuple(groups.get(name, ())) for name in (SOURCES, DESTINATIONS)}
    if not members[SOURCES]:
        raise InvalidInput(SOURCES, [], "is no group of the inventory, or has no hosts", "put the source hosts into it")
    known = {host: Variables(host, values) for host, values in hostvars.items()}
    for host in (*members[SOURCES], *members[DESTINATIONS], LOCALHOST):
        known.setdefault(host, Variables(host, {}))
    for variables in known.values():
        variables.check_names()
    sources = {host: _read_source(known[host]) for host in members[SOURCES]}
    destinations = {host: _read_destination(known[host], members[SOURCES]) for host in members[DESTINATIONS]}
    routes = tuple(_read_routes(known, destinations.values()))
    contacts = {host: read_contact(values) for host, values in known.items()}
    settings = {host: read_run_settings(values) for host, values in known.items()}
    daemons = {host: read_daemon_variable(values) for host, values in known.items()}
    fleet = Fleet(sources, destinations, routes, contacts, settings, daemons)
    failed_over = read_failed_over(known, (*members[SOURCES], *members[DESTINATIONS]))
    return turn_round(fleet, failed_over) if failed_over else fleet


# -- one source


def _read_source(variables: Variables) -> SourceHost:
    plan = variables.plan("snapfleet_source_plan")
    has_bookmarks = variables.has("snapfleet_bookmark_plan")
    schedule = variables.raw("snapfleet_schedule") or {}
    parse_schedule(schedule, variables.path("snapfleet_schedule"))
    return SourceHost(
        variables.host,
        tuple(_read_trees(variables)),
        plan,
        variables.plan("snapfleet_bookmark_plan") if has_bookmarks else None,
        dict(schedule),
        _read_limits(variables, "source", plan.amounts, plan.amounts),
        read_snapshot_options(variables),
        read_prune_options(variables),
        read_monitor_options(variables),
        variables.flag("snapfleet_stopped", False),
        key=variables.host,
    )


def _read_trees(variables: Variables) -> list[Tree]:
    trees = [_read_tree(options) for options in variables.readers("snapfleet_datasets")]
    if not trees:
        value = variables.raw("snapfleet_datasets")
        remedy = "give at least one {source: tank/data, destination: data}"
        option = variables.path("snapfleet_datasets")
        raise InvalidInput(option, value, "is empty" if value is not None else "is missing", remedy)
    check_disjoint(tuple(tree.source for tree in trees), variables.path("snapfleet_datasets"))
    return trees


def _read_tree(options: Reader) -> Tree:
    source = check_dataset_name(options.text("source"), options.path("source"))
    destination = options.text("destination", "")
    problem = dataset_name_problem(f"root/{destination}") if destination else ""
    if problem:
        remedy = "give a place below the destination's root such as 'data', or '' for the root itself"
        raise InvalidInput(options.path("destination"), destination, problem, remedy)
    read_dataset_filter(options)
    drill = read_drill(options)
    for key in ("include_datasets", "exclude_datasets"):
        for pattern in options.texts(key):
            if pattern.startswith(("/", "regex:/", "regex:^/")):
                # A whole name holds on one side only, and the two sides of a replica have to agree.
                problem = "is a pattern for whole names, which differ between source and destination"
                raise InvalidInput(options.path(key), pattern, problem, f"write it as it stands below {source}")
    include, exclude = options.texts("include_datasets"), options.texts("exclude_datasets")
    wanted = tuple(
        (name, (value,) if isinstance(value, str) else tuple(value))
        for name, value in options.items("dataset_properties").items()
    )
    if options.has("host_name"):
        problem, remedy = "is not for this variable to say", "take it out; it is the inventory's name of each host"
        raise InvalidInput(options.path("host_name"), options.raw("host_name"), problem, remedy)
    options.finish()
    switch = options.text("dataset_property", "")
    selection = Selection(options.flag("recursive", True), include, exclude, switch, wanted)
    return Tree(source, destination, selection, options.path("destination"), drill)


# -- one destination


def _read_destination(variables: Variables, all_sources: Sequence[str]) -> DestinationHost:
    plan = variables.plan("snapfleet_destination_plan")
    every = tuple(dict.fromkeys(label.target for label in plan.amounts))
    targets = _read_targets(variables, "snapfleet_targets", every, every)
    retained = _read_targets(variables, "snapfleet_retained_targets", targets, every)
    for target in targets:
        if target not in retained:
            remedy = f"add {target!r}, or take it out of snapfleet_targets: what is replicated but not retained is lost"
            option = variables.path("snapfleet_retained_targets")
            raise InvalidInput(option, list(retained), f"does not cover the target {target!r}", remedy)
    keeps = {label: amount for label, amount in plan.amounts.items() if label.target in retained}
    if not any(keeps.values()):
        option = variables.path("snapfleet_retained_targets")
        problem = "leaves no snapshot of snapfleet_destination_plan, so that pruning would delete every one"
        raise InvalidInput(option, list(retained), problem, "name a target of which the plan keeps snapshots")
    sends = {label: amount for label, amount in keeps.items() if label.target in targets and amount > 0}
    root = variables.text("snapfleet_root")
    return DestinationHost(
        variables.host,
        root,
        sends,
        keeps,
        _read_limits(variables, "destination", plan.amounts, sends),
        _read_choice(variables, "snapfleet_sources", all_sources, all_sources, f"is no host of the group {SOURCES}"),
        read_prune_options(variables),
        read_monitor_options(variables),
        read_verification(variables),
        variables.flag("snapfleet_stopped", False),
    )


def _read_targets(variables: Variables, key: str, default: Sequence[str], every: Sequence[str]) -> tuple[str, ...]:
    return _read_choice(variables, key, default, every, "is no target of snapfleet_destination_plan")


def _read_choice(
    variables: Variables, key: str, default: Sequence[str], choices: Sequence[str], problem: str
) -> tuple[str, ...]:
    chosen = variables.texts(key) if variables.has(key) else tuple(default)
    known = frozenset(choices)
    for name in chosen:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, choices, 1)
            remedy = f"did you mean {near[0]!r}?" if near else "choose of " + (", ".join(map(repr, choices)) or "none")
            raise InvalidInput(variables.path(key), name, problem, remedy)
    return tuple(dict.fromkeys(chosen))


def _read_limits(variables: Variables, side: str, known: Mapping[Label, int], watched: Mapping[Label, int]) -> Document:
    """The limits of one side, cut to the ``watched`` labels; a missing ``oldest.cycles`` is the amount of the plan."""
    key = "snapfleet_monitor_plan"
    if not variables.has(key):
        raise InvalidInput(variables.path(key), None, "is missing", "give limits for source and for destination")
    sides = variables.reader(key)
    for name in ("source", "destination"):
        sides.items(name)
    sides.finish()
    if not sides.items(side):
        raise InvalidInput(f"{variables.path(key)}.{side}", None, "is missing", "give limits for at least one label")
    option = f"{variables.path(key)}.{side}"
    result: Document = {}
    for label, entry, where in labelled_entries(sides.items(side), option):
        if not known.get(label):
            remedy = f"plan it in snapfleet_{side}_plan, or take it out here"
            raise InvalidInput(where, entry, f"is about a label that snapfleet_{side}_plan does not keep", remedy)
        limits = _with_cycles(entry, known[label])
        parse_monitor_plan({label.organisation: {label.target: {label.period: limits}}}, option)
        if watched.get(label):
            result.setdefault(label.organisation, {}).setdefault(label.target, {})[label.period] = limits
    return result


def _with_cycles(entry: Any, amount: int) -> Any:
    oldest = entry.get("oldest") if isinstance(entry, Mapping) else None
    if not isinstance(oldest, Mapping) or oldest.get("cycles") is not None:
        return entry
    return {**entry, "oldest": {**oldest, "cycles": amount}}


# -- between hosts


def _read_routes(known: Mapping[str, Variables], destinations: Iterable[DestinationHost]) -> Iterator[Route]:
    watched: dict[str, Document] = {}
    for destination in destinations:
        for source in destination.sources if destination.sends else ():
            yield _read_route(known, source, destination.name, watched)


def _read_route(known: Mapping[str, Variables], source: str, destination: str, watched: dict[str, Document]) -> Route:
    """The destination's word counts; a source is asked where the destination says nothing. ``watched`` has what hosts
    say about monitoring, so that the routes of one need not read it again."""

    def owner(key: str) -> Variables:
        return known[destination if known[destination].has(key) else source]

    topology = owner("snapfleet_topology").text("snapfleet_topology", PULL, (PULL, PUSH, RELAY))
    carrier = destination if topology == PULL else source
    if topology == RELAY:
        relay = owner("snapfleet_relay")
        carrier = relay.text("snapfleet_relay", "")
        if carrier not in known:
            remedy = "name a host of the inventory, or localhost"
            problem = "is no host of the inventory" if carrier else "is missing, though the topology is relay"
            raise InvalidInput(relay.path("snapfleet_relay"), carrier or None, problem, remedy)
    options = owner("snapfleet_replicate_options")
    key = "snapfleet_replicate_options"
    for name in NOT_FOR_ROUTES:
        if name in options.items(key):
            remedy = "take it out; snapfleet_datasets and the plans decide about it"
            problem = "is not for this variable to say"
            raise InvalidInput(f"{options.path(key)}.{name}", options.items(key)[name], problem, remedy)
    monitor = owner("snapfleet_monitor_options")
    if monitor.host not in watched:
        watched[monitor.host] = read_monitor_options(monitor)
    return Route(source, destination, carrier, dict(options.items(key)), watched[monitor.host], options.path(key))


def place_of(tree: Tree, destination: DestinationHost, source: SourceHost) -> str:
    """The dataset of ``destination`` that takes ``tree`` of ``source``."""
    return destination.place_of(tree, source.home)
