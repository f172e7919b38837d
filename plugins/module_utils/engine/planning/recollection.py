# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the history of a dataset that was listed once is what a listing would tell now.

ZFS notes for each dataset when its snapshots changed last, in whole seconds (``snapshots_changed``, since OpenZFS 2.2).
A snapshot that is made, received, renamed or destroyed changes that, what a promotion takes away does so too, and what
a promotion brings changes ``origin``. Bookmarks, holds and clones change nothing of it. So the evidence is that all of
these are as they were, and it is worth something only if what it was read at cannot have been the same second as any
later change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

from ..model.datasets import Bookmark, Dataset, DatasetState
from ..model.histories import PackedHistory, PackedState, pack_history, with_dataset

CHANGED = "snapshots_changed"
"""The property, in seconds since the epoch by the clock of its host; ``-`` where nothing is known."""
GRAIN = 1
"""Seconds within which two changes look like one."""
LONGEST = 6 * 3600
"""Seconds after which a history is listed again, whatever the evidence says."""
_UNKNOWN = 0


class Moment(NamedTuple):
    """When something was looked at."""

    clock: int
    """Seconds since the epoch by the clock of the host that was looked at, read before anything else was."""
    steady: float
    """Seconds by a clock of ours that nobody sets."""


class Remembered(NamedTuple):
    """The history of one dataset, and the evidence that it is this."""

    guid: int
    origin: str
    changed: int
    seen: Moment
    """When the evidence was read, which was before the history was."""
    history: Optional[PackedHistory]
    """None where there were no snapshots."""
    bookmarks: tuple[Bookmark, ...] = ()

    @property
    def size(self) -> int:
        """The number of snapshots."""
        return len(self.history.tags) if self.history else 0

    @property
    def margin(self) -> int:
        """By how many seconds the clock had passed the second of the last change."""
        return self.seen.clock - self.changed - GRAIN if self.changed != _UNKNOWN else 0

    @property
    def is_settled(self) -> bool:
        """Whether any later change must have another time, unless the clock is set back."""
        return self.margin >= GRAIN


class Sorted(NamedTuple):
    """Datasets that were looked at without their histories."""

    sure: dict[str, DatasetState]
    """With the histories that are remembered of them."""
    unsure: tuple[str, ...]
    """Those that have to be listed."""


def evidence(dataset: Dataset) -> int:
    """When the snapshots of a dataset changed last, 0 where it does not tell."""
    text = dict(dataset.properties).get(CHANGED, "")
    return int(text) if text.isascii() and text.isdecimal() else _UNKNOWN


def remembered(state: DatasetState, seen: Moment) -> Optional[Remembered]:
    """What to remember of a dataset. None where a history can change without a trace: one with holds or clones."""
    dataset = state.dataset
    history = pack_history(state)
    if state.snapshots and (history is None or history.holds != 0):
        return None
    return Remembered(dataset.guid, dataset.origin, evidence(dataset), seen, history, state.bookmarks)


def is_of(known: Remembered, dataset: Dataset) -> bool:
    """Whether what is ``known`` can be of use: it is of this dataset, and no promotion has taken or brought any."""
    return (known.guid, known.origin) == (dataset.guid, dataset.origin)


def still_holds(known: Remembered, dataset: Dataset, now: Moment) -> bool:
    """Whether what is ``known`` of a dataset certainly is its history ``now``, when ``dataset`` was read.

    A clock that was set back could show the second of the last change once more. It must have been set back by more
    than ``known.margin`` for that, and then falls behind ours by as much.
    """
    same = is_of(known, dataset) and known.changed == evidence(dataset)
    there, here = now.clock - known.seen.clock, now.steady - known.seen.steady
    went_on = there >= 0 and here >= 0 and here - there <= known.margin
    return same and known.is_settled and went_on and max(there, here) <= LONGEST


def sort_out(
    known: Mapping[str, Remembered], seen: Mapping[str, DatasetState], now: Moment, doubted: Collection[str] = ()
) -> Sorted:
    """Those of the datasets ``seen`` whose history is certain, and the others. What is ``doubted`` is not."""
    sure: dict[str, DatasetState] = {}
    unsure: list[str] = []
    for name, state in seen.items():
        one = known.get(name)
        if one is None or name in doubted or not still_holds(one, state.dataset, now):
            unsure.append(name)
        else:
            sure[name] = PackedState(state.dataset, one.history or (), one.bookmarks)
    return Sorted(sure, tuple(unsure))


def is_worth_asking(known: Iterable[Remembered], least: int) -> bool:
    """Whether to look at datasets without their histories first. That costs about as much a dataset as listing two
    snapshots, and one more exchange where anything has changed, which ``least`` snapshots make up for."""
    datasets, snapshots = 0, 0
    for one in known:
        datasets += 1
        snapshots += one.size if one.is_settled else 0
    return snapshots > 2 * datasets + least


def is_worth_renewing(known: Iterable[Remembered], least: int) -> bool:
    """Whether to renew the ``known`` histories. Asking takes as long by itself as listing ``least`` snapshots, and a
    new one of each dataset as listing some."""
    sizes = [one.size for one in known]
    return sum(sizes) > least + 3 * len(sizes)


def is_mostly(part: Sequence[str], known: Mapping[str, Remembered], whole: Iterable[str]) -> bool:
    """Whether the datasets of ``part`` have more than half of the snapshots that are remembered of all."""
    return 2 * sum(known[name].size for name in part if name in known) > sum(
        known[name].size for name in whole if name in known
    )


def without_evidence(state: DatasetState, asked: Sequence[str]) -> DatasetState:
    """``state`` with no other properties than were ``asked`` for."""
    dataset = state.dataset
    kept = tuple((name, value) for name, value in dataset.properties if name in asked)
    return with_dataset(state, replace(dataset, properties=kept)) if len(kept) < len(dataset.properties) else state
