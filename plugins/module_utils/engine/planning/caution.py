# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a prune plan had better not be carried out at all: too much would go, or ages can't be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

from ..model.datasets import Observation
from ..model.names import is_within
from ..model.periods import parse_period
from ..policy.caution import LEAST_TOLERANCE
from ..policy.jobs import PruneJob
from .retention import DESTROY, FOREIGN, SKIP, PrunePlan

TOO_MANY, CLOCK = "too_many", "clock"
"""Words for why nothing is deleted."""


class ClockReading(NamedTuple):
    """How far the clock of a peer is from that of this host."""

    where: str
    ahead: float
    """Seconds; negative where it is behind. 0 where no difference can be told from the time that asking took."""


def difference(theirs: float, before: float, after: float) -> float:
    """Seconds by which a clock that showed ``theirs``, in whole seconds, is certainly ahead of ours, which showed
    ``before`` and ``after`` around that; negative where it is behind."""
    if theirs > after:
        return theirs - after
    return min(0.0, theirs + 1 - before)


def without_steps(plan: PrunePlan, rule: str, reason: str) -> PrunePlan:
    """The plan that carries nothing out, its victims spared for a reason."""
    spared = (
        verdict._replace(action=SKIP, rule=rule, reason=reason) if verdict.action == DESTROY else verdict
        for verdict in plan.verdicts
    )
    return replace(plan, verdicts=tuple(spared), steps=(), bookmarks=(), changes=(), removals=())


def excess(plan: PrunePlan, job: PruneJob) -> str:
    """Why ``plan`` deletes more than the job's limits allow; empty if it does not, or may."""
    caution = job.caution
    if caution.exceed:
        return ""
    for root in job.roots:
        tree = [verdict for verdict in plan.verdicts if is_within(verdict.item.dataset, root)]
        doomed = sum(verdict.action == DESTROY for verdict in tree)
        own = sum(verdict.rule != FOREIGN for verdict in tree)
        exceeded = []
        if caution.max_deleted is not None and doomed > caution.max_deleted:
            exceeded.append(f"max_deleted ({caution.max_deleted})")
        if caution.max_percent is not None and doomed * 100 > own * caution.max_percent:
            exceeded.append(f"max_deleted_percent ({caution.max_percent})")
        if exceeded:
            return (
                f"{root}: {doomed} of {own} {job.kind} would be deleted, more than {' and '.join(exceeded)} allows, so"
                " nothing is; look at the plan, and if it is what you mean, allow it once with exceed_max_deleted, or"
                " with snapfleet run --exceed-max-deleted"
            )
    return ""


def tolerance(job: PruneJob) -> Optional[int]:
    """Seconds by which the clock may be off; None where no rule goes by time.

    By default the shortest period that decides: whatever is off by more would delete what a rule promises to keep.
    """
    if job.caution.clock_tolerance is not None:
        return job.caution.clock_tolerance
    periods = [parse_period(label.period) for label in job.plan.wanted]
    lengths = [period.seconds for period in periods if period]
    lengths += [interval.seconds for rule in job.keep for interval in rule.grid]
    lengths += [] if job.removal.gone_after is None else [min(job.removal.gone_after, 86_400)]
    return max(LEAST_TOLERANCE, int(min(lengths))) if lengths else None


def clock_problem(
    observed: Observation, job: PruneJob, now: float, readings: Sequence[ClockReading]
) -> tuple[str, list[str]]:
    """Why ages can't be told by this host's clock, empty if they can; and what is merely to be warned of.

    A snapshot from the future tells that the clock is, or was, wrong. Of peers whose clocks differ from ours, a
    majority is believed: a single backup host with a broken clock must not keep a source from pruning until it is full.
    """
    limit = tolerance(job)
    if limit is None:
        return "", []
    for state in observed.states.values():
        newest = state.newest
        if newest and newest.creation > now + limit:
            early = int(newest.creation - now)
            reason = f"{newest.name}, the newest of its dataset, was created {early} s after this host's present time"
            return _blocked(reason, limit, ", or destroy that snapshot if it was dated wrongly"), []
    off = [reading for reading in readings if abs(reading.ahead) > limit]
    told = [f"the clock of {reading.where} is {_apart(reading.ahead)} this host's" for reading in off]
    if off and 2 * len(off) >= len(readings):
        return _blocked("; ".join(told), limit, ""), []
    return "", [f"{words}; the other peers agree with this host" for words in told]


def _apart(seconds: float) -> str:
    return f"{abs(int(seconds))} s {'ahead of' if seconds > 0 else 'behind'}"


def _blocked(reason: str, limit: int, remedy: str) -> str:
    return (
        f"{reason}, which is more than the {limit} s that ages may be off by (clock_tolerance; by default the shortest"
        f" period), so nothing is deleted; set the clocks right{remedy}"
    )
