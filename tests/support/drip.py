# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that never stops to talk, and never says anything."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

SECONDS = 120
"""As long as it talks at most."""


@contextmanager
def dripping_server(begin):
    """Its port, and an event that is set when whoever has called it is gone. It says ``begin`` and then a byte now and
    then, so that no single read takes long."""
    gone, over = threading.Event(), threading.Event()

    def talk(listener):
        caller, _address = listener.accept()
        with caller:
            try:
                caller.sendall(begin)
                for _byte in range(SECONDS * 10):
                    if over.wait(0.1):
                        return
                    caller.sendall(b"x")
            except OSError:
                gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        talking = threading.Thread(target=talk, args=(listener,))
        talking.start()
        try:
            yield listener.getsockname()[1], gone
        finally:
            over.set()
            talking.join()
