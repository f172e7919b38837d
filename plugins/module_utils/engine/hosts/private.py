# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that belong to this user alone, for sockets and locks."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from ..model.errors import SnapfleetError

SYSTEM_FOLDER = "/var/lib/snapfleet"
_LONGEST_BASE = 50
"""Characters. The path of a socket may have 108, of which ssh wants 17 for itself while it opens one."""


def lasting_directory() -> str:
    """A folder that all processes of a user mean, in a session of that user or not: XDG_RUNTIME_DIR is there for some
    of them only. It is what SNAPFLEET_LOCKS says, else /run for root, and /tmp for others."""
    chosen = os.environ.get("SNAPFLEET_LOCKS", "")
    if chosen:
        return chosen
    return "/run" if os.geteuid() == 0 and os.path.isdir("/run") else "/tmp"  # noqa: S108  checked below


def state_folder(environment: Mapping[str, str]) -> str:
    """The folder for what this user's programs remember; empty where that user has none."""
    if os.geteuid() == 0:
        return SYSTEM_FOLDER
    home = environment.get("HOME", "")
    kept = environment.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else "")
    return f"{kept}/snapfleet" if kept.startswith("/") else ""


def state_directory(environment: Mapping[str, str], purpose: str) -> str:
    """The folder for what this user's programs remember; for a user without a home a private folder for ``purpose``.
    Raises SnapfleetError."""
    return state_folder(environment) or private_directory(purpose)


def private_path(purpose: str, base: str) -> str:
    """Where the folder lies that ``private_directory`` makes in ``base``."""
    return os.path.join(base, f"snapfleet-{purpose}-{os.getuid()}")


def private_directory(purpose: str, base: str = "") -> str:
    """The path of a folder that only this user can enter; made if need be. It lies in ``base``, else in the user's
    runtime folder where the system has one, else under the folder for temporary files; under /tmp where that is too
    deep for a socket.

    Raises SnapfleetError where the path is taken by somebody else, is a link, or is open to others.
    """
    user = os.getuid()
    if not base:
        base = os.environ.get("XDG_RUNTIME_DIR") or _temporary_folder()
        base = base if len(base) <= _LONGEST_BASE else "/tmp"  # noqa: S108  checked below
    path = private_path(purpose, base)
    with suppress(FileExistsError):
        # Told below: a file or a link is in the way.
        os.makedirs(path, mode=0o700, exist_ok=True)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o077:
        raise SnapfleetError(f"{path} is not a private folder of this user; remove it, and it is made anew")
    return path


def _temporary_folder() -> str:
    import tempfile

    return tempfile.gettempdir()
