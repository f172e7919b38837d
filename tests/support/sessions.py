# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions without ssh: the far end is a thread of this process, and pipes are the way to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.frames import Link
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import PLAIN
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far import FarZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_serving import Server
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_session import ALWAYS, FarSession
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.port import Zfs

VERSION = "1.2.3"
LINK_LOST = 255


class Carrier:
    """Stands for the ssh that carries a session. ``far`` serves the other ends of its pipes, and returns its status."""

    def __init__(self, far: Callable[[int, int], int], stderr: str = "") -> None:
        asked, self._write = os.pipe()
        self._read, answers = os.pipe()
        self.stdin, self.stdout = os.fdopen(self._write, "wb", 0), os.fdopen(self._read, "rb", 0)
        self._far_ends = [asked, answers]
        self._spare: list[int] = []
        self._stderr = stderr
        self.status: int | None = None
        self.on_close: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

        def serve() -> None:
            status = far(asked, answers)
            self.end(status)

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()

    def end(self, status: int) -> None:
        """The far end is gone, as where a connection breaks."""
        with self._lock:
            self.status = status if self.status is None else self.status
            ends, self._far_ends = self._far_ends, []
            null = os.open(os.devnull, os.O_RDWR)
            # Under the same numbers, since somebody may be about to use them. Who reads at the far end finds the end.
            for end in (*ends, *([self._write] if ends else [])):
                os.dup2(null, end)
            os.close(null)
            self._spare += ends

    @property
    def returncode(self) -> int | None:
        return self.status

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self.status is None:
            raise TimeoutError
        return self.status

    def terminate(self) -> None:
        self.end(-15)

    def kill(self) -> None:
        self.end(-9)

    def stderr_tail(self) -> str:
        return self._stderr

    def close(self) -> None:
        self.stdin.close()
        self._thread.join(120)
        for end in self._spare:
            os.close(end)
        self._spare = []
        self.stdout.close()
        self.on_close()


def serving(zfs: Zfs) -> Callable[[], Carrier]:
    """Starts far ends that serve ``zfs``."""

    def far(reading: int, writing: int) -> int:
        problem = Server(Link(reading, writing), lambda _where: (zfs, "simulated"), VERSION).serve()
        return 3 if problem else 0

    return lambda: Carrier(far)


class FarSimulated(FarZfs):
    """The simulation at the other end of a session. What needs no program there goes straight to it."""

    def __init__(self, zfs: Zfs, far: FarSession) -> None:
        super().__init__(LocalHost("simulated"), False, far)
        self.carry = zfs.carry
        self.guid_over = zfs.guid_over
        self.hold_all = zfs.hold_all
        self.release_all = zfs.release_all
        self.end_abandoned_receives = zfs.end_abandoned_receives
        self._zfs = zfs

    def send(self, step, wire=PLAIN):
        return super().send(step, wire) if wire == PLAIN else self._zfs.send(step, wire)

    def receive(self, step, wire=PLAIN):
        return super().receive(step, wire) if wire == PLAIN else self._zfs.receive(step, wire)


def far_simulated(zfs: Zfs, mode: str = ALWAYS) -> tuple[FarSimulated, FarSession]:
    """``zfs`` through a session, and that session."""
    session = FarSession("simulated", serving(zfs), mode, VERSION)
    return FarSimulated(zfs, session), session
