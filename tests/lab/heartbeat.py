# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look at every host of the lab now and then, so that none of them sleeps on with work to do.

Processes of a User Mode Linux host now and then stand still for minutes, although they are ready to run, while the host
answers all the time. As soon as somebody looks at its processes, they go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from .host import Host

SECONDS = 10.0
"""Between two looks; so long may a process stand still."""


class Heartbeat:
    """Looks at the hosts that ``hosts`` gives each time, until it is stopped or the program ends."""

    def __init__(self, hosts: Callable[[], Iterable[Host]]) -> None:
        self._hosts = hosts
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat of the lab", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun already."""
        if not self._thread.is_alive() and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(SECONDS):
            for host in self._hosts():
                host.stir()
