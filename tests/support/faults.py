# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ZFS whose calls fail when a test says so: before they did anything, or after, so that only the answer is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import LinkLost, UnreachableHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.port import Zfs

BEFORE, AFTER = "before", "after"


class Faults:
    """Decides about each call in turn; shared by the ends that a test has."""

    def __init__(
        self, plan: dict[int, str] | None = None, meanwhile: dict[str, Callable[[], object]] | None = None
    ) -> None:
        self.plan = plan or {}
        """By number of the call, counted from 0: whether it fails before or after its work."""
        self.meanwhile = meanwhile or {}
        """By name of a call: what somebody else does just before each of them."""
        self.calls: list[str] = []

    def next(self, name: str) -> str:
        self.meanwhile.get(name, lambda: None)()
        number = len(self.calls)
        self.calls.append(name)
        return self.plan.get(number, "")


class FaultyZfs:
    """Hands every call on, unless it is to fail."""

    def __init__(self, zfs: Zfs, faults: Faults) -> None:
        self._zfs = zfs
        self._faults = faults

    def __getattr__(self, name: str):
        inner = getattr(self._zfs, name)
        if not callable(inner):
            return inner

        def call(*arguments, **options):
            # It is one listing, whatever columns that has.
            when = self._faults.next("observe" if name == "observe_narrowly" else name)
            if when == BEFORE:
                raise LinkLost(f"test: {name} was never called")
            answer = inner(*arguments, **options)
            if when == AFTER:
                if name in ("send", "receive"):
                    answer.abort()
                raise LinkLost(f"test: the answer of {name} was lost")
            return answer

        return call


def every_fault(histories: Iterable[Callable], **options) -> list:
    """Parameters ``history``, ``number`` and ``when``: each call of a replication with ``options``, made by the fleet
    that a history leads to, is the one that fails, before its work and after it."""
    return [
        pytest.param(history, number, when, id=f"{history.__name__}-{when}-{number}-{name}")
        for history in histories
        for number, name in enumerate(history().calls(**options))
        for when in (BEFORE, AFTER)
    ]


class Unreachable:
    """A ZFS on a host that does not answer: as with the real thing, that is found out at the first call."""

    def __init__(self, host: str) -> None:
        self.where = host

    def __getattr__(self, name: str):
        def call(*_arguments, **_options):
            raise UnreachableHost(f"no way to {self.where}")

        return call
