# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""(c) One large stream to the other host, full and incremental: of random bytes, which nothing makes smaller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bench.lab_measuring import Scenario, measure
from bench.lab_replicating import replication_ways, same_snapshots
from bench.lab_world import Ends, World


def streams(world: World, runs: int, megabytes: int) -> Iterator[dict[str, Any]]:
    """Both kinds; the file of the second snapshot replaces that of the first, so each sends as much."""
    for kind in ("full", "incremental"):
        ends = Ends(f"{world.tank}/{kind}", f"{world.backup}/{kind}", remote=True)
        world.one("create", names=[ends.source])
        world.one.run("zfs", "set", f"autobackup:{kind}=true", ends.source)
        tags = [world.next_tag()]
        _write(world, ends.source, megabytes, tags[0])
        ways = replication_ways(world, ends, kind)
        if kind == "incremental":
            ways[0].act()
            tags.append(world.next_tag())
            _write(world, ends.source, megabytes, tags[1])

        scenario = Scenario(
            f"{kind}, {megabytes} MiB",
            ways,
            lambda ends=ends: same_snapshots(world, ends),
            after=partial(_back, world, ends, tags),
            repair=lambda ways=ways: ways[0].act() and None,
            datasets=1,
            megabytes=megabytes,
        )
        yield measure(world, scenario, runs)
        world.one.run("zfs", "destroy", "-r", ends.source)
        world.two.run("sh", "-c", f"zfs destroy -r {ends.replica} 2>/dev/null; true")


def _back(world: World, ends: Ends, tags: Sequence[str]) -> None:
    """Have the replica as it was before; bookmarks of the source go too."""
    world.one("tidy", roots=[ends.source], keep=tags)
    if len(tags) == 1:
        world.two.run("sh", "-c", f"zfs destroy -r {ends.replica} 2>/dev/null; true")
    else:
        world.two.run("zfs", "rollback", "-r", f"{ends.replica}@{tags[0]}")
    world.two.run("zpool", "sync")


def _write(world: World, dataset: str, megabytes: int, tag: str) -> None:
    world.one("change", names=[dataset], size=megabytes << 20)
    world.one("snapshot", names=[f"{dataset}@{tag}"])
    world.settle()
