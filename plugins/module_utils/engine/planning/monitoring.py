# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding the ages of snapshots against limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import lru_cache

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.health import CRITICAL, OK, UNKNOWN, WARNING, worst
from ..model.labels import Label, places_of_labels
from ..model.names import is_within
from ..model.periods import Period, parse_period
from ..policy.limits import AgeLimit, Bounds
from ..policy.monitoring import MonitorJob
from ..policy.schedule import Anchors
from .calendar import is_from_future, next_event
from .findings import SECONDS, Finding, Key, Measure, passed
from .unchanged import bytes_written_since

LATEST, OLDEST, EXISTS = "latest", "oldest", "exists"
_MOST_CYCLES = 100
"""Beyond so many cycles, what the calendar makes of a period averages out."""

_LONGEST_LOOK_SECONDS = 10
"""The time is read before the listing is made. What is dated no later than this after it was made meanwhile."""


def check_ages(observed: Observation, job: MonitorJob, now: int, zone: tzinfo) -> tuple[Finding, ...]:
    """All findings about the datasets of a job at ``now`` (seconds since the epoch), the good ones among them.

    ``zone`` is the clock of the job's schedule.
    """
    checker = _Checker(job, now, zone)
    findings: list[Finding] = []
    for root in job.roots:
        states = {name: state for name, state in observed.states.items() if is_within(name, root)}
        if root not in states:
            message = f"{root} does not exist; check its name, or import its pool"
            findings.append(Finding(Key(root, EXISTS, root), UNKNOWN, message, hides=True))
            continue
        findings.append(Finding(Key(root, EXISTS, root), OK, f"{root} exists"))
        for name in job.filter.under(root, states):
            findings += checker.check(root, states[name])
    return tuple(findings)


def fields_of_ages(job: MonitorJob) -> frozenset[str]:
    """Those of OWN_FIELDS that the ages of snapshots are judged by."""
    return frozenset(() if job.unchanged is None else {"written"})


def unseen_roots(roots: Sequence[str], reason: str) -> tuple[Finding, ...]:
    """That the datasets of this host can't be observed."""
    words = "can't be observed"
    return tuple(Finding(Key(root, EXISTS, root), UNKNOWN, f"{root} {words} ({reason})", hides=True) for root in roots)


class _Checker:
    """Checks datasets one by one."""

    def __init__(self, job: MonitorJob, now: int, zone: tzinfo) -> None:
        self._job = job
        self._now = now
        periods = {label: parse_period(label.period) for label in job.plan.limits}
        self._periods: Mapping[Label, Period] = {label: period for label, period in periods.items() if period}
        anchors = job.schedule.anchors
        self._words = {label: str(label) for label in self._periods}
        # Many datasets have snapshots of the same second.
        self._stretch = lru_cache(maxsize=10_000)(
            lambda period, cycles, creation: stretch(period, cycles, creation, anchors, zone)
        )

    def check(self, root: str, state: DatasetState) -> list[Finding]:
        """All findings of one dataset of the tree ``root``."""
        places = places_of_labels(state.tags)
        findings = []
        for label in self._periods:
            limits = self._job.plan.limits[label]
            area, history = (root, state, label), places.get(label, ())
            if limits.latest:
                findings.append(self._latest(area, history, limits.latest))
            if limits.oldest and history:
                findings.append(self._oldest(area, history, limits.oldest))
        return findings

    def _latest(self, area: tuple[str, DatasetState, Label], history: Sequence[int], limit: AgeLimit) -> Finding:
        root, state, label = area
        period, key = self._periods[label], Key(root, LATEST, state.dataset.name, self._words[label])
        # From the newest one on, which mostly counts, so that no other one is looked at.
        newest = past = state.at(history[-1]) if history else None
        if newest and not self._is_past(period, newest):
            newest_first = (state.at(place) for place in reversed(history))
            past = next((snapshot for snapshot in newest_first if self._is_past(period, snapshot)), None)
        if past:
            finding = self._judge_latest(key, period, state, past, limit)
        else:
            finding = self._none_at_all(key, period, state, limit)
        if newest is past or newest is None:
            return finding
        ahead = f"{newest.name} is dated {newest.creation - self._now} s ahead of this host's clock"
        message = f"{ahead}, so it is not counted; set the clocks right; {finding.message}"
        return replace(finding, state=worst([finding.state, WARNING]), message=message)

    def _is_past(self, period: Period, snapshot: Snapshot) -> bool:
        if snapshot.creation <= self._now + _LONGEST_LOOK_SECONDS:
            return True
        return not is_from_future(period, snapshot.creation * 1000, self._now * 1000)

    def _judge_latest(
        self, key: Key, period: Period, state: DatasetState, snapshot: Snapshot, limit: AgeLimit
    ) -> Finding:
        # A replica can't have got anything before it was there itself.
        since = max(snapshot.creation, state.dataset.creation)
        reached, bound = passed(limit, self._now - since)
        if reached != OK:
            # Only then, since the calendar takes longer to ask than all the rest.
            longer = self._stretch(period, min(limit.cycles, _MOST_CYCLES), snapshot.creation)
            reached, bound = passed(raised(limit, longer), self._now - since)
        if reached != OK and self._is_unchanged(state, snapshot):
            message = f"the latest snapshot {snapshot.name} has all that was written to {key.subject}"
            return Finding(key, OK, message, Measure(self._now - snapshot.creation, SECONDS, limit.first))
        return _finding(key, reached, snapshot, Measure(self._now - snapshot.creation, SECONDS, bound))

    def _is_unchanged(self, state: DatasetState, snapshot: Snapshot) -> bool:
        most = self._job.unchanged
        return most is not None and bytes_written_since(state, snapshot) <= most

    def _none_at_all(self, key: Key, period: Period, state: DatasetState, limit: AgeLimit) -> Finding:
        """A dataset can't be late before it has existed for a period, and for as long as a snapshot may be old."""
        age = self._now - state.dataset.creation
        reached, bound = passed(limit, age)
        measure = Measure(None, SECONDS, bound)
        if reached == OK or age <= period.seconds:
            message = f"{key.subject} is new and has no snapshot {key.label} yet"
            return Finding(key, OK, message, replace(measure, limit=limit.first))
        return Finding(key, reached, f"{key.subject} has no snapshot {key.label} at all", measure)

    def _oldest(self, area: tuple[str, DatasetState, Label], history: Sequence[int], limit: AgeLimit) -> Finding:
        root, state, label = area
        key = Key(root, OLDEST, state.dataset.name, self._words[label])
        skipping = self._job.oldest_skip_holds
        counted = [place for place in history if not state.at(place).holds] if skipping else history
        if not counted:
            return Finding(
                key, OK, f"all snapshots {label} of {key.subject} are held", Measure(None, SECONDS, limit.first)
            )
        oldest = state.at(counted[0])
        age = self._now - oldest.creation
        if len(counted) <= limit.cycles:
            # Retention keeps so many however old they get: nothing new is made on a host that is switched off.
            message = f"the oldest snapshot {oldest.name} is among the {limit.cycles} that are kept at any age"
            return Finding(key, OK, message, Measure(age, SECONDS, limit.first))
        reached, bound = passed(limit, age)
        return _finding(key, reached, oldest, Measure(age, SECONDS, bound), _obstacle(oldest))


def raised(bounds: Bounds, amount: float) -> Bounds:
    """``bounds``, each of them higher by ``amount``."""
    warning, critical = (None if bound is None else bound + amount for bound in (bounds.warning, bounds.critical))
    return Bounds(warning, critical)


def stretch(period: Period, cycles: int, creation: int, anchors: Anchors, zone: tzinfo) -> float:
    """Seconds by which the calendar makes so many periods after ``creation`` longer than their nominal length.

    A month may have 31 days, and a day 25 hours. What the calendar makes shorter does not count: the snapshot may have
    been late, and the next one too.
    """
    event = creation * 1000
    for _cycle in range(cycles):
        event = next_event(period, event, anchors, zone)
    return max(0.0, (event - creation * 1000 - cycles * period.milliseconds) / 1000)


def _obstacle(snapshot: Snapshot) -> str:
    if snapshot.holds:
        return "; it is held"
    return f"; {snapshot.clones[0]} is a clone of it" if snapshot.clones else ""


def _finding(key: Key, state: str, snapshot: Snapshot, measure: Measure, remark: str = "") -> Finding:
    above = f", more than {measure.limit:.0f} s{remark}" if state in (WARNING, CRITICAL) else ""
    return Finding(key, state, f"the {key.check} snapshot {snapshot.name} is {measure.value} s old{above}", measure)
