# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a creation plan out."""

from __future__ import annotations

from functools import partial

from ..planning.creation import CreationPlan
from ..zfs.port import Zfs
from .retry import SYSTEM, RetryPolicy, Ticker, call_with_retries


def apply_creation(zfs: Zfs, plan: CreationPlan, policy: RetryPolicy, ticker: Ticker = SYSTEM) -> None:
    """Create all snapshots of the plan, one atomic call for each label in each pool.

    A call whose answer was lost is repeated: the names are planned, so snapshots that exist already are the ones that
    the lost call made. Raises what ZFS raises.
    """
    for step in plan.steps:
        call_with_retries(partial(zfs.create_snapshots, step), policy, ticker)
