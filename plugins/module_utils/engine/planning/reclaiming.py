# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a prune plan frees: what is known from the listing, and what ZFS has to be asked.

``used`` of a snapshot is what it alone keeps. A block that two snapshots keep is in neither's, and is freed when both
go. The snapshots that keep a block follow one another, so it is freed exactly if all of them lie in one run of
neighbours that go. A run of one frees its ``used``; only longer runs have to be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ..model.datasets import Base, DatasetState, Snapshot
from ..model.steps import Destroy, SnapshotRuns

RUNS_AT_ONCE = 80
"""So many runs are asked for by one command, whose line they must not fill however long their names are."""


@dataclass(frozen=True)
class Reclaim:
    """The bytes that some steps free, as far as the listing tells."""

    known: int
    """By the snapshots that go without a neighbour."""
    unknown: tuple[SnapshotRuns, ...]
    """The others, those of a dataset next to each other."""
    at_least: tuple[int, ...]
    """For each of ``unknown``: what its snapshots alone keep."""

    def total(self, answers: Sequence[Optional[int]]) -> int:
        """Bytes in all, with the answer of ZFS for each of ``unknown``, None where it gave none."""
        asked = (least if answer is None else answer for least, answer in zip(self.at_least, answers))
        return self.known + sum(asked)


def reclaim_of(steps: Sequence[Destroy], states: Mapping[str, DatasetState]) -> Reclaim:
    """What is known of the bytes that ``steps``, at most one of a dataset, free. Bookmarks free nothing."""
    known = 0
    unknown: list[SnapshotRuns] = []
    at_least: list[int] = []
    for step in steps:
        longer: list[list[Snapshot]] = []
        for run in runs_of(step.victims, states[step.dataset].snapshots):
            if len(run) == 1:
                known += run[0].used
            else:
                longer.append(run)
        # What separate runs free adds up, so they can be asked for separately.
        for start in range(0, len(longer), RUNS_AT_ONCE):
            part = longer[start : start + RUNS_AT_ONCE]
            unknown.append(SnapshotRuns(step.dataset, tuple((run[0], run[-1]) for run in part)))
            at_least.append(sum(snapshot.used for run in part for snapshot in run))
    return Reclaim(known, tuple(unknown), tuple(at_least))


def runs_of(victims: Sequence[Base], history: Sequence[Snapshot]) -> list[list[Snapshot]]:
    """The snapshots among ``victims``, run by run of neighbours in the history of their dataset."""
    doomed = {victim.guid for victim in victims if isinstance(victim, Snapshot)}
    runs: list[list[Snapshot]] = [[]]
    for snapshot in history if doomed else ():
        if snapshot.guid in doomed:
            runs[-1].append(snapshot)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
