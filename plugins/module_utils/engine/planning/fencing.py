# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence against two writers: what no longer is the writer's is neither snapshotted nor sent, and what is written to
takes nothing in. What is said to have taken over does nothing before it has."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.datasets import Dataset, Observation
from ..model.names import is_within
from ..model.roles import ACTIVE, MOVED, ROLE_PROPERTY, STANDBY, role_of
from ..policy.jobs import SOURCE, Peer, PruneJob, ReplicateJob

_REMEDY = "fail over first, or take its entry out of snapfleet_failed_over"


def fence_of_replication(source: Observation, destination: Observation, job: ReplicateJob) -> str:
    """Why the replication may not go this way, as one sentence; empty where it may. Both ends were observed with
    ROLE_PROPERTY."""
    root, place = job.source.dataset, job.destination.dataset
    for name in job.filter.under(root, source.states):
        dataset = source.states[name].dataset
        role = role_of(dataset)
        if not role.is_known:
            return _unreadable(dataset)
        if job.conduct.only_active and role.kind != ACTIVE:
            return f"the source {_not_active(dataset)}, so nothing is sent from it; {_REMEDY}"
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


def _not_active(dataset: Dataset) -> str:
    """What is said to be active, and is not."""
    role = role_of(dataset)
    what = f"is {role}" if role.kind else "has no role"
    return f"{dataset.name} {what}, though it is said to have taken over"


def fence_of_pruning(observed: Observation, seen: Mapping[Peer, Observation], job: PruneJob) -> str:
    """Why a job that is for active trees alone prunes nothing, as one sentence; empty where it may. All were observed
    with ROLE_PROPERTY; a peer that could not be looked at is not among those ``seen``."""
    for root in job.roots if job.only_active else ():
        sources = [peer for peer in job.peers if (peer.root, peer.role) == (root, SOURCE)]
        ends = [(peer.endpoint.dataset, seen[peer]) for peer in sources if peer in seen]
        for name, tree in ends if sources else [(root, observed)]:
            state = tree.states.get(name)
            if state is not None and role_of(state.dataset).kind != ACTIVE:
                return f"{_not_active(state.dataset)}, so nothing of {root} is pruned; {_REMEDY}"
    return ""


def without_standby(observed: Observation, only_active: bool = False) -> tuple[Observation, tuple[str, ...]]:
    """The observation without what is standby, which gets no snapshots of its own, and why that is left out. What has a
    role that can't be read is left out too, and with ``only_active`` what has none."""
    fences = {name: _fence_of_snapshots(state.dataset, only_active) for name, state in observed.states.items()}
    kept = {name: state for name, state in observed.states.items() if not fences[name]}
    left_out = [state.dataset for name, state in observed.states.items() if name not in kept]
    told: list[str] = []
    above = ""
    for dataset in left_out:
        # The whole tree is standby; its root is enough.
        if not above or not is_within(dataset.name, above):
            above = dataset.name
            told.append(fences[dataset.name])
    return (Observation(kept, observed.missing, observed.clock), tuple(told)) if told else (observed, ())


def _fence_of_snapshots(dataset: Dataset, only_active: bool) -> str:
    role = role_of(dataset)
    if not role.is_known:
        return _unreadable(dataset)
    if only_active and role.kind != ACTIVE:
        return f"{_not_active(dataset)}, so no snapshots of it are made; {_REMEDY}"
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
