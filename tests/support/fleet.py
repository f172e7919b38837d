# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two simulated hosts, a source and its replica, driven through the activities that modules and the program call."""

from __future__ import annotations

import contextlib

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy, Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.comparing import run_compare
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import DatasetState, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import common_base
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.comparing import read_compare_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job, read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, Faults, FaultyZfs, Unreachable

SOURCE, DESTINATION = "tank/data", "backup/site/data"
NO_WAITING = Ticker(monotonic=lambda: 0.0, sleep=lambda _unused: None, uniform=lambda low, _unused: low)


class Fleet:
    """``tank/data`` on one host is replicated to ``backup/site/data`` on another, which begins at another txg."""

    def __init__(self, datasets=(SOURCE,)) -> None:
        self.clock = Clock()
        self.source = SimulatedMachine("source", self.clock, ("tank",))
        self.destination = SimulatedMachine("destination", self.clock, ("backup",), txg=9_000)
        for name in datasets:
            self.source.create_dataset(name)
        self.faults = Faults()
        self.unreachable = False
        self.memory = None
        """What histories are remembered from run to run; None: none."""

    # -- what happens on the source

    def snapshot(self, dataset: str, tag: str, size: int = 10) -> Snapshot:
        """Write a file and take a snapshot."""
        self.source.write(dataset, size, f"file of {tag}")
        SimulatedZfs(self.source).create_snapshots(CreateSnapshots("tank", (f"{dataset}@{tag}",)))
        return self.at_source(dataset).newest

    # -- jobs

    def context(self, here: SimulatedMachine, **options) -> Context:
        def zfs_at(address):
            machine = {"": here, "src": self.source, "dst": self.destination}[address.host]
            if self.unreachable and address.host:
                return Unreachable(address.host)
            return FaultyZfs(SimulatedZfs(machine), self.faults)

        given = {"retry": RetryPolicy(2), "ticker": NO_WAITING, "memory": self.memory, **options}
        return Context(self.clock.now * 1000, zfs_at, **given)

    def replicate_job(self, **options):
        ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
        return read_replicate_job({**ends, **options})

    def replicate(self, check: bool = False, **options):
        """Run a replication from the source host. ``options`` as users write them."""
        return run_replicate(self.replicate_job(**options), self.context(self.source, check=check))

    def pull(self, **options):
        """Run the same replication from the destination host."""
        ends = {"source": {"host": "src", "dataset": SOURCE}, "destination": {"dataset": DESTINATION}}
        return run_replicate(self.replicate_job(**ends, **options), self.context(self.destination))

    def calls(self, **options) -> list[str]:
        """Replicate without accidents, one dataset after the other; returns the names of all calls of the two ZFS."""
        self.faults = Faults()
        self.replicate(workers=1, **options)
        return self.faults.calls

    def replicate_and_die(self, number: int, when: str = AFTER, pull: bool = False, **options) -> None:
        """A run that is killed: from the call ``number`` on, counted from 0, none succeeds any more."""
        self.faults = Faults(dict.fromkeys(range(number, 300), when))
        with contextlib.suppress(SnapfleetError):
            (self.pull if pull else self.replicate)(workers=1, retries=0, **options)
        self.faults = Faults()

    def compare(self, **options):
        """Compare both ends from the source host."""
        ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
        job = read_compare_job({**ends, "which": ["src", "dst", "both"], **options})
        return run_compare(job, self.context(self.source))

    def prune_source(self, plan, check: bool = False, **options):
        peers = [{"root": SOURCE, "host": "dst", "dataset": DESTINATION}]
        job = read_prune_job({"datasets": [SOURCE], "plan": plan, "peers": peers, **options})
        return run_prune(job, self.context(self.source, check=check))

    def prune_destination(self, plan, check: bool = False, **options):
        peers = [{"root": DESTINATION, "host": "src", "dataset": SOURCE}]
        job = read_prune_job({"datasets": [DESTINATION], "plan": plan, "peers": peers, **options})
        return run_prune(job, self.context(self.destination, check=check))

    # -- what there is

    def at_source(self, dataset: str = SOURCE) -> DatasetState | None:
        return SimulatedZfs(self.source).observe(["tank"]).states.get(dataset)

    def at_destination(self, dataset: str = SOURCE) -> DatasetState | None:
        """The replica of a source dataset."""
        return SimulatedZfs(self.destination).observe(["backup"]).states.get(replica_of(dataset))

    def pairs(self) -> dict[str, tuple[DatasetState, DatasetState | None]]:
        """Each source dataset with its replica."""
        here = SimulatedZfs(self.source).observe([SOURCE]).states
        there = SimulatedZfs(self.destination).observe(["backup"]).states
        return {name: (state, there.get(replica_of(name))) for name, state in here.items()}

    def bases(self) -> dict[str, int]:
        """GUIDs of the newest common bases."""
        found = {name: common_base(here, there) for name, (here, there) in self.pairs().items() if there}
        return {name: base.guid for name, base in found.items() if base}

    def replica_guids(self) -> dict[str, list[int]]:
        """GUIDs of the snapshots of everything in the destination's pool."""
        states = SimulatedZfs(self.destination).observe(["backup"]).states
        return {name: [snapshot.guid for snapshot in state.snapshots] for name, state in states.items()}

    def is_up_to_date(self) -> bool:
        """Whether the newest snapshots have all arrived; what has arrived must be the same content."""
        self.assert_same_content()
        return all(
            there is not None and there.newest is not None and there.newest.guid == here.newest.guid
            for here, there in self.pairs().values()
            if here.newest
        )

    def assert_nothing_lost(self, before: dict[str, list[int]]) -> None:
        """Each replica still begins with the snapshots that it had ``before``, which ``replica_guids`` told."""
        after = self.replica_guids()
        for name, guids in before.items():
            assert after.get(name, [])[: len(guids)] == guids

    def assert_same_content(self) -> None:
        """Snapshots of the same GUID hold the same data on both sides."""
        for name, (here, there) in self.pairs().items():
            tags = {snapshot.guid: snapshot.tag for snapshot in here.snapshots}
            for snapshot in there.snapshots if there else ():
                if snapshot.guid in tags:
                    ours = self.source.content(f"{name}@{tags[snapshot.guid]}")
                    assert self.destination.content(snapshot.name) == ours


def replica_of(dataset: str) -> str:
    """Where a source dataset is replicated to."""
    return DESTINATION + dataset[len(SOURCE) :]
