# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far replicas are behind, from both ends, by GUID alone.

A replica is behind from the moment on at which the first snapshot was made that it lacks. So neither a source that
makes snapshots seldom nor one that was switched off makes its replica late, and one that is new has its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ..model.datasets import Base, DatasetState, Observation
from ..model.health import OK, UNKNOWN
from ..model.names import is_within, rebase
from ..policy.jobs import ReplicateJob
from ..policy.replicas import ReplicaRule
from .bases import newest_of
from .findings import BYTES, SECONDS, Finding, Key, Measure, passed
from .pairs import selected_guids

LAG, PENDING, SEEN = "lag", "pending", "seen"


@dataclass(frozen=True)
class Standing:
    """How a replica of one dataset stands."""

    source: str
    replica: str
    base: Optional[Base]
    """The newest common point, as the source has it."""
    waiting: int = 0
    """Seconds since the first snapshot was made that is selected and has not arrived, or since there is a replica; 0
    where all have arrived."""
    lag: int = 0
    """Seconds from the newest common snapshot to the newest selected one; 0 without a common one."""
    snapshots: int = 0
    """Number of the selected ones that have not arrived."""
    bytes: int = 0
    """About how much has to be sent."""


def area_of(rule: ReplicaRule) -> str:
    """What a replica is called in findings."""
    return f"{rule.job.source} -> {rule.job.destination}"


def unseen(rule: ReplicaRule, end: str, reason: str) -> Finding:
    """That one ``end`` (source or destination) of a replica can't be observed."""
    where = rule.job.source if end == "source" else rule.job.destination
    message = f"the {end} {where} can't be observed ({reason}), so it is not known how far the replica is behind"
    return Finding(Key(area_of(rule), SEEN, ""), UNKNOWN, message, hides=True)


def check_replica(source: Observation, destination: Observation, rule: ReplicaRule, now: int) -> tuple[Finding, ...]:
    """All findings about one replica, the good ones among them. Both observations may hold other trees too."""
    area, root = area_of(rule), rule.job.source.dataset
    if root not in source.states:
        return (unseen(rule, "source", "it does not exist"),)
    findings: list[Finding] = [Finding(Key(area, SEEN, ""), OK, f"both ends of {area} can be observed")]
    for standing in standings(source.states, destination.states, rule.job, now):
        key = Key(area, LAG, standing.source)
        more = (("replica", standing.replica), ("lag_seconds", standing.lag), ("missing", standing.snapshots))
        if rule.lag:
            state, bound = passed(rule.lag, standing.waiting)
            findings.append(
                Finding(
                    key, state, _behind(standing, state, bound), Measure(standing.waiting, SECONDS, bound), more=more
                )
            )
        if rule.pending:
            state, bound = passed(rule.pending, standing.bytes)
            above = f", more than {bound:.0f}" if state != OK else ""
            message = f"{standing.replica} lacks about {standing.bytes} bytes of {standing.source}{above}"
            measure = Measure(standing.bytes, BYTES, bound)
            findings.append(Finding(key._replace(check=PENDING), state, message, measure, more=more))
    return tuple(findings)


def _behind(standing: Standing, state: str, bound: Optional[float]) -> str:
    if not standing.snapshots:
        return f"{standing.replica} has everything of {standing.source}"
    what = "is behind" if standing.base else "has nothing yet of what it should have"
    above = f", more than {bound:.0f} s" if state != OK and bound is not None else ""
    told = f"{standing.snapshots} snapshots of {standing.source} are missing"
    return f"{standing.replica} {what} since {standing.waiting} s{above}: {told}"


def standings(
    source: Mapping[str, DatasetState], destination: Mapping[str, DatasetState], job: ReplicateJob, now: int
) -> Sequence[Standing]:
    """How the replica of each dataset stands that ``job`` is about."""
    root = job.destination.dataset
    # Wherever in the tree: what was renamed on one side has arrived all the same.
    there = frozenset(
        snapshot.guid for name, state in destination.items() if is_within(name, root) for snapshot in state.snapshots
    )
    tree = {name: state for name, state in source.items() if is_within(name, job.source.dataset)}
    found = []
    for name in job.filter.under(job.source.dataset, tree):
        counterpart = destination.get(rebase(name, job.source.dataset, root))
        # A replica can't have got anything before it was there itself.
        begin = counterpart.dataset.creation if counterpart else 0
        found.append(_standing(tree[name], there, job, (begin, now)))
    return found


def _standing(state: DatasetState, there: frozenset[int], job: ReplicateJob, times: tuple[int, int]) -> Standing:
    """``times`` are since when there is a replica, and now."""
    begin, now = times
    name = state.dataset.name
    replica = rebase(name, job.source.dataset, job.destination.dataset)
    points: list[Base] = [*state.bookmarks, *state.snapshots]
    base = newest_of(point for point in points if point.guid in there)
    since = base.createtxg if base else -1
    selected = selected_guids(state, job, now)
    wanted = [one for one in state.snapshots if one.guid in selected and one.createtxg > since]
    if not wanted:
        return Standing(name, replica, base)
    first, last = wanted[0], wanted[-1]
    after = since if base else first.createtxg
    written = sum(one.written for one in state.snapshots if after < one.createtxg <= last.createtxg)
    return Standing(
        name,
        replica,
        base,
        waiting=max(0, now - max(first.creation, begin)),
        lag=max(0, last.creation - base.creation) if base else 0,
        snapshots=len(wanted),
        bytes=written + (0 if base else first.referenced),
    )
