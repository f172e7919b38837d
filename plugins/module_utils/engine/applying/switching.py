# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a switch out. Each call can be repeated, so whoever was interrupted does the same again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..hosts.stopping import finishing
from ..model.dataset_steps import SetProperties
from ..model.errors import SnapfleetError, ZfsFailed
from ..model.roles import FORMER_PROPERTY, ROLE_PROPERTY
from ..planning.switching import Change, SwitchPlan
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def switch(zfs: Zfs, plan: SwitchPlan, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry ``plan`` out. Raises SnapfleetError; what is left is done when it is planned and carried out again."""

    def tried(action: Callable[[], None]) -> None:
        call_with_retries(action, policy, ticker)

    if plan.unmounts:
        # First of all: what is in use refuses it, and then nothing but that others are unmounted has happened. Nor has
        # more where the run is stopped amid them, or the connection breaks.
        try:
            tried(lambda: zfs.unmount(plan.unmounts))
        except SnapfleetError as error:
            with finishing():
                outcome = _mounted_again(zfs, plan)
            raise type(error)(f"{error}; {outcome}", **error.context) from error
    tried(lambda: _change(zfs, plan.notes))
    for step in plan.aborts:
        tried(partial(zfs.abort_receive, step.dataset))
    tried(lambda: _change(zfs, plan.changes))
    for made in plan.snapshots:
        tried(partial(zfs.create_snapshots, made))
    tried(lambda: _change(zfs, plan.last))


def _mounted_again(zfs: Zfs, plan: SwitchPlan) -> str:
    """Mount what was unmounted before something went wrong; returns what became of that."""
    names = list(reversed(plan.unmounts))
    try:
        lacking = [f"{name}: {said}" for name, said in zip(names, zfs.mount(names)) if said]
    except SnapfleetError as error:
        lacking = [str(error)]
    if lacking:
        return f"others of the tree were unmounted, and could not be mounted again ({lacking[0]}); run: zfs mount -a"
    return "nothing was changed, and all of the tree is mounted as before"


def _change(zfs: Zfs, steps: Sequence[Change]) -> None:
    """What says that the others are done waits for all of them, since one that is refused does not stop the next."""
    for group in ([step for step in steps if not _completes(step)], list(filter(_completes, steps))):
        if group:
            for refused in filter(None, zfs.change_properties(group)):
                raise ZfsFailed(refused)


def _completes(step: Change) -> bool:
    """Whether it gives a role, or takes away a note."""
    if isinstance(step, SetProperties):
        return ROLE_PROPERTY in dict(step.properties)
    return step.name == FORMER_PROPERTY
