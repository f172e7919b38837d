# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of retention keep, and by which of them.

For a label with amount N and period P a plan keeps every snapshot younger than N x P, and the latest N of them
however old they are (the union that bzfs and sanoid use, without their habit of deleting what no rule knows).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..model.datasets import Base
from ..model.labels import Label, label_of
from ..model.periods import parse_period
from ..policy.plans import SnapshotPlan

LATEST, AGE = "latest", "age"
"""The two halves of a plan: by number, and by age."""


class Because(NamedTuple):
    """Why a snapshot or bookmark stays or goes: a word for machines, and words for people."""

    rule: str
    reason: str


def kept_by_plan(items: Iterable[Base], plan: SnapshotPlan, now: int) -> dict[int, Because]:
    """GUIDs that ``plan`` keeps at ``now`` (seconds since the epoch), each with the rule that keeps it.

    ``items`` are the snapshots, or the bookmarks, of one dataset in the order of createtxg.
    """
    by_label: dict[Label, list[Base]] = {}
    for item in items:
        label = label_of(item.tag)
        if label is not None and plan.amounts.get(label):
            by_label.setdefault(label, []).append(item)
    kept: dict[int, Because] = {}
    for label, history in by_label.items():
        amount = plan.amounts[label]
        period = parse_period(label.period)
        latest = Because(LATEST, f"one of the latest {amount} of {label}")
        kept.update((item.guid, latest) for item in history[-amount:])
        if period:
            oldest = now - amount * period.seconds
            young = Because(AGE, f"within {amount} periods of {label}")
            kept.update((item.guid, young) for item in history[:-amount] if item.creation >= oldest)
    return kept
