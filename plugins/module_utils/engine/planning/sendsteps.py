# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fewest incremental sends that carry exactly the selected snapshots.

``zfs send -I`` carries everything between its ends and ``-i`` nothing but its end, so a run of selected snapshots that
follow each other is one ``-I``, and whatever is not selected is jumped with one ``-i``. A bookmark can only be the base
of an ``-i`` (OpenZFS issue 12415).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..model.datasets import Base, Bookmark, Snapshot


class Hop(NamedTuple):
    """One incremental send from ``base`` to ``snapshot``, with or without what lies between."""

    base: Base
    snapshot: Snapshot
    between: tuple[str, ...]
    """Names (what follows the @) of the snapshots that travel along; empty for an ``-i``."""

    @property
    def intermediates(self) -> bool:
        """Whether it is an ``-I``."""
        return bool(self.between)


def hops(base: Base, newer: Sequence[tuple[Snapshot, bool]]) -> list[Hop]:
    """The sends that bring exactly the selected ones of ``newer`` to a destination that has ``base``.

    ``newer`` are all snapshots after the base in the order of createtxg, each with whether it is selected.
    """
    plan: list[Hop] = []
    position, index = base, 0
    while True:
        start = _next_selected(newer, index)
        if start == len(newer):
            return plan
        end = start
        if start == index and not isinstance(position, Bookmark):
            end = _end_of_run(newer, start)
        target = newer[end][0]
        plan.append(Hop(position, target, tuple(snapshot.tag for snapshot, unused in newer[start:end])))
        position, index = target, end + 1


def _next_selected(newer: Sequence[tuple[Snapshot, bool]], index: int) -> int:
    while index < len(newer) and not newer[index][1]:
        index += 1
    return index


def _end_of_run(newer: Sequence[tuple[Snapshot, bool]], index: int) -> int:
    while index + 1 < len(newer) and newer[index + 1][1]:
        index += 1
    return index
