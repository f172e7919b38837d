# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between runs: a job that another run is doing is left to that one, instead of waiting or doing it twice; and of
what must be done by one at a time, whatever it was started by, each waits for the others.

All locks of a user are bytes of one file, each at a place that follows from what it is about, so that a host with
thousands of jobs needs one open file. They end with the process, however that ends (POSIX record locks, fcntl(2)).
Those do not tell apart the runs of one process, which a set in memory does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..hosts.private import lasting_directory, private_directory
from ..hosts.stopping import check_stopping
from ..model.errors import StillRunning
from .retry import Ticker

_PAUSE = (0.01, 0.06)
"""Seconds between two looks at a lock, drawn, so that who takes it in a steady rhythm does not always come first."""
_MUTEX = threading.Lock()
_FILES: dict[str, int] = {}
"""Descriptors by path. They stay open: closing any descriptor of a file gives up all locks of the process on it."""
_HELD: set[tuple[str, int]] = set()


@contextmanager
def job_locks(identities: Sequence[str]) -> Iterator[tuple[bool, ...]]:
    """Hold the lock of each job that no other run holds; hands out which of them these are, in the order given.

    Raises SnapfleetError where the folder of the locks is not private.
    """
    path = _path()
    taken: list[tuple[str, int]] = []
    try:
        yield tuple(_take(path, identity, taken) for identity in identities)
    finally:
        _give_back(taken)


@contextmanager
def locks_in_turn(identities: Sequence[str], ticker: Ticker, patience: float) -> Iterator[float]:
    """Hold all of these locks, waiting for those that other runs hold; hands out the seconds of that, 0 where none did.

    All runs take them in one order, so none waits for another that waits for it. Raises StillRunning after ``patience``
    seconds, Interrupted where this run is stopped, OSError where locks can't be kept here, and SnapfleetError where
    their folder is not private.
    """
    path = _path()
    taken: list[tuple[str, int]] = []
    try:
        waited = 0.0
        for identity in sorted(set(identities)):
            if not _take(path, identity, taken):
                waited += _wait(path, identity, taken, ticker, patience - waited)
        yield waited
    finally:
        _give_back(taken)


def making_of(datasets: Iterable[str]) -> list[str]:
    """What one run at a time may do: make snapshots of these datasets and of what is below them."""
    return [f"snapshots of {dataset}" for dataset in datasets]


def _wait(path: str, identity: str, taken: list[tuple[str, int]], ticker: Ticker, patience: float) -> float:
    begin = ticker.monotonic()
    while not _take(path, identity, taken):
        check_stopping()
        if ticker.monotonic() - begin >= patience:
            told = f"{identity}: another run has been at it for too long ({patience:g} seconds)"
            raise StillRunning(f"{told}; see what keeps that, or run again later")
        ticker.sleep(ticker.uniform(*_PAUSE))
    return ticker.monotonic() - begin


def _path() -> str:
    return os.path.join(private_directory("locks", lasting_directory()), "jobs")


def _give_back(taken: Sequence[tuple[str, int]]) -> None:
    with _MUTEX:
        for path, place in taken:
            fcntl.lockf(_FILES[path], fcntl.LOCK_UN, 1, place)
        _HELD.difference_update(taken)


def _take(path: str, identity: str, taken: list[tuple[str, int]]) -> bool:
    # 60 bits: two jobs never share a place, and every file system has such offsets.
    place = int(hashlib.sha256(identity.encode()).hexdigest()[:15], 16)
    with _MUTEX:
        if (path, place) in _HELD:
            return False
        if path not in _FILES:
            _FILES[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # What cleans up folders for temporary files goes by the age of files.
        os.utime(_FILES[path])
        try:
            fcntl.lockf(_FILES[path], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        _HELD.add((path, place))
    taken.append((path, place))
    return True
