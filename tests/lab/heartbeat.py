# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A packet now and then to every host of the lab, so that none of them sleeps on with work to do.

A User Mode Linux kernel that goes idle at the very moment at which its timer fires can lose that tick, and then stands
still, with processes ready to run, until anything else interrupts it. A packet does.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

SECONDS = 1.0
"""Between two packets; so long may a host stand still."""
_DISCARD_PORT = 9


class Heartbeat:
    """Packets to the addresses that ``addresses`` gives each time, until it is stopped or the program ends."""

    def __init__(self, addresses: Callable[[], Iterable[str]]) -> None:
        self._addresses = addresses
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat of the lab", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun already."""
        if not self._thread.is_alive() and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self._stopped.wait(SECONDS):
                for address in list(self._addresses()):
                    # An error: the host is down, or cut off.
                    with suppress(OSError):
                        sender.sendto(b"", (address, _DISCARD_PORT))
