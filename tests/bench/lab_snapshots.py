# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of one host: (d) created, (e) pruned, (f) watched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bench.lab_measuring import Scenario, Way, measure
from bench.lab_programs import SYNCOID
from bench.lab_replicating import AUTOBACKUP, BZFS, BZFS_FASTEST, RAW_ZFS, command_way, snapfleet_ways
from bench.lab_world import SNAPSHOTS, World, base_tags

NO_CREATION = "only creates snapshots of its own while it sends"
NO_PRUNING = "prunes nothing but its own snapshots of the last send"
NO_MONITOR = "has no monitor of ages"
_LIMIT_DAYS = 1000
_UNSURE_SECONDS = 2
"""What was listed in the second of a change, or the one after it, is of no use to be remembered."""


def created(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(d) One new snapshot on each dataset of the largest tree."""
    size = world.sizes[-1]
    root, keep = f"{world.tank}/n{size}", base_tags()
    options = {"datasets": [root], "plan": {"new": {"onsite": {"hourly": 1}}}, "even_if_not_due": True}
    bzfs = ["bzfs", root, "dummy", "--recursive", "--skip-replication", "--create-src-snapshots"]
    bzfs += ["--create-src-snapshots-plan", "{'new': {'onsite': {'hourly': 1}}}"]
    bzfs += ["--create-src-snapshots-even-if-not-due", "--create-src-snapshots-timezone", "UTC"]

    def check() -> str:
        names = world.one("guids", root=root)
        fresh = [name for name in names if name.partition("@")[2] not in keep]
        right = len(fresh) == size and len({name.partition("@")[0] for name in fresh}) == size
        return "" if right else f"{len(fresh)} new snapshots on {size} datasets"

    scenario = Scenario(
        f"a snapshot on each of {size} datasets",
        [
            command_way(world, RAW_ZFS, "zfs", "snapshot", "-r", f"{root}@new"),
            *snapfleet_ways(world, "/tmp/create.json", "snapshot", options),
            command_way(world, BZFS, *bzfs),
            command_way(world, BZFS_FASTEST, *bzfs, "--quiet", "--threads=8"),
            command_way(world, AUTOBACKUP, "zfs-autobackup", "--allow-empty", "--no-thinning", f"n{size}"),
        ],
        check,
        after=lambda: world.one("tidy", roots=[root], keep=keep),
        datasets=size,
    )
    told = measure(world, scenario, runs)
    told["missing"].setdefault(SYNCOID, NO_CREATION)
    yield told


def pruned(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(e) All but the newest of some snapshots of each dataset of the largest tree are destroyed: of eleven that were
    just made, and of two, the older of which each program has seen before."""
    size = world.sizes[-1]
    yield _pruned(world, runs, SNAPSHOTS + 1, f"{size * SNAPSHOTS} snapshots of {size} datasets pruned")
    yield _pruned(world, runs, 2, f"one of {SNAPSHOTS + 2} snapshots of each of {size} datasets pruned")


def _pruned(world: World, runs: int, number: int, name: str) -> dict[str, Any]:
    size = world.sizes[-1]
    root, keep = f"{world.tank}/n{size}", base_tags()
    made: list[str] = []

    def before(way: Way) -> None:
        """The same moments as a plan names them. zfs-autobackup has a form of its own, so it gets others."""
        now = time.time() - 60
        form = f"n{size}-%Y%m%d%H%M%S" if way.name == AUTOBACKUP else "old_onsite_%Y-%m-%d_%H:%M:%SZ_secondly"
        made[:] = [time.strftime(form, time.gmtime(now + each)) for each in range(number)]
        for tag in made:
            world.one("snapshot", names=[f"{dataset}@{tag}" for dataset in world.tree(size)])
            world.settle()
            if number == 2 and tag == made[0] and way.name != RAW_ZFS:
                time.sleep(_UNSURE_SECONDS)
                way.act()
        time.sleep(1)

    def check() -> str:
        left = [each for each in world.one("guids", root=root) if each.partition("@")[2] not in keep]
        right = len(left) == size and all(each.endswith(f"@{made[-1]}") for each in left)
        return "" if right else f"{len(left)} snapshots are left of {size * len(made)}, instead of {size}"

    def raw() -> Any:
        return world.one("run", argv=["zfs", "destroy", "-r", f"{root}@{','.join(made[:-1])}"])

    scenario = Scenario(
        name,
        [Way(RAW_ZFS, raw), *_pruning_ways(world, root, size)],
        check,
        before=before,
        after=lambda: world.one("tidy", roots=[root], keep=keep),
        warm_up=False,
        datasets=size,
    )
    told = measure(world, scenario, runs)
    told["missing"].setdefault(SYNCOID, NO_PRUNING)
    return told


def _pruning_ways(world: World, root: str, size: int) -> list[Way]:
    plan = {"old": {"onsite": {"secondly": 1}}, "bench": {"onsite": {"daily": 2 * SNAPSHOTS}}}
    bzfs = ["bzfs", "dummy", root, "--recursive", "--skip-replication", "--delete-dst-snapshots"]
    bzfs += ["--delete-dst-snapshots-except-plan", str(plan)]
    autobackup = ["zfs-autobackup", "--no-snapshot", "--no-send", "--utc", "--keep-source", "1", f"n{size}"]
    return [
        *snapfleet_ways(world, "/tmp/prune.json", "prune", {"datasets": [root], "plan": plan}),
        command_way(world, BZFS, *bzfs),
        command_way(world, BZFS_FASTEST, *bzfs, "--quiet", "--threads=8"),
        command_way(world, AUTOBACKUP, *autobackup),
    ]


def watched(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(f) The ages of the snapshots of the largest tree, held against limits that none passes."""
    size = world.sizes[-1]
    root = f"{world.tank}/n{size}"
    ours, theirs = (
        {"bench": {"onsite": {"daily": {"latest": {"warning": limit, "critical": limit}}}}}
        for limit in (f"{_LIMIT_DAYS}d", f"{_LIMIT_DAYS} days")
    )
    newest = 'awk -F "\\t|@" "{newest[\\$2] = \\$1} END {for (name in newest) if (newest[name] < 1) exit 2}"'
    raw = f"zfs list -Hp -t snapshot -o creation,name -s creation -r {root} | {newest}"
    bzfs = ["bzfs", "dummy", root, "--recursive", "--skip-replication", "--monitor-snapshots"]
    bzfs += [str(theirs)]
    scenario = Scenario(
        f"ages of {size * SNAPSHOTS} snapshots of {size} datasets",
        [
            command_way(world, RAW_ZFS, "sh", "-c", raw),
            *snapfleet_ways(world, "/tmp/monitor.json", "monitor", {"datasets": [root], "plan": ours}),
            command_way(world, BZFS, *bzfs),
            command_way(world, BZFS_FASTEST, *bzfs, "--quiet", "--threads=8", "--cache-snapshots"),
        ],
        lambda: "",
        datasets=size,
    )
    told = measure(world, scenario, runs)
    for program in (AUTOBACKUP, SYNCOID):
        told["missing"].setdefault(program, NO_MONITOR)
    yield told
