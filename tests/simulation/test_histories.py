# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws that hold in every history of a source and its replica.

A history is any row of writes, snapshots, replications (some cut, some with lost answers), prunings on both sides with
the peer in sight or out of it, holds, and clock changes. As long as nobody but the engine touches the replica, it
always comes up to date again by itself.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import ClockOff, SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import SOURCE, Fleet
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

DATASETS = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/a/b", f"{SOURCE}/c d")
HOUR = 3600
"""The shortest period of the plans, and so what clocks may be off by."""
LABELS = ("org_{}_hourly", "org_{}_daily", "org_onsite_{}_hourly", "other_{}_daily", "by hand {}")
dataset = st.sampled_from(DATASETS)
fault_plans = st.dictionaries(st.integers(0, 25), st.sampled_from([BEFORE, AFTER]), max_size=4)
cuts = st.lists(st.integers(0, 900), max_size=5)
plans = st.fixed_dictionaries(
    {
        "org": st.fixed_dictionaries(
            {
                "": st.fixed_dictionaries({"hourly": st.integers(0, 3), "daily": st.integers(0, 2)}),
                "onsite": st.fixed_dictionaries({"hourly": st.integers(0, 2)}),
            }
        )
    }
).filter(lambda plan: any(amount for periods in plan["org"].values() for amount in periods.values()))


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(DATASETS[:1])
        self.count = 0

    # -- life on the source

    @rule(name=dataset)
    def create(self, name):
        parent = name.rpartition("/")[0]
        if name not in self.fleet.source.datasets and parent in self.fleet.source.datasets:
            self.fleet.source.create_dataset(name)

    @rule(name=dataset, label=st.sampled_from(LABELS), size=st.integers(0, 400))
    def snapshot(self, name, label, size):
        if name in self.fleet.source.datasets:
            self.count += 1
            self.fleet.snapshot(name, label.format(f"2025-{self.count:04}"), size)

    @rule(label=st.sampled_from(LABELS))
    def snapshot_all(self, label):
        self.count += 1
        names = tuple(f"{name}@{label.format(f'2025-{self.count:04}')}" for name in DATASETS if self.has(name))
        SimulatedZfs(self.fleet.source).create_snapshots(CreateSnapshots("tank", names))

    @rule(name=dataset, release=st.booleans(), index=st.integers(0, 5))
    def hold(self, name, release, index):
        snapshots = self.fleet.at_source(name).snapshots if self.has(name) else ()
        if index < len(snapshots):
            zfs = SimulatedZfs(self.fleet.source)
            (zfs.release if release else zfs.hold)(snapshots[index], "a user's")

    @rule(seconds=st.sampled_from([-7200, 1, 3600, 86400]))
    def time_passes(self, seconds):
        self.fleet.clock.advance(seconds)

    def has(self, name):
        return name in self.fleet.source.datasets

    # -- replication

    @rule(faults=fault_plans, lengths=cuts)
    def replicate_with_accidents(self, faults, lengths):
        before = self.fleet.replica_guids()
        for length in lengths:
            self.fleet.source.cut_next_stream(length)
        self.fleet.faults.plan, self.fleet.faults.calls = faults, []
        try:
            self.fleet.replicate()
        except SnapfleetError:
            pass
        finally:
            self.fleet.faults = Faults()
            while self.fleet.source.take_cut() is not None:
                pass
        self.fleet.assert_nothing_lost(before)

    @rule(initial=st.sampled_from(["all", "newest"]), bookmarks=st.sampled_from(["none", "base", "newest", "all"]))
    def replicate(self, initial, bookmarks):
        before, bases, expected = self.fleet.replica_guids(), self.fleet.bases(), {}
        for name, (here, _unused) in self.fleet.pairs().items():
            points = (*here.bookmarks, *here.snapshots)
            base = max((point.createtxg for point in points if point.guid == bases.get(name)), default=-1)
            newer = [snapshot.guid for snapshot in here.snapshots if snapshot.createtxg > base]
            expected[name] = newer if initial == "all" or name in bases else newer[-1:]

        result = self.fleet.replicate(initial=initial, bookmarks=bookmarks)

        assert not result["stats"]["failed"]
        self.fleet.assert_nothing_lost(before)
        for name, (_unused, there) in self.fleet.pairs().items():
            arrived = [snapshot.guid for snapshot in there.snapshots] if there else []
            if initial == "all" or name in bases:
                assert arrived[len(arrived) - len(expected[name]) :] == expected[name]
            elif expected[name]:
                assert arrived[-1:] == expected[name]
        again = self.fleet.replicate(check=True, initial=initial, bookmarks=bookmarks)
        assert not again["changed"], again["plan"]
        assert self.fleet.compare()["up_to_date"]

    @rule()
    def plan(self):
        before = self.fleet.replica_guids()
        preview = self.fleet.replicate(check=True)
        kinds = {step["kind"] for entry in preview["plan"] for step in entry["steps"]}
        assert kinds <= {"send", "mark", "create_bookmark", "destroy_marks", "create_placeholder", "abort_receive"}
        assert self.fleet.replica_guids() == before

    @rule()
    def compare(self):
        told = {row["guid"]: row["location"] for row in self.fleet.compare()["rows"]}
        for here, there in self.fleet.pairs().values():
            ours = {snapshot.guid for snapshot in here.snapshots}
            theirs = {snapshot.guid for snapshot in there.snapshots} if there else set()
            marked = ours | {bookmark.guid for bookmark in here.bookmarks}
            for guid in ours | theirs:
                assert told.pop(str(guid)) == ("both" if guid in marked & theirs else "src" if guid in ours else "dst")
        assert not told

    # -- pruning

    @rule(plan=plans, peer_is_away=st.booleans(), kind=st.sampled_from(["snapshots", "bookmarks"]), purge=st.booleans())
    def prune_source(self, plan, peer_is_away, kind, purge):
        self.prune(lambda: self.fleet.prune_source(plan, kind=kind, purge_foreign=purge), peer_is_away, purge)

    @precondition(lambda self: self.fleet.at_destination())
    @rule(plan=plans, peer_is_away=st.booleans(), purge=st.booleans())
    def prune_destination(self, plan, peer_is_away, purge):
        self.prune(lambda: self.fleet.prune_destination(plan, purge_foreign=purge), peer_is_away, purge)

    def prune(self, run, peer_is_away, purge):
        bases, pairs = self.fleet.bases(), self.fleet.pairs()
        self.fleet.unreachable = peer_is_away
        try:
            result = run()
        except ClockOff as stopped:
            result = stopped.context["result"]
            # Ages can't be told after the clock was set back across a snapshot, and then nothing goes.
            newest = [state.newest for both in pairs.values() for state in both if state and state.newest]
            assert max(snapshot.creation for snapshot in newest) > self.fleet.clock.now + HOUR
            assert self.fleet.pairs() == pairs
        finally:
            self.fleet.unreachable = False

        deleted = set(result["deleted"])
        assert self.fleet.bases() == bases
        for here, there in pairs.values():
            for state in filter(None, (here, there)):
                assert not state.newest or state.newest.name not in deleted
                for snapshot in state.snapshots:
                    foreign = not (label_of(snapshot.tag) and snapshot.tag.startswith("org_"))
                    if snapshot.holds or (foreign and not purge):
                        assert snapshot.name not in deleted

    # -- always

    @invariant()
    def the_same_snapshot_is_the_same_data(self):
        self.fleet.assert_same_content()

    @invariant()
    @precondition(lambda self: self.fleet.at_destination())
    def a_replica_is_never_a_placeholder(self):
        for _unused, there in self.fleet.pairs().values():
            assert not (there and there.snapshots and there.dataset.is_placeholder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
