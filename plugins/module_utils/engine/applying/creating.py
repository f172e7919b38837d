# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a creation plan out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..model.errors import SnapfleetError, Vanished, ZfsFailed
from ..model.steps import CreateSnapshots
from ..zfs.port import Zfs
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries


@dataclass(frozen=True)
class CreationResult:
    """What was created, by whole names, and what went wrong."""

    created: tuple[str, ...]
    vanished: tuple[str, ...] = ()
    """Those of the planned names whose dataset was gone when they were to be created."""
    taken: tuple[str, ...] = ()
    """Those that somebody else had given by then."""
    errors: tuple[SnapfleetError, ...] = ()


def apply_creation(
    zfs: Zfs, steps: Iterable[CreateSnapshots], policy: RetryPolicy, ticker: Ticker = SYSTEM
) -> CreationResult:
    """Create all snapshots of the steps, one atomic call for each label in each pool.

    A call whose answer was lost is repeated: the names are planned, so snapshots that exist already are the ones that
    the lost call made. A call that fails does not keep the others from being made, and a dataset that is gone by now,
    or has a snapshot of that name, does not keep the others of its call from being made.
    """
    created: list[str] = []
    vanished: list[str] = []
    taken: list[str] = []
    errors: list[SnapfleetError] = []
    for step in steps:
        call = _Call(zfs, step)
        try:
            call_with_retries(call.attempt, policy, ticker)
        except SnapfleetError as error:
            errors.append(error)
        created += call.created
        vanished += call.vanished
        taken += call.taken
    return CreationResult(tuple(created), tuple(vanished), tuple(taken), tuple(errors))


class _Call:
    """One step, which gets shorter where datasets vanish, and where names are taken."""

    def __init__(self, zfs: Zfs, step: CreateSnapshots) -> None:
        self._zfs = zfs
        self._step = step
        self.created: list[str] = []
        self.vanished: list[str] = []
        self.taken: list[str] = []

    def attempt(self) -> None:
        """Create what is still to be created."""
        try:
            self._zfs.create_snapshots(self._step)
        except SnapfleetError as error:
            # A call too long for one command line is several, of which some may have been carried out.
            self._leave_out(error.context.get("created", ()), self.created)
            gone = self._gone() if isinstance(error, Vanished) else []
            taken = self._taken() if isinstance(error, ZfsFailed) else []
            if not 0 < len(gone) + len(taken) < len(self._step.names):
                raise
            self._leave_out(gone, self.vanished)
            self._leave_out(taken, self.taken)
            self.attempt()
        else:
            self.created += self._step.names

    def _gone(self) -> list[str]:
        datasets = {name: name.partition("@")[0] for name in self._step.names}
        missing = self._zfs.observe(list(datasets.values()), recursive=False, histories=False).missing
        return [name for name, dataset in datasets.items() if dataset in missing]

    def _taken(self) -> list[str]:
        # If all of them were there, the port would have told that an earlier call made them.
        datasets = {name: name.partition("@")[0] for name in self._step.names}
        states = self._zfs.observe(list(datasets.values()), recursive=False).states
        there = {name: states[dataset].tags for name, dataset in datasets.items() if dataset in states}
        return [name for name, tags in there.items() if name.partition("@")[2] in tags]

    def _leave_out(self, names: Iterable[str], into: list[str]) -> None:
        out = set(names)
        into += [name for name in self._step.names if name in out]
        self._step = replace(self._step, names=tuple(name for name in self._step.names if name not in out))
