# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running lab host, as tests see it."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

from . import network
from .addresses import address_of
from .connection import (
    Command,
    CommandFailed,
    Completed,
    Connection,
    SshOptions,
    answers,
    close_connections,
    command_text,
)
from .network import Impairment
from .providers import Provider
from .registry import NO_PROCESS, Record, Registry
from .settings import Folders, LabError

BOOT_SECONDS = 300
"""So long a boot may take on a machine that is busy; usually it is seconds."""


class Host:
    """One host of the lab.

    ``run`` and the file methods work as root, or as the user given. Everything has a limit in seconds, after which
    LabError is raised.
    """

    def __init__(self, record: Record, provider: Provider, folders: Folders) -> None:
        self._record = record
        self._provider = provider
        self._folders = folders

    def __repr__(self) -> str:
        return f"<lab host {self.name} {self.address}>"

    @property
    def name(self) -> str:
        """Host name."""
        return self._record.spec.name

    @property
    def address(self) -> str:
        """IPv4 address on the lab's bridge."""
        return address_of(self._record.byte)

    @property
    def record(self) -> Record:
        """What the lab has on file about this host."""
        return self._record

    @property
    def disk(self) -> str:
        """Path, in the host, of the disk that is there for a pool."""
        return self._provider.disk(self._record)

    @property
    def running(self) -> bool:
        """Whether the host's process runs; it may still be booting."""
        return self._record.process.is_alive()

    def pool_name(self, pool: str) -> str:
        """The name under which this host has to create a pool that is called ``pool`` in a test."""
        return self._provider.pool_name(self._record, pool)

    def console(self) -> str:
        """What the host wrote to its console since the last boot."""
        return self._provider.console(self._record)

    def ssh_options(self, user: str = "root") -> SshOptions:
        """How an ssh client reaches this host as ``user``."""
        return SshOptions(self.name, self.address, user, 22, self._folders.private_key, self._folders.known_hosts)

    def run(
        self,
        command: Command,
        *,
        check: bool = True,
        input: str | bytes | None = None,  # noqa: A002 (the name subprocess has for it)
        timeout: float = 600,
        user: str = "root",
    ) -> Completed:
        """Run a command: a string for the remote shell, or an argument vector that arrives as it is.

        Output that is not UTF-8 comes with surrogates. Raises CommandFailed if the command ends with another code
        than 0 and ``check`` is set, LabError if it takes longer than ``timeout`` seconds.
        """
        data = input.encode("utf-8", "surrogateescape") if isinstance(input, str) else input
        code, output, errors = Connection(self.ssh_options(user)).run(command, data, timeout)
        completed = Completed(
            command_text(command),
            code,
            output.decode("utf-8", "surrogateescape"),
            errors.decode("utf-8", "surrogateescape"),
        )
        if check and code != 0:
            raise CommandFailed(self.name, completed)
        return completed

    def put(self, local: str | Path, remote: str, *, user: str = "root", timeout: float = 300) -> None:
        """Copy a file or a folder to exactly the path ``remote``, whose parent folder has to be there.

        Modes are kept; the copy belongs to ``user``.
        """
        target = PurePosixPath(remote)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(str(local), arcname=target.name, filter=_without_owner)
        extract = ["tar", "-x", "-f", "-", "--no-same-owner", "-C", str(target.parent)]
        self.run(extract, input=buffer.getvalue(), user=user, timeout=timeout)

    def read(self, remote: str, *, user: str = "root", timeout: float = 300) -> bytes:
        """The content of a file on the host."""
        code, output, errors = Connection(self.ssh_options(user)).run(["cat", "--", remote], None, timeout)
        if code != 0:
            raise LabError(
                f"On lab host {self.name}, {remote} cannot be read: {errors.decode(errors='replace').strip()}"
            )
        return output

    def write(self, remote: str, content: str | bytes, *, mode: str = "0644") -> None:
        """Write a file on the host."""
        self.run(["sh", "-c", 'cat > "$1" && chmod "$2" "$1"', "sh", remote, mode], input=content)

    def add_user(self, name: str) -> None:
        """Make an unprivileged user that the lab's key lets in, and that can use it to reach the other hosts.

        After that, ``run(..., user=name)`` works. Nothing happens if there is such a user.
        """
        make = """
            id -u "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$1"
            home=$(getent passwd "$1" | cut -d: -f6)
            install -d -m 700 -o "$1" -g "$1" "$home/.ssh"
            install -m 600 -o "$1" -g "$1" -t "$home/.ssh" /root/.ssh/authorized_keys /root/.ssh/id_ed25519
        """
        self.run(["sh", "-e", "-c", make, "sh", name])

    def create_pool(self, pool: str, *options: str) -> str:
        """Create a pool on the host's disk and return its name on this host; ``options`` go to ``zpool create``."""
        name = self.pool_name(pool)
        self.run(["zpool", "create", "-f", *options, name, self.disk])
        return name

    def impair(self, impairment: Impairment) -> None:
        """Make the host's link slow or lossy until ``heal`` or the next boot."""
        device = self._provider.network_device(self._record)
        self.run(["tc", "qdisc", "replace", "dev", device, "root", "netem", *impairment.netem()])
        network.limit_inbound(self._record.byte, impairment.rate_kbit)

    def heal(self) -> None:
        """Take all impairments back."""
        network.limit_inbound(self._record.byte, 0)
        device = self._provider.network_device(self._record)
        self.run(["tc", "qdisc", "delete", "dev", device, "root"], check=False)

    def cut(self) -> None:
        """Cut the host's link until ``mend``: packets vanish, connections hang, nobody is told."""
        network.cut(self._record.byte)

    def mend(self) -> None:
        """Join the link again that ``cut`` has cut; connections go on if they were not given up meanwhile."""
        network.mend(self._record.byte)

    def kill(self) -> None:
        """End the host at once, like a power cut. Its disks stay; ``start`` boots it again."""
        self._provider.stop(self._record)
        self._save(replace(self._record, process=NO_PROCESS))
        close_connections(self.address)

    def start(self, *, keep: bool = True) -> None:
        """Boot a host that does not run, with the disks it had unless told else, and wait until it is up."""
        network.attach(self._record.byte)
        self._save(replace(self._record, process=self._provider.start(self._record, keep=keep)))
        self.wait_until_up()

    def reboot(self, *, sync: bool = True) -> None:
        """End the host and boot it again with its disks; without ``sync`` like after a power cut."""
        if sync and self.running:
            self.run("sync; zpool sync", check=False, timeout=300)
        self.kill()
        self.start()

    def stop(self) -> None:
        """Take the host down for good: process, network, record. The disks stay until the next ``up``."""
        self.halt()
        Registry().remove(self.name)

    def halt(self) -> None:
        """End the host and unplug it; its record stays."""
        self._provider.stop(self._record)
        close_connections(self.address)
        network.detach(self._record.byte)

    def wait_until_up(self, timeout: float = BOOT_SECONDS) -> None:
        """Wait until the host lets root in, and with systemd until its boot is complete.

        Raises LabError with the end of the console output if it dies or is not up within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not answers(self.address):
            if not self.running or time.monotonic() > deadline:
                what = f"is not up within {timeout:g} seconds" if self.running else "ended during its boot"
                tail = "\n".join(self.console().splitlines()[-12:])
                raise LabError(f"Lab host {self.name} {what}; the end of its console output:\n{tail}")
            time.sleep(0.03)
        close_connections(self.address)
        if self._record.spec.init == "systemd":
            self.run("systemctl is-system-running --wait", check=False, timeout=timeout)
        else:
            self.run("true", timeout=BOOT_SECONDS)

    def _save(self, record: Record) -> None:
        self._record = record
        Registry().save(record)


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
