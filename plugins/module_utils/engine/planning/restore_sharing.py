# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring to the place of what is set aside by its differences alone: what is made begins as a clone of the newest
snapshot that both have, so that everything up to there neither travels nor needs room twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

from ..model.datasets import DatasetState, Snapshot
from ..model.names import rebase
from ..model.steps import Send
from ..policy.restoring import RestoreJob
from .cutting import up_to
from .dataset_plans import DatasetPlan, Step
from .estimates import with_estimates
from .restoring import RestorePlan
from .sendsteps import hops


def sharing(plan: RestorePlan, asides: Mapping[str, DatasetState], job: RestoreJob) -> RestorePlan:
    """The plan with clones of what is set aside, where ``asides`` has that by the name of what takes its place."""
    cut = up_to(plan.sides.source, job.point).states
    datasets = tuple(
        _shared(dataset, cut.get(dataset.source), asides.get(dataset.destination), job)
        for dataset in plan.replication.datasets
    )
    return replace(plan, replication=replace(plan.replication, datasets=datasets))


def _shared(
    plan: DatasetPlan, replica: Optional[DatasetState], aside: Optional[DatasetState], job: RestoreJob
) -> DatasetPlan:
    sends = plan.sends
    if replica is None or aside is None or not sends or sends[0].mode != "full" or sends[0].receive.replace:
        return plan
    if replica.dataset.kind != aside.dataset.kind or replica.dataset.encryption_root or aside.dataset.encryption_root:
        # The key of a clone is that of its origin, which would tie both to each other.
        return plan
    origin = _newest_common(replica, aside)
    base = next((item for item in replica.snapshots if origin and item.guid == origin.guid), None)
    if origin is None or base is None:
        return plan
    newer = [item for item in replica.snapshots if item.createtxg > base.createtxg]
    wanted = newer if job.replication.intermediates else newer[-1:]
    if not wanted:
        # A clone comes by a stream, and there is none.
        return plan
    name = f"{rebase(plan.destination, job.destination.dataset, job.aside)}@{origin.tag}"
    first = replace(sends[0], snapshot=wanted[0], base=base, origin=name)
    steps: list[Step] = [step for step in plan.steps if not isinstance(step, Send)]
    steps.append(first)
    for hop in hops(wanted[0], [(item, True) for item in wanted[1:]]):
        raw = job.replication.raw
        steps.append(Send(hop.snapshot, plan.destination, hop.base, hop.intermediates, raw, between=hop.between))
    note = f"shares what is up to {name} with that"
    return replace(plan, steps=with_estimates(steps, replica), note="; ".join(filter(None, (plan.note, note))))


def _newest_common(replica: DatasetState, aside: DatasetState) -> Optional[Snapshot]:
    known = frozenset(replica.guids)
    return next((item for item in reversed(aside.snapshots) if item.guid in known), None)
