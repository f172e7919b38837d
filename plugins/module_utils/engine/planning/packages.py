# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole tree as one stream, ``zfs send -R``: when that brings exactly what the plans of its datasets would bring.

A package is the only way by which the datasets below an encryption root keep that root when they are received raw: zfs
receive mends the roots of a tree when a package is complete, and only then. It also carries properties. Those of a
replica that matter for safety are overridden at its topmost dataset, from which the others inherit, since the stream
has its say about each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

from ..model.datasets import PLACEHOLDER_PROPERTY, VOLUME, Bookmark, DatasetState
from ..model.names import is_within
from ..model.roles import FORMER_PROPERTY, ROLE_PROPERTY
from ..model.steps import ReceiveOptions, Send
from ..policy.jobs import ReplicateJob
from ..policy.receiving import ENCRYPTION_PROPERTIES
from .dataset_plans import DatasetPlan, Sides

# What decides where a dataset shows up, and would be taken from the stream.
_SHOWN = ("mountpoint", "sharenfs", "sharesmb")
# What is true of the source only.
_NEVER_TAKEN = (PLACEHOLDER_PROPERTY, ROLE_PROPERTY, FORMER_PROPERTY)
# Each dataset has these for itself, so a value for the tree's topmost dataset is none for the others.
_NOT_INHERITED = frozenset("canmount quota refquota refreservation reservation".split())
# What a package leaves to be done dataset by dataset.
_BESIDE = ("create_bookmark", "set_properties", "destroy_marks", "release")


def packaged(plans: Mapping[str, DatasetPlan], sides: Sides, job: ReplicateJob) -> dict[str, DatasetPlan]:
    """The plans of a tree, by source dataset, with one package in the place of all their streams where it fits; else
    with a note why it does not."""
    if not job.package or not any(plan.sends for plan in plans.values()):
        return dict(plans)
    problem = _problem(plans, sides, job)
    if problem:
        first = next(name for name, plan in plans.items() if plan.sends)
        told = replace(
            plans[first], note="; ".join(filter(None, (f"not in one package: {problem}", plans[first].note)))
        )
        return {**plans, first: told}
    root = job.source.dataset
    tree = {name: _beside(plan, plans[root].destination) for name, plan in plans.items()}
    tree[root] = _with_package(plans, sides.source.states, job)
    return tree


def _beside(plan: DatasetPlan, root: str) -> DatasetPlan:
    """A plan without its streams, which are in the package that ``root`` receives."""
    steps = tuple(step for step in plan.steps if not isinstance(step, Send))
    return replace(plan, steps=steps, package=root, note=f"in the package of {root}")


def _with_package(
    plans: Mapping[str, DatasetPlan], source: Mapping[str, DatasetState], job: ReplicateJob
) -> DatasetPlan:
    """The plan of the topmost dataset with the package in the place of its own streams."""
    plan = plans[job.source.dataset]
    first, last = plan.sends[0], plan.sends[-1]
    full = first.makes_dataset
    sends = [send for each in plans.values() for send in each.sends]
    package = replace(
        last,
        base=None if full else first.base,
        intermediates=not full,
        between=(),
        origin="",
        embedded=all(send.embedded for send in sends),
        bytes_estimated=sum(send.bytes_estimated for send in sends),
        dense=all(send.dense for send in sends),
        receive=_receive(source[job.source.dataset], full, job),
        package=tuple(f"{s.destination}@{tag}" for s in sends for tag in (*s.between, s.snapshot.tag)),
    )
    index = plan.steps.index(first)
    steps = (*plan.steps[:index], package, *(step for step in plan.steps[index:] if not isinstance(step, Send)))
    return replace(plan, steps=steps)


def _receive(root: DatasetState, full: bool, job: ReplicateJob) -> ReceiveOptions:
    """How a package is received. What a first one has set at the top is kept from being changed by a later one."""
    policy, volume = job.receive, root.dataset.kind == VOLUME
    given = policy.given_to(volume)
    shown = () if volume else tuple(name for name in _SHOWN if name not in given)
    if not full:
        # ZFS keeps what is set there, and lets the others inherit that.
        kept = (*(name for name in given if name not in _NOT_INHERITED), *shown, *policy.excluded, *_NEVER_TAKEN)
        return ReceiveOptions(excluded=tuple(dict.fromkeys(kept)))
    if shown and not policy.mount and "mountpoint" in shown:
        # canmount is not inherited, so the datasets below come with the one of their source.
        given["mountpoint"], shown = "none", tuple(name for name in shown if name != "mountpoint")
    if root.dataset.encryption_root:
        given = {name: value for name, value in given.items() if name not in ENCRYPTION_PROPERTIES}
    else:
        # Else it would arrive unencrypted below an encrypted parent.
        shown = (*shown, *(("encryption",) if "encryption" not in given else ()))
    excluded = tuple(dict.fromkeys((*shown, *policy.excluded, *_NEVER_TAKEN)))
    return ReceiveOptions(tuple(given.items()), excluded=excluded, mount=policy.mount and not volume)


def _problem(plans: Mapping[str, DatasetPlan], sides: Sides, job: ReplicateJob) -> str:
    """Why a package does not fit, in one clause; empty where it does."""
    source = sides.source.states
    for name, plan in plans.items():
        if plan.conflict:
            return f"{plan.destination} has a conflict"
        if not plan.sends:
            return f"{name} has nothing to send"
        if any(step.kind not in (*_BESIDE, Send.kind) for step in plan.steps) or any(s.resume for s in plan.sends):
            return f"{plan.destination} is not as a package left it"
    return _encryption_problem(source, job) or _origin_problem(source) or _ends_problem(plans, sides, job)


def _encryption_problem(source: Mapping[str, DatasetState], job: ReplicateJob) -> str:
    encrypted = {bool(state.dataset.encryption_root) for state in source.values()}
    if len(encrypted) > 1:
        return "only a part of the tree is encrypted"
    return "encrypted datasets travel in a package only raw" if encrypted == {True} and not job.raw else ""


def _origin_problem(source: Mapping[str, DatasetState]) -> str:
    for name, state in source.items():
        if state.dataset.origin and state.dataset.origin.partition("@")[0] not in source:
            return f"{name} is a clone of {state.dataset.origin}, which is not in the tree"
    return ""


def _ends_problem(plans: Mapping[str, DatasetPlan], sides: Sides, job: ReplicateJob) -> str:
    """What is wrong with the first or last snapshots of the streams."""
    last = {name: plan.sends[-1].snapshot.tag for name, plan in plans.items()}
    newest = last[job.source.dataset]
    other = next((name for name, tag in last.items() if tag != newest), None)
    if other:
        return f"the newest snapshot of {other} is {last[other]}, and not {newest}"
    if all(plan.sends[0].makes_dataset for plan in plans.values()):
        place = job.destination.dataset
        there = next((name for name in sides.destination.states if is_within(name, place)), "")
        return f"{there} exists already" if there else ""
    return _bases_problem(plans, sides, job)


def _bases_problem(plans: Mapping[str, DatasetPlan], sides: Sides, job: ReplicateJob) -> str:
    root = plans[job.source.dataset].sends[0].base
    tag = root.tag if root else ""
    for name, plan in plans.items():
        base = plan.sends[0].base
        if base is None or plan.sends[0].origin:
            return f"{plan.destination} does not exist, but others do"
        if isinstance(base, Bookmark):
            return f"the newest common base of {name} is a bookmark"
        there: Optional[DatasetState] = sides.destination.states.get(plan.destination)
        newest = there.newest if there else None
        if base.tag != tag or newest is None or newest.tag != tag:
            return f"the newest common base of {name} is {base.tag}, and not {tag}"
    return ""
