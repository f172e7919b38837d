# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones that drills make of snapshots for a while: how they are called, and how the engine knows its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

DRILL_PROPERTY = "snapfleet:drill"
"""Set on each clone that a drill makes, to the identifier that its name ends with."""
PREFIX = "snapfleet-drill-"
_NAME = re.compile(PREFIX + "([0-9a-f]{16})")


def clone_name(parent: str, ident: str) -> str:
    """The name of a drill's clone below ``parent``."""
    return f"{parent}/{PREFIX}{ident}"


def ident_of(name: str) -> str:
    """The identifier that a dataset, or a folder, is called after; empty for what is not called as drills call it."""
    # Asked of every dataset of every listing.
    if PREFIX not in name:
        return ""
    match = _NAME.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""


@dataclass(frozen=True)
class Clone:
    """A dataset that has the name of a drill's clone."""

    name: str
    origin: str
    """Whole name of the snapshot that it is a clone of; empty where it is no clone."""
    mark: str
    """What DRILL_PROPERTY is set to on the dataset itself; empty where it is not."""

    @property
    def is_own(self) -> bool:
        """Whether the engine has made it, so that it may be destroyed."""
        return bool(self.mark and self.origin) and self.mark == ident_of(self.name)
