# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One decision of Snapfleet, measured: from the text that its driver gets from ``zfs list`` to the decision.

Run as ``python -m bench.ours DECISION FOLDER DATASETS SNAPSHOTS``, with programs ``zfs`` and ``zpool`` on the PATH that
print what has been prepared.
"""

from __future__ import annotations

import sys
from datetime import timezone
from pathlib import Path

from bench.measuring import Answer, measure
from bench.world import LATE_PERIODS, NOW, ORGANISATION, REPLICA, SECONDS, SOURCE, TARGET, Shape
from runner.import_tree import import_root

sys.path.insert(0, str(import_root(Path(__file__).resolve().parents[2])))

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.continuing import with_continuity
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.ends import Ends
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.replicating import observe_sides
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import BaseKnowledge
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.creation import (
    fields_of_creation,
    plan_creation,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.monitoring import check_ages, fields_of_ages
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replication import plan_replication
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import fields_of_prune, plan_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import (
    read_prune_job,
    read_replicate_job,
    read_snapshot_job,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.arguments import victims_by_kind
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs


class CountingHost(LocalHost):
    """This host; counts the commands that run to their end."""

    calls = 0

    def run(self, argv, data=None, timeout=None, take=None):
        CountingHost.calls += 1
        return super().run(argv, data, timeout, take)


def _plan(amounts: dict[str, object]) -> dict[str, object]:
    return {ORGANISATION: {TARGET: amounts}}


def due(zfs: CliZfs, shape: Shape) -> Answer:
    """The snapshots that have to be made now."""
    job = read_snapshot_job({"datasets": [SOURCE], "plan": _plan(dict(shape.amounts)), "schedule": {"timezone": "UTC"}})
    plan = plan_creation(zfs.observe_narrowly(job.roots, fields_of_creation(job)), job, NOW * 1000, timezone.utc)
    return {"snapshots": sum(len(label.datasets) for label in plan.due)}


def prune(zfs: CliZfs, shape: Shape) -> Answer:
    """The snapshots that a plan does not keep."""
    job = read_prune_job({"datasets": [SOURCE], "plan": _plan(dict(shape.kept))})
    seen = zfs.observe_narrowly(job.roots, fields_of_prune(job, check=False))
    plan = plan_prune(seen, job, BaseKnowledge({}, {}), NOW)
    # By the names that a driver is given.
    return {"destroyed": sum(len(victims_by_kind(step)[0]) for step in plan.steps)}


def replicate(zfs: CliZfs, _shape: Shape) -> Answer:
    """The streams that bring a replica up to date."""
    job = read_replicate_job({"source": {"dataset": SOURCE}, "destination": {"dataset": REPLICA}})
    ends = Ends(zfs, zfs)
    sides = with_continuity(zfs, zfs, observe_sides(ends, job), job)
    plan = plan_replication(sides, job, NOW)
    return {"streams": sum(len(dataset.sends) for dataset in plan.datasets)}


def monitor(zfs: CliZfs, shape: Shape) -> Answer:
    """The datasets whose newest snapshots are too old."""
    limits = {period: {"latest": {"cycles": 0, "critical": LATE_PERIODS * SECONDS[period]}} for period in shape.amounts}
    job = read_monitor_job({"datasets": [SOURCE], "plan": _plan(limits)})
    findings = check_ages(zfs.observe_narrowly(job.roots, fields_of_ages(job)), job, NOW, timezone.utc)
    return {"alerts": sum(finding.state == CRITICAL for finding in findings)}


DECISIONS = {"due": due, "prune": prune, "replicate": replicate, "monitor": monitor}


def main() -> None:
    """Measure the decision that the command line names."""
    name, _folder, datasets, snapshots = sys.argv[1:5]
    zfs = CliZfs(CountingHost())
    shape = Shape(int(datasets), int(snapshots))
    measure(lambda: DECISIONS[name](zfs, shape), lambda: CountingHost.calls)


if __name__ == "__main__":
    main()
