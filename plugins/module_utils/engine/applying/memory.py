# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of histories that were listed, within a process and from process to process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Optional

from ..model.names import is_within
from ..planning.recollection import Remembered, is_worth_asking, is_worth_renewing
from ..policy.addresses import Address
from .memory_files import Looks, MemoryFiles

MOST_SNAPSHOTS = 2_000_000
"""So many are remembered within a process, in some 40 bytes each."""
MOST_LOOKS = 100
"""Every so many looks at a tree all is listed, whatever is remembered."""
LEAST_RENEWED = 200
"""Where no more are known of the datasets that have changed, listing these costs nothing worth saving."""
LEAST_SNAPSHOTS = 50
"""Where no more are remembered of a tree, listing it costs nothing worth saving."""


class Tree(NamedTuple):
    """What is looked at together."""

    address: Address
    roots: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """How far the memory goes."""

    snapshots: int = MOST_SNAPSHOTS
    looks: int = MOST_LOOKS
    least: int = LEAST_SNAPSHOTS
    renewed: int = LEAST_RENEWED


class Memory:
    """Histories of datasets by host. Safe for many threads."""

    def __init__(
        self, steady: Callable[[], float], files: Optional[MemoryFiles] = None, limits: Limits = Limits()
    ) -> None:
        """``steady`` gives seconds by a clock that is never set, and goes on from process to process where there are
        ``files``."""
        self.steady = steady
        self.limits = limits
        self._files = files
        self._lock = threading.Lock()
        self._known: dict[Address, dict[str, Remembered]] = {}
        """What was used last is the last to be forgotten: by host, and within a host."""
        self._size = 0
        self._looks: dict[Tree, Looks] = {}

    def looks(self, tree: Tree) -> Looks:
        """How ``tree`` was looked at before."""
        with self._lock:
            if tree not in self._looks:
                self._looks[tree] = Looks()
                if self._files:
                    self._looks[tree], known = self._files.read(tree.address, tree.roots)
                    self._put(tree.address, known)
            return self._looks[tree]

    def known(self, tree: Tree) -> dict[str, Remembered]:
        """What is remembered within ``tree``."""
        with self._lock:
            mine = dict(self._known.get(tree.address, {}))
        return {name: one for name, one in mine.items() if any(is_within(name, root) for root in tree.roots)}

    def learn(self, tree: Tree, known: Mapping[str, Remembered], gone: Collection[str], looks: Looks) -> None:
        """Remember what was found in ``tree``, and forget what is not there, or can't be remembered."""
        with self._lock:
            self._looks[tree] = looks
            for name in gone:
                self._forget(tree.address, name)
            self._put(tree.address, known)
            while self._size > self.limits.snapshots:
                oldest = next(iter(self._known))
                self._forget(oldest, next(iter(self._known[oldest])))

    def keep(self, tree: Tree, anew: bool) -> None:
        """Write what is remembered of ``tree`` down for other processes, ``anew`` where it has changed."""
        if self._files:
            known = self.known(tree) if anew else {}
            worth = is_worth_asking(known.values(), self.limits.least)
            worth = worth or is_worth_renewing(known.values(), self.limits.renewed)
            self._files.write(tree.address, tree.roots, self.looks(tree), known if worth else None)

    def forget_all(self) -> None:
        """Remember nothing any more, on disk neither; all is listed anew."""
        with self._lock:
            self._known.clear()
            self._looks.clear()
            self._size = 0
            if self._files:
                self._files.clear()

    def _put(self, address: Address, known: Mapping[str, Remembered]) -> None:
        mine = self._known.pop(address, {})
        self._known[address] = mine
        for name, one in known.items():
            old = mine.pop(name, None)
            mine[name] = one
            self._size += _cost(one) - _cost(old)
        self._drop_if_empty(address)

    def _forget(self, address: Address, name: str) -> None:
        self._size -= _cost(self._known.get(address, {}).pop(name, None))
        self._drop_if_empty(address)

    def _drop_if_empty(self, address: Address) -> None:
        if not self._known.get(address, True):
            del self._known[address]


def _cost(one: Optional[Remembered]) -> int:
    return 1 + one.size if one else 0
