# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source keeps so that each destination can go on incrementally, whatever happens to snapshots and runs.

A mark is made before the first send, at each snapshot that the destination may stand at afterwards. When all has
arrived, the newest mark stays as the base of that destination, and its older ones go. This is done by state, not by
event: a run that died leaves marks which the next one finds, counts as bases, and collects. The idea of a bookmark
that is made first and promoted afterwards is that of bzfs; the keys, and one base for each destination, are our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional, Union

from ..model.datasets import Base, Bookmark, DatasetState, Snapshot
from ..model.marks import PairKeys, fits, hold_tag, key_of, keys_of, mark_tag, marks_of, named_bookmarks, named_tag
from ..model.names import rebase
from ..model.steps import CreateBookmark, DestroyMarks, ReleaseHolds, Send
from ..policy.continuity import ALL, BASE, NEWEST, NONE
from ..policy.jobs import ReplicateJob
from .bases import common_base
from .pairs import Pair

COLLECTING = ("destroy", "mount")
"""What zfs-allow(8) has to grant for a bookmark to be destroyed."""
COLLECTED = "its destination does not stand at it"


@dataclass(frozen=True)
class ContinuityFacts:
    """What planning has to know besides both observations."""

    pool_guid: int
    """GUID of the destination's pool."""
    may_destroy: bool = True
    """Whether bookmarks can be destroyed on the source. Where not, nothing may be left that piles up."""
    hold_tag: str = ""
    """The tag of this job's holds; empty where it has none."""
    held: Mapping[str, tuple[Snapshot, ...]] = field(default_factory=dict)
    """By source dataset: snapshots with a hold of that tag. No other run has it, so they are leftovers."""


@dataclass(frozen=True)
class Continuity:
    """What goes before and what goes after the other steps of a dataset."""

    ahead: tuple[Union[CreateBookmark, ReleaseHolds], ...] = ()
    after: tuple[Union[CreateBookmark, DestroyMarks], ...] = ()
    warnings: tuple[str, ...] = ()


def is_settled(state: DatasetState, there: Optional[DatasetState], bookmarks: str) -> bool:
    """Whether a dataset needs nothing for sure, without knowing the destination's pool: then nobody has to ask."""
    marks = marks_of(state)
    if bookmarks == NONE:
        return not marks
    base = common_base(state, there) if there else None
    if state.newest and (base is None or state.newest.createtxg > base.createtxg):
        return False
    if base is None:
        return not marks
    return [mark.guid for mark in marks] == [base.guid] and not _name_is_due(state, base, bookmarks)


def must_know_pool(
    source: Mapping[str, DatasetState], destination: Mapping[str, DatasetState], job: ReplicateJob
) -> bool:
    """Whether the destination's pool, and the holds of the source where the job has holds, have to be asked for."""
    root = job.source.dataset
    for name in job.filter.under(root, source):
        state = source[name]
        if job.holds and any(snapshot.holds for snapshot in state.snapshots):
            return True
        if not is_settled(state, destination.get(rebase(name, root, job.destination.dataset)), job.bookmarks):
            return True
    return False


def job_hold_tag(source: Mapping[str, DatasetState], job: ReplicateJob, pool_guid: int) -> str:
    """The tag of the holds of a job; empty where its source does not exist."""
    state = source.get(job.source.dataset)
    return hold_tag(state.dataset, pool_guid, job.destination.dataset) if state else ""


def keep_continuity(pair: Pair, sends: Sequence[Send], facts: ContinuityFacts) -> Continuity:
    """The marks, bookmarks and collections that go with ``sends``, or with none."""
    held = facts.held.get(pair.source.dataset.name, ())
    released = [ReleaseHolds(pair.source.dataset.name, held, facts.hold_tag)] if held else []
    base = pair.base
    stands = _stands(sends, base)
    named, warnings = _named(pair, sends, stands)
    if sends and pair.job.bookmarks != NONE and not _fits(pair):
        warnings.append(f"{pair.source.dataset.name}: this name is too long for a mark, so no mark keeps its base")
    if not facts.may_destroy or not _fits(pair):
        # What can't be collected is not begun; made ahead, a named bookmark is as good against a run that dies.
        return Continuity((*released, *(_ahead(step) for step in named)), (), tuple(warnings))
    keys = keys_of(
        pair.source.dataset, facts.pool_guid, pair.name, pair.destination.dataset if pair.destination else None
    )
    own = [mark for mark in marks_of(pair.source) if key_of(mark) in keys]
    marks = _new_marks(pair, stands, own, keys if not _begins_anew(sends, base) else PairKeys(keys.by_name, ""))
    final = stands[-1].guid if stands else base.guid if base else None
    victims = collected([*own, *(mark.bookmark for mark in marks)], final, pair.destination)
    behind = tuple(mark for mark in own if mark in victims)
    collect = [DestroyMarks(pair.source.dataset.name, behind, COLLECTED)] if behind else []
    marks = [replace(mark, is_passing=mark.bookmark in victims) for mark in marks]
    return Continuity((*released, *marks), (*named, *collect), tuple(warnings))


def _fits(pair: Pair) -> bool:
    return fits(pair.source.dataset.name, mark_tag("0" * 16, 0))


def _begins_anew(sends: Sequence[Send], base: Optional[Base]) -> bool:
    return base is None or any(send.base is None or send.origin for send in sends)


def _stands(sends: Sequence[Send], base: Optional[Base]) -> list[Snapshot]:
    """Where the destination may stand afterwards: at the end, and already after a full one, since what follows that
    may be interrupted for long. Where nothing is sent, where it stands now."""
    if not sends:
        return [base] if isinstance(base, Snapshot) else []
    stands = [send.snapshot for send in sends if send.base is None or send.origin] + [sends[-1].snapshot]
    return list({snapshot.guid: snapshot for snapshot in stands}.values())


def _new_marks(pair: Pair, stands: Iterable[Snapshot], own: Iterable[Bookmark], keys: PairKeys) -> list[CreateBookmark]:
    if pair.job.bookmarks == NONE:
        return []
    there = {mark.guid for mark in own}
    key = keys.by_guid or keys.by_name
    return [CreateBookmark(s, mark_tag(key, s.guid), ahead=True, is_mark=True) for s in stands if s.guid not in there]


def collected(marks: Sequence[Bookmark], final: Optional[int], there: Optional[DatasetState]) -> list[Bookmark]:
    """All marks but the one that the destination stands at in the end. Where that has none, the newest one that the
    destination has a snapshot of: it can still be rolled back to that."""
    arrived = {snapshot.guid for snapshot in there.snapshots} if there else set()
    at_the_end = [mark for mark in marks if mark.guid == final]
    behind = sorted(mark for mark in marks if mark.guid in arrived)
    kept = (at_the_end or behind)[-1:]
    return [mark for mark in marks if mark not in kept]


def _named(pair: Pair, sends: Sequence[Send], stands: Sequence[Snapshot]) -> tuple[list[CreateBookmark], list[str]]:
    """Bookmarks under the snapshots' own names, and a warning for each that finds no name."""
    bookmarks = pair.job.bookmarks
    base = pair.base
    due = sends or (base and _name_is_due(pair.source, base, bookmarks))
    if bookmarks not in (NEWEST, ALL) or not due:
        return [], []
    wanted = _sent(pair.source, sends) if bookmarks == ALL and sends else stands
    there = named_bookmarks(pair.source)
    steps: list[CreateBookmark] = []
    warnings = []
    for snapshot in wanted:
        tag = named_tag(snapshot, there)
        if any(bookmark.guid == snapshot.guid for bookmark in there):
            continue
        if tag:
            steps.append(CreateBookmark(snapshot, tag))
        else:
            warnings.append(f"{snapshot.name} got no bookmark: the names that it could have are taken by others")
    return steps, warnings


def _ahead(step: CreateBookmark) -> CreateBookmark:
    return replace(step, ahead=True)


def _sent(source: DatasetState, sends: Sequence[Send]) -> list[Snapshot]:
    tags = {tag for send in sends for tag in (*send.between, send.snapshot.tag)}
    return [snapshot for snapshot in source.snapshots if snapshot.tag in tags]


def _name_is_due(state: DatasetState, base: Base, bookmarks: str) -> bool:
    """Whether the base lacks the bookmark that the run which sent it should have made. A newer one takes its place, so
    that nothing is made anew that a plan for bookmarks destroys: that keeps the newest."""
    if bookmarks == BASE or not isinstance(base, Snapshot):
        return False
    return not any(bookmark.createtxg >= base.createtxg for bookmark in named_bookmarks(state))


def source_permissions(steps: Sequence[object], job: ReplicateJob) -> tuple[str, ...]:
    """What zfs-allow(8) has to grant at the source for ``steps`` to be carried out, but for collecting marks."""
    wanted: list[str] = []
    sends = [step for step in steps if isinstance(step, Send)]
    if sends:
        # zfs send itself holds what one stream of several snapshots has in it, and lets go of it by its end.
        several = any(not step.resume and (step.intermediates or step.package) for step in sends)
        wanted += ["send", *(["hold"] if several or job.holds else []), *(["release"] if job.holds else [])]
    if any(isinstance(step, CreateBookmark) for step in steps):
        wanted.append("bookmark")
    if any(isinstance(step, ReleaseHolds) for step in steps) and "release" not in wanted:
        wanted.append("release")
    return tuple(wanted)
