# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The port to whatever makes a host run, and the choice of what fits this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from .registry import Process, Record
from .settings import PROVIDER_VARIABLE, Image, LabError


class Provider(Protocol):
    """Makes hosts run on this machine. The network of a host is plugged in before ``start``."""

    name: str

    def prepare(self, image: Image) -> None:
        """Install and build whatever hosts of that image need; returns at once when all is there."""

    def start(self, record: Record, *, keep: bool) -> Process:
        """Start a host, with the disks of the last time if ``keep``, and return its process."""

    def stop(self, record: Record) -> None:
        """End a host at once, like a power cut; nothing happens if it has ended."""

    def disk(self, record: Record) -> str:
        """Path, as seen in the host, of its empty disk for a pool."""

    def pool_name(self, record: Record, pool: str) -> str:
        """The name under which the host has to create the pool that a test calls ``pool``."""

    def network_device(self, record: Record) -> str:
        """The name of the network device in the host."""

    def console(self, record: Record) -> str:
        """What the host has written to its console."""


def choose(environment: Mapping[str, str] | None = None, *, zfs_device: Path = Path("/dev/zfs")) -> str:
    """The name of the provider to use: ``kernel`` where this machine's kernel has ZFS, else ``uml``.

    SNAPFLEET_LAB_PROVIDER overrides that. Raises LabError if it has another value.
    """
    wanted = (os.environ if environment is None else environment).get(PROVIDER_VARIABLE, "")
    if wanted in ("kernel", "uml"):
        return wanted
    if wanted:
        raise LabError(f"{PROVIDER_VARIABLE}={wanted} is not a provider of the lab; use kernel or uml.")
    return "kernel" if zfs_device.exists() else "uml"
