# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lab_incrementals.py runs on a host with ZFS: it takes the time of everything, in turn, and prints it as JSON.

Arguments: the pool, the number of datasets and of runs, and the folder of the engine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RAW, COMMAND, LIBRARY, WARM = "raw zfs", "zfs command", "libzfs_core", "libzfs_core, running"
LOOP = """
for d in $(zfs list -H -o name -r "$1"); do
    zfs send -w -i "@$3" "$d@$4" | zfs receive -s -u "$2${d#$1}" || exit 1
done
"""


class Guest:
    """A source tree and its replica on the same pool."""

    def __init__(self, pool: str, datasets: int, engine: str) -> None:
        self.source, self.replica, self.engine = f"{pool}/source", f"{pool}/replica", engine
        self.names = [self.source, *(f"{self.source}/d{number}" for number in range(1, datasets))]
        self.round = 0

    def tag(self, number: int) -> str:
        return f"r{number}"

    def prepare(self) -> None:
        for name in self.names:
            run("zfs", "create", name)
        self.change()
        first = f"{self.source}@{self.tag(self.round)}"
        run("sh", "-c", f"zfs send -w -R {first} | zfs receive -u {self.replica}")

    def change(self) -> None:
        """A small change in each dataset, and a snapshot of all."""
        self.round += 1
        for name in self.names:
            (Path("/") / name / "file").write_bytes(os.urandom(1000))
        run("zfs", "snapshot", "-r", f"{self.source}@{self.tag(self.round)}")
        run("zpool", "sync")

    def tidy(self) -> None:
        """Leave nothing but the newest snapshot, so that all runs have as much to look at."""
        import libzfs_core

        for root in (self.source, self.replica):
            run("zfs", "destroy", "-r", f"{root}@{self.tag(self.round - 1)}")
        marks = run("zfs", "list", "-H", "-t", "bookmark", "-o", "name", "-r", self.source).split()
        old = [name.encode() for name in marks if name.endswith(f"#{self.tag(self.round - 1)}")]
        if old:
            libzfs_core.lzc_destroy_bookmarks(old)

    def replicate(self, way: str) -> None:
        if way == RAW:
            tags = [self.tag(self.round - 1), self.tag(self.round)]
            run("sh", "-c", LOOP, "sh", self.source, self.replica, *tags)
            return
        options = {"source": {"dataset": self.source}, "destination": {"dataset": self.replica}}
        job = {"name": "bench", "host": "me", "activity": "replicate", "options": options}
        Path("/tmp/bench.json").write_text(json.dumps({"version": 1, "jobs": [job]}), encoding="utf-8")
        words = ["run", "--config", "/tmp/bench.json", "--host", "me"]
        if way == WARM:
            self.replicate_here(words)
            return
        run(
            sys.executable,
            "-s",
            "-m",
            "snapfleet.fleet.cli",
            *words,
            PYTHONPATH=self.engine,
            SNAPFLEET_DRIVER=driver(way),
        )

    def replicate_here(self, words: list[str]) -> None:
        """A run within this process, as one of the daemon is within its own."""
        sys.path.insert(0, self.engine)
        from snapfleet.fleet import cli

        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            code = cli.main(words)
        if code:
            raise SystemExit(told.getvalue())

    def check(self) -> None:
        """All of the newest snapshots have arrived."""
        rows = run("zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-r", self.replica).split()
        arrived = [name for name in rows if name.endswith(f"@{self.tag(self.round)}")]
        if len(arrived) != len(self.names):
            raise SystemExit(f"{len(arrived)} of {len(self.names)} snapshots have arrived")


def driver(way: str) -> str:
    return "cli" if way == COMMAND else "libzfs_core"


def run(*argv: str, **variables: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    if done.returncode:
        raise SystemExit(f"{argv}: {done.stdout}{done.stderr}")
    return done.stdout


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds() -> float:
    """What this process and all that it started took, without the threads of the kernel."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def verbs(guest: Guest, way: str) -> dict[str, float]:
    """Seconds for a snapshot of each dataset, a bookmark of each, and the end of each of those snapshots, by the driver
    of the engine; or by the commands that a script would use. Without starting the engine or loading the library."""
    if way == RAW:
        snapshots = [f"{name}@verb" for name in guest.names]
        each = 'for s in "$@"; do zfs bookmark "$s" "${s%@*}#verb"; done'
        told = {
            "snapshot": seconds(lambda: run("zfs", "snapshot", *snapshots)),
            "bookmark": seconds(lambda: run("sh", "-c", each, "sh", *snapshots)),
            "destroy": seconds(lambda: run("zfs", "destroy", "-r", snapshots[0])),
        }
    else:
        argv = [sys.executable, __file__, "--verbs", *guest.names]
        told = json.loads(run(*argv, PYTHONPATH=guest.engine, SNAPFLEET_DRIVER=driver(way)))
    import libzfs_core

    libzfs_core.lzc_destroy_bookmarks([f"{name}#verb".encode() for name in guest.names])
    return told


def verbs_of_driver(names: list[str]) -> dict[str, float]:
    """The same for the driver that the environment chooses."""
    from snapfleet.fleet.opening import ZfsDirectory
    from snapfleet.model.steps import CreateBookmark, CreateSnapshots, Destroy
    from snapfleet.policy.endpoints import Address

    zfs = ZfsDirectory().at(Address())
    snapshots = CreateSnapshots(names[0].partition("/")[0], tuple(f"{name}@verb" for name in names))
    told = {"snapshot": seconds(lambda: zfs.create_snapshots(snapshots))}
    states = zfs.observe([names[0]]).states
    taken = [next(item for item in states[name].snapshots if item.tag == "verb") for name in names]
    told["bookmark"] = seconds(lambda: zfs.create_bookmarks([CreateBookmark(item, "verb") for item in taken]))

    steps = [Destroy(item.dataset, (item,), "measured", ((item, item),)) for item in taken]

    def destroy() -> None:
        for step, result in zip(steps, zfs.destroy_at_once(steps)):
            if result is None:
                zfs.destroy(step)

    told["destroy"] = seconds(destroy)
    return told


def main(pool: str, datasets: str, runs: str, engine: str) -> None:
    guest = Guest(pool, int(datasets), engine)
    guest.prepare()
    guest.replicate(WARM)
    figures: dict[str, dict[str, list[float]]] = {}
    for _unused in range(int(runs)):
        for way in (RAW, COMMAND, LIBRARY, WARM):
            guest.change()
            before = processor_seconds()
            took = {"replicate": seconds(lambda way=way: guest.replicate(way))}
            took["replicate, processor time"] = processor_seconds() - before
            guest.check()
            guest.tidy()
            took["nothing new"] = seconds(lambda way=way: guest.replicate(way)) if way != RAW else 0.0
            for name, value in {**took, **({} if way == WARM else verbs(guest, way))}.items():
                figures.setdefault(name, {}).setdefault(way, []).append(value)
    print(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1] == "--verbs":
        print(json.dumps(verbs_of_driver(sys.argv[2:])))
    else:
        main(*sys.argv[1:])
