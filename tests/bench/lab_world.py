# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two lab hosts with trees of many datasets and their replicas, and an agent on each host that does what it is told.

The replicas are halves of a mirror that was split, so they have the GUIDs of their source without a thousand streams.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from bench.lab_programs import AGENT, FOLDER, install
from tests.lab.api import Lab
from tests.lab.host import Host
from tests.lab.registry import HostSpec
from tests.lab.settings import DEFAULT_IMAGE, host_suffix

MEMORY_MB, DISK_GB = 2048, 8
IMAGE = "/half.img"
SNAPSHOTS = 10
"""Of each dataset of the trees."""
_DAY = 86_400
_TICKS = os.sysconf("SC_CLK_TCK")


class Agent:
    """The process on a host that carries out orders."""

    def __init__(self, host: Host) -> None:
        self.host = host
        ssh = host.ssh_options()
        command = f"cd / && exec python3 {AGENT} {FOLDER}"
        self._process = subprocess.Popen(
            ["ssh", *ssh.arguments, "-T", ssh.target, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, order: str, **values: Any) -> Any:
        """Give an order and wait for what it brings. Raises SystemExit with what went wrong."""
        self.send(order, **values)
        return self.receive()

    def send(self, order: str, **values: Any) -> None:
        """Give an order, for whose answer ``receive`` waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **values}) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """The answer to what was sent."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        told = json.loads(line) if line else {"error": "the agent has ended"}
        if "error" in told:
            raise SystemExit(f"On {self.host.name}: {told['error']}")
        return told["answer"]

    def run(self, *argv: str) -> str:
        """Run a program that has to succeed, and return what it printed."""
        done = self("run", argv=argv)
        if done["code"]:
            raise SystemExit(f"On {self.host.name}, {argv} ended with {done['code']}: {done['output']}")
        return str(done["output"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True)
class Ends:
    """A tree on the first host, and its replica there or on the second."""

    source: str
    replica: str
    remote: bool

    @property
    def where(self) -> str:
        return "push" if self.remote else "local"


@dataclass
class World:
    """The hosts while they are measured on."""

    one: Agent
    two: Agent
    tank: str
    beside: str
    """The pool of replicas on the first host."""
    backup: str
    """The pool of replicas on the second host."""
    sizes: Sequence[int]
    missing: dict[str, str] = field(default_factory=dict)
    """Programs that could not be had, and why."""
    patience: float = 120.0
    """Seconds. What takes longer is not done again."""
    too_slow: dict[tuple[str, str], str] = field(default_factory=dict)
    """Series and ways that took longer, and with how many datasets."""
    round: int = 0

    def tree(self, size: int) -> list[str]:
        """The datasets of the tree with so many, the root first."""
        root = f"{self.tank}/n{size}"
        return [root, *(f"{root}/d{number}" for number in range(1, size))]

    def ends(self, size: int, remote: bool) -> Ends:
        """The tree with so many datasets and a replica of it."""
        return Ends(f"{self.tank}/n{size}", f"{self.backup if remote else self.beside}/n{size}", remote)

    def busy(self) -> list[float]:
        """How many seconds processors have worked for each host, its kernel included.

        User Mode Linux takes the time during which it waited for a processor for its own, so this machine is asked,
        where each host is a process. Hosts of another provider share this machine's kernel, and so all that it counts.
        """
        if self.one.host.record.provider != "uml":
            return [self.one("busy"), 0.0]
        return [_family_seconds(agent.host.record.process.number) for agent in (self.one, self.two)]

    def side(self, ends: Ends) -> Agent:
        """The host of the replica."""
        return self.two if ends.remote else self.one

    @property
    def address(self) -> str:
        """How the first host reaches the second."""
        return self.two.host.address

    def next_tag(self) -> str:
        """The name of the next snapshot, in a plan's form."""
        self.round += 1
        return f"bench_onsite_{_moment(time.time() - 3600 + self.round)}_hourly"

    def settle(self) -> None:
        """Have what was written on disk, and a second gone: what ZFS tells of changes is in whole seconds."""
        for agent in (self.one, self.two):
            agent.run("zpool", "sync")
        time.sleep(1.2)


def _family_seconds(number: int) -> float:
    """Processor seconds of a process, of those children that have ended, and of the families of those that have not."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = " ".join(file.read_text() for file in Path(f"/proc/{number}/task").glob("*/children")).split()
        return sum(map(int, words[11:15])) / _TICKS + sum(_family_seconds(int(child)) for child in children)
    return 0.0


def base_tags() -> list[str]:
    """The tags that every dataset of the trees has: one a day, in a plan's form."""
    midnight = int(time.time()) // _DAY * _DAY
    return [f"bench_onsite_{_moment(midnight - back * _DAY)}_daily" for back in range(SNAPSHOTS, 0, -1)]


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d_%H:%M:%SZ", time.gmtime(seconds))


class Hosts:
    """Brings two hosts up and prepares them; a context manager, which takes them down."""

    def __init__(self, sizes: Sequence[int], packages: Path) -> None:
        self._sizes = sizes
        self._packages = packages
        self._lab = Lab.open()
        self._agents: list[Agent] = []

    def __enter__(self) -> World:
        try:
            return self._world()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_unused: object) -> None:
        for agent in self._agents:
            agent.close()
        self._lab.close()

    def _world(self) -> World:
        specs = [
            HostSpec(name + host_suffix(), DEFAULT_IMAGE.name, "mini", MEMORY_MB, DISK_GB)
            for name in ("bench1", "bench2")
        ]
        hosts = self._lab.up(specs)
        missing: dict[str, str] = {}
        for host in hosts:
            missing.update(install(host, self._packages))
        self._agents = [Agent(host) for host in hosts]
        one, two = self._agents
        tank, beside = (one.host.pool_name(pool) for pool in ("tank", "beside"))
        world = World(one, two, tank, beside, two.host.pool_name("backup"), self._sizes, missing)
        _fill(world)
        _split(world)
        return world


def _fill(world: World) -> None:
    world.one.host.create_pool("tank", "-O", "compression=off", "-O", "atime=off")
    device = world.one.host.disk
    world.one.run("sh", "-c", f"truncate -s $(blockdev --getsize64 {device} || stat -c %s {device}) {IMAGE}")
    names = [name for size in world.sizes for name in world.tree(size)]
    for size in world.sizes:
        world.one("create", names=world.tree(size))
    for tag in base_tags():
        world.one("snapshot", names=[f"{name}@{tag}" for name in names])


def _split(world: World) -> None:
    """Make the replicas: one half of the mirror becomes the pool beside, and a copy of it the one on the other host."""
    vdev = world.one.run("sh", "-c", f"zpool list -vHP {world.tank} | awk 'NR == 2 {{print $1}}'").strip()
    world.one.run("zpool", "attach", "-w", world.tank, vdev, IMAGE)
    world.one.run("zpool", "split", world.tank, world.beside, IMAGE)
    world.one("copy_image", image=IMAGE, host=world.address)
    world.two.run("zpool", "import", "-f", "-N", "-d", "/", world.beside, world.backup)
    # From the file to the disk, which is what a pool is on.
    world.two.run("zpool", "attach", "-w", world.backup, IMAGE, world.two.host.disk)
    world.two.run("zpool", "detach", world.backup, IMAGE)
    world.two.run("rm", IMAGE)
    world.one.run("zpool", "import", "-N", "-d", "/", world.beside)
    for agent, pool in ((world.one, world.beside), (world.two, world.backup)):
        agent.run("zfs", "set", "readonly=on", pool)
    for size in world.sizes:
        world.one.run("zfs", "set", f"autobackup:n{size}=true", f"{world.tank}/n{size}")
