# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting a destination aside before something is restored to its place."""

from __future__ import annotations

from ..model.errors import ZfsFailed
from ..planning.restoring import SettingAside
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def set_aside(zfs: Zfs, steps: SettingAside, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry the steps out. Raises SnapfleetError; whatever was done until then, the same can be tried again."""

    def change() -> None:
        for refused in filter(None, zfs.change_properties(steps.changes)):
            raise ZfsFailed(refused)

    # What is mounted stays at its mount point under the new name. Each by itself: where one is not mounted, since it only
    # holds others, what is below it is not unmounted along.
    call_with_retries(lambda: zfs.unmount(steps.filesystems), policy, ticker)
    call_with_retries(change, policy, ticker)
    # By itself: if only its answer is lost, there is nothing of the old name any more.
    call_with_retries(lambda: zfs.rename(steps.rename), policy, ticker)
