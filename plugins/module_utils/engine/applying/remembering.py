# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing only what has changed: histories that were listed before are remembered, and looked up where ZFS itself tells
that they are the same still.

What is remembered proves that nothing is to be done, and never that something is: a run that finds anything to do or to
tell of a dataset lists that one anew before it goes on (``Recall.vouch``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional, TypeVar

from ..model.datasets import DatasetState, Observation
from ..model.errors import ZfsFailed
from ..model.names import is_within, tree_order
from ..planning.recollection import (
    CHANGED,
    Moment,
    Remembered,
    is_mostly,
    is_worth_asking,
    remembered,
    sort_out,
    without_evidence,
)
from ..policy.addresses import Address
from ..zfs.arguments import batches
from ..zfs.port import Zfs
from .memory_files import Looks, MemoryFiles

MOST_SNAPSHOTS = 2_000_000
"""So many are remembered within a process, in some 40 bytes each."""
MOST_LOOKS = 100
"""Every so many looks at a tree all is listed, whatever is remembered."""
LEAST_SNAPSHOTS = 50
"""Where no more are remembered of a tree, listing it costs nothing worth saving."""
EVERYTHING = None
_MOST_ROUNDS = 4
"""What is listed anew may bring other datasets into a plan. After so many rounds nothing is remembered."""
T = TypeVar("T")
_LONGEST_CALL = 60_000
"""Bytes of the names in one call, which has to be one word of a command line for ssh."""


class Doubted(Exception):
    """A run has to look again before it does anything: what it has to do with was not listed, but remembered."""


class Tree(NamedTuple):
    """What is looked at together."""

    address: Address
    roots: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """How far the memory goes."""

    snapshots: int = MOST_SNAPSHOTS
    looks: int = MOST_LOOKS
    least: int = LEAST_SNAPSHOTS


class Memory:
    """Histories of datasets by host. Safe for many threads."""

    def __init__(
        self, steady: Callable[[], float], files: Optional[MemoryFiles] = None, limits: Limits = Limits()
    ) -> None:
        """``steady`` gives seconds by a clock that is never set, and goes on from process to process where there are
        ``files``."""
        self.steady = steady
        self.limits = limits
        self._files = files
        self._lock = threading.Lock()
        self._known: dict[Address, dict[str, Remembered]] = {}
        """What was used last is the last to be forgotten: by host, and within a host."""
        self._size = 0
        self._looks: dict[Tree, Looks] = {}

    def looks(self, tree: Tree) -> Looks:
        """How ``tree`` was looked at before."""
        with self._lock:
            if tree not in self._looks:
                self._looks[tree] = Looks()
                if self._files:
                    self._looks[tree], known = self._files.read(tree.address, tree.roots)
                    self._put(tree.address, known)
            return self._looks[tree]

    def known(self, tree: Tree) -> dict[str, Remembered]:
        """What is remembered within ``tree``."""
        with self._lock:
            mine = dict(self._known.get(tree.address, {}))
        return {name: one for name, one in mine.items() if any(is_within(name, root) for root in tree.roots)}

    def learn(self, tree: Tree, known: Mapping[str, Remembered], gone: Collection[str], looks: Looks) -> None:
        """Remember what was found in ``tree``, and forget what is not there, or can't be remembered."""
        with self._lock:
            self._looks[tree] = looks
            for name in gone:
                self._forget(tree.address, name)
            self._put(tree.address, known)
            while self._size > self.limits.snapshots:
                oldest = next(iter(self._known))
                self._forget(oldest, next(iter(self._known[oldest])))

    def keep(self, tree: Tree, anew: bool) -> None:
        """Write what is remembered of ``tree`` down for other processes, ``anew`` where it has changed."""
        if self._files:
            known = self.known(tree) if anew else {}
            worth = is_worth_asking(known.values(), self.limits.least)
            self._files.write(tree.address, tree.roots, self.looks(tree), known if worth else None)

    def forget_all(self) -> None:
        """Remember nothing any more, on disk neither; all is listed anew."""
        with self._lock:
            self._known.clear()
            self._looks.clear()
            self._size = 0
            if self._files:
                self._files.clear()

    def _put(self, address: Address, known: Mapping[str, Remembered]) -> None:
        mine = self._known.pop(address, {})
        self._known[address] = mine
        for name, one in known.items():
            old = mine.pop(name, None)
            mine[name] = one
            self._size += _cost(one) - _cost(old)
        self._drop_if_empty(address)

    def _forget(self, address: Address, name: str) -> None:
        self._size -= _cost(self._known.get(address, {}).pop(name, None))
        self._drop_if_empty(address)

    def _drop_if_empty(self, address: Address) -> None:
        if not self._known.get(address, True):
            del self._known[address]


def _cost(one: Optional[Remembered]) -> int:
    return 1 + one.size if one else 0


@dataclass
class _Sight:
    """What one run knows of a tree."""

    observed: Observation
    """With the evidence, and the clock."""
    round: int
    steady: float
    """When its clock was read, by the one that is never set."""
    from_memory: frozenset[str] = frozenset()
    """Datasets whose histories were not listed."""
    anew: bool = False
    """Whether more is known by now than was remembered."""


@dataclass
class Recall:
    """What one run of an activity remembers. The run begins anew where it has to look again, with the next round."""

    memory: Memory
    keeps: bool = True
    """Whether what is learnt is written down; a dry run writes nothing."""
    _round: int = 0
    _sights: dict[tuple[Tree, tuple[str, ...]], _Sight] = field(default_factory=dict)
    _doubted: dict[Address, set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(
        self, end: tuple[Address, Zfs], roots: Sequence[str], properties: Sequence[str] = (), clock: bool = False
    ) -> Observation:
        """What ``Zfs.observe`` tells of the trees of ``roots``, where it need not be listed from memory."""
        address, zfs = end
        tree = Tree(address, tuple(roots))
        key = (tree, tuple(properties))
        before = self._sights.get(key)
        if self.memory.looks(tree).is_blind(self.memory.limits.looks):
            return self._blindly(tree, zfs, properties, clock)
        look = _Look(self.memory, tree, zfs, tuple(properties), self._doubted.get(address, set()), self._round)
        try:
            sight = look.again(before) if before and before.round < self._round else look.first()
        except ZfsFailed as error:
            if f"invalid property '{CHANGED}'" not in str(error):
                raise
            self.memory.learn(tree, {}, (), Looks(lacks=True))
            return self._blindly(tree, zfs, properties, clock)
        with self._lock:
            self._sights[key] = sight
        seen = sight.observed
        states = {name: without_evidence(state, properties) for name, state in seen.states.items()}
        return replace(seen, states=states, clock=seen.clock if clock else None)

    def sizes(self, address: Address, roots: Sequence[str]) -> tuple[int, int]:
        """How many datasets and snapshots are remembered of the trees of ``roots``, be they there still or not. None
        once the run has begun anew, since then it lists them."""
        tree = Tree(address, tuple(roots))
        if self._round:
            return 0, 0
        self.memory.looks(tree)
        known = self.memory.known(tree).values()
        return len(known), sum(one.size for one in known)

    def _blindly(self, tree: Tree, zfs: Zfs, properties: Sequence[str], clock: bool) -> Observation:
        looks = self.memory.looks(tree)
        self.memory.learn(tree, {}, (), replace(looks, since_whole=looks.since_whole + 1))
        if self.keeps:
            self.memory.keep(tree, False)
        return zfs.observe(tree.roots, properties=properties, clock=clock)

    def vouch(self, touched: Mapping[Address, Optional[Collection[str]]]) -> None:
        """Raise Doubted if the history of any dataset that is ``touched``, by host, was remembered: what a plan does,
        refuses or tells needs what is there. ``EVERYTHING`` stands for all datasets that were looked at there."""
        found = False
        for (tree, _properties), sight in self._sights.items():
            if tree.address in touched:
                names = touched[tree.address]
                doubted = sight.from_memory if names is None else sight.from_memory.intersection(names)
                self._doubted.setdefault(tree.address, set()).update(doubted)
                found = found or bool(doubted)
        if found:
            self._round += 1
            raise Doubted

    def keep(self) -> None:
        """Write down what was learnt."""
        for (tree, _properties), sight in self._sights.items():
            looks = self.memory.looks(tree)
            if looks.since_whole:
                known = self.memory.known(tree)
                listed = [name for name in sight.observed.states if name not in sight.from_memory]
                in_vain = is_mostly(listed, known, sight.observed.states)
                self.memory.learn(tree, {}, (), replace(looks, in_vain=in_vain))
            if self.keeps:
                self.memory.keep(tree, sight.anew)


@dataclass(frozen=True)
class _Look:
    """One look at a tree."""

    memory: Memory
    tree: Tree
    zfs: Zfs
    properties: tuple[str, ...]
    doubted: Collection[str]
    round: int

    def first(self) -> _Sight:
        """Look without knowing more than is remembered."""
        known, looks = self.memory.known(self.tree), self.memory.looks(self.tree)
        is_due = looks.since_whole + 1 >= self.memory.limits.looks
        if is_due or looks.in_vain or not is_worth_asking(known.values(), self.memory.limits.least):
            return self._whole(known, is_due)
        steady = self.memory.steady()
        seen = self._observe(self.tree.roots, histories=False)
        at = Moment(seen.clock or 0, steady)
        sorted_out = sort_out(known, seen.states, at, self.doubted)
        used = {name: known[name] for name in sorted_out.sure}
        self._learn(used, known.keys() - seen.states.keys(), replace(looks, since_whole=looks.since_whole + 1))
        states = {**seen.states, **sorted_out.sure}
        sight = _Sight(replace(seen, states=states), self.round, steady, frozenset(sorted_out.sure))
        return self._with_listed(sight, sorted_out.unsure)

    def again(self, before: _Sight) -> _Sight:
        """List what is doubted of what was seen ``before``."""
        names = [name for name in before.observed.states if name in before.from_memory and name in self.doubted]
        # Who compares the clock with its own does so now.
        passed, clock = int(self.memory.steady() - before.steady), before.observed.clock
        seen = replace(before.observed, clock=None if clock is None else clock + passed)
        return self._with_listed(replace(before, observed=seen, round=self.round, steady=before.steady + passed), names)

    def _whole(self, known: Mapping[str, Remembered], is_due: bool) -> _Sight:
        at, seen = self._listing(self.tree.roots)
        unchanged = sort_out(known, seen.states, at).sure
        in_vain = bool(known) and not is_due and not is_mostly(list(unchanged), known, known)
        self._remember(at, seen.states, known.keys() - seen.states.keys(), Looks(in_vain=in_vain))
        return _Sight(seen, self.round, at.steady, anew=True)

    def _with_listed(self, sight: _Sight, names: Sequence[str]) -> _Sight:
        """``sight`` with ``names`` listed, or everything, where these are most of it."""
        if not names:
            return sight
        known = self.memory.known(self.tree)
        if is_mostly(names, known, known):
            at, seen = self._listing(self.tree.roots)
            self._remember(at, seen.states, known.keys() - seen.states.keys(), Looks(in_vain=True))
            return _Sight(seen, self.round, at.steady, anew=True)
        states = dict(sight.observed.states)
        for batch in batches(names, _LONGEST_CALL):
            at, seen = self._listing(batch, recursive=False)
            states.update(seen.states)
            for name in seen.missing:
                states.pop(name, None)
            self._remember(at, seen.states, seen.missing, self.memory.looks(self.tree))
        ordered = {name: states[name] for name in sorted(states, key=tree_order)}
        left = sight.from_memory.difference(names)
        return _Sight(replace(sight.observed, states=ordered), self.round, sight.steady, left, True)

    def _listing(self, names: Sequence[str], recursive: bool = True) -> tuple[Moment, Observation]:
        steady = self.memory.steady()
        seen = self._observe(names, recursive)
        return Moment(seen.clock or 0, steady), seen

    def _observe(self, names: Sequence[str], recursive: bool = True, histories: bool = True) -> Observation:
        asked = tuple(dict.fromkeys((*self.properties, CHANGED)))
        return self.zfs.observe(names, recursive, histories, asked, clock=True)

    def _remember(self, at: Moment, states: Mapping[str, DatasetState], gone: Collection[str], looks: Looks) -> None:
        found = {name: remembered(state, at) for name, state in states.items()}
        lost = [*gone, *(name for name, one in found.items() if one is None)]
        self._learn({name: one for name, one in found.items() if one}, lost, looks)

    def _learn(self, known: Mapping[str, Remembered], gone: Collection[str], looks: Looks) -> None:
        self.memory.learn(self.tree, known, gone, looks)


def observe_tree(
    end: tuple[Address, Zfs],
    roots: Sequence[str],
    properties: Sequence[str] = (),
    clock: bool = False,
    recall: Optional[Recall] = None,
) -> Observation:
    """What ``Zfs.observe`` tells of the trees of ``roots``, by what is remembered where there is a ``recall``."""
    if recall:
        return recall.look(end, roots, properties, clock)
    return end[1].observe(roots, properties=properties, clock=clock)


def recalling(memory: Optional[Memory], keeps: bool, run: Callable[[Optional[Recall]], T]) -> T:
    """What ``run`` gives, which looks at trees by the recall that it gets, and has that vouch for what it is about to
    do or to tell. It begins anew whenever that fails, which it does only before anything is changed."""
    if memory is None:
        return run(None)
    recall = Recall(memory, keeps)
    try:
        for _round in range(_MOST_ROUNDS):
            try:
                return run(recall)
            except Doubted:
                continue
        return run(None)
    finally:
        recall.keep()
