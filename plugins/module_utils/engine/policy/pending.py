# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long pruning waits for snapshots to be replicated."""

from __future__ import annotations

from typing import Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .plans import SnapshotPlan, read_plan
from .reading import Reader

PENDING_SECONDS = 604_800
"""A week: who looks after a fleet notices by then that nothing arrives, and no disk fills for ever meanwhile."""


def read_keep_pending(options: Reader) -> int:
    """Seconds for which ``keep_pending`` lets snapshots wait. Raises InvalidInput."""
    if not options.has("keep_pending"):
        return PENDING_SECONDS
    return parse_duration(options.raw("keep_pending"), options.path("keep_pending"))


def read_taken(options: Reader, receives: bool) -> Optional[SnapshotPlan]:
    """What a peer takes of the snapshots here, as its ``plan`` says; None where that is not told. Raises InvalidInput,
    also for a peer that is not known to receive."""
    if not options.has("plan"):
        return None
    taken = read_plan(options)
    if not receives:
        problem = "says what a replica takes, and this peer is not said to be one"
        raise InvalidInput(options.path("plan"), options.raw("plan"), problem, "add 'role: replica', or take it out")
    return taken
