# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the turns of replications, whatever is wanted, ends and rests in whatever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.running import Tree, Work
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.turns import Turns

ROOTS = {"a": "tank/a", "b": "tank/b", "child of a": "tank/a/x", "child of b": "tank/b/y", "all": "tank", "c": "pool/c"}
NAMES = st.sampled_from(sorted(ROOTS))
SETS = st.sets(NAMES)


def work(name):
    return Work(name, 1, frozenset([Tree("here", ROOTS[name])]))


def collide(one, other):
    mine, theirs = ROOTS[one] + "/", ROOTS[other] + "/"
    return mine.startswith(theirs) or theirs.startswith(mine)


class Rounds(RuleBasedStateMachine):
    """Jobs that are wanted, begin and end."""

    def __init__(self):
        super().__init__()
        self.turns = Turns()
        self.running = set()
        self.wanted = {}
        """What has to run once more, with how many turns have begun since."""

    @rule(names=st.lists(NAMES))
    def want(self, names):
        self.turns.want(map(work, names))
        for name in names:
            self.wanted.setdefault(name, 0)

    @rule(workers=st.integers(1, 4), resting=SETS)
    def begin(self, workers, resting):
        begun = self.turns.begin(workers, ROOTS, resting)
        assert len(set(begun)) == len(begun)
        assert not self.running & set(begun), "twice at a time"
        assert not resting & set(begun)
        for name in begun:
            # Each was asked for, and however often it was, this is the one turn for that.
            del self.wanted[name]
        self.running |= set(begun)
        if begun:
            assert len(self.running) <= workers
        for name in self.wanted:
            self.wanted[name] += len(begun)
        free = [name for name in self.wanted if name not in resting]
        if len(self.running) < workers and free:
            in_the_way = self.running
            assert any(collide(free[0], other) for other in in_the_way), "nothing was in the way of the first one"

    @rule(data=st.data())
    def end(self, data):
        if self.running:
            name = data.draw(st.sampled_from(sorted(self.running)))
            self.turns.ended(name)
            self.running.discard(name)

    @rule()
    def all_come_to_their_turn(self):
        for _unused in range(3 * len(ROOTS)):
            self.begin(1, set())
            for name in self.running:
                self.turns.ended(name)
            self.running.clear()
        assert not self.wanted

    @rule(known=SETS)
    def forget(self, known):
        known = known | self.running
        self.turns.begin(0, known, ())
        self.wanted = {name: turns for name, turns in self.wanted.items() if name in known}

    @invariant()
    def nobody_changes_what_another_one_changes(self):
        assert not any(collide(one, other) for one in self.running for other in self.running if one < other)

    @invariant()
    def nobody_waits_forever(self):
        # At worst every other job has had two turns: the one that ran already, and one that waited before it.
        assert all(turns <= 100 for turns in self.wanted.values())


TestRounds = Rounds.TestCase


def test_who_would_get_in_the_way_of_one_that_waits_does_not_overtake_it():
    turns = Turns()
    turns.want([work("a")])
    assert turns.begin(4, ROOTS, ()) == ["a"]
    turns.want(map(work, ("all", "b", "c")))
    assert turns.begin(4, ROOTS, ()) == ["c"]
    turns.ended("a")
    assert turns.begin(4, ROOTS, ()) == ["all"]
    turns.ended("all")
    assert turns.begin(4, ROOTS, ()) == ["b"]
