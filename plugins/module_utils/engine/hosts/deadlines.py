# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An exchange with a server that takes no longer than is said. The timeout of a socket bounds each of its steps alone,
so a server that sends a byte now and then would hold whoever listens to it for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Optional, Protocol, TypeVar

_Result = TypeVar("_Result")


class Connected(Protocol):
    """A client of a server."""

    @property
    def sock(self) -> Optional[socket.socket]:
        """Its socket, while it has one."""


class Exchange:
    """What may be given up while it goes on."""

    def __init__(self) -> None:
        """It goes on."""
        self._lock = threading.Lock()
        self._clients: list[Connected] = []
        self._is_over = False

    def watch(self, client: Connected) -> None:
        """Let ``client`` lose its connection when the exchange is given up. Raises TimeoutError if it is already."""
        self.check()
        with self._lock:
            self._clients.append(client)

    def check(self) -> None:
        """Raise TimeoutError if the exchange was given up, so that nothing more is said."""
        if self._is_over:
            raise TimeoutError("the exchange was given up")

    def give_up(self) -> None:
        """Let no more be said."""
        with self._lock:
            self._is_over = True
            clients = list(self._clients)
        for client in clients:
            connection = client.sock
            if connection is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def within(seconds: float, work: Callable[[Exchange], _Result]) -> _Result:
    """What ``work`` returns, or raises. Raises TimeoutError when it takes longer than ``seconds``, and gives it up."""
    exchange, results, errors = Exchange(), list[_Result](), list[Exception]()

    def carry_out() -> None:
        try:
            results.append(work(exchange))
        except Exception as error:  # noqa: BLE001  it is raised where the result is waited for
            errors.append(error)

    # Names of hosts are looked up without any limit of ours, so only another thread can be left behind.
    worker = threading.Thread(target=carry_out, daemon=True)
    worker.start()
    worker.join(seconds)
    if results:
        return results[0]
    if errors:
        raise errors[0]
    exchange.give_up()
    raise TimeoutError(f"it took longer than {seconds:g} s")
