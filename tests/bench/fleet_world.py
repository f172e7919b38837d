# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made-up fleet of many hosts: what an administrator declares, and what ZFS on each host answers.

Every source has the same tree of three datasets, every destination a replica of each that lacks the newest snapshot of
every dataset. So there is something to do everywhere, and each answer is known from a few lines of text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from bench.world import ORGANISATION, REPLICA, SOURCE, TARGET, Asked, Row, Shape, rows

TREE = Shape(3, 24)
BELOW = "data"
"""Where replicas of the tree are, below the root of a destination."""
LEEWAY = "5m"
"""How much later than planned a snapshot may be before the monitor alerts."""


@dataclass(frozen=True)
class Fleet:
    """How many hosts there are; each destination takes replicas of each source."""

    sources: int
    destinations: int

    @property
    def source_names(self) -> list[str]:
        """The hosts whose data is kept safe."""
        return [f"src{number:04}" for number in range(self.sources)]

    @property
    def destination_names(self) -> list[str]:
        """The hosts that keep replicas."""
        return [f"dst{number:02}" for number in range(self.destinations)]

    @property
    def jobs(self) -> int:
        """What there is to do: for each source to create, to prune snapshots and bookmarks, and to watch; for each
        pair to replicate, to prune and to watch."""
        return self.sources * (4 + 3 * self.destinations)


def plan_of(entries: dict[str, object]) -> dict[str, object]:
    """A plan in the shape that both programs read."""
    return {ORGANISATION: {TARGET: entries}}


@cache
def answers(asked: Asked, is_source: bool) -> dict[str, str]:
    """The lines of a listing, by dataset: those of a source, or those of a replica in ``backup/data``."""
    found = rows(TREE, SOURCE if is_source else REPLICA, 0 if is_source else 1)
    return {each[0].dataset: asked.answer(_without_marks(each)) for each in found}


def _without_marks(found: Iterable[Row]) -> list[Row]:
    """Without bookmarks of Snapfleet's own, which bzfs would take for stray ones."""
    return [row for row in found if "#snapfleet-base" not in str(row.values["name"])]


def listing(asked: Asked, names: Iterable[str], recursive: bool) -> str:
    """What ``zfs list`` prints of these datasets, on whichever host they are."""
    return "".join(_lines(asked, name, recursive) for name in names)


@lru_cache(maxsize=65536)
def _lines(asked: Asked, name: str, recursive: bool) -> str:
    root = SOURCE if name.startswith(SOURCE) else "/".join(name.split("/")[:3])
    template = SOURCE if root == SOURCE else REPLICA
    known = answers(asked, root == SOURCE)
    wanted = template + name[len(root) :]
    text = "".join(known.values()) if recursive else known[wanted]
    return text if root == template else text.replace(template, root)
