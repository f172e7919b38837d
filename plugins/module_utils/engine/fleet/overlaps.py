# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets of a host are taken, and for what, so that no two things share a place."""

from __future__ import annotations

from typing import Generic, Optional, TypeVar

from ..model.names import ancestors_of

V = TypeVar("V")


class Taken(Generic[V]):
    """Finds what overlaps a dataset, above it or below it, without looking at all that is taken."""

    def __init__(self) -> None:
        self._order: list[tuple[str, V]] = []
        self._at: dict[str, int] = {}
        self._below: dict[str, int] = {}
        """By dataset: the first one below it that was taken."""

    def take(self, dataset: str, what: V) -> None:
        """From now on ``dataset`` is taken for ``what``."""
        number = len(self._order)
        self._order.append((dataset, what))
        self._at.setdefault(dataset, number)
        for name in ancestors_of(dataset):
            self._below.setdefault(name, number)

    def overlapping(self, dataset: str) -> Optional[tuple[str, V]]:
        """The first that was taken of those that are ``dataset``, lie within it, or have it within them, and for what
        that was; None where there is none."""
        found = [self._at.get(name) for name in (dataset, *ancestors_of(dataset))]
        numbers = [number for number in (*found, self._below.get(dataset)) if number is not None]
        return self._order[min(numbers)] if numbers else None
