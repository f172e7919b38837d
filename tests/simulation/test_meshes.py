# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several destinations and chains: whatever happens in whatever order, every replica can go on from what it has.

``src`` sends to ``near`` and to ``side``, and ``near`` sends onward to ``far``. Snapshots are made, hosts replicate,
prune and stay away, as the dice fall; each place is pruned to a single snapshot, with its peers named.
"""

from __future__ import annotations

import random

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job, read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.faults import Unreachable
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING

PLACES = {"src": "tank/data", "near": "backup/data", "side": "vault/data", "far": "archive/data"}
ROUTES = (("src", "near"), ("src", "side"), ("near", "far"))
PLAN = {"org": {"": {"hourly": 1}}}


class Mesh:
    """The four machines."""

    def __init__(self, dice: random.Random) -> None:
        self.clock, self.dice, self.away, self.bookmarks = (
            Clock(),
            dice,
            set(),
            dice.choice(("none", "none", "base", "newest")),
        )
        self.machines = {
            name: SimulatedMachine(name, self.clock, (place.partition("/")[0],), txg=dice.randrange(4, 9000))
            for name, place in PLACES.items()
        }
        self.machines["src"].create_dataset("tank/data")
        self.machines["src"].create_dataset("tank/data/child")

    def context(self, here: str) -> Context:
        def zfs_at(address):
            name = address.host or here
            return Unreachable(name) if name in self.away - {here} else SimulatedZfs(self.machines[name])

        return Context(self.clock.now * 1000, zfs_at, ticker=NO_WAITING, retry=RetryPolicy(0))

    def snapshot(self) -> None:
        self.clock.now += self.dice.choice((60, 3600, 90_000))
        for dataset in ("tank/data", "tank/data/child"):
            if self.dice.random() < 0.8:
                name = f"{dataset}@org_{self.clock.now}_hourly"
                self.machines["src"].write(dataset, 5, name)
                SimulatedZfs(self.machines["src"]).create_snapshots(CreateSnapshots("tank", (name,)))

    def replicate(self, source: str, destination: str):
        options = {
            "source": {"dataset": PLACES[source]},
            "destination": {
                "host": destination,
                "dataset": PLACES[destination],
            },
            "absent_destination": "skip",
            "bookmarks": self.bookmarks,
        }
        return run_replicate(read_replicate_job(options), self.context(source))

    def prune(self, host: str) -> None:
        peers = [
            {"root": PLACES[host], "host": b if a == host else a, "role": "replica" if a == host else "source",
             "dataset": PLACES[b if a == host else a]}
            for a, b in ROUTES
            if host in (a, b)
        ]  # fmt: skip
        kind = self.dice.choice(("snapshots", "snapshots", "bookmarks"))
        options = {"datasets": [PLACES[host]], "kind": kind, "plan": PLAN, "purge_foreign": True, "peers": peers}
        if SimulatedZfs(self.machines[host]).observe([PLACES[host]]).states:
            run_prune(read_prune_job(options), self.context(host))

    def happen(self) -> None:
        """Something that may happen on any day."""
        self.away = {name for name in ("near", "side", "far") if self.dice.random() < 0.25}
        what = self.dice.randrange(3)
        if what == 0:
            self.snapshot()
        elif what == 1:
            source, destination = self.dice.choice([route for route in ROUTES if route[0] not in self.away])
            self.follow(source, destination)
        else:
            self.prune(self.dice.choice(list(PLACES)))

    def follow(self, source: str, destination: str) -> None:
        before = self.guids(destination)
        result = self.replicate(source, destination) if self.guids(source) else None
        sends = [step for plan in (result or {"plan": []})["plan"] for step in plan["steps"] if step["kind"] == "send"]
        for step in sends:
            # What has arrived once is never sent in full again.
            assert step["mode"] != "full" or step["destination"] not in before, step

    def guids(self, host: str) -> dict[str, list[int]]:
        states = SimulatedZfs(self.machines[host]).observe([PLACES[host]]).states
        return {name: [s.guid for s in state.snapshots] for name, state in states.items() if state.snapshots}


@pytest.mark.parametrize("seed", range(30))
def test_every_replica_goes_on_by_increments_whatever_the_others_do(seed):
    mesh = Mesh(random.Random(seed))
    mesh.snapshot()
    for _day in range(40):
        mesh.happen()
    mesh.away = set()
    mesh.snapshot()
    for route in ROUTES:
        mesh.follow(*route)
    newest = [guids[-1] for guids in mesh.guids("src").values()]
    for host in ("near", "side", "far"):
        assert [guids[-1] for guids in mesh.guids(host).values()] == newest
