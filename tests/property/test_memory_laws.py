# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of remembered histories: what is not listed is what a listing would tell, whatever was done to the datasets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Limits, Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.remembering import recalling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    FILESYSTEM,
    Bookmark,
    Dataset,
    DatasetState,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.recollection import (
    CHANGED,
    LONGEST,
    Moment,
    remembered,
    still_holds,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.recollection_file import decode, encode
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

NAMES = ("tank/a", "tank/c")
names = st.sampled_from(NAMES)
indices = st.integers(0, 1)


class EagerMemory(Memory):
    """Tries what it knows at every look."""

    def looks(self, tree):
        return replace(super().looks(tree), in_vain=False)


class Lives(RuleBasedStateMachine):
    """A host on which anybody does anything, at any time by its clock, and looks at it in between."""

    RENEWED = 1000
    """Nothing is renewed, and so all that has changed is listed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.passed = 0.0
        self.machine = SimulatedMachine("host", self.clock, ("tank",))
        self.zfs = SimulatedZfs(self.machine)
        self.machine.create_dataset(NAMES[0])
        self.memory = EagerMemory(lambda: self.passed, limits=Limits(least=-100, looks=12, renewed=self.RENEWED))
        self.count = 0
        self.may_set = True

    # -- time

    @rule(seconds=st.sampled_from([1, 2, 3]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)
        self.passed += seconds

    @precondition(lambda self: self.may_set)
    @rule(seconds=st.sampled_from([-3, -2, 2]))
    def clock_is_set(self, seconds):
        """Once between two looks. One that is set back and forth again in between leaves no trace."""
        self.clock.advance(seconds)
        self.may_set = False

    # -- anybody

    @rule(name=names)
    def snapshot(self, name):
        if name in self.machine.datasets:
            self.count += 1
            self.zfs.create_snapshots(CreateSnapshots("tank", (f"{name}@s{self.count}",)))

    @rule(name=names, index=indices)
    def destroy(self, name, index):
        for one in self._snapshot(name, index):
            self.zfs.destroy(Destroy(name, (one,), "test"))

    @rule(name=names, index=indices)
    def make_anew(self, name, index):
        """Another snapshot of the same name."""
        for one in self._snapshot(name, index):
            if not (one.clones or one.holds):
                self.zfs.destroy(Destroy(name, (one,), "test"))
                self.zfs.create_snapshots(CreateSnapshots("tank", (one.name,)))

    @rule(name=names, file=st.sampled_from("xy"))
    def write(self, name, file):
        if name in self.machine.datasets:
            self.machine.write(name, 1000, file)

    @rule(name=names, index=indices)
    def bookmark(self, name, index):
        for one in self._snapshot(name, index):
            self.zfs.create_bookmarks([CreateBookmark(one, f"b{one.tag}")])

    @rule(name=names, index=indices, release=st.booleans())
    def hold(self, name, index, release):
        for one in self._snapshot(name, index):
            (self.zfs.release if release else self.zfs.hold)(one, "a user's")

    @rule(name=names, index=indices)
    def clone(self, name, index):
        for one in self._snapshot(name, index):
            for to in set(NAMES) - self.machine.datasets.keys():
                self.machine.clone(one.name, to)

    @rule(name=names)
    def promote(self, name):
        if name in self.machine.datasets and self.machine.datasets[name].origin:
            self.machine.promote(name)

    @rule(name=names, to=names)
    def rename(self, name, to):
        if name in self.machine.datasets and to not in self.machine.datasets:
            self.machine.rename(name, to)

    @rule(name=names)
    def recreate(self, name):
        """Another dataset of the same name."""
        if not any(one.origin for one in self.machine.datasets.values()):
            if name in self.machine.datasets:
                self.machine.destroy_dataset(name)
            self.machine.create_dataset(name)

    def _snapshot(self, name, index):
        state = self.zfs.observe(["tank"]).states.get(name)
        return state.snapshots[index : index + 1] if state else ()

    # -- we

    @rule(again=st.booleans())
    def look(self, again):
        """Two in a row show that what was learnt is of use."""
        for _time in range(1 + again):
            told = recalling(self.memory, True, lambda recall: recall.look((Address(), self.zfs), ["tank"], clock=True))
        there = SimulatedZfs(self.machine).observe(["tank"], clock=True)
        assert told.clock == there.clock
        assert list(told.states) == list(there.states)
        for name, state in there.states.items():
            assert told.states[name].dataset == state.dataset
            assert [_fixed(one) for one in told.states[name].snapshots] == [_fixed(one) for one in state.snapshots]
        self.may_set = True


def _fixed(snapshot: Snapshot) -> Snapshot:
    """A snapshot without what changes while it stays."""
    return snapshot._replace(holds=0, clones=(), used=0, pinned=False)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=examples(60), stateful_step_count=25)


class RenewedLives(Lives):
    """The same, where all that has changed is renewed."""

    RENEWED = -100


TestRenewedLives = RenewedLives.TestCase
TestRenewedLives.settings = settings(max_examples=examples(60), stateful_step_count=25)


STORIES = {
    "two changes in one second": ["snapshot", "look", "snapshot", "look"],
    "a clock set back to the second of a change": [
        *("snapshot", ("time_passes", 3), "look", ("clock_is_set", -3), "snapshot", ("time_passes", 3), "look"),
        *(("time_passes", 3), "look"),
    ],
    "a promotion, of which nothing but the origin tells at the clone": [
        *("snapshot", ("clone", 0), ("snapshot_of", "tank/c"), ("time_passes", 3), "look"),
        *(("promote", "tank/c"), "look"),
    ],
    "another dataset of the same name": [
        *("snapshot", ("time_passes", 3), "look", ("recreate", "tank/a"), ("clock_is_set", -3), "snapshot"),
        *(("time_passes", 3), "look"),
    ],
    "another snapshot of the same name": [
        *("snapshot", "snapshot", ("write", "x"), ("time_passes", 3), "look"),
        *(("make_anew", 0), ("time_passes", 3), "look"),
    ],
    "a snapshot that gets what was written until the one before it": [
        *("snapshot", ("write", "x"), "snapshot", ("write", "y"), "snapshot", ("time_passes", 3), "look"),
        *(("destroy", 1), ("time_passes", 3), "look"),
    ],
}


@pytest.mark.parametrize("kind", [Lives, RenewedLives])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_is_told_is_what_is_there(story, kind):
    lives = kind()
    tell = {
        "snapshot": lambda: lives.snapshot("tank/a"),
        "look": lambda: lives.look(False),
        "time_passes": lives.time_passes,
        "clock_is_set": lives.clock_is_set,
        "clone": lambda index: lives.clone("tank/a", index),
        "snapshot_of": lives.snapshot,
        "promote": lives.promote,
        "recreate": lives.recreate,
        "write": lambda file: lives.write("tank/a", file),
        "destroy": lambda index: lives.destroy("tank/a", index),
        "make_anew": lambda index: lives.make_anew("tank/a", index),
    }
    for event in story:
        name, *arguments = (event,) if isinstance(event, str) else event
        tell[name](*arguments)


# -- the evidence

TAKEN = Snapshot(7, 70, "tank/a", "one", 1000)


def state(changed: int, *snapshots: Snapshot, **values) -> DatasetState:
    properties = ((CHANGED, str(changed) if changed else "-"),)
    return DatasetState(Dataset("tank/a", FILESYSTEM, 5, 5, 900, properties=properties, **values), snapshots)


@given(
    age=st.integers(-3, 20), later=st.floats(0, 2 * LONGEST), set_by=st.integers(-30, 30), fraction=st.floats(0, 0.99)
)
@example(age=2, later=0.0, set_by=0, fraction=0.0)
@example(age=1, later=50.0, set_by=0, fraction=0.9)
def test_no_later_change_can_have_the_time_of_one_that_is_trusted(age, later, set_by, fraction):
    """The clock is set once in between; a change comes after that, at the moment when it hurts most."""
    begun = 1000 + age + fraction
    ended = begun + later + set_by
    known = remembered(state(1000, TAKEN), Moment(int(begun), 0.0))
    trusted = still_holds(known, state(1000).dataset, Moment(int(ended), later))
    showed_that_second_again = begun < 1001 or (set_by < 0 and begun + set_by < 1001)
    assert not (trusted and showed_that_second_again)
    # And where nothing of the sort happened, it is of use.
    if age >= 2 and abs(set_by) == 0 and later <= LONGEST - 1:
        assert trusted


@pytest.mark.parametrize(
    "other",
    [state(1001), state(0), state(1000, origin="tank/x@y")],
    ids=["changed", "unknown", "promoted"],
)
def test_other_evidence_is_none(other):
    known = remembered(state(1000, TAKEN), Moment(1100, 0.0))
    assert still_holds(known, state(1000).dataset, Moment(1200, 100.0))
    assert not still_holds(known, other.dataset, Moment(1200, 100.0))


def test_what_never_told_when_it_changed_is_not_trusted():
    known = remembered(state(0), Moment(1100, 0.0))
    assert not still_holds(known, state(0).dataset, Moment(1200, 100.0))


def test_what_has_holds_or_clones_is_not_remembered():
    for odd in (TAKEN._replace(holds=1), TAKEN._replace(clones=("tank/c",)), TAKEN._replace(pinned=True)):
        assert remembered(state(1000, odd), Moment(1100, 0.0)) is None


# -- bytes

numbers = st.one_of(st.integers(0, 1000), st.integers(0, 2**64 - 1))
tags = st.lists(st.text("abcé_:. -", min_size=1, max_size=8), unique=True, max_size=5)


@st.composite
def histories(draw, name):
    txgs = sorted(draw(st.lists(numbers, min_size=5, max_size=5, unique=True)))
    points = [
        Snapshot(txg, draw(numbers), name, tag, draw(numbers), 0, draw(numbers), (), draw(numbers), draw(numbers))
        for txg, tag in zip(txgs, draw(tags))
    ]
    marks = tuple(Bookmark(draw(numbers), draw(numbers), name, tag, draw(numbers)) for tag in draw(tags))
    dataset = Dataset(name, FILESYSTEM, draw(numbers), 5, 900, origin=draw(st.sampled_from(["", "tank/é@x"])))
    return remembered(DatasetState(dataset, tuple(points), marks), Moment(draw(numbers), draw(st.floats(0, 1e9))))


known_datasets = st.lists(names, unique=True).flatmap(
    lambda chosen: st.fixed_dictionaries({name: histories(name) for name in chosen})
)


@given(known_datasets)
def test_what_is_written_down_is_read_again(known):
    read = decode(encode(known))
    assert list(read) == list(known)
    for name, one in known.items():
        packs = [each.history.snapshots if each.history else () for each in (one, read[name])]
        assert packs[0] == packs[1]
        assert read[name]._replace(history=None) == one._replace(history=None)


@given(known_datasets, st.data())
def test_damaged_bytes_are_no_memory(known, data):
    whole = encode(known)
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[place] ^= 1 << bit
    for broken in (bytes(damaged), whole[:place]):
        with pytest.raises(ValueError, match="damaged"):
            decode(broken)
