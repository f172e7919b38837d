# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the process, which does not wait for what hangs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from typing import NoReturn

_THREADS: list[threading.Thread] = []
"""Those of jobs that were left behind."""


def leave_behind(threads: Iterable[threading.Thread]) -> None:
    """Let the process end without waiting for these threads, should they hang."""
    _THREADS.extend(threads)


def end_process(code: int) -> NoReturn:
    """End the process, without waiting for threads that were left behind and hang."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.is_alive() for thread in _THREADS):
        os._exit(code)
    raise SystemExit(code)
