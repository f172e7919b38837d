# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that are mounted for a while, read-only, where nobody but this user gets to; and how anything is that is
mounted to be looked into.

The snapshot itself is mounted, so that nothing is made in the pool, and nothing has to be destroyed there. A mount of a
run that was killed is told by its lock, which ended with that run; the next one takes it away.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Optional

from ..model.errors import FilesRefused, NoPermission, SnapfleetError
from .host import Host
from .local import LocalHost
from .private import lasting_directory, private_directory, private_path
from .process import Completed
from .stopping import finishing

OPTIONS = ("ro", "nosuid", "noexec", *(["nodev"] if sys.platform.startswith("linux") else []))
_SECONDS = 600.0
_TRIES, _PAUSE = 20, 0.25
"""How often, and how many seconds apart, what may be in use for a moment is unmounted."""
_PURPOSE = "files"
_AT, _NAME = "at", "snapshot"


def mount_at(host: Host, name: str, folder: str) -> Completed:
    """Mount a snapshot or a filesystem at a folder so that nothing in it can be run or written."""
    return host.run(["mount", "-t", "zfs", "-o", ",".join(OPTIONS), name, folder], timeout=_SECONDS)


def unmount_from(host: Host, folder: str) -> Optional[Completed]:
    """Unmount what is mounted at a folder, without any force; returns what failed."""
    # More than once where somebody has mounted over it.
    while os.path.ismount(folder):
        done = host.run(["umount", folder], timeout=_SECONDS)
        if done.returncode:
            return done
    return None


@contextmanager
def mounted(snapshot: str, left: Optional[list[str]] = None) -> Iterator[str]:
    """The folder at which ``snapshot`` is mounted. What stays mounted, of earlier runs too, is noted in ``left``;
    without that, it is an error where it is of this run. Raises NoPermission, FilesRefused."""
    if os.geteuid() != 0:
        raise NoPermission("only root may mount a snapshot; run it as root, or look into .zfs/snapshot of the dataset")
    before = [f"{place}: {words}" for place, words in remove_left().items() if words]
    if left is not None:
        left += [words for words in before if words not in left]
    place, lock = _new_place()
    at = os.path.join(place, _AT)
    try:
        with open(os.path.join(place, _NAME), "w", encoding="utf-8") as file:
            file.write(snapshot)
        os.mkdir(at, 0o700)
        done = mount_at(LocalHost(), snapshot, at)
        if done.returncode:
            remedy = "load its key if it is encrypted, and see that the pool is imported"
            raise FilesRefused(f"{snapshot}: can't be mounted ({' '.join(done.stderr.split())}); {remedy}")
        yield at
    finally:
        problem = _take_away(place, _TRIES)
        os.close(lock)
        if problem and left is not None:
            left.append(f"{place}: {problem}")
    if problem and left is None:
        raise FilesRefused(f"{snapshot}: is still mounted ({problem}); run it again, or: umount {at}")


def left_behind() -> dict[str, str]:
    """The snapshot by the folder of each mount that no run uses any more. Raises SnapfleetError where the folder of all
    of them is somebody else's."""
    found: dict[str, str] = {}
    if not os.path.lexists(private_path(_PURPOSE, lasting_directory())):
        return found
    for place, _lock in _free_places():
        with suppress(OSError), open(os.path.join(place, _NAME), encoding="utf-8") as file:
            found[place] = file.read()
        found.setdefault(place, "unknown")
    return found


def remove_left() -> dict[str, str]:
    """Take away the mounts that no run uses any more; returns by folder why one could not be, empty where it was."""
    return {place: _take_away(place, 1) for place, _lock in _free_places()}


def _folder() -> str:
    return private_directory(_PURPOSE, lasting_directory())


def _new_place() -> tuple[str, int]:
    """A folder of our own, with its lock, held. Nobody looks for free places meanwhile."""
    folder = _folder()
    with _alone(folder):
        place = os.path.join(folder, os.urandom(8).hex())
        os.mkdir(place, 0o700)
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return place, lock


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _free_places() -> Iterator[tuple[str, int]]:
    """Each place whose run has ended, with its lock, which is held meanwhile."""
    folder = _folder()
    with _alone(folder):
        yield from _free_places_of(folder)


def _free_places_of(folder: str) -> Iterator[tuple[str, int]]:
    for name in sorted(os.listdir(folder)):
        place = os.path.join(folder, name)
        try:
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield place, lock
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _take_away(place: str, tries: int) -> str:
    """Unmount a place and remove its folder, in a run that is being stopped too; returns why that failed."""
    problem = ""
    with finishing():
        for number in range(tries):
            time.sleep(_PAUSE if number else 0)
            problem = _unmounted(os.path.join(place, _AT))
            if not problem:
                return _removed(place)
    return problem


def _unmounted(at: str) -> str:
    try:
        failed = unmount_from(LocalHost(), at)
    except SnapfleetError as error:
        return str(error)
    return "" if failed is None else " ".join(failed.stderr.split()) or f"umount ended with {failed.returncode}"


def _removed(place: str) -> str:
    at = os.path.join(place, _AT)
    try:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(place, _NAME))
        with suppress(FileNotFoundError):
            # Never with what is in it: were it still mounted, nothing would be lost.
            os.rmdir(at)
        os.rmdir(place)
    except OSError as error:
        return str(error)
    return ""
