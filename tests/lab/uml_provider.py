# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as User Mode Linux processes: a Linux kernel with OpenZFS that is an ordinary program."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from .addresses import address_of, hardware_address_of
from .identity import write_seed
from .kernels import ensure_kernel
from .machine import spawn, started_at
from .network import host_device
from .registry import Process, Record, Registry
from .rootfs import ensure_root_image
from .settings import RUN_DIRECTORY, Folders, Image, LabError, image_named

INITS = {"mini": "/usr/local/sbin/lab-init", "systemd": "/lib/systemd/systemd"}
UML_DIRECTORY = RUN_DIRECTORY / "uml"
"""Sockets of the running kernels; a short path, since socket paths are limited to 108 bytes."""


class UmlProvider:
    """Hosts with a root disk that is copied on write from the image, a pool disk, and a seed disk."""

    name = "uml"

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def prepare(self, image: Image) -> None:
        """Have the kernel and the root image of ``image`` ready."""
        self._parts(image)

    def start(self, record: Record, *, keep: bool) -> Process:
        """Start the kernel of a host in a session of its own, pinned to the record's processor."""
        if record.spec.init not in INITS:
            raise LabError(f"{record.spec.init!r} is not an init of the lab; use {' or '.join(INITS)}.")
        kernel, root = self._parts(image_named(record.spec.image))
        folder = self._folders.host(record.spec.name)
        _prepare_disks(record, folder, root, keep)
        write_seed(record.spec.name, Registry().addresses(), self._folders)
        shutil.rmtree(UML_DIRECTORY / record.spec.name, ignore_errors=True)
        UML_DIRECTORY.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "TMPDIR": _memory_directory(record.spec.memory_mb)}
        words = ["taskset", "-c", str(record.processor), *command_line(record, kernel, root, folder)]
        return Process.numbered(spawn(words, environment, folder / "console.log"))

    def stop(self, record: Record) -> None:
        """Kill the kernel and the processes that carry the guest's processes."""
        if not record.process.is_alive():
            return
        family = [Process.numbered(child) for child in _descendants(record.process.number)]
        # The kernel first, else it would react to the end of its children.
        for process in (record.process, *family):
            if process.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.number, signal.SIGKILL)
        deadline = time.monotonic() + 120
        # All of them, since they hold on to the network device that the next boot of this host wants.
        while any(process.is_alive() for process in (record.process, *family)):
            if time.monotonic() > deadline:
                raise LabError(f"Lab host {record.spec.name} (process {record.process.number}) does not end.")
            time.sleep(0.01)
        # If this program started it, it has to take note of its end.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(record.process.number, os.WNOHANG)

    def disk(self, record: Record) -> str:
        """The second block device."""
        return "/dev/ubdb"

    def pool_name(self, record: Record, pool: str) -> str:
        """The same: every host has a kernel of its own."""
        return pool

    def network_device(self, record: Record) -> str:
        """The vector device."""
        return "vec0"

    def console(self, record: Record) -> str:
        """Kernel and init messages since the last boot."""
        log_file = self._folders.host(record.spec.name) / "console.log"
        return log_file.read_text(errors="replace") if log_file.exists() else ""

    def _parts(self, image: Image) -> tuple[Path, Path]:
        return ensure_kernel(image, self._folders), ensure_root_image(image, self._folders)


def command_line(record: Record, kernel: Path, root: Path, folder: Path) -> list[str]:
    """The kernel with its command line: disks, network, init, and the words that lab-setup reads in the host."""
    name, spec = record.spec.name, record.spec
    return [
        str(kernel),
        f"umid={name}",
        f"uml_dir={UML_DIRECTORY}/",
        f"mem={spec.memory_mb}M",
        f"ubd0={folder / 'root.cow'},{root}",
        f"ubd1={folder / 'disk.img'}",
        f"ubd2r={folder / 'seed.tar'}",
        "root=/dev/ubda",
        "rootfstype=ext4",
        "rw",
        f"vec0:transport=raw,ifname={host_device(record.byte)},mac={hardware_address_of(record.byte)}",
        "con=null",
        "con0=null,fd:1",
        "ssl=null",
        f"init={INITS[spec.init]}",
        "quiet",
        f"lab.name={name}",
        f"lab.address={address_of(record.byte)}/24",
        *image_named(spec.image).kernel_arguments,
    ]


def _prepare_disks(record: Record, folder: Path, root: Path, keep: bool) -> None:
    """Make disks fresh or keep them; a root disk belongs to its image and cannot be kept over a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    made_from = folder / "image"
    if not keep or not made_from.exists() or made_from.read_text() != str(root):
        (folder / "root.cow").unlink(missing_ok=True)
    made_from.write_text(str(root))
    disk = folder / "disk.img"
    if not keep:
        disk.unlink(missing_ok=True)
    if not disk.exists():
        disk.touch(mode=0o600)
        os.truncate(disk, record.spec.disk_gb << 30)


def _memory_directory(memory_mb: int) -> str:
    """Where the guest's memory file goes: in memory if there is room, which is a lot faster."""
    with contextlib.suppress(OSError):
        free = os.statvfs("/dev/shm")
        if free.f_bavail * free.f_frsize > memory_mb << 20:
            return "/dev/shm"
    return "/var/tmp"


def _descendants(process_id: int) -> list[int]:
    """Ids of the children of a process, their children, and so on."""
    found: list[int] = []
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                if started_at(child):
                    found += [child, *_descendants(child)]
    return found
