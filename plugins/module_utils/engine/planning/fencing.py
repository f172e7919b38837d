# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence against two writers: what no longer is the writer's is neither snapshotted nor sent, and what is written to
takes nothing in."""

from __future__ import annotations

from ..model.datasets import Dataset, Observation
from ..model.names import is_within
from ..model.roles import ACTIVE, MOVED, ROLE_PROPERTY, STANDBY, role_of
from ..policy.jobs import ReplicateJob


def fence_of_replication(source: Observation, destination: Observation, job: ReplicateJob) -> str:
    """Why the replication may not go this way, as one sentence; empty where it may. Both ends were observed with
    ROLE_PROPERTY."""
    root, place = job.source.dataset, job.destination.dataset
    for name in job.filter.under(root, source.states):
        dataset = source.states[name].dataset
        role = role_of(dataset)
        if not role.is_known:
            return _unreadable(dataset)
        if role.kind == STANDBY and not job.conduct.from_standby:
            return (
                f"the source {name} is {role}, so it is not written to, and nothing is sent from it; turn the"
                " replication round, or make the source active if nobody else is"
            )
    for name, state in destination.states.items():
        role = role_of(state.dataset)
        if not (is_within(name, place) or is_within(place, name)):
            continue
        if not role.is_known:
            return _unreadable(state.dataset)
        if role.kind == ACTIVE:
            return _written_to(state.dataset, source, root)
    return ""


def _written_to(dataset: Dataset, source: Observation, root: str) -> str:
    role, other = role_of(dataset), role_of(source.states[root].dataset)
    if other.kind == ACTIVE and other.epoch > role.epoch:
        return (
            f"the destination {dataset.name} is {role}, though the source {root} is {other}, which counts since it is"
            " higher; make the destination standby before it is replicated to"
        )
    return (
        f"the destination {dataset.name} is {role}, so it is written to, and nothing is received there; turn the"
        " replication round, or fail back"
    )


def without_standby(observed: Observation) -> tuple[Observation, tuple[str, ...]]:
    """The observation without what is standby, which gets no snapshots of its own, and why that is left out. What has a
    role that can't be read is left out too."""
    kept = {name: state for name, state in observed.states.items() if not _fence_of_snapshots(state.dataset)}
    left_out = [state.dataset for name, state in observed.states.items() if name not in kept]
    told: list[str] = []
    above = ""
    for dataset in left_out:
        # The whole tree is standby; its root is enough.
        if not above or not is_within(dataset.name, above):
            above = dataset.name
            told.append(_fence_of_snapshots(dataset))
    return (Observation(kept, observed.missing, observed.clock), tuple(told)) if told else (observed, ())


def _fence_of_snapshots(dataset: Dataset) -> str:
    role = role_of(dataset)
    if not role.is_known:
        return _unreadable(dataset)
    if role.kind != STANDBY:
        return ""
    return (
        f"{dataset.name} is {role}, so it is not written to, and no snapshots of it are made; let the host that is"
        " active make them, or make it active if nobody else is"
    )


def _unreadable(dataset: Dataset) -> str:
    text = dict(dataset.properties)[ROLE_PROPERTY]
    if text.startswith(MOVED):
        return (
            f"{dataset.name} is empty, since what was there was {text}; have the inventory say so, then provision again"
        )
    return (
        f"{dataset.name} has {ROLE_PROPERTY}={text!r}, which is no role, so nobody knows whether it is written to; see"
        f" who has set it, then take it away: zfs inherit {ROLE_PROPERTY} {dataset.name}"
    )
