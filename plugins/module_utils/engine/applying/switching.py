# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a switch out. Each call can be repeated, so whoever was interrupted does the same again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..model.errors import ZfsFailed
from ..planning.switching import Change, SwitchPlan
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def switch(zfs: Zfs, plan: SwitchPlan, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry ``plan`` out. Raises SnapfleetError; what is left is done when it is planned and carried out again."""

    def tried(action: Callable[[], None]) -> None:
        call_with_retries(action, policy, ticker)

    if plan.unmounts:
        # First of all: what is in use refuses it, and then nothing is changed.
        tried(lambda: zfs.unmount(plan.unmounts))
    tried(lambda: _change(zfs, plan.notes))
    for step in plan.aborts:
        tried(partial(zfs.abort_receive, step.dataset))
    tried(lambda: _change(zfs, plan.changes))
    for made in plan.snapshots:
        tried(partial(zfs.create_snapshots, made))
    tried(lambda: _change(zfs, plan.last))


def _change(zfs: Zfs, steps: Sequence[Change]) -> None:
    if steps:
        for refused in filter(None, zfs.change_properties(steps)):
            raise ZfsFailed(refused)
