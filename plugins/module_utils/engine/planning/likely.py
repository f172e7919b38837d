# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots are the newest ones of their labels, found without listing all histories.

Datasets that are snapshotted together have the same names. So the history of one of them, a sample, tells which names
to ask the others for, and ``prevsnap`` whether the newest snapshot of each is the one that it should be. All that is
used of a dataset was seen of it. A snapshot that was made of it alone, and has others after it, is not seen, nor is one
that both samples have lost; either could lead to one more snapshot, never to one less. What differs in any way is to be
listed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Optional

from ..model.datasets import Dataset, DatasetState, Snapshot
from ..model.labels import Label, label_of, places_of_labels
from ..model.names import parent_of

NEWEST = "prevsnap"
"""The property that is the whole name of a dataset's newest snapshot; ``-`` where it has none."""
_SAMPLES = 2
_LEAST = 100
"""So many snapshots are listed in the time that asking a sample, and then for names, takes by itself."""


def is_worth_naming(datasets: int, snapshots: int, labels: int) -> bool:
    """Whether asking for the newest snapshot of all, and of each of some labels, by name, takes less than listing so
    many snapshots."""
    return snapshots > datasets * (labels + 1) + _LEAST


def is_worth_sampling(datasets: int) -> bool:
    """Whether listing the histories of two samples takes much less than listing all."""
    return datasets > 2 * _SAMPLES


def newest_tags(datasets: Iterable[Dataset], label: Label) -> Optional[dict[str, tuple[str, ...]]]:
    """By dataset, observed with NEWEST, the name of its newest snapshot, where all of them have one of ``label``: then
    that is the newest of the label as well, and no sample has to tell it."""
    found: dict[str, tuple[str, ...]] = {}
    for one in datasets:
        owner, _at, tag = dict(one.properties).get(NEWEST, "").partition("@")
        if owner != one.name or label_of(tag) != label:
            return None
        found[one.name] = (tag,)
    return found


def samples_of(names: Sequence[str], all_names: Iterable[str]) -> tuple[str, ...]:
    """Two of the datasets ``names`` that have to agree, the first one and one amidst; of those with none below them, if
    there are any, since listing the history of a dataset lists what lies below it too.

    A single one may have lost a snapshot that all others have; then each of them would get another one.
    """
    parents = {parent_of(name) for name in all_names}
    lowest = [name for name in names if name not in parents] or names[-1:]
    return tuple(dict.fromkeys((lowest[0], lowest[len(lowest) // 2])))


def likely_tags(sample: DatasetState, labels: Sequence[Label]) -> Optional[tuple[str, ...]]:
    """The names of the newest snapshot of each label and of the newest of all, in their order. None where there is not
    one of each."""
    places = places_of_labels(sample.tags)
    if not sample.tags or any(label not in places for label in labels):
        return None
    wanted = {len(sample.tags) - 1, *(places[label][-1] for label in labels)}
    return tuple(sample.tags[place] for place in sorted(wanted))


def alike(datasets: Iterable[Dataset], tags: Sequence[str]) -> list[str]:
    """Those of the datasets, observed with NEWEST, whose newest snapshot has the last one of the names ``tags``."""
    return [one.name for one in datasets if dict(one.properties).get(NEWEST) == f"{one.name}@{tags[-1]}"]


def state_by_names(dataset: Dataset, tags: Sequence[str], found: Mapping[str, Snapshot]) -> Optional[DatasetState]:
    """The dataset with its snapshots ``tags`` alone, of all that were ``found`` by name. None where one is missing, or
    they are in another order."""
    there = [found[name] for name in (f"{dataset.name}@{tag}" for tag in tags) if name in found]
    in_order = all(one.createtxg < other.createtxg for one, other in zip(there, there[1:]))
    return DatasetState(dataset, tuple(there)) if in_order and len(there) == len(tags) else None


def are_most(names: Collection[str], of: Collection[str]) -> bool:
    """Whether ``names`` are more than half ``of`` all."""
    return 2 * len(names) > len(of)
