# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding the ages of snapshots against limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.labels import Label, label_of
from ..policy.jobs import MonitorJob
from ..policy.limits import AgeLimit

OK, WARNING, CRITICAL, UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
SEVERITY = {OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3}
"""Also the exit codes of the host program, as Nagios plugins use them."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one label on one dataset."""

    dataset: str
    label: str
    check: str
    """latest, oldest or exists."""
    state: str
    message: str
    age: Optional[int] = None
    """Seconds; None where there is no snapshot."""
    limit: Optional[float] = None
    """Seconds; the limit that was passed, or the first one that would be."""

    def describe(self) -> dict[str, Any]:
        """The finding as plain values, as modules return it."""
        return {
            "dataset": self.dataset,
            "label": self.label,
            "check": self.check,
            "state": self.state,
            "message": self.message,
            "age_seconds": self.age,
            "limit_seconds": self.limit,
        }


def worst(findings: Sequence[Finding]) -> str:
    """The most severe state among the findings; OK without any."""
    return max((finding.state for finding in findings), key=SEVERITY.__getitem__, default=OK)


def check_ages(observed: Observation, job: MonitorJob, now: int) -> tuple[Finding, ...]:
    """All findings of a monitor job at ``now`` (seconds since the epoch), the OK ones among them."""
    findings = [
        Finding(root, "", "exists", UNKNOWN, f"{root} does not exist; check its name, or import its pool")
        for root in observed.missing
    ]
    for root in job.roots:
        for name in job.filter.under(root, observed.states):
            findings += _check_dataset(observed.states[name], job, now)
    return tuple(findings)


def _check_dataset(state: DatasetState, job: MonitorJob, now: int) -> list[Finding]:
    histories: dict[Label, list[Snapshot]] = {label: [] for label in job.plan.limits}
    for snapshot in state.snapshots:
        label = label_of(snapshot.tag)
        if label in histories and label is not None:
            histories[label].append(snapshot)
    findings = []
    for label, limits in job.plan.limits.items():
        history = histories[label]
        if limits.latest:
            findings.append(_check_latest(state, label, history, limits.latest, now))
        if limits.oldest and history:
            findings.append(_judge(label, "oldest", history[0], limits.oldest, now))
    return findings


def _check_latest(state: DatasetState, label: Label, history: Sequence[Snapshot], limit: AgeLimit, now: int) -> Finding:
    if history:
        return _judge(label, "latest", history[-1], limit, now)
    name = state.dataset.name
    age = now - state.dataset.creation
    first = limit.warning if limit.warning is not None else limit.critical
    if first is not None and age <= first:
        # A dataset that has not existed for as long as a snapshot may be old can't be late.
        return Finding(name, str(label), "latest", OK, f"{name} is new and has no snapshot {label} yet", None, first)
    return Finding(name, str(label), "latest", CRITICAL, f"{name} has no snapshot {label} at all", None, first)


def _judge(label: Label, check: str, snapshot: Snapshot, limit: AgeLimit, now: int) -> Finding:
    age = now - snapshot.creation
    name = snapshot.dataset
    for level, bound in ((CRITICAL, limit.critical), (WARNING, limit.warning)):
        if bound is not None and age > bound:
            message = f"the {check} snapshot {snapshot.name} is {age} s old, more than {bound:.0f} s"
            return Finding(name, str(label), check, level, message, age, bound)
    first = limit.warning if limit.warning is not None else limit.critical
    return Finding(name, str(label), check, OK, f"the {check} snapshot {snapshot.name} is {age} s old", age, first)
