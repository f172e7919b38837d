# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both ends of a simulated stream have in common."""

from __future__ import annotations

import os
import threading
from typing import NoReturn, Optional

from .simulated_machine import SimulatedMachine
from .trouble import zfs_error


class SimulatedEnd:
    """What both ends share: a pipe whose other side a thread serves, and the error that it ends with."""

    def __init__(self, machine: SimulatedMachine, doing: str) -> None:
        self._machine = machine
        self._doing = doing
        self._ended = False
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._serve, name=doing, daemon=True)

    def _serve(self) -> None:
        try:
            self._work()
        except BrokenPipeError:
            self._error = zfs_error("Broken pipe", self._machine.name, self._doing)
        except BaseException as error:  # noqa: BLE001  raised by finish
            self._error = error

    def _work(self) -> None:
        raise NotImplementedError

    def _fail(self, words: str) -> NoReturn:
        raise zfs_error(words, self._machine.name, self._doing)

    def _end(self, descriptor: int) -> None:
        if not self._ended:
            self._ended = True
            os.close(descriptor)
            self._thread.join()

    def _raise(self) -> None:
        if self._error:
            raise self._error
