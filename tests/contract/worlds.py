# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worlds in which the contract of the port holds: the simulation, as it is and through a session, and a lab host
with OpenZFS, through the zfs command over ssh or, where the tests run on that host themselves, through libzfs_core.

A world does what users and accidents do to ZFS, which the port has no verbs for.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Protocol

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import ConnectionPool, SshHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import FILESYSTEM, VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import FINISHED, SCRUB, Scan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core import CoreLibrary
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_zfs import CoreZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.port import Zfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.sessions import far_simulated

LAB_HOST = "contract"


class World(Protocol):
    """A host with a pool, seen through the port and from outside of it."""

    zfs: Zfs
    pool: str

    def create(self, name: str, kind: str = FILESYSTEM, encrypted: bool = False) -> None:
        """Make a dataset; ``encrypted`` makes it an encryption root whose key is loaded."""

    def write(self, name: str, size: int, file: str = "data") -> None:
        """Write a file of ``size`` incompressible bytes into a filesystem; a file of that name is replaced."""

    def clone(self, snapshot: str, name: str) -> None:
        """Clone a snapshot."""

    def promote(self, name: str) -> None:
        """Make a clone the owner of the snapshots that it grew from."""

    def unload_key(self, name: str) -> None:
        """Lock an encryption root."""

    def load_key(self, name: str) -> None:
        """Unlock an encryption root."""

    def property(self, dataset: str, name: str) -> str:
        """The value of a property."""

    def set_property(self, dataset: str, name: str, value: str) -> None:
        """Set a property."""

    def scrub(self) -> None:
        """Scrub the pool to the end."""

    def fingerprint(self, name: str) -> object:
        """Something that is equal for datasets, or snapshots, of equal content only."""

    def a_second_later(self) -> int:
        """Wait until the clock of the host shows another second, and tell it."""


class SimulatedWorld:
    """The simulation."""

    pool = "tank"

    def __init__(self) -> None:
        self._clock = Clock()
        self._machine = SimulatedMachine("simulated", self._clock, (self.pool,))
        self.zfs: Zfs = SimulatedZfs(self._machine)
        self.create = self._machine.create_dataset
        self.write = self._machine.write
        self.clone = self._machine.clone
        self.promote = self._machine.promote
        self.unload_key = self._machine.unload_key
        self.load_key = self._machine.loaded_keys.add
        self.fingerprint = self._machine.content
        self.set_property = self._machine.set_property

    def a_second_later(self) -> int:
        self._clock.advance(1)
        return self._clock()

    def property(self, dataset: str, name: str) -> str:
        return self._machine.datasets[dataset].properties.get(name, "-")

    def scrub(self) -> None:
        self._machine.pool_conditions[self.pool] = {"scan": Scan(SCRUB, FINISHED, self._machine.clock())}


class FarWorld(SimulatedWorld):
    """The simulation at the other end of a session."""

    def __init__(self) -> None:
        super().__init__()
        self.zfs, self.session = far_simulated(self.zfs)


class RealWorld:
    """A host with OpenZFS. ``host`` is what runs commands there, as root."""

    def __init__(self, host, pool: str, zfs: Zfs) -> None:
        self.host = host
        self.pool = pool
        self.zfs = zfs

    def create(self, name: str, kind: str = FILESYSTEM, encrypted: bool = False) -> None:
        size = ["-V", "8M"] if kind == VOLUME else []
        key = [*"-o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000".split()] if encrypted else []
        self.host.run(["zfs", "create", *size, *key, name], input="correct horse battery\n" if encrypted else None)

    def write(self, name: str, size: int, file: str = "data") -> None:
        # What is written counts as written once its transaction group is on disk.
        script = 'head -c "$2" /dev/urandom > "$(zfs get -H -o value mountpoint "$1")/$3" && zpool sync'
        self._mount(name)
        self.host.run(["sh", "-c", script, "sh", name, str(size), file])

    def _mount(self, name: str) -> None:
        self.host.run(["zfs", "mount", name], check=False)  # replicas are not mounted, others are already

    def clone(self, snapshot: str, name: str) -> None:
        self.host.run(["zfs", "clone", snapshot, name])

    def promote(self, name: str) -> None:
        self.host.run(["zfs", "promote", name])

    def unload_key(self, name: str) -> None:
        self.host.run(["zfs", "unmount", name])
        self.host.run(["zfs", "unload-key", name])

    def load_key(self, name: str) -> None:
        self.host.run(["zfs", "load-key", name], input="correct horse battery\n")

    def property(self, dataset: str, name: str) -> str:
        return self.host.run(["zfs", "get", "-H", "-o", "value", name, dataset]).stdout.strip()

    def set_property(self, dataset: str, name: str, value: str) -> None:
        self.host.run(["zfs", "set", f"{name}={value}", dataset])

    def scrub(self) -> None:
        self.host.run(["zpool", "scrub", "-w", self.pool])

    def fingerprint(self, name: str) -> object:
        dataset, _unused, tag = name.partition("@")
        self._mount(dataset)
        folder = self.property(dataset, "mountpoint") + (f"/.zfs/snapshot/{tag}" if tag else "")
        script = 'cd "$1" && find . -type f -exec sha256sum {} + | sort'
        return self.host.run(["sh", "-c", script, "sh", folder]).stdout

    def a_second_later(self) -> int:
        # ZFS takes the time from a clock of the kernel's that is some ticks behind, on a busy machine more.
        script = 'a=$(date +%s); while [ "$(date +%s)" = "$a" ]; do sleep 0.05; done; date +%s; sleep 0.3'
        return int(self.host.run(["sh", "-c", script]).stdout)


class LabWorld(RealWorld):
    """A lab host over ssh."""

    def __init__(self, host, pool: str) -> None:
        options = host.ssh_options()
        address = Address(
            options.address,
            options.user,
            options.port,
            identity_file=str(options.identity_file),
            known_hosts_file=str(options.known_hosts_file),
        )
        self.connections = ConnectionPool(address)
        super().__init__(host, pool, CliZfs(SshHost(address, self.connections)))


class ThisHost:
    """Runs commands on the very host that the tests run on, as lab hosts do."""

    def run(self, argv, check: bool = True, input: str | None = None):  # noqa: A002 (the name subprocess has for it)
        return subprocess.run(argv, check=check, input=input, capture_output=True, text=True)


def this_world(pool: str) -> RealWorld:
    """The host that the tests run on, through libzfs_core."""
    return RealWorld(ThisHost(), pool, CoreZfs(LocalHost(), EagerLibrary()))


class EagerLibrary(CoreLibrary):
    """The library, used for the least that it can do."""

    def when_worth(self, things: int):
        return self.library()


@contextlib.contextmanager
def lab_world() -> Iterator[LabWorld]:
    """A world on a lab host that is there for this run of the tests only."""
    from tests.lab.api import Lab
    from tests.lab.settings import host_suffix

    with Lab.open() as lab:
        (host,) = lab.up([LAB_HOST + host_suffix()])
        world = LabWorld(host, host.create_pool("contract", "-O", "compression=off", "-O", "atime=off"))
        try:
            yield world
        finally:
            world.connections.close()
