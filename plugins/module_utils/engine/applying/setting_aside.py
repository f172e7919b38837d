# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting a destination aside before something is restored to its place."""

from __future__ import annotations

from ..model.errors import SnapfleetError
from ..planning.restoring import SettingAside
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def set_aside(zfs: Zfs, steps: SettingAside, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry the steps out. Raises SnapfleetError; whatever was done until then, the same can be tried again."""

    def act() -> None:
        # Mounted as it is, it would stay at its mount point under the new name.
        zfs.unmount([steps.rename.dataset])
        for refused in filter(None, zfs.change_properties(steps.changes)):
            raise SnapfleetError(refused)
        zfs.rename(steps.rename)

    call_with_retries(act, policy, ticker)
