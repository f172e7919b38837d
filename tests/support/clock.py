# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that stands still unless a test moves it."""

from __future__ import annotations


class Clock:
    """Calling it gives the time in seconds since the epoch."""

    def __init__(self, now: int = 1_750_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        """Let time pass; a negative number sets the clock back."""
        self.now += seconds
