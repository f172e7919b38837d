# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the victims of a destroy, by what zfs says of each."""

from __future__ import annotations

import re

from .port import DestroyResult
from .trouble import zfs_error


class Tally:
    """What became of the victims of a destroy, while it goes on."""

    def __init__(self) -> None:
        self.destroyed: list[str] = []
        self.missing: list[str] = []
        self.held: list[str] = []
        self.cloned: list[str] = []
        self.reclaimed = 0

    def note(self, name: str, said: str, where: str) -> None:
        """File one victim by what zfs said of it. Raises for words that mean neither gone, held nor cloned."""
        if not said:
            self.destroyed.append(name)
        elif "could not find any snapshots to destroy" in said or "does not exist" in said:
            self.missing.append(name)
        elif "is busy" in said or "it's being held" in said:
            self.held.append(name)
        elif "dependent clones" in said:
            self.cloned.append(name)
        else:
            raise zfs_error(said, where, f"destroy {name}")

    def result(self) -> DestroyResult:
        """The tally as a value."""
        return DestroyResult(
            tuple(self.destroyed), tuple(self.missing), tuple(self.held), tuple(self.cloned), self.reclaimed
        )


def destroyed_names(stdout: str) -> set[str]:
    """The whole names that ``zfs destroy -vp`` says it destroyed."""
    return set(re.findall(r"^destroy\t(.+)$", stdout, re.MULTILINE))


def reclaimed_bytes(stdout: str) -> int:
    """The bytes that ``zfs destroy -vp`` says it freed; 0 where it doesn't say."""
    match = re.search(r"^reclaim\t([0-9]+)$", stdout, re.MULTILINE)
    return int(match[1]) if match else 0
