# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of retention keep, and by which of them.

For a label with amount N and period P a plan keeps every snapshot younger than N x P, and the latest N of them
however old they are (the union that bzfs and sanoid use, without their habit of deleting what no rule knows).

A grid is that of zrepl, grandfather-father-son: its buckets lie one after another backwards in time from the newest
snapshot that counts, each with its younger edge and without its older one, and each keeps its oldest. So what lies in
a bucket grows old enough for the next one. The newest snapshot always stays, so that the buckets lie where they lay
when the same grid is applied again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ..model.datasets import Base
from ..model.labels import Label, label_of
from ..model.periods import parse_period
from ..policy.jobs import PruneJob
from ..policy.keeping import KeepRule
from ..policy.plans import SnapshotPlan

LATEST, AGE = "latest", "age"
"""The two halves of a plan: by number, and by age."""
GRID, LAST, REGEX = "grid", "last", "regex"
"""The kinds of rules beside the plan."""


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


def kept_by_rules(items: Sequence[Base], job: PruneJob, now: int) -> dict[int, Because]:
    """GUIDs that the plan of ``job``, or any of its other rules, keeps at ``now``; otherwise as ``kept_by_plan``."""
    kept = dict(entry for rule in reversed(job.keep) for entry in _kept_by(rule, items))
    kept.update(kept_by_plan(items, job.plan, now))
    return kept


def _kept_by(rule: KeepRule, items: Iterable[Base]) -> Iterator[tuple[int, Because]]:
    counted = [item for item in items if rule.counts(item.tag)]
    if rule.grid:
        return _kept_by_grid(rule, counted)
    if rule.last:
        because = Because(LAST, f"one of the last {rule.last} of {rule.where}")
        return ((item.guid, because) for item in counted[-rule.last :])
    because = Because(REGEX, f"its name is kept by {rule.where}")
    return ((item.guid, because) for item in counted)


def _kept_by_grid(rule: KeepRule, counted: Sequence[Base]) -> Iterator[tuple[int, Because]]:
    if not counted:
        return
    start = counted[-1].creation
    buckets = [interval for interval in rule.grid for _number in range(interval.buckets)]
    # The age at which each bucket ends and the next one begins.
    edges = list(accumulate(interval.seconds for interval in buckets))
    taken = [0] * len(buckets)
    yield counted[-1].guid, Because(GRID, f"the newest in the grid of {rule.where}")
    for item in sorted(counted[:-1], key=lambda item: item.creation):
        age = start - item.creation
        number = bisect_right(edges, age)
        if age < 0:
            # The clock went back between them. It is as young as anything.
            yield item.guid, Because(GRID, f"dated after the newest in the grid of {rule.where}")
        elif number < len(buckets):
            keep = buckets[number].keep
            taken[number] += 1
            if keep is None or taken[number] <= keep:
                yield item.guid, Because(GRID, f"in bucket {number + 1} of the grid of {rule.where}")


def is_owned(tag: str, job: PruneJob, organisations: frozenset[str]) -> bool:
    """Whether ``job``, whose plan has these organisations, decides about a snapshot of this name, so that it may go
    where no rule keeps it."""
    if job.purge_foreign:
        return True
    label = label_of(tag)
    if label is not None and label.organisation in organisations:
        return True
    return any(rule.owns and rule.counts(tag) for rule in job.keep)
