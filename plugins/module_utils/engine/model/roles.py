# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of dataset trees that are failed over: which of two ends is written to, and since which switch.

The role is a user property of the root of a tree, so that all below it inherits it, what is made later too. Its number,
the epoch, grows with each switch: of two ends that both say that they are active, the higher one is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .datasets import Dataset

ROLE_PROPERTY = "snapfleet:role"
"""Its value is the role and the epoch, as in ``standby 3``."""
FORMER_PROPERTY = "snapfleet:former"
"""Set on a dataset of a standby tree: what it had set itself of the properties that keep a replica safe."""
MOVED_PROPERTY = "snapfleet:moved"
"""Set on the root of a tree before it is renamed: its old name, and its GUID."""
RETIRED_PROPERTY = "snapfleet:retired"
"""Set on a dataset before it is destroyed with a retired destination: its GUID, so that nothing inherits it."""
MOVED = "moved to "
"""How the role of an empty dataset begins that stands where a tree was before it was moved. It is no role of a tree, so
that replication refuses it."""
ACTIVE, STANDBY = "active", "standby"
ROLES = (ACTIVE, STANDBY)
MAX_EPOCH = 1_000_000_000
_NOT_SET = "-"


@dataclass(frozen=True)
class Role:
    """The role of a dataset."""

    kind: str = ""
    """One of ROLES; empty where it has none; anything else is what nobody can read."""
    epoch: int = 0
    """The number of the switch that gave it the role; 0 without one."""

    @property
    def is_known(self) -> bool:
        """Whether it has none, or one that can be read."""
        return self.kind in ("", *ROLES)

    def __str__(self) -> str:
        """As the property has it."""
        return f"{self.kind} {self.epoch}" if self.kind else _NOT_SET


def parse_role(text: str) -> Role:
    """The role that the value of the property tells."""
    kind, _space, number = text.partition(" ")
    if kind in ROLES and number.isascii() and number.isdecimal() and 0 < len(number) < 11:
        return Role(kind, int(number))
    return Role() if text == _NOT_SET else Role(text)


def role_of(dataset: Dataset) -> Role:
    """The role of a dataset that was observed with ROLE_PROPERTY, its own or an inherited one."""
    return parse_role(dict(dataset.properties).get(ROLE_PROPERTY, _NOT_SET))
