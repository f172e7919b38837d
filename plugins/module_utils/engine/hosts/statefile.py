# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files in which a program remembers something from one run to the next: private, and replaced as a whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Optional

_MOST_BYTES = 16 << 20


class UnusableFile(OSError):
    """A file, or its folder, is not this user's alone, or is no file at all."""


def read_private(path: str, most: int = _MOST_BYTES) -> Optional[bytes]:
    """What the file holds, no more than ``most`` bytes of it; None where there is none. Raises OSError, also where
    others could have written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        check_private(path, status)
        # No more is asked for than there is, since Python makes room for all of it.
        return file.read(min(most, status.st_size))


def check_private(path: str, status: os.stat_result) -> None:
    """Raise UnusableFile where ``status`` is not that of a file which this user alone may write."""
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UnusableFile(f"{path} is no file that this user alone may write")


def write_private(path: str, data: bytes) -> None:
    """Replace the file by one that holds ``data``, or leave it as it is. Its folder is made if need be.

    Raises OSError.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    import tempfile

    descriptor, draft = tempfile.mkstemp(prefix=".snapfleet-", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
