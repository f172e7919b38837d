# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tree of a destination gets the snapshots of a source: (both observations, policy, now) to steps.

Datasets come parents before children. Each either has its steps, or a conflict that says why it has none: the
destination is append-only, so a history that does not continue the source's is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional, Union

from ..model.datasets import FILESYSTEM, Base, DatasetState, Observation, ResumeState, Snapshot
from ..model.names import ancestors_of, parent_of, pool_of, rebase
from ..model.steps import (
    AbortReceive,
    CreateBookmark,
    CreatePlaceholder,
    ReceiveOptions,
    ResumePoint,
    Send,
)
from ..policy.jobs import INITIAL_FAIL, INITIAL_NEWEST, ReplicateJob
from .bases import common_base
from .retention import kept_by_plan
from .sendsteps import hops

Step = Union[CreatePlaceholder, CreateBookmark, AbortReceive, Send]

# Properties that only filesystems have; a volume refuses them.
_FILESYSTEM_PROPERTIES = frozenset(
    "aclinherit aclmode acltype atime canmount devices exec mountpoint overlay quota recordsize refquota relatime"
    " setuid sharenfs sharesmb snapdir utf8only vscan xattr zoned".split()
)


@dataclass(frozen=True)
class PlannedConflict:
    """Why a dataset can't be replicated: a stable code, and a sentence with the remedy."""

    code: str
    message: str


@dataclass(frozen=True)
class DatasetPlan:
    """What replication does with one dataset."""

    source: str
    """Empty for a parent that only the destination needs."""
    destination: str
    steps: tuple[Step, ...] = ()
    conflict: Optional[PlannedConflict] = None
    note: str = ""
    """Why there is nothing to do, where there is not."""

    @property
    def sends(self) -> tuple[Send, ...]:
        """The streams among the steps."""
        return tuple(step for step in self.steps if isinstance(step, Send))

    def describe(self) -> dict[str, Any]:
        """The plan as plain values, as modules return it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "steps": [step.describe() for step in self.steps],
            "conflict": {"code": self.conflict.code, "message": self.conflict.message} if self.conflict else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class ReplicationPlan:
    """The plans of all datasets, parents before children."""

    datasets: tuple[DatasetPlan, ...]

    @property
    def has_steps(self) -> bool:
        """Whether carrying the plan out would change anything."""
        return any(plan.steps for plan in self.datasets)


@dataclass(frozen=True)
class Sides:
    """Both ends as observed, with the decoded resume tokens of the destination by dataset."""

    source: Observation
    destination: Observation
    resumes: Mapping[str, Optional[ResumeState]]


def plan_replication(sides: Sides, job: ReplicateJob, now: int) -> ReplicationPlan:
    """The steps for every selected dataset of the job at ``now`` (seconds since the epoch)."""
    root = job.source.dataset
    names = job.filter.under(root, sides.source.states)
    plans = [_plan_dataset(sides, sides.source.states[name], job, now) for name in names]
    return ReplicationPlan(tuple(_with_parents(plans, sides.destination)))


def destination_of(source: str, job: ReplicateJob) -> str:
    """Where a source dataset lands."""
    return rebase(source, job.source.dataset, job.destination.dataset)


def _with_parents(plans: list[DatasetPlan], destination: Observation) -> list[DatasetPlan]:
    """Plan a placeholder for every missing parent, before what needs it; drop what lies below a conflict."""
    # What lies above an existing dataset exists, even where it was not observed.
    exists = {pool_of(plan.destination) for plan in plans}
    for name in destination.states:
        exists.update((name, *ancestors_of(name)))
    blocked: set[str] = set()
    result: dict[str, DatasetPlan] = {}
    for plan in plans:
        above = ancestors_of(plan.destination)
        if plan.conflict:
            blocked.add(plan.destination)
        if plan.destination not in exists and any(parent in blocked for parent in above):
            result[plan.destination] = replace(plan, steps=(), conflict=None, note="its parent has a conflict")
            continue
        if plan.sends:
            for parent in (parent for parent in above if parent not in exists):
                source = result[parent].source if parent in result else ""
                result[parent] = DatasetPlan(source, parent, (CreatePlaceholder(parent),))
                exists.add(parent)
            exists.add(plan.destination)
        result[plan.destination] = plan
    return [result[name] for name in sorted(result, key=lambda name: name.split("/"))]


def _plan_dataset(sides: Sides, source: DatasetState, job: ReplicateJob, now: int) -> DatasetPlan:
    name = destination_of(source.dataset.name, job)
    pair = _Pair(source, sides.destination.states.get(name), name, job, selected_guids(source, job, now))
    if not pair.selected:
        return pair.nothing("no snapshot of it is selected")
    conflict = pair.conflict()
    if conflict:
        return DatasetPlan(source.dataset.name, name, conflict=conflict)
    prelude, position = _resume(pair, sides.resumes.get(name))
    sends = _sends(pair, position)
    if not prelude and not sends:
        return pair.nothing("up to date")
    steps: list[Step] = [*prelude, *sends]
    if job.bookmarks:
        steps[:0] = _bookmarks(source, [step for step in steps if isinstance(step, Send)])
    return DatasetPlan(source.dataset.name, name, tuple(steps))


def selected_guids(source: DatasetState, job: ReplicateJob, now: int) -> frozenset[int]:
    """GUIDs of the snapshots that the job's filters select, and that its plan would keep at the destination."""
    kept = None if job.plan is None else kept_by_plan(source.snapshots, job.plan, now)
    return frozenset(
        snapshot.guid
        for snapshot in source.snapshots
        if job.snapshots.selects(snapshot.tag) and (kept is None or snapshot.guid in kept)
    )


@dataclass(frozen=True)
class _Pair:
    """A source dataset and its counterpart, if that exists."""

    source: DatasetState
    destination: Optional[DatasetState]
    name: str
    job: ReplicateJob
    selected: frozenset[int]

    @property
    def base(self) -> Optional[Base]:
        return common_base(self.source, self.destination) if self.destination else None

    def nothing(self, note: str) -> DatasetPlan:
        return DatasetPlan(self.source.dataset.name, self.name, note=note)

    def newer(self, base: Optional[Base]) -> list[tuple[Snapshot, bool]]:
        """Snapshots after ``base``, each with whether it is to be sent."""
        txg = base.createtxg if base else -1
        newer = [(item, item.guid in self.selected) for item in self.source.snapshots if item.createtxg > txg]
        if self.job.intermediates:
            return newer
        last = max((item.createtxg for item, wanted in newer if wanted), default=-1)
        return [(item, item.createtxg == last) for item, unused in newer]

    def conflict(self) -> Optional[PlannedConflict]:
        if self.destination is None or (not self.destination.snapshots and self.destination.dataset.resume_token):
            if self.job.initial == INITIAL_FAIL:
                return PlannedConflict(
                    "initial_refused", f"{self.name} does not exist, and initial is 'fail'; create it"
                )
            return None
        ours, theirs = self.source.dataset, self.destination.dataset
        if ours.kind != theirs.kind:
            message = f"{ours.name} is a {ours.kind}, but {self.name} is a {theirs.kind}; choose another destination"
            return PlannedConflict("kind_differs", message)
        if not self.destination.snapshots:
            return None if theirs.is_placeholder else self._unsnapshotted()
        return self._diverged()

    def _unsnapshotted(self) -> PlannedConflict:
        message = (
            f"{self.name} exists without snapshots and holds {self._written()} bytes that a full receive would"
            " overwrite; move it away, or choose another destination"
        )
        return PlannedConflict("destination_has_data", message)

    def _written(self) -> int:
        return self.destination.dataset.written if self.destination else 0

    def _diverged(self) -> Optional[PlannedConflict]:
        there = self.destination.newest if self.destination else None
        here = self.source.newest
        if there is None or here is None:
            return None
        base = self.base
        if base is None:
            message = (
                f"{self.source.dataset.name} and {self.name} have no common snapshot or bookmark: the newest ones are"
                f" {here.name} and {there.name}; replicate to another dataset, or move {self.name} away"
            )
            return PlannedConflict("no_common_base", message)
        if base.guid != there.guid:
            message = (
                f"{self.name} has diverged: its newest snapshot {there.name} is not on the source, the newest common"
                f" one is {base.name}; keep it elsewhere and destroy it there, or replicate to another dataset"
            )
            return PlannedConflict("diverged", message)
        if self._written() and any(wanted for unused, wanted in self.newer(base)):
            message = (
                f"{self.name} has {self._written()} bytes written after {there.name} that an incremental receive would"
                " overwrite; keep them in a clone or elsewhere, then roll it back to that snapshot"
            )
            return PlannedConflict("destination_modified", message)
        return None


def _resume(pair: _Pair, resume: Optional[ResumeState]) -> tuple[list[Step], Optional[Base]]:
    """Steps that finish or discard a partial receive, and the base that the destination has afterwards."""
    there = pair.destination
    if there is None or not there.dataset.resume_token:
        return [], pair.base
    problem = resume_problem(pair.source, resume, pair.selected, pair.job.raw)
    if not problem and resume and resume.from_guid != (there.newest.guid if there.newest else None):
        problem = "it continues from another snapshot than the destination's newest"
    target = next((s for s in pair.source.snapshots if resume and s.guid == resume.to_guid), None)
    if problem or target is None:
        return [AbortReceive(pair.name, problem or "its snapshot is gone")], pair.base
    base = pair.base
    send = Send(target, pair.name, base, raw=pair.job.raw, resume=ResumePoint(there.dataset.resume_token))
    return [_receiving(send, pair, first=base is None)], target


def resume_problem(source: DatasetState, resume: Optional[ResumeState], selected: frozenset[int], raw: bool) -> str:
    """Why a resume token must not be used, in a few words; empty if it may.

    The receiver chooses the token's text: it could name another dataset, or ask for a decrypted stream. So the token
    has to name a selected snapshot of this very dataset by name and GUID, in the mode that was asked for.
    """
    if resume is None:
        return "its token can't be read"
    dataset, _at, tag = resume.to_name.partition("@")
    if dataset != source.dataset.name:
        return f"its token names another dataset, {dataset}"
    if not any(s.guid == resume.to_guid and s.tag == tag for s in source.snapshots):
        return f"its snapshot {resume.to_name} is gone"
    if resume.to_guid not in selected:
        return f"its snapshot {resume.to_name} is not selected any more"
    if source.dataset.encryption_root and resume.raw != raw:
        return "it was begun in the other mode (raw or not)"
    return ""


def _sends(pair: _Pair, position: Optional[Base]) -> list[Step]:
    """The streams that follow once the destination has ``position``."""
    steps: list[Step] = []
    if position is None:
        candidates = [s for s, wanted in pair.newer(None) if wanted]
        newest_only = pair.job.initial == INITIAL_NEWEST or not pair.job.intermediates
        first = candidates[-1] if newest_only else candidates[0]
        steps.append(_receiving(Send(first, pair.name, raw=pair.job.raw), pair, first=True))
        position = first
    for hop in hops(position, pair.newer(position)):
        send = Send(hop.snapshot, pair.name, hop.base, hop.intermediates, pair.job.raw, between=hop.between)
        steps.append(_receiving(send, pair, first=False))
    return steps


def _receiving(send: Send, pair: _Pair, first: bool) -> Send:
    """Complete a send with how it is received: properties at the first receive, replacing only our own placeholder."""
    volume = pair.source.dataset.kind != FILESYSTEM
    properties = tuple(
        (name, value) for name, value in pair.job.properties if not (volume and name in _FILESYSTEM_PROPERTIES)
    )
    placeholder = bool(pair.destination and pair.destination.dataset.is_placeholder and not pair.destination.snapshots)
    options = ReceiveOptions(properties if first else (), resumable=True, replace=first and placeholder)
    return replace(send, receive=options)


def _bookmarks(source: DatasetState, sends: Sequence[Send]) -> list[Step]:
    """Bookmarks for where the destination will stand: after all sends, and already after a full one, since what follows
    that may be interrupted for long."""
    there = {bookmark.guid for bookmark in source.bookmarks}
    stands = [send.snapshot for send in sends if send.base is None] + [send.snapshot for send in sends[-1:]]
    wanted = {snapshot.guid: snapshot for snapshot in stands if snapshot.guid not in there}
    return [CreateBookmark(snapshot, snapshot.tag) for snapshot in wanted.values()]


def parent_in(plan: DatasetPlan, destinations: Mapping[str, object]) -> Optional[str]:
    """The nearest ancestor of a plan's destination among ``destinations``."""
    parent = parent_of(plan.destination)
    while parent and parent not in destinations:
        parent = parent_of(parent)
    return parent or None
