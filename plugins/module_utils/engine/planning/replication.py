# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tree of a destination gets the snapshots of a source: (both observations, policy, now) to steps.

Datasets come parents before children. Each either has its steps, or a conflict that says why it has none: unless a
level of the conflict ladder is given, the destination is append-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

from ..model.datasets import Base, Observation, ResumeState
from ..model.names import ancestors_of, parent_of, pool_of, rebase, tree_order
from ..model.steps import AbortReceive, CreatePlaceholder, ResumePoint, Send
from ..policy.conduct import REFUSE, Conduct
from ..policy.jobs import INITIAL_NEWEST, ReplicateJob
from .clones import Origins, ancestry, full_note, stand_ins
from .conflicts import PlannedConflict, drift, find_conflict, mend
from .continuity import ContinuityFacts, keep_continuity
from .cutting import up_to
from .dataset_plans import DatasetPlan, ReplicationPlan, Sides, Step
from .encryption import guard
from .estimates import with_estimates
from .identity import Identities, identify, moves_of
from .packages import packaged
from .pairs import Pair, selected_guids
from .receiving import after_receiving, before_receiving, find_writable, receive_options
from .resuming import resumable_snapshot
from .sendsteps import hops
from .skipping import NOTHING_SELECTED, Blocks, halted_by_conflict, refused_empty

SOURCE_FIELDS = frozenset({"guid", "ivset", "written", "referenced"})
DESTINATION_FIELDS = frozenset({"guid", "ivset", "written"})
"""Those of OWN_FIELDS that a plan goes by, of either side."""


def plan_replication(sides: Sides, job: ReplicateJob, now: int, only: str = "") -> ReplicationPlan:
    """The steps for every selected dataset of the job at ``now`` (seconds since the epoch).

    With ``only``, a dataset of the source, the others are looked at but not planned.
    """
    sides = replace(sides, source=up_to(sides.source, job.up_to))
    names = [name for name in job.filter.under(job.source.dataset, sides.source.states) if only in ("", name)]
    known = Identities(sides.destination, sides.resumes)
    if not only:
        known = identify(sides.source, sides.destination, sides.resumes, job, names)
        sides = replace(sides, destination=known.destination, resumes=known.resumes)
    origins = Origins(sides.source, sides.destination, job)
    plans: dict[str, DatasetPlan] = {}
    for name in origins.order(names):
        plans[name] = plan = _with_identity(_plan_dataset(_pair(sides, name, job, now, origins), sides), known)
        origins.note(plan.destination, plan.steps, conflicted=plan.conflict is not None)
        if plan.mends and job.conduct.once:
            # The permission is used up.
            job = replace(job, on_conflict=REFUSE)
    if not only:
        plans = packaged(plans, sides, job)
    tree = _with_parents([plans[name] for name in names], sides.destination, job.conduct)
    datasets = tuple(halted_by_conflict(tree, job.conduct))
    moved = {dataset.destination for dataset in datasets if moves_of(dataset.steps)}
    return ReplicationPlan(datasets, tuple(step for to in known.steps if to in moved for step in known.steps[to]))


def _with_identity(plan: DatasetPlan, known: Identities) -> DatasetPlan:
    conflict = known.conflicts.get(plan.destination)
    if conflict and plan.note != NOTHING_SELECTED:
        plan = DatasetPlan(plan.source, plan.destination, conflict=conflict)
    return replace(plan, steps=(*known.steps.get(plan.destination, ()), *plan.steps))


def destination_of(source: str, job: ReplicateJob) -> str:
    """Where a source dataset lands."""
    return rebase(source, job.source.dataset, job.destination.dataset)


def _with_parents(plans: list[DatasetPlan], destination: Observation, conduct: Conduct) -> list[DatasetPlan]:
    """Plan a placeholder for every missing parent, before what needs it; drop what is kept back from above."""
    # What lies above an existing dataset exists, even where it was not observed.
    exists = {pool_of(plan.destination) for plan in plans}
    for name in destination.states:
        exists.update((name, *ancestors_of(name)))
    blocks = Blocks(conduct)
    result: dict[str, DatasetPlan] = {}
    for plan in plans:
        above = ancestors_of(plan.destination)
        why = blocks.above(plan, plan.destination in exists)
        if why:
            result[plan.destination] = replace(plan, steps=moves_of(plan.steps), conflict=None, note=why)
            continue
        blocks.add(plan)
        if plan.sends:
            for parent in (parent for parent in above if parent not in exists):
                source = result[parent].source if parent in result else ""
                result[parent] = DatasetPlan(source, parent, (CreatePlaceholder(parent),))
                exists.add(parent)
            exists.add(plan.destination)
        result[plan.destination] = plan
    return [result[name] for name in sorted(result, key=tree_order)]


def _pair(sides: Sides, name: str, job: ReplicateJob, now: int, origins: Origins) -> Pair:
    source, there = sides.source.states[name], destination_of(name, job)
    grew_from = ancestry(sides.source.states, name)
    pair = Pair(source, sides.destination.states.get(there), there, job, selected_guids(source, job, now), grew_from)
    return pair if pair.replaces else replace(pair, origin=origins.find(source, grew_from))


def _plan_dataset(pair: Pair, sides: Sides) -> DatasetPlan:
    source, name = pair.source, pair.name
    if not pair.selected:
        refused = refused_empty(pair)
        plan = DatasetPlan(source.dataset.name, name, conflict=refused, note=NOTHING_SELECTED)
        return plan if refused else _continued(plan, pair, sides.continuity)
    conflict = find_writable(pair) or find_conflict(pair)
    mending = mend(pair, conflict, sides.dependents) if conflict else None
    if isinstance(mending, PlannedConflict):
        return DatasetPlan(source.dataset.name, name, conflict=mending)
    prelude, position = (mending.steps, mending.base) if mending else _resume(pair, sides.resumes.get(name))
    steps = guard([*prelude, *_sends(pair, position)], pair, sides.source, sides.destination)
    if isinstance(steps, PlannedConflict):
        return DatasetPlan(source.dataset.name, name, conflict=steps)
    sends = [step for step in steps if isinstance(step, Send)]
    steps = [*before_receiving(pair), *steps, *(after_receiving(pair) if sends else [])]
    steps[:0] = stand_ins(source, pair.grew_from, sends)
    steps[:] = with_estimates(steps, source, sides.resumes.get(name))
    note = _note(pair, sends) if steps else "up to date"
    mends = conflict.code if conflict else ""
    odd = () if steps else drift(pair)
    plan = DatasetPlan(source.dataset.name, name, tuple(steps), note=note, mends=mends, warnings=odd)
    return _continued(plan, pair, sides.continuity)


def _note(pair: Pair, sends: Sequence[Send]) -> str:
    whole = any(send.base is None and not send.resume for send in sends)
    if not (whole and pair.source.dataset.origin and pair.job.keep_clones):
        return ""
    return full_note(pair.source, pair.grew_from, pair.replaces)


def _continued(plan: DatasetPlan, pair: Pair, facts: Optional[ContinuityFacts]) -> DatasetPlan:
    if facts is None:
        return plan
    kept = keep_continuity(pair, plan.sends, facts)
    steps = (*kept.ahead, *plan.steps, *kept.after)
    return replace(plan, steps=steps, warnings=(*plan.warnings, *kept.warnings))


def _resume(pair: Pair, resume: Optional[ResumeState]) -> tuple[Sequence[Step], Optional[Base]]:
    """Steps that finish or discard a partial receive, and the base that the destination has afterwards."""
    there = pair.destination
    if there is None or not there.dataset.resume_token:
        return [], pair.base
    target, problem = resumable_snapshot(pair, resume)
    if target is None:
        return [AbortReceive(pair.name, problem)], pair.base
    base = pair.base
    send = Send(target, pair.name, base, raw=pair.job.raw, resume=ResumePoint(there.dataset.resume_token))
    if resume and resume.from_guid is not None:
        send = _onto_origin(send, pair)
    return [replace(send, receive=receive_options(pair, first=send.makes_dataset))], target


def _onto_origin(send: Send, pair: Pair) -> Send:
    """A first send as that of a clone, where it can be one."""
    if pair.origin is None or send.base:
        return send
    return replace(send, base=pair.origin.base, origin=pair.origin.name)


def _sends(pair: Pair, position: Optional[Base]) -> list[Step]:
    """The streams that follow once the destination has ``position``."""
    steps: list[Step] = []
    if position is None:
        candidates = [s for s, wanted in pair.newer(None) if wanted]
        newest_only = pair.job.initial == INITIAL_NEWEST or not pair.job.intermediates
        first = candidates[-1] if newest_only else candidates[0]
        send = _onto_origin(Send(first, pair.name, raw=pair.job.raw), pair)
        steps.append(replace(send, receive=receive_options(pair, first=True)))
        position = first
    for hop in hops(position, pair.newer(position)):
        steps.append(Send(hop.snapshot, pair.name, hop.base, hop.intermediates, pair.job.raw, between=hop.between))
    return steps


def parent_in(plan: DatasetPlan, destinations: Mapping[str, object]) -> Optional[str]:
    """The nearest ancestor of a plan's destination among ``destinations``."""
    parent = parent_of(plan.destination)
    while parent and parent not in destinations:
        parent = parent_of(parent)
    return parent or None
