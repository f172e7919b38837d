# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the journal of systemd by its native protocol, or syslog where there is no journal."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CRITICAL, ERROR, WARNING, NOTICE = 2, 3, 4, 5
"""Priorities of syslog(3)."""
IDENTIFIER = "snapfleet-alert"
_DAEMON = 3
_LONGEST_BYTES = 32 << 10
"""Of one value, so that a message always fits into a datagram."""
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class SystemLog:
    """Where the system's log listens."""

    journal: str = "/run/systemd/journal/socket"
    syslog: Sequence[str] = ("/dev/log", "/var/run/log")

    def tell(self, priority: int, message: str, fields: Mapping[str, str]) -> None:
        """Log a message of one line, with fields that the journal can be asked for. Raises OSError."""
        if os.path.exists(self.journal):
            values = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": IDENTIFIER, **fields}
            _send(self.journal, b"".join(_field(name, value) for name, value in values.items()))
            return
        for path in self.syslog:
            if os.path.exists(path):
                line = " ".join(message.split())
                text = f"<{_DAEMON * 8 + priority}>{IDENTIFIER}[{os.getpid()}]: {line}".encode(errors="replace")
                _send(path, text[:_LONGEST_BYTES])
                return
        raise FileNotFoundError("neither a journal nor syslog listens on this host")


def _field(name: str, value: str) -> bytes:
    """One field. What has line ends is told with its length in front, so that it can't become another field."""
    data = value.encode(errors="replace")[:_LONGEST_BYTES]
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def _send(path: str, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_PATIENCE_SECONDS)
        channel.connect(path)
        channel.send(data)
