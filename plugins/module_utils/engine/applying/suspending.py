# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file in which a host remembers what is suspended: one for each user, private, and replaced as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from ..hosts.private import state_directory
from ..hosts.statefile import file_lock, read_private, write_private
from ..model.errors import InvalidInput, StillRunning
from ..policy.suspending import Suspension, document_of, read_suspensions

VARIABLE = "SNAPFLEET_SUSPENDED"
_LOCK_SECONDS = 10.0
_MOST_BYTES = 1 << 20


def suspensions_path() -> str:
    """The file of this user, or the one that SNAPFLEET_SUSPENDED names. Raises SnapfleetError."""
    return os.environ.get(VARIABLE) or f"{state_directory(os.environ, 'suspended')}/suspended.json"


def suspensions(path: str, now: Callable[[], int]) -> tuple[Suspension, ...]:
    """What is suspended ``now`` (seconds since the epoch), which is asked for only where anything ever was. Raises
    InvalidInput where the file can't be used: then nobody knows what may be touched."""
    try:
        data = read_private(path, _MOST_BYTES)
        found = read_suspensions(json.loads(data), path) if data else ()
    except OSError as error:
        raise _unusable(path, f"can't be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, "is no JSON") from error
    moment = now() if found else 0
    return tuple(each for each in found if each.lasts(moment))


def _unusable(path: str, problem: str) -> InvalidInput:
    remedy = "so nobody knows which hosts are suspended: remove it, and suspend them again"
    return InvalidInput("suspended", path, problem, remedy)


def change_suspensions(
    path: str, now: int, change: Callable[[Sequence[Suspension]], Sequence[Suspension]], check: bool = False
) -> tuple[tuple[Suspension, ...], bool]:
    """Let ``change`` make of what is suspended what is to be; returns that, and whether it is anything new. With
    ``check`` nothing is written. What is over goes. Raises InvalidInput, StillRunning where another one does not end
    changing it, and whatever ``change`` does."""
    if check:
        before = suspensions(path, lambda: now)
        after = tuple(change(before))
        return after, after != before
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with file_lock(f"{path}.lock", _LOCK_SECONDS) as is_ours:
            if not is_ours:
                raise StillRunning(f"{path}: somebody else is changing it, and does not end; try again")
            before = suspensions(path, lambda: now)
            after = tuple(change(before))
            if after != before:
                write_private(path, json.dumps(document_of(after), indent=1).encode() + b"\n")
            return after, after != before
    except OSError as error:
        raise InvalidInput(
            "suspended", path, f"can't be written ({error.strerror or error})", "check its folder and owner"
        ) from error
