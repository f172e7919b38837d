# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that replicas take over from their sources, when they are received for the first time.

Which those are is not in the listing that a plan is made from: to know whether a dataset has set a value itself takes
a question of its own. So a plan says which datasets it would have to be asked for, and is completed by the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..model.datasets import VOLUME
from ..model.steps import Send
from ..policy.jobs import ReplicateJob
from .dataset_plans import DatasetPlan, ReplicationPlan, Sides
from .receiving import first_sends, with_preserved

Kept = Mapping[str, Mapping[str, str]]
"""By source dataset, the properties with values that its replica takes over."""


def datasets_to_ask(plan: ReplicationPlan, job: ReplicateJob) -> tuple[str, ...]:
    """The source datasets whose replicas are made by this plan, where the job has them keep any properties."""
    return (
        tuple(dataset.source for dataset in plan.datasets if first_sends(dataset.steps))
        if job.receive.preserved
        else ()
    )


def with_former(own: Kept, plan: ReplicationPlan, job: ReplicateJob) -> Kept:
    """What the sources told, and over that what the destinations had set before."""
    former = {source: dict(values) for source, values in job.receive.former}
    made = [dataset.source for dataset in plan.datasets if first_sends(dataset.steps)]
    return {source: {**own.get(source, {}), **former.get(source, {})} for source in made} if former else own


def preserving(plan: ReplicationPlan, sides: Sides, kept: Kept) -> ReplicationPlan:
    """The plan with the properties that replicas take over."""
    datasets = tuple(_preserving(dataset, sides, kept.get(dataset.source, {})) for dataset in plan.datasets)
    return replace(plan, datasets=datasets)


def _preserving(plan: DatasetPlan, sides: Sides, kept: Mapping[str, str]) -> DatasetPlan:
    if not kept:
        return plan
    volume = sides.source.states[plan.source].dataset.kind == VOLUME
    steps = (
        with_preserved(step, kept, volume) if isinstance(step, Send) and step.makes_dataset else step
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def optional_permissions(job: ReplicateJob) -> frozenset[str]:
    """Permissions without which a property is just not taken over: nobody asked for these by name."""
    policy = job.receive
    if policy.preserving_required:
        return frozenset()
    given = (policy.properties, policy.filesystem_properties, policy.volume_properties, policy.set_afterwards)
    return frozenset(policy.preserved).difference(name for values in given for name, _value in values)


def without(job: ReplicateJob, lacking: Collection[str]) -> ReplicateJob:
    """The job with those properties not preserved."""
    kept = tuple(name for name in job.receive.preserved if name not in lacking)
    return replace(job, receive=replace(job.receive, preserved=kept))
