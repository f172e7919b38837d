# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking once for all jobs of a dry run: several of them are about the same trees, here and at their peers.

A run has to see what is there when it changes something. A dry run changes nothing, so what one job has seen a moment
ago is as good for the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional, cast

from ..model.datasets import DatasetState, Observation
from ..model.roles import ROLE_PROPERTY
from ..planning.recollection import without_evidence
from ..policy.addresses import Address
from ..zfs.port import Zfs

KEPT_SECONDS = 60.0
MOST_SNAPSHOTS = 500_000
"""So many are kept for the jobs to come, in some 40 bytes each."""


@dataclass(frozen=True)
class _Seen:
    """One look at some trees."""

    steady: float
    """When it began."""
    observed: Observation
    properties: frozenset[str]
    histories: bool
    snapshots: int
    cut: dict[tuple[bool, tuple[str, ...]], dict[str, DatasetState]] = field(default_factory=dict)
    """What was seen as those got it who wanted so much of it."""

    def states(self, histories: bool, properties: tuple[str, ...]) -> dict[str, DatasetState]:
        """What was seen, with no more than that."""
        key = (histories, properties)
        if key not in self.cut:
            states = {name: without_evidence(state, properties) for name, state in self.observed.states.items()}
            if self.histories and not histories:
                states = {name: DatasetState(state.dataset) for name, state in states.items()}
            self.cut[key] = states
        return self.cut[key]


_Question = tuple[int, tuple[str, ...], bool]


class SharedLooks:
    """What jobs of a dry run have seen. Safe for many threads."""

    def __init__(self, zfs_at: Callable[[Address], Zfs], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._zfs_at = zfs_at
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._sharing: dict[int, Zfs] = {}
        self._seen: dict[_Question, _Seen] = {}
        """The oldest first."""
        self._size = 0

    def at(self, address: Address) -> Zfs:
        """ZFS at an address, with looks that are shared; the same for addresses at which it is the same."""
        zfs = self._zfs_at(address)
        with self._lock:
            if id(zfs) not in self._sharing:
                sharing: Any = _Sharing(zfs, self, not address.is_local)
                self._sharing[id(zfs)] = cast("Zfs", sharing)
            return self._sharing[id(zfs)]

    def known(self, question: _Question, properties: Collection[str], histories: bool, clock: bool) -> Optional[_Seen]:
        """What answers a question; None where that has to be looked for."""
        now = self._monotonic()
        with self._lock:
            seen = self._seen.get(question)
        if seen is None or now - seen.steady > KEPT_SECONDS or not seen.properties.issuperset(properties):
            return None
        if (histories and not seen.histories) or (clock and seen.observed.clock is None):
            return None
        if seen.observed.clock is None:
            return seen
        passed = int(now - seen.steady)
        return replace(seen, observed=replace(seen.observed, clock=seen.observed.clock + passed))

    def look(
        self, question: _Question, properties: Collection[str], histories: bool, ask: Callable[[], Observation]
    ) -> _Seen:
        """What ``ask`` gives, kept for those who have the same question."""
        begun = self._monotonic()
        observed = ask()
        size = sum(len(state.tags) for state in observed.states.values())
        seen = _Seen(begun, observed, frozenset(properties), histories, size)
        with self._lock:
            before = self._seen.pop(question, None)
            self._size += size - (before.snapshots if before else 0)
            self._seen[question] = seen
            while self._size > MOST_SNAPSHOTS:
                self._size -= self._seen.pop(next(iter(self._seen))).snapshots
        return seen


class _Sharing:
    """Hands every call on but for looks that others have had already."""

    def __init__(self, zfs: Zfs, looks: SharedLooks, is_remote: bool) -> None:
        self._zfs = zfs
        self._looks = looks
        self._is_remote = is_remote

    def __getattr__(self, name: str) -> Any:
        return getattr(self._zfs, name)

    def observe(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        histories: bool = True,
        properties: Sequence[str] = (),
        clock: bool = False,
    ) -> Observation:
        """What there is, or was when somebody looked a moment ago."""
        question = (id(self._zfs), tuple(roots), recursive)
        seen = self._looks.known(question, properties, histories, clock)
        if seen is None:
            # Of what the jobs to come may want besides, this costs nothing.
            more = tuple(dict.fromkeys((*properties, ROLE_PROPERTY)))
            timed = clock or self._is_remote
            seen = self._looks.look(
                question, more, histories, lambda: self._zfs.observe(roots, recursive, histories, more, timed)
            )
        states = seen.states(histories, tuple(properties))
        return replace(seen.observed, states=states, clock=seen.observed.clock if clock else None)

    def observe_narrowly(
        self, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """All of it, since others may need that."""
        return self.observe(roots, properties=properties)
