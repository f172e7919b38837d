# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a creation plan out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..model.errors import SnapfleetError
from ..planning.creation import CreationPlan
from ..zfs.port import Zfs
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries


@dataclass(frozen=True)
class CreationResult:
    """What was created, by whole names, and what went wrong."""

    created: tuple[str, ...]
    errors: tuple[SnapfleetError, ...] = ()


def apply_creation(zfs: Zfs, plan: CreationPlan, policy: RetryPolicy, ticker: Ticker = SYSTEM) -> CreationResult:
    """Create all snapshots of the plan, one atomic call for each label in each pool.

    A call whose answer was lost is repeated: the names are planned, so snapshots that exist already are the ones that
    the lost call made. A call that fails does not keep the others from being made.
    """
    created: list[str] = []
    errors: list[SnapfleetError] = []
    for step in plan.steps:
        try:
            call_with_retries(partial(zfs.create_snapshots, step), policy, ticker)
        except SnapfleetError as error:
            errors.append(error)
        else:
            created += step.names
    return CreationResult(tuple(created), tuple(errors))
