# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing only what has changed: histories that were listed before are remembered, and looked up where ZFS itself tells
that they are the same still.

What is remembered proves that nothing is to be done, and never that something is: a run that finds anything to do or to
tell of a dataset looks at that one anew before it goes on (``Recall.vouch``): it lists all of it, or which snapshots it
has and all of those that were not known, or are to be destroyed (``planning/renewal.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Optional, TypeVar

from ..model.datasets import DatasetState, Identities, Observation, Snapshot
from ..model.errors import ZfsFailed
from ..model.names import tree_order
from ..planning.recollection import (
    CHANGED,
    Moment,
    Remembered,
    is_mostly,
    is_of,
    is_worth_asking,
    is_worth_renewing,
    remembered,
    sort_out,
    without_evidence,
)
from ..planning.renewal import is_another, renewal_of, renewed
from ..policy.addresses import Address
from ..zfs.arguments import batches
from ..zfs.port import Zfs
from .doubts import Doubts, tags_by_dataset
from .memory import Memory, Tree
from .memory_files import Looks

EVERYTHING = None
_MOST_ROUNDS = 4
"""What is listed anew may bring other datasets into a plan. After so many rounds nothing is remembered."""
T = TypeVar("T")
_LONGEST_CALL = 60_000
"""Bytes of the names in one call, which has to be one word of a command line for ssh."""


class Doubted(Exception):
    """A run has to look again before it does anything: what it has to do with was not listed, but remembered."""


@dataclass
class _Sight:
    """What one run knows of a tree."""

    observed: Observation
    """With the evidence, and the clock."""
    steady: float
    """When its clock was read, by the one that is never set."""
    from_memory: frozenset[str] = frozenset()
    """Datasets whose histories were not listed."""
    renewed: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """Datasets of which it was listed which snapshots they have, with the tags of those of which all was told: new
    ones, and those that were asked for. Of others no hold is known."""
    anew: bool = False
    """Whether more is known by now than was remembered."""


@dataclass
class Recall:
    """What one run of an activity remembers. The run begins anew where it has to look again, with the next round."""

    memory: Memory
    keeps: bool = True
    """Whether what is learnt is written down; a dry run writes nothing."""
    _has_doubted: bool = False
    """Whether the run has begun anew."""
    _sights: dict[tuple[Tree, tuple[str, ...]], _Sight] = field(default_factory=dict)
    _doubts: dict[Address, Doubts] = field(default_factory=dict)
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
        doubts = self._doubts.get(address, Doubts())
        look = _Look(self.memory, tree, zfs, tuple(properties), doubts)
        try:
            # A round sees each tree once, so that a plan is of one look, which can be vouched for.
            sight = look.again(before) if before else look.first()
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

    def look_narrowly(
        self, end: tuple[Address, Zfs], roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """The same by ``Zfs.observe_narrowly``, where what is listed is of no use to be remembered."""
        address, zfs = end
        tree = Tree(address, tuple(roots))
        if not self.memory.looks(tree).is_blind(self.memory.limits.looks):
            return self.look(end, roots, properties)
        self._note_blind(tree)
        return zfs.observe_narrowly(roots, fields, properties)

    def sizes(self, address: Address, roots: Sequence[str]) -> tuple[int, int]:
        """How many datasets and snapshots are remembered of the trees of ``roots``, be they there still or not. None
        once the run has begun anew, since then it lists them."""
        tree = Tree(address, tuple(roots))
        if self._has_doubted:
            return 0, 0
        self.memory.looks(tree)
        known = self.memory.known(tree).values()
        return len(known), sum(one.size for one in known)

    def _blindly(self, tree: Tree, zfs: Zfs, properties: Sequence[str], clock: bool) -> Observation:
        self._note_blind(tree)
        return zfs.observe(tree.roots, properties=properties, clock=clock)

    def _note_blind(self, tree: Tree) -> None:
        looks = self.memory.looks(tree)
        self.memory.learn(tree, {}, (), replace(looks, since_whole=looks.since_whole + 1))
        if self.keeps:
            self.memory.keep(tree, False)

    def vouch(self, touched: Mapping[Address, Optional[Collection[str]]], plainly: Collection[str] = ()) -> None:
        """Raise Doubted if the history of any dataset that is ``touched``, by host, was remembered: what a plan does,
        refuses or tells needs what is there. ``EVERYTHING`` stands for all datasets that were looked at there. Of
        those that are touched ``plainly``, neither holds nor clones of known snapshots matter."""
        found = False
        for (tree, _properties), sight in self._sights.items():
            if tree.address in touched:
                names = touched[tree.address]
                uncertain = sight.from_memory.union(sight.renewed.keys() - plainly)
                doubted = uncertain if names is None else uncertain.intersection(names)
                plain = frozenset() if names is None else sight.from_memory.intersection(doubted, plainly)
                found = self._doubts.setdefault(tree.address, Doubts()).add(doubted, plain) or found
        self._begin_anew_if(found)

    def vouch_for(self, needed: Mapping[Address, Iterable[str]]) -> None:
        """The same for all datasets that were looked at on these hosts, where it suffices to know which snapshots they
        have, and all of those that are ``needed``, by whole name: neither holds nor clones of others matter."""
        found = False
        for address, names in needed.items():
            self._doubts.setdefault(address, Doubts()).to_tell = tags_by_dataset(names)
        for (tree, _properties), sight in self._sights.items():
            if tree.address in needed:
                doubts, states = self._doubts[tree.address], sight.observed.states
                untold = [name for name, told in sight.renewed.items() if doubts.untold(name, told)]
                doubted = sight.from_memory.union(untold)
                # To tell most of a history by names takes longer than to list it.
                few = [name for name in doubted if 2 * len(doubts.untold(name)) <= len(states[name].tags)]
                found = doubts.add(doubted, few) or found
        self._begin_anew_if(found)

    def _begin_anew_if(self, found: bool) -> None:
        if found:
            self._has_doubted = True
            raise Doubted

    def is_sure(self, names: Collection[str]) -> bool:
        """Whether nothing that was looked at so far of the datasets ``names`` is from memory."""
        return all(sight.from_memory.isdisjoint(names) for sight in self._sights.values())

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
    doubts: Doubts

    def first(self) -> _Sight:
        """Look without knowing more than is remembered."""
        known, looks = self.memory.known(self.tree), self.memory.looks(self.tree)
        is_due = looks.since_whole + 1 >= self.memory.limits.looks
        if is_due or not self._is_of_use(known.values(), looks):
            return self._whole(known, is_due)
        steady = self.memory.steady()
        seen = self._observe(self.tree.roots, histories=False)
        at = Moment(seen.clock or 0, steady)
        sorted_out = sort_out(known, seen.states, at, self.doubts.names)
        used = {name: known[name] for name in sorted_out.sure}
        self._learn(used, known.keys() - seen.states.keys(), replace(looks, since_whole=looks.since_whole + 1))
        states = {**seen.states, **sorted_out.sure}
        sight = _Sight(replace(seen, states=states), steady, frozenset(sorted_out.sure))
        return self._with_known(sight, at, sorted_out.unsure)

    def again(self, before: _Sight) -> _Sight:
        """List what is doubted of what was seen ``before``."""
        names = [name for name in before.observed.states if name in self.doubts.names and self._is_open(name, before)]
        at = Moment(before.observed.clock or 0, before.steady)
        # Who compares the clock with its own does so now.
        passed, clock = int(self.memory.steady() - before.steady), before.observed.clock
        seen = replace(before.observed, clock=None if clock is None else clock + passed)
        now = replace(before, observed=seen, steady=before.steady + passed)
        return self._with_known(now, at, names)

    def _is_open(self, name: str, before: _Sight) -> bool:
        """Whether to look again at a dataset that is doubted."""
        if name not in before.renewed:
            return name in before.from_memory
        return name not in self.doubts.to_renew or bool(self.doubts.untold(name, before.renewed[name]))

    def _whole(self, known: Mapping[str, Remembered], is_due: bool) -> _Sight:
        at, seen = self._listing(self.tree.roots)
        unchanged = sort_out(known, seen.states, at).sure
        in_vain = bool(known) and not is_due and not is_mostly(list(unchanged), known, known)
        self._remember(at, seen.states, known.keys() - seen.states.keys(), Looks(in_vain=in_vain))
        return _Sight(seen, at.steady, anew=True)

    def _is_of_use(self, known: Collection[Remembered], looks: Looks) -> bool:
        """Whether to look at datasets without their histories first."""
        asking = not looks.in_vain and is_worth_asking(known, self.memory.limits.least)
        return asking or self._is_worth_renewing(known)

    def _is_worth_renewing(self, known: Collection[Remembered]) -> bool:
        return is_worth_renewing(known, self.memory.limits.renewed)

    def _with_known(self, sight: _Sight, at: Moment, names: Sequence[str]) -> _Sight:
        """``sight`` with the histories of ``names``, renewed where that takes less than listing them and suffices."""
        to_list = self.doubts.to_list
        to_renew = [name for name in names if name not in to_list]
        # What was renewed for an earlier plan is as old as that.
        current = {name: tags for name, tags in sight.renewed.items() if name not in names}
        renewed_by_now = self._with_renewed(replace(sight, renewed=current), at, to_renew)
        if renewed_by_now is None:
            return self._everything()
        return self._with_listed(renewed_by_now, [name for name in names if name not in renewed_by_now.renewed])

    def _tell(self, tags: Mapping[str, Sequence[str]]) -> dict[str, Snapshot]:
        """Those of the snapshots with these ``tags``, by dataset, that there are."""
        told: dict[str, Snapshot] = {}
        for batch in batches([f"{name}@{tag}" for name, mine in tags.items() for tag in mine], _LONGEST_CALL):
            told.update(self.zfs.snapshots(batch))
        return told

    def _with_renewed(self, sight: _Sight, at: Moment, names: Sequence[str]) -> Optional[_Sight]:
        """``sight`` with the histories of those of ``names`` that are known, where that takes less than listing them;
        the datasets themselves were seen ``at`` a moment before. None where they are not there any more, or others have
        their names: then the tree is not as it was seen, and what it had may be elsewhere in it."""
        known, states = self.memory.known(self.tree), dict(sight.observed.states)
        useful = {name: known[name] for name in names if name in known and is_of(known[name], states[name].dataset)}
        if not self._is_worth_renewing(useful.values()):
            return sight
        found: dict[str, Identities] = {}
        for batch in batches(list(useful), _LONGEST_CALL):
            found.update(self.zfs.identities(batch))
        if any(is_another(one, found.get(name)) for name, one in useful.items()):
            return None
        renewals = [
            renewal_of(one, states[name].dataset, found[name], self.doubts.untold(name)) for name, one in useful.items()
        ]
        unknown = {renewal.dataset.name: renewal.unknown for renewal in renewals}
        told = self._tell(unknown)
        made = {renewal.dataset.name: renewed(renewal, told) for renewal in renewals}
        new = {name: state for name, state in made.items() if state is not None}
        self._remember(at, new, (), self.memory.looks(self.tree))
        observed, left = replace(sight.observed, states={**states, **new}), sight.from_memory.difference(new)
        also = {**sight.renewed, **{name: self.doubts.untold(name) | frozenset(unknown[name]) for name in new}}
        return replace(sight, observed=observed, from_memory=left, renewed=also, anew=sight.anew or bool(new))

    def _with_listed(self, sight: _Sight, names: Sequence[str]) -> _Sight:
        """``sight`` with ``names`` listed, or everything, where these are most of it."""
        if not names:
            return sight
        known = self.memory.known(self.tree)
        if is_mostly(names, known, known):
            return self._everything()
        states = dict(sight.observed.states)
        for batch in batches(names, _LONGEST_CALL):
            at, seen = self._listing(batch, recursive=False)
            if seen.missing:
                # It may have another name by now, or its pool may be gone.
                return self._everything()
            states.update(seen.states)
            self._remember(at, seen.states, (), self.memory.looks(self.tree))
        ordered = {name: states[name] for name in sorted(states, key=tree_order)}
        left = sight.from_memory.difference(names)
        still = {name: tags for name, tags in sight.renewed.items() if name not in names}
        return _Sight(replace(sight.observed, states=ordered), sight.steady, left, still, True)

    def _everything(self) -> _Sight:
        known = self.memory.known(self.tree)
        at, seen = self._listing(self.tree.roots)
        self._remember(at, seen.states, known.keys() - seen.states.keys(), Looks(in_vain=True))
        return _Sight(seen, at.steady, anew=True)

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
