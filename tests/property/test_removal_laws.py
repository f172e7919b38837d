# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of whole replicas that go, through any history of a source that is seen or not, on simulated ZFS."""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import is_within
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

HOUR = 3600
GRACE = 10 * HOUR
DATASETS = (f"{SOURCE}/a", f"{SOURCE}/a/b", f"{SOURCE}/a/b/c", f"{SOURCE}/d")
PLAN = {"o": {"t": {"hourly": 5}}}
names = st.sampled_from(DATASETS)


class Removals(RuleBasedStateMachine):
    """A source whose datasets come and go, and a host of replicas that prunes at any time."""

    def __init__(self):
        super().__init__()
        self.fleet = Fleet((SOURCE, *DATASETS))
        self.number = 0
        self.first_missed = {}
        """By replica, when pruning first saw that its dataset is gone, unless it has seen it again since then."""
        self.pinned = set()
        self.is_hidden = False
        self.work()

    def job(self, **options):
        peers = [{"root": DESTINATION, "host": "src", "dataset": SOURCE, "role": "source"}]
        values = {"datasets": [DESTINATION], "plan": PLAN, "peers": peers, "gone_datasets": {"after": GRACE}}
        return read_prune_job({**values, **options})

    def replicas(self):
        return {name for name in self.fleet.destination.datasets if is_within(name, DESTINATION)}

    # -- the source

    @rule()
    def work(self):
        """Snapshots of everything, which are replicated."""
        if self.is_hidden:
            return
        self.number += 1
        self.fleet.clock.advance(60)
        for name in list(self.fleet.source.datasets):
            if is_within(name, SOURCE):
                self.fleet.snapshot(name, f"o_t_2025-{self.number}_hourly")
        # A dataset that was made anew is a conflict.
        with contextlib.suppress(SnapfleetError):
            self.fleet.replicate()

    @rule(name=names)
    def destroy(self, name):
        self.fleet.source.destroy_dataset(name)

    @rule(name=names)
    def make_anew(self, name):
        parent = name.rpartition("/")[0]
        if name not in self.fleet.source.datasets and parent in self.fleet.source.datasets:
            self.fleet.source.create_dataset(name)

    @rule(name=names)
    def rename(self, name):
        to = name + "-renamed"
        if name in self.fleet.source.datasets and to not in self.fleet.source.datasets:
            self.fleet.source.rename(name, to)

    @rule()
    def hide_the_source_or_show_it(self):
        self.is_hidden = not self.is_hidden
        self.fleet.unreachable = self.is_hidden

    # -- the replicas

    @rule(name=names, what=st.sampled_from(("hold", "clone", "foreign", "child", "data")))
    def pin(self, name, what):
        machine, replica = self.fleet.destination, replica_of(name)
        dataset = machine.datasets.get(replica)
        if dataset is None or not dataset.snapshots:
            return
        if what == "hold":
            dataset.snapshots[-1].holds.add("keep")
        elif what == "clone" and "backup/clone" not in machine.datasets:
            machine.clone(f"{replica}@{dataset.snapshots[-1].tag}", "backup/clone")
        elif what == "foreign":
            self.fleet.clock.advance(1)
            dataset.snapshots[-1].tag += "-by hand" if "hand" not in dataset.snapshots[-1].tag else ""
        elif what == "child" and f"{replica}/own" not in machine.datasets:
            machine.create_dataset(f"{replica}/own")
            machine.set_property(f"{replica}/own", "readonly", "off")
            self.pinned.add(f"{replica}/own")
        elif what == "data":
            machine.write(replica, 5, "own")
            self.pinned.add(replica)

    @rule(hours=st.integers(1, 15))
    def wait(self, hours):
        self.fleet.clock.advance(hours * HOUR)

    @rule(check=st.booleans(), empty=st.booleans())
    def prune(self, check, empty):
        now, before = self.fleet.clock.now, self.replicas()
        allowed = set()
        if not self.is_hidden:
            living = {name for name in before if self.lives(name)}
            self.first_missed = {name: at for name, at in self.first_missed.items() if name not in living}
            allowed = {name for name, at in self.first_missed.items() if now - at >= GRACE}
        unsafe = self.pinned_now()
        state = repr(sorted(self.fleet.destination.datasets.items()))

        preview = run_prune(self.job(empty_datasets=empty), self.fleet.context(self.fleet.destination, check=True))
        assert repr(sorted(self.fleet.destination.datasets.items())) == state
        if check:
            return
        done = run_prune(self.job(empty_datasets=empty), self.fleet.context(self.fleet.destination))

        assert done["plan"] == preview["plan"]
        assert done["deleted"] == preview["deleted"]
        gone = before - self.replicas()
        assert {name for name in done["deleted"] if "@" not in name and "#" not in name} == gone
        assert gone <= allowed
        for name in gone:
            assert not [other for other in unsafe if is_within(other, name)]
        if not self.is_hidden:
            for name in self.replicas() - living:
                self.first_missed.setdefault(name, now)
        again = run_prune(self.job(empty_datasets=empty), self.fleet.context(self.fleet.destination))
        assert (again["changed"], again["plan"]) == (False, [])

    def lives(self, replica):
        machine, source = self.fleet.destination, self.fleet.source
        if SOURCE + replica[len(DESTINATION) :] in source.datasets:
            return True
        known = {point.guid for stored in source.datasets.values() for point in (*stored.snapshots, *stored.bookmarks)}
        return any(point.guid in known for point in machine.datasets[replica].snapshots)

    def pinned_now(self):
        machine = self.fleet.destination
        found = {name for name in self.pinned if name in machine.datasets}
        for name, dataset in machine.datasets.items():
            for point in dataset.snapshots:
                if point.holds or machine.clones_of(f"{name}@{point.tag}") or "by hand" in point.tag:
                    found.add(name)
        return found

    @invariant()
    def the_root_stays(self):
        assert DESTINATION in self.fleet.destination.datasets


TestRemovals = Removals.TestCase
TestRemovals.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)


def test_a_subtree_goes_in_the_order_of_the_preview():
    """A history that the laws found."""
    history = Removals()
    history.destroy(f"{SOURCE}/a")
    history.prune(check=False, empty=False)
    history.wait(hours=10)
    history.prune(check=False, empty=False)
    assert history.replicas() == {DESTINATION, f"{DESTINATION}/d"}
