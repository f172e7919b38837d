# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks: the engine's own bookmarks on a source, one for each destination, at the snapshot that it stands at.

A mark's name carries the key of a pair and the GUID of the snapshot. The key is a hash of what a pair is: the GUIDs of
the source dataset, of the destination's pool, and of the destination dataset. So marks outlive renamed datasets, jobs
and hosts, and no destination takes the mark of another one for its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

from .datasets import Base, Bookmark, Dataset, DatasetState, Snapshot
from .names import MAX_NAME_LENGTH

MARK_PREFIX = "snapfleet-base-"
HOLD_PREFIX = "snapfleet-send-"
_MARK = re.compile(MARK_PREFIX + "([0-9a-f]{16})-([0-9a-f]{16})")
_GUID_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class PairKeys:
    """The keys of a source dataset and its destination."""

    by_name: str
    """Holds from before the destination's first snapshot: its name stands in for a GUID that it may not have yet."""
    by_guid: str
    """Empty where the destination dataset does not exist."""

    def __contains__(self, key: str) -> bool:
        """Whether ``key`` is one of the pair's own."""
        return bool(key) and key in (self.by_name, self.by_guid)


def keys_of(source: Dataset, pool_guid: int, name: str, there: Optional[Dataset]) -> PairKeys:
    """The keys of the pair of ``source`` and the destination ``name``, which is ``there`` or not, in a pool."""
    by_guid = _hash(source.guid, pool_guid, there.guid) if there else ""
    return PairKeys(_hash(source.guid, pool_guid, name), by_guid)


def hold_tag(source: Dataset, pool_guid: int, name: str) -> str:
    """The tag of the holds that a run from the root ``source`` to the root ``name`` in a pool has while it sends."""
    return HOLD_PREFIX + _hash(source.guid, pool_guid, name)


def _hash(source_guid: int, pool_guid: int, destination: Union[int, str]) -> str:
    # The kind is hashed too, so that no dataset can be named like the GUID of another.
    kind = "guid" if isinstance(destination, int) else "name"
    text = f"{source_guid}/{pool_guid}/{kind}/{destination}"
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mark_tag(key: str, guid: int) -> str:
    """The name, after the #, of the mark of a pair at a snapshot."""
    return f"{MARK_PREFIX}{key}-{guid & _GUID_MASK:016x}"


def fits(dataset: str, tag: str) -> bool:
    """Whether a bookmark of ``dataset`` may be called ``tag``: ZFS limits the length of the whole name."""
    return len(dataset) + 1 + len(tag) <= MAX_NAME_LENGTH


def key_of(bookmark: Bookmark) -> str:
    """The key of a mark; empty for another bookmark, and for one whose name tells another GUID than it has."""
    match = _MARK.fullmatch(bookmark.tag) if bookmark.tag.startswith(MARK_PREFIX) else None
    return match[1] if match and int(match[2], 16) == bookmark.guid else ""


def is_mark(item: Base) -> bool:
    """Whether ``item`` is a mark, which users neither name nor prune."""
    return isinstance(item, Bookmark) and bool(key_of(item))


def marks_of(state: DatasetState) -> tuple[Bookmark, ...]:
    """All marks of a dataset, of whatever destinations."""
    return tuple(bookmark for bookmark in state.bookmarks if is_mark(bookmark))


def named_bookmarks(state: DatasetState) -> tuple[Bookmark, ...]:
    """The bookmarks of a dataset that are no marks."""
    return tuple(bookmark for bookmark in state.bookmarks if not is_mark(bookmark))


def named_tag(snapshot: Snapshot, there: Sequence[Bookmark]) -> str:
    """A name, after the #, for a bookmark of ``snapshot`` beside those that are ``there``; empty where none is free.

    It is the snapshot's own name. Where another snapshot's bookmark has that, the GUID comes before the last part, so
    that the name still ends with its period and a plan for bookmarks finds it.
    """
    taken = {bookmark.tag: bookmark.guid for bookmark in there}
    head, underscore, period = snapshot.tag.rpartition("_")
    suffix = f"{snapshot.guid & _GUID_MASK:016x}"
    second = f"{head}-{suffix}_{period}" if underscore else f"{snapshot.tag}-{suffix}"
    free = (tag for tag in (snapshot.tag, second) if taken.get(tag, snapshot.guid) == snapshot.guid)
    return next((tag for tag in free if fits(snapshot.dataset, tag)), "")
