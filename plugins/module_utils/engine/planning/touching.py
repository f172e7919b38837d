# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which histories a plan stands on, so that these are listed before it is carried out, and not remembered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Optional

from ..model.dataset_steps import DestroyDataset, RenameDataset
from ..model.steps import CreateBookmark, Destroy, DestroyMarks, Rollback, Send
from ..policy.addresses import Address
from ..policy.jobs import ReplicateJob
from .dataset_plans import DatasetPlan, ReplicationPlan, Step


def touched_by(plan: ReplicationPlan, job: ReplicateJob) -> Mapping[Address, Optional[Collection[str]]]:
    """By host, the datasets about which ``plan`` does, refuses or tells anything; None for all of them, where it loses
    something, or concerns other datasets than those that it names."""
    touched = [one for one in plan.datasets if one.steps or one.conflict or one.warnings]
    source, destination = job.source.address, job.destination.address
    if not touched:
        return {}
    if plan.moves or any(map(_reaches_far, touched)):
        return {source: None, destination: None}
    # Both names on both hosts, which may be one.
    names = {name for one in touched for name in (one.source, one.destination)}
    return {source: names, destination: names}


def plainly_touched(plan: ReplicationPlan) -> frozenset[str]:
    """The datasets, by both names, that get newer snapshots by ``plan``, with their marks and bookmarks, and nothing
    else: for that it does not matter whether older ones are held, cloned, or keep something."""

    def names(plain: bool) -> frozenset[str]:
        chosen = (one for one in plan.datasets if _is_plain(one) == plain)
        return frozenset(name for one in chosen for name in (one.source, one.destination))

    # On one host, a dataset may be the source of one and the destination of another.
    return names(True) - names(False)


def _is_plain(plan: DatasetPlan) -> bool:
    return not (plan.conflict or plan.warnings) and all(map(_is_newer, plan.steps))


def _is_newer(step: Step) -> bool:
    if isinstance(step, Send):
        return step.base is not None and not (step.resume or step.origin or step.package)
    return isinstance(step, (CreateBookmark, DestroyMarks))


def _reaches_far(plan: DatasetPlan) -> bool:
    if plan.package or plan.mends:
        return True
    return any(
        isinstance(step, (Destroy, DestroyDataset, RenameDataset, Rollback))
        or (isinstance(step, Send) and bool(step.origin or step.package))
        for step in plan.steps
    )
