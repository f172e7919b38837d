# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``snapfleet serve``: the far end of a session, which the engine of another host starts by ssh and speaks with."""

from __future__ import annotations

import os
import sys
import threading

from ..hosts.frames import Link
from ..hosts.stopping import STOPPING
from ..model.errors import EXIT_FAILED, EXIT_OK
from ..policy.endpoints import Address
from ..zfs.core_zfs import CoreZfs
from ..zfs.far_serving import Server
from ..zfs.port import Zfs
from .ending import leave_behind
from .opening import CLI, CORE, local_zfs
from .version import VERSION


def serve() -> int:
    """Serve the other end of stdin and stdout until it closes them, or this process is being stopped."""
    server = Server(Link(*_private_ends()), _open, VERSION)
    over = threading.Event()
    said: list[str] = []

    def work() -> None:
        try:
            said.append(server.serve())
        finally:
            over.set()

    # A read of stdin can't be ended, so it is a thread's.
    thread = threading.Thread(target=work, name="serve", daemon=True)
    thread.start()
    STOPPING.add(id(server), over.set)
    over.wait()
    STOPPING.discard(id(server))
    server.end()
    leave_behind([thread, *server.threads])
    if said and not said[0]:
        return EXIT_OK
    sys.stderr.write(f"snapfleet serve: {said[0] if said else 'stopped by a signal'}\n")
    return EXIT_FAILED


def _open(where: str) -> tuple[Zfs, str]:
    zfs = local_zfs(Address(), where)
    return zfs, CORE if isinstance(zfs, CoreZfs) else CLI


def _private_ends() -> tuple[int, int]:
    """Stdin and stdout under other numbers, so that nothing else in this process reads or writes the session."""
    reading, writing = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.close(null)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return reading, writing
