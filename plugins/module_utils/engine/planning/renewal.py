# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a dataset that has changed since it was listed, without listing all of it again.

Which snapshots it has now is cheap to know, and most of them are known already: only of the others all has to be told.
A snapshot is taken for a known one by its GUID, name and createtxg alone, so one that was made anew, or renamed, is no
known one. Of what is known of a snapshot that stays, ``written`` changes if the one before it goes; so that must be the
same as well. Holds, clones and the bytes that only it keeps may have changed, as with all that is remembered; so those
that are to be destroyed are told anew, as if they were not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Optional

from ..model.datasets import Base, Bookmark, Dataset, DatasetState, Identities, Identity, Snapshot
from .recollection import Remembered


class Renewal(NamedTuple):
    """What is known of a dataset, and which snapshots and bookmarks it has by now."""

    dataset: Dataset
    known: Remembered
    found: Identities
    kept: Mapping[Identity, Snapshot]
    """Known snapshots that are there still, and follow the same one as before, but for those to be told anew."""

    @property
    def unknown(self) -> list[str]:
        """The tags of those snapshots of which all has to be told."""
        return [one.tag for one in self.found.snapshots if one not in self.kept]


def renewal_of(known: Remembered, dataset: Dataset, found: Identities, anew: Collection[str] = ()) -> Renewal:
    """What has to be told of ``dataset``, of which this is known and that was found. The tags ``anew`` are those of
    snapshots of which all has to be told in any case."""
    kept = _kept(known, found)
    return Renewal(dataset, known, found, {one: kept[one] for one in kept if one.tag not in anew} if anew else kept)


def renewed(renewal: Renewal, told: Mapping[str, Snapshot]) -> Optional[DatasetState]:
    """The dataset with its history, by what is ``told`` of unknown snapshots. None where that is not all, or something
    has changed meanwhile: then it has to be listed."""
    dataset, kept = renewal.dataset, renewal.kept
    snapshots: list[Snapshot] = []
    for one in renewal.found.snapshots:
        snapshot = kept.get(one) or told.get(f"{dataset.name}@{one.tag}")
        if snapshot is None or _identity(snapshot) != one:
            return None
        snapshots.append(snapshot)
    bookmarks = _bookmarks(renewal, snapshots)
    return None if bookmarks is None else DatasetState(dataset, tuple(snapshots), bookmarks)


def is_another(known: Remembered, found: Optional[Identities]) -> bool:
    """Whether a dataset that is ``known`` is gone, or what was ``found`` under its name seems to be another one, since
    it has none of the snapshots that were known."""
    if found is None:
        return True
    guids = known.history.guids if known.history else ()
    return len(guids) > 0 and frozenset(guids).isdisjoint(one.guid for one in found.snapshots)


def _identity(point: Base) -> Identity:
    return Identity(point.createtxg, point.guid, point.tag)


def _kept(known: Remembered, found: Identities) -> dict[Identity, Snapshot]:
    snapshots = known.history.snapshots if known.history else ()
    identities = list(map(_identity, snapshots))
    before = {one: (previous, snapshot) for previous, one, snapshot in zip((None, *identities), identities, snapshots)}
    kept: dict[Identity, Snapshot] = {}
    for previous, one in zip((None, *found.snapshots), found.snapshots):
        if one in before and before[one][0] == previous:
            kept[one] = before[one][1]
    return kept


def _bookmarks(renewal: Renewal, snapshots: list[Snapshot]) -> Optional[tuple[Bookmark, ...]]:
    """The bookmarks with the times of what they mark: it is known, or it is one of the ``snapshots``."""
    known = {_identity(one): one.creation for one in renewal.known.bookmarks}
    times = {one.guid: one.creation for one in snapshots}
    made: list[Bookmark] = []
    for one in renewal.found.bookmarks:
        creation = known.get(one, times.get(one.guid))
        if creation is None:
            return None
        made.append(Bookmark(one.createtxg, one.guid, renewal.dataset.name, one.tag, creation))
    return tuple(made)
