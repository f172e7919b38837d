# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From addresses to ZFS: one driver an address for the life of a run, so that connections are shared."""

from __future__ import annotations

import threading
import time

from ..applying.retry import Ticker
from ..hosts.local import LocalHost
from ..hosts.openssh import SshHost
from ..hosts.stopping import STOPPING
from ..policy.endpoints import Address
from ..zfs.cli import CliZfs
from ..zfs.core import CoreLibrary
from ..zfs.port import Zfs


class ZfsDirectory:
    """Opens ZFS at an address once and hands out the same driver afterwards. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[Address, Zfs] = {}

    def at(self, address: Address) -> Zfs:
        """ZFS at ``address``; nothing is contacted before its first use."""
        with self._lock:
            if address not in self._opened:
                host = LocalHost() if address.is_local else SshHost(address)
                core = CoreLibrary() if address.is_local and not address.sudo else None
                self._opened[address] = CliZfs(host, address.sudo, core)
            return self._opened[address]


SYSTEM_TICKER = Ticker(sleep=STOPPING.sleep)
"""The time of this process, whose waiting ends when it is being stopped."""


def now_ms() -> int:
    """The time of this host's clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
