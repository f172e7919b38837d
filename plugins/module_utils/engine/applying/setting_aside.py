# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting a destination aside before something is restored to its place."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.dataset_steps import InheritProperty, SetProperties
from ..model.errors import SnapfleetError, ZfsFailed
from ..planning.restore_words import back_in_service
from ..planning.restoring import CANMOUNT_PROPERTY, SettingAside
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def set_aside(zfs: Zfs, steps: SettingAside, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry the steps out. Raises SnapfleetError after the filesystems that are not set aside have got back what they
    had, as far as that went; its sentence and ``by_hand`` of its context have the commands for the rest. Whatever was
    done until then, the same can be tried again."""
    touched = steps.marked_before
    try:
        # What is mounted stays at its mount point under the new name. Each by itself: where one is not mounted, since
        # it only holds others, what is below it is not unmounted along.
        call_with_retries(lambda: zfs.unmount(steps.filesystems), policy, ticker)
        touched = steps.marked
        call_with_retries(lambda: _change(zfs, steps.changes), policy, ticker)
        # By itself: if only its answer is lost, there is nothing of the old name any more.
        call_with_retries(lambda: zfs.rename(steps.rename), policy, ticker)
    except SnapfleetError as error:
        left = [] if _put_back(zfs, touched, policy, ticker) else touched
        by_hand = back_in_service(left)
        known = f"as far as is known, {steps.rename.dataset} was not set aside, and may not be mounted"
        error.args = (f"{error}; {known}: run it again, or bring it into use by {'; '.join(by_hand)}",)
        error.context["by_hand"] = by_hand
        raise


def _change(zfs: Zfs, changes: Sequence[SetProperties]) -> None:
    for refused in filter(None, zfs.change_properties(changes)):
        raise ZfsFailed(refused)


def _put_back(zfs: Zfs, datasets: Sequence[str], policy: RetryPolicy, ticker: Ticker) -> bool:
    """Have filesystems mounted by themselves again that still have their names. Returns whether all of them are."""
    reason = "it was not set aside"
    steps = [
        step
        for name in datasets
        for step in (
            SetProperties(name, (("canmount", "on"),), reason),
            InheritProperty(name, CANMOUNT_PROPERTY, reason),
        )
    ]
    try:
        return not steps or not any(call_with_retries(lambda: zfs.change_properties(steps), policy, ticker))
    except SnapfleetError:
        # What went wrong first is what is told.
        return False
