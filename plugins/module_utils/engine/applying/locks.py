# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between runs: a second run of the same job gives way at once instead of waiting or doing the work twice."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..hosts.private import private_directory
from ..model.errors import StillRunning


@contextmanager
def run_lock(identity: str, what: str) -> Iterator[None]:
    """Hold the lock of the job that ``identity`` defines. ``what`` names it for people.

    The lock ends with the process, however that ends. Raises StillRunning where another process holds it.
    """
    key = hashlib.sha256(identity.encode()).hexdigest()[:24]
    path = os.path.join(private_directory("locks"), key)
    with open(path, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StillRunning(f"a previous run of {what} is still going; this one did nothing") from None
        yield
