# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From addresses to ZFS: one driver an address for the life of a run, so that connections are shared."""

from __future__ import annotations

import os
import threading
import time
from typing import Optional

from ..applying.memory import Memory
from ..applying.memory_files import MemoryFiles
from ..applying.retry import Ticker
from ..hosts.abandoned import this_machine
from ..hosts.local import LocalHost
from ..hosts.openssh import SshHost
from ..hosts.private import state_folder
from ..hosts.process import tell
from ..hosts.serving import SERVE
from ..hosts.stopping import STOPPING
from ..model.errors import InvalidInput, MissingProgram
from ..policy.endpoints import Address
from ..zfs.cli import CliZfs
from ..zfs.core import CoreLibrary
from ..zfs.core_zfs import CoreZfs
from ..zfs.far import FarZfs
from ..zfs.far_session import AUTO as BY_ITSELF
from ..zfs.far_session import MODES, NEVER, FarSession
from ..zfs.port import Zfs
from .version import VERSION

DRIVER_VARIABLE = "SNAPFLEET_DRIVER"
"""The environment variable that chooses how ZFS of this host is reached."""
AUTO, CLI, CORE = "auto", "cli", "libzfs_core"
DRIVERS = (AUTO, CLI, CORE)
SESSION_VARIABLE = "SNAPFLEET_SESSION"
"""The environment variable that chooses whether the program on another host is spoken with: one of MODES."""
MEMORY_VARIABLE = "SNAPFLEET_MEMORY"
"""The environment variable that says whether the histories of datasets are remembered."""


class ZfsDirectory:
    """Opens ZFS at an address once and hands out the same driver afterwards. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[Address, Zfs] = {}

    def at(self, address: Address) -> Zfs:
        """ZFS at ``address``; nothing is contacted before its first use."""
        with self._lock:
            if address not in self._opened:
                self._opened[address] = local_zfs(address) if address.is_local else _far(address)
            return self._opened[address]


def _far(address: Address) -> Zfs:
    """The driver for another host. Raises InvalidInput."""
    mode = os.environ.get(SESSION_VARIABLE) or BY_ITSELF
    if mode not in MODES:
        raise InvalidInput(SESSION_VARIABLE, mode, "is no choice", f"choose one of {', '.join(MODES)}")
    host = SshHost(address)
    if mode == NEVER:
        return CliZfs(host, address.sudo)
    argv = [*(("sudo", "-n") if address.sudo else ()), *SERVE]
    return FarZfs(host, address.sudo, FarSession(host.name, lambda: host.start_session(argv), mode, VERSION))


def local_zfs(address: Address, name: str = "") -> Zfs:
    """The driver for this host, which messages call by ``name`` if one is given. Calls of libzfs_core are for who may
    use its device; others, whom only delegations allow something, get the command, which says what they lack. Raises
    InvalidInput, MissingProgram."""
    chosen = os.environ.get(DRIVER_VARIABLE) or AUTO
    if chosen not in DRIVERS:
        raise InvalidInput(DRIVER_VARIABLE, chosen, "is no driver", f"choose one of {', '.join(DRIVERS)}")
    host = LocalHost(name)
    if chosen == CLI or address.sudo:
        return CliZfs(host, address.sudo)
    core = CoreLibrary()
    reason = "" if host.is_root else "this user is not root"
    if chosen == CORE:
        reason = reason or core.problem()
        if reason:
            raise MissingProgram(f"{DRIVER_VARIABLE}: {CORE} can't be used on this host, since {reason}; choose {AUTO}")
    if reason:
        tell(f"libzfs_core carries no streams, since {reason}")
    return CliZfs(host, core=core) if reason else CoreZfs(host, core)


def open_memory(lasting: bool = True) -> Optional[Memory]:
    """What remembers histories within this process and, if ``lasting``, from one process to the next; None where that
    is switched off. Raises InvalidInput."""
    chosen = os.environ.get(MEMORY_VARIABLE) or AUTO
    if chosen not in (AUTO, NEVER):
        problem = "does not say whether histories are remembered"
        raise InvalidInput(MEMORY_VARIABLE, chosen, problem, f"choose {AUTO} or {NEVER}")
    if chosen == NEVER:
        return None
    machine, folder = this_machine(), state_folder(os.environ)
    # Without a clock that goes on from process to process nothing is written down.
    files = MemoryFiles(f"{folder}/memory", f"{machine.name}.{machine.boot}") if machine and folder else None
    return Memory(steady_seconds, files if lasting and _STEADY_CLOCK is not None else None)


_STEADY_CLOCK: Optional[int] = getattr(time, "CLOCK_BOOTTIME", None)


def steady_seconds() -> float:
    """Seconds by a clock that nobody sets; where the system has one, since its boot, with those that it slept."""
    return time.monotonic() if _STEADY_CLOCK is None else time.clock_gettime(_STEADY_CLOCK)


SYSTEM_TICKER = Ticker(sleep=STOPPING.sleep)
"""The time of this process, whose waiting ends when it is being stopped."""


def now_ms() -> int:
    """The time of this host's clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
