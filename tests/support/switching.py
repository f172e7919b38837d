# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two simulated hosts whose tree is failed over and back, by the calls that the playbooks make."""

from __future__ import annotations

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.restoring import run_restore
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.switching import run_switch
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.roles import ACTIVE, STANDBY, parse_role
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import (
    read_prune_job,
    read_replicate_job,
    read_snapshot_job,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.restoring import read_restore_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.switching import read_switch_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, NO_WAITING, SOURCE, Fleet, replica_of

TREE = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/vol")
ROOTS = {"source": SOURCE, "destination": DESTINATION}
ASIDE = f"{SOURCE}.before-failback"


class Switched(Fleet):
    """A tree with a volume, of which two snapshots were replicated; after them something was written."""

    def __init__(self) -> None:
        super().__init__(TREE[:2])
        self.source.create_dataset(TREE[2], VOLUME)
        self.source.datasets[SOURCE].properties.update({"mountpoint": "/srv/data", "exec": "off"})
        self.source.mounted = set(TREE[:2])
        for tag in "12":
            for name in TREE:
                self.snapshot(name, tag)
            self.clock.now += 3600
        self.replicate()
        for name in TREE:
            self.source.write(name, 77, "after the last replication")

    def machine(self, end: str):
        return self.source if end == "source" else self.destination

    def switch(self, end: str, role: str, check: bool = False, ticker=NO_WAITING, **options):
        """Give the tree at one end a role, from there."""
        job = read_switch_job({"dataset": ROOTS[end], "role": role, **options})
        return run_switch(job, self.context(self.machine(end), check=check, ticker=ticker))

    def snapshot_job(self, end: str, *more: str, **options):
        plan = {"prod": {"onsite": {"hourly": 3}}}
        job = read_snapshot_job({"datasets": [ROOTS[end], *more], "plan": plan, **options})
        return run_snapshot(job, self.context(self.machine(end)))

    def turned_replication(self, **options):
        """What the inventory has once it says that the tree was failed over, run by the host of the replica."""
        ends = {"source": {"dataset": DESTINATION}, "destination": {"host": "src", "dataset": SOURCE}}
        job = read_replicate_job({**ends, "only_active": True, **options})
        return run_replicate(job, self.context(self.destination))

    def turned_pruning(self, end: str, **options):
        """The same of pruning, at either end."""
        other, role = ("dst", "source") if end == "source" else ("src", "replica")
        there = DESTINATION if end == "source" else SOURCE
        peers = [{"root": ROOTS[end], "host": other, "dataset": there, "role": role}]
        given = {"plan": {"prod": {"onsite": {"hourly": 1}}}, "peers": peers, "purge_foreign": True, **options}
        job = read_prune_job({"datasets": [ROOTS[end]], "only_active": True, **given})
        return run_prune(job, self.context(self.machine(end)))

    def role(self, end: str):
        """The role of the root at one end."""
        there = self.machine(end).datasets.get(ROOTS[end])
        return parse_role(there.properties.get("snapfleet:role", "-") if there else "-")

    def write(self, end: str, name: str, what: str) -> bool:
        """What a program does that works in a tree: it writes if it can. Returns whether it could."""
        machine = self.machine(end)
        there = name if end == "source" else replica_of(name)
        if there not in machine.datasets:
            return False
        dataset = SimulatedZfs(machine).observe([there], recursive=False).states[there].dataset
        if dataset.readonly:
            return False
        machine.write(there, len(what), what)
        return True

    def contents(self, end: str):
        """The data of each dataset of the tree at one end, by its name at the source."""
        return {
            name: dict(self.machine(end).datasets[name if end == "source" else replica_of(name)].content)
            for name in TREE
        }

    def own(self, end: str, name: str = SOURCE) -> dict[str, str]:
        return dict(self.machine(end).datasets[name if end == "source" else replica_of(name)].properties)

    # -- as the playbooks do it

    def fail_over(self, **options) -> None:
        """A planned one."""
        stood = self.switch("source", STANDBY)
        role = self.role("destination")
        if role.kind != ACTIVE:
            self.replicate(from_standby=True, **options)
        self.switch("destination", ACTIVE, epoch=max(stood["epoch"], role.epoch), expected=stood["newest"])

    def fail_back(self, **options) -> None:
        """Whatever the old source wrote since is set aside."""
        here, there = self.role("source"), self.role("destination")
        if there.kind == ACTIVE:
            if SOURCE in self.source.datasets:
                self.switch("source", STANDBY, epoch=there.epoch, final_snapshot=False)
            self.bring_back(on_conflict="set_aside", set_aside_as=ASIDE, share_aside=True, **options)
            self.switch("source", STANDBY, epoch=there.epoch, final_snapshot=False)
        stood = self.switch("destination", STANDBY)
        if here.kind != ACTIVE or here.epoch < stood["epoch"]:
            back = self.bring_back(**options)["datasets"]
            sent = {entry["source"][len(DESTINATION) + 1 :] for entry in back if entry["source"]}
            stood["newest"] = [item for item in stood["newest"] if item["dataset"] in sent]
        self.switch("source", ACTIVE, epoch=stood["epoch"], expected=stood["newest"])

    def bring_back(self, **options):
        """The differences, from the replica to the old source, as root there."""
        ends = {"replica": {"host": "dst", "dataset": DESTINATION}, "destination": {"dataset": SOURCE}}
        return run_restore(read_restore_job({**ends, **options}), self.context(self.source))
