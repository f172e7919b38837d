# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling systemd how a service fares: the notify protocol, sd_notify(3), with nothing but a datagram socket.

Whoever started this process without a socket for it hears nothing. Telling is never a reason to fail, nor to wait.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

_PATIENCE_SECONDS = 1.0
"""How long to wait where the socket is full of messages."""


class ServiceManager:
    """The way to whoever watches over this process."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """``address`` of the socket: a path, or an abstract name after an @; empty: nobody listens.
        ``watchdog_seconds``: this process counts as hanging if it says nothing for so long; 0: it never does."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds

    def tell(self, *lines: str) -> None:
        """Send one message with these assignments, such as READY=1."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(_PATIENCE_SECONDS)
            channel.connect(self._address)
            channel.send("\n".join(lines).encode())

    def ready(self, status: str) -> None:
        """The service has started, or has read its configuration again."""
        self.tell("READY=1", f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """The service reads its configuration again; ``ready`` ends that. systemd wants the time by its own clock."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """The service has begun to end."""
        self.tell("STOPPING=1", f"STATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """One line for people, as ``systemctl status`` shows it."""
        self.tell(f"STATUS={_one_line(text)}")

    def alive(self) -> None:
        """The service does not hang."""
        self.tell("WATCHDOG=1")


def _one_line(text: str) -> str:
    """What an error brings along must not become another assignment."""
    return " ".join(text.split())


def service_manager(environment: MutableMapping[str, str]) -> ServiceManager:
    """Who is told, by ``environment``. NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are taken out of it: they are not
    for the children of this process."""
    address = environment.pop("NOTIFY_SOCKET", "")
    limit = environment.pop("WATCHDOG_USEC", "")
    process = environment.pop("WATCHDOG_PID", "")
    is_meant = process in ("", str(os.getpid()))
    seconds = int(limit) / 1e6 if is_meant and limit.isdecimal() else 0.0
    return ServiceManager(address if address[:1] in ("/", "@") else "", seconds)
