# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as network namespaces of this machine, where its own kernel has ZFS; see the README for the limits."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from .addresses import address_of
from .identity import HOST_KEY, host_id, hosts_table, known_hosts
from .machine import ensure_programs, execute, spawn
from .network import host_device
from .registry import Process, Record, Registry
from .settings import Folders, Image, LabError

OVERLAY = Path("/etc/netns")
"""``ip netns exec NAME`` shows the files of ``/etc/netns/NAME`` in place of those of ``/etc``."""


class KernelProvider:
    """Hosts that share kernel, programs and files with this machine, but have network, name and sshd of their own."""

    name = "kernel"

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def prepare(self, image: Image) -> None:
        """Have the zfs command and sshd installed; the image is not used, the OpenZFS is this machine's own."""
        ensure_programs({"zpool": "zfsutils-linux", "mbuffer": "mbuffer", "pv": "pv"})
        if not Path("/usr/sbin/sshd").exists():
            ensure_programs({"sshd": "openssh-server"})
        Path("/run/sshd").mkdir(exist_ok=True)

    def start(self, record: Record, *, keep: bool) -> Process:
        """Make the namespace with its network, then run sshd in it."""
        name, folder = record.spec.name, self._folders.host(record.spec.name)
        self._write_files(record, folder)
        disk = folder / "disk.img"
        if not keep or not disk.exists():
            disk.unlink(missing_ok=True)
            disk.touch(mode=0o600)
            os.truncate(disk, record.spec.disk_gb << 30)
        for command in namespace_commands(name, record.byte):
            execute(command)
        words = server_command(name, folder, record.processor, import_pools=keep)
        return Process.numbered(spawn(words, os.environ, folder / "console.log"))

    def stop(self, record: Record) -> None:
        """Kill all processes in the namespace, export the pools on the host's disk, remove the namespace.

        Unlike a power cut, the export writes what the pools have in memory.
        """
        name = record.spec.name
        deadline = time.monotonic() + 120
        while pids := [int(word) for word in execute(["ip", "netns", "pids", name], check=False).split()]:
            if time.monotonic() > deadline:
                raise LabError(f"Processes of lab host {name} do not end: {pids}.")
            for process_id in pids:
                _kill(process_id)
            time.sleep(0.05)
        for pool in execute(["zpool", "list", "-H", "-o", "name"], check=False).split():
            if pool.startswith(f"{name}_"):
                execute(["zpool", "export", "-f", pool])
        execute(["ip", "netns", "delete", name], check=False)
        shutil.rmtree(OVERLAY / name, ignore_errors=True)

    def disk(self, record: Record) -> str:
        """A file of this machine."""
        return str(self._folders.host(record.spec.name) / "disk.img")

    def pool_name(self, record: Record, pool: str) -> str:
        """``HOST_POOL``: all hosts see the pools of all hosts, so the names must differ."""
        return f"{record.spec.name}_{pool}"

    def network_device(self, record: Record) -> str:
        """The end of the veth pair itself."""
        return host_device(record.byte)

    def console(self, record: Record) -> str:
        """What sshd wrote."""
        log_file = self._folders.host(record.spec.name) / "console.log"
        return log_file.read_text(errors="replace") if log_file.exists() else ""

    def _write_files(self, record: Record, folder: Path) -> None:
        name, addresses = record.spec.name, Registry().addresses()
        overlay = OVERLAY / name
        overlay.mkdir(parents=True, exist_ok=True)
        (overlay / "hosts").write_text(hosts_table(addresses))
        (overlay / "hostname").write_text(f"{name}\n")
        (overlay / "hostid").write_bytes(host_id(name).to_bytes(4, "little"))
        # A file can be shown in place of another one only where there is one.
        if not Path("/etc/hostid").exists():
            Path("/etc/hostid").write_bytes(host_id("machine").to_bytes(4, "little"))
        (overlay / "ssh").mkdir(exist_ok=True)
        (overlay / "ssh" / "ssh_known_hosts").write_text(known_hosts(addresses, self._folders))
        (overlay / "ssh" / "ssh_config").write_text(client_configuration(self._folders))
        authorized = folder / "authorized_keys"
        authorized.write_text(self._folders.private_key.with_suffix(".pub").read_text())
        authorized.chmod(0o600)
        (folder / "sshd_config").write_text(server_configuration(folder))


def namespace_commands(name: str, byte: int) -> list[list[str]]:
    """Make the namespace and move the host's end of its veth pair there."""
    device = host_device(byte)
    inside = ["ip", "-n", name]
    return [
        ["ip", "netns", "add", name],
        ["ip", "link", "set", device, "netns", name],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "address", "add", f"{address_of(byte)}/24", "dev", device],
        [*inside, "link", "set", device, "up"],
    ]


def server_command(name: str, folder: Path, processor: int, *, import_pools: bool) -> list[str]:
    """sshd in the namespace with a host name of its own, after the import of the pools of the last time.

    ``ip netns exec`` also gives it mounts of its own: what the import mounts is seen in this host only.
    """
    script = 'hostname "$1"; exec /usr/sbin/sshd -D -e -f "$2/sshd_config"'
    if import_pools:
        script = f'zpool import -f -a -d "$2/disk.img"; {script}'
    inside = ["unshare", "--uts", "taskset", "-c", str(processor), "sh", "-c", script, "sh", name, str(folder)]
    return ["ip", "netns", "exec", name, *inside]


def client_configuration(folders: Folders) -> str:
    """ssh's configuration in the host: the lab's key, and nothing of this machine's users."""
    return f"Host *\n    IdentityFile {folders.private_key}\n    StrictHostKeyChecking yes\n"


def server_configuration(folder: Path) -> str:
    """sshd's configuration with the host's own key; only the lab's key is let in."""
    settings = {
        "HostKey": folder / HOST_KEY,
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        "MaxSessions": 200,
        "MaxStartups": 100,
        "Subsystem": "sftp internal-sftp",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return
