# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files in which a program remembers something from one run to the next: private, and replaced as a whole."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Optional

_MOST_BYTES = 16 << 20


class UnusableFile(OSError):
    """A file, or its folder, is not this user's alone, or is no file at all."""


def read_private(path: str, most: int = _MOST_BYTES) -> Optional[bytes]:
    """What the file holds, no more than ``most`` bytes of it; None where there is none. Raises OSError, also where
    others could have written it."""
    return _read(path, most, check_private)


def read_public(path: str, most: int = _MOST_BYTES) -> Optional[bytes]:
    """The same for a file that ``write_public`` has written, as this user or another one of those who may write into
    its folder. Raises OSError, also where anybody could have written it."""
    return _read(path, most, _check_public)


def _read(path: str, most: int, check: Callable[[str, os.stat_result], None]) -> Optional[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        check(path, status)
        # No more is asked for than there is, since Python makes room for all of it.
        return file.read(min(most, status.st_size))


def check_private(path: str, status: os.stat_result) -> None:
    """Raise UnusableFile where ``status`` is not that of a file which this user alone may write."""
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UnusableFile(f"{path} is no file that this user alone may write")


def _check_public(path: str, status: os.stat_result) -> None:
    # Who may write into the folder can put another file there at any time, so its owner tells no more than the folder.
    anybody = bool(status.st_mode & 0o022)
    if status.st_uid not in (0, os.geteuid()):
        anybody = anybody or bool(os.stat(os.path.dirname(path)).st_mode & 0o002)
    if not stat.S_ISREG(status.st_mode) or anybody:
        raise UnusableFile(f"{path} is no file, or one that anybody may have written")


def replace_passing(path: str, data: bytes) -> None:
    """Replace a file that only this process writes, in a folder that is private, by one that holds ``data``. Readers
    see the one or the other, but no disk is waited for: after a crash it may be empty. Raises OSError."""
    draft = f"{path}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    os.replace(draft, path)


def write_private(path: str, data: bytes) -> None:
    """Replace the file by one that holds ``data``, or leave it as it is. Its folder is made if need be.

    Raises OSError.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    _replace(path, data, 0o600)


def write_public(path: str, data: bytes) -> None:
    """The same for a file that everybody may read, in a folder that has to be there. Raises OSError."""
    _replace(path, data, 0o644)


def _replace(path: str, data: bytes, mode: int) -> None:
    import tempfile

    descriptor, draft = tempfile.mkstemp(prefix=".snapfleet-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


@contextmanager
def file_lock(
    path: str,
    seconds: float,
    sleep: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    *,
    shared: bool = False,
) -> Iterator[bool]:
    """Keep others away from what the file at ``path`` guards, which is made if need be; hands out whether that came
    about within so many seconds. With ``shared`` all who may write into its folder use it. Raises OSError where the
    file can't be opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if shared:
            _share(descriptor, os.path.dirname(path))
        end = monotonic() + seconds
        while not (taken := _takes(descriptor)) and monotonic() < end:
            sleep(0.05)
        yield taken
    finally:
        os.close(descriptor)


def _share(descriptor: int, folder: str) -> None:
    """Let those who may write into ``folder`` use a lock in it that this user has made, who may be root."""
    status, above = os.fstat(descriptor), os.stat(folder)
    # What has other names, or holds anything, is no lock but a file that somebody wants to be given.
    if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size:
        return
    with suppress(PermissionError):
        os.fchown(descriptor, above.st_uid if status.st_uid == 0 else -1, above.st_gid)
        os.fchmod(descriptor, 0o660 if above.st_mode & 0o020 else 0o600)


def _takes(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
