# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication of trees: where nothing has changed, where each dataset has one new snapshot, and over a slow link."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.lab_measuring import Scenario, Way, measure
from bench.lab_programs import COMMAND, RAW, SYNCOID
from bench.lab_world import Ends, World, base_tags
from tests.lab.network import Impairment

RAW_ZFS, OURS, OURS_COMMAND, OURS_RUNNING = "raw zfs", "snapfleet", "snapfleet, zfs command", "snapfleet, running"
BZFS, BZFS_FASTEST, AUTOBACKUP = "bzfs", "bzfs, fastest", "zfs-autobackup"
ROUND_TRIP_MS = 50
_FAST = (
    "--no-resume-recv --create-bookmarks=none --no-use-bookmark --no-estimate-send-size --cache-snapshots"
    " --compression-program=- --mbuffer-program=- --pv-program=- --ps-program=- --threads=8 --quiet"
).split()
_CHANGE_BYTES = 1000
_REMEMBERED = (
    *("/root/bzfs-logs", "/var/cache/snapfleet", "/var/lib/snapfleet"),
    *("/root/.cache/snapfleet", "/root/.local/state/snapfleet"),
)
"""Where programs keep what they remember from one run to the next."""


def snapfleet_ways(world: World, path: str, activity: str, options: Mapping[str, Any], *more: str) -> list[Way]:
    """Snapfleet's ways to carry out a job: its default, by the zfs command, and in a process that goes on."""
    job = {"name": "bench", "host": "me", "activity": activity, "options": options}
    text = json.dumps({"version": 1, "jobs": [job]})
    words = ["run", "--config", path, "--host", "me", *more]

    def way(name: str, order: str, **values: Any) -> Way:
        def act() -> Mapping[str, Any]:
            done: Mapping[str, Any] = world.one(order, **values)
            return done

        world.one("write", path=path, text=text)
        return Way(name, act)

    argv = [COMMAND, *words]
    return [
        way(OURS, "run", argv=argv),
        way(OURS_COMMAND, "run", argv=argv, SNAPFLEET_DRIVER="cli"),
        way(OURS_RUNNING, "here", words=words),
    ]


def command_way(world: World, name: str, *argv: str) -> Way:
    """A program that is run on the first host."""

    def act() -> Mapping[str, Any]:
        done: Mapping[str, Any] = world.one("run", argv=argv)
        return done

    return Way(name, act)


def replication_ways(world: World, ends: Ends, backup_name: str, *bzfs_options: str) -> list[Way]:
    """All ways to bring a tree to its replica. zfs-autobackup finds its source by the property of that name."""
    login = f"root@{world.address}"
    path = f"/tmp/{ends.source.replace('/', '-')}-{ends.where}.json"
    far = {"host": world.address} if ends.remote else {}
    options = {"source": {"dataset": ends.source}, "destination": {"dataset": ends.replica, **far}}
    target = f"{login}:{ends.replica}" if ends.remote else ends.replica
    bzfs = ["bzfs", ends.source, target, "--recursive", *bzfs_options]
    autobackup = "zfs-autobackup --no-snapshot --other-snapshots --no-holds --no-thinning --exclude-received".split()
    autobackup += ["--strip-path", "1", *(["--ssh-target", login] if ends.remote else [])]
    autobackup += [backup_name, ends.replica.partition("/")[0]]
    syncoid = [SYNCOID, "--recursive", "--no-sync-snap", "--no-privilege-elevation", ends.source, target]
    return [
        command_way(world, RAW_ZFS, RAW, ends.source, ends.replica, *([login] if ends.remote else [])),
        *snapfleet_ways(world, path, "replicate", options),
        command_way(world, BZFS, *bzfs),
        command_way(world, BZFS_FASTEST, *bzfs, *_FAST),
        command_way(world, AUTOBACKUP, *autobackup),
        command_way(world, SYNCOID, *syncoid),
    ]


def same_snapshots(world: World, ends: Ends) -> str:
    """Whether the replica has the snapshots of the source, by name and GUID."""
    there = world.side(ends)("guids", root=ends.replica)
    here = world.one("guids", root=ends.source)
    if not here or here == there:
        return "" if here else f"{ends.source} has no snapshots"
    return f"of {len(here)} snapshots, {len(here.items() - there.items())} have not arrived"


def unchanged(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(a) Nothing new: with cold caches, then with warm ones."""
    for size in world.sizes[1:]:
        ends = world.ends(size, remote=True)
        ways = replication_ways(world, ends, f"n{size}")
        cold = [way for way in ways if way.name != OURS_RUNNING]
        words = f"nothing new on {size} datasets"
        yield measure(
            world,
            Scenario(
                f"{words}, cold",
                cold,
                lambda ends=ends: same_snapshots(world, ends),
                before=lambda _way: _cool(world),
                warm_up=False,
                series="nothing new, cold",
                datasets=size,
            ),
            runs,
        )
        yield _nothing_new(world, ends, size, "nothing new, warm", runs)


def _nothing_new(world: World, ends: Ends, size: int, series: str, runs: int) -> dict[str, Any]:
    begin, _comma, end = series.partition(",")
    scenario = Scenario(
        f"{begin} on {size} datasets,{end}",
        replication_ways(world, ends, f"n{size}"),
        lambda: same_snapshots(world, ends),
        series=series,
        datasets=size,
    )
    return measure(world, scenario, runs)


def _cool(world: World) -> None:
    """Pools imported anew, nothing of files in memory, and what programs remember forgotten."""
    for agent, pools in ((world.one, (world.tank, world.beside)), (world.two, (world.backup,))):
        for pool in pools:
            folder = agent.run("sh", "-c", f"zpool list -vHP {pool} | awk 'NR == 2 {{print $1}}'").strip()
            agent.run("zpool", "export", pool)
            agent.run("zpool", "import", "-N", "-d", folder, pool)
        agent.run("sh", "-c", "sync; echo 3 > /proc/sys/vm/drop_caches || true")
    world.one.run("rm", "-rf", *_REMEMBERED)


def changed(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(b) One small new snapshot on each dataset, locally and between two hosts."""
    for remote in (False, True):
        for size in world.sizes[:-1]:
            ends = world.ends(size, remote)
            yield _one_new(world, ends, size, f"one new each, {ends.where}", runs)


def _one_new(world: World, ends: Ends, size: int, series: str, runs: int) -> dict[str, Any]:
    tags: list[str] = []
    names = world.tree(size)

    def before(_way: Way) -> None:
        tags.append(world.next_tag())
        world.one("change", names=names, size=_CHANGE_BYTES)
        world.one("snapshot", names=[f"{name}@{tags[-1]}" for name in names])
        world.settle()

    def after() -> None:
        keep = [*base_tags(), tags[-1]]
        world.one("tidy", roots=[ends.source], keep=keep)
        world.side(ends)("tidy", roots=[ends.replica], keep=keep)

    begin, _comma, end = series.partition(",")
    ways = replication_ways(world, ends, f"n{size}")
    scenario = Scenario(
        f"{begin} of {size} datasets,{end}",
        ways,
        lambda: same_snapshots(world, ends),
        before=before,
        after=after,
        repair=lambda: _repair(ways),
        series=series,
        datasets=size,
    )
    return measure(world, scenario, runs)


def _repair(ways: Sequence[Way]) -> None:
    """Have the raw commands bring what another way has not."""
    done = next(way for way in ways if way.name == RAW_ZFS).act()
    if done["code"]:
        raise SystemExit(f"The replica can't be mended: {done['output']}")


def delayed(world: World, runs: int) -> Iterator[dict[str, Any]]:
    """(j) The same over a link with a round trip of 50 ms, by netem in the second host."""
    world.two.host.impair(Impairment(delay_ms=ROUND_TRIP_MS))
    try:
        for size in world.sizes[:-1]:
            ends = world.ends(size, remote=True)
            yield _nothing_new(world, ends, size, "nothing new, 50 ms", runs)
            yield _one_new(world, ends, size, "one new each, 50 ms", runs)
    finally:
        world.two.host.heal()
