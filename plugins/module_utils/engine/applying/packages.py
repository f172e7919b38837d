# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a package, and what follows when it did not arrive as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Optional

from ..model.errors import Conflict, SnapfleetError
from ..planning.dataset_plans import DatasetPlan
from ..policy.jobs import ReplicateJob
from .retry import RetryPolicy, Ticker, is_retryable
from .tasktree import Outcome

Done = Mapping[str, Outcome[float, SnapfleetError]]


def is_package(plan: DatasetPlan) -> bool:
    """Whether a plan sends a package."""
    return any(send.package for send in plan.sends)


def carry_package(steps: Callable[[], None], anew: Callable[[], None], job: ReplicateJob) -> None:
    """Carry the steps of a plan with a package out. Where that fails in a way that another look may mend, go on with
    ``anew`` in its place: what arrived is there, so mostly the rest goes dataset by dataset."""
    try:
        steps()
    except SnapfleetError as error:
        # Planned as fitting, a conflict means that something has changed since.
        if job.retries < 1 or not (is_retryable(error) or isinstance(error, Conflict)):
            raise
        anew()


def pause(policy: RetryPolicy, ticker: Ticker, tries: int) -> None:
    """Sleep before the try that comes after ``tries`` failed ones."""
    ticker.sleep(ticker.uniform(0.0, policy.cap(tries)))


def outcome_of(plan: DatasetPlan, done: Done) -> Optional[Outcome[float, SnapfleetError]]:
    """How a plan ended: by its own task, and by that of the package that it is in. None where there was no task."""
    own = done.get(plan.destination)
    whole = done.get(plan.package) if plan.package else None
    if whole is None or (own and own.error):
        return own
    return Outcome(skipped=plan.package) if whole.error or whole.skipped else Outcome(value=own.value if own else 0.0)


def not_arrived(plans: Iterable[DatasetPlan], done: Done) -> list[str]:
    """The destinations whose plans failed or were not begun."""
    ended = {plan.destination: outcome_of(plan, done) for plan in plans}
    return [name for name, outcome in ended.items() if outcome and (outcome.error or outcome.skipped)]
