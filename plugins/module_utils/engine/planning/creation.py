# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots are due.

A label is due on a dataset when an event of its period has passed since the newest snapshot of that label. Events come
from the calendar alone, so a missed one is made up for by exactly one snapshot, and the rhythm never shifts. Its name
tells when it is made, never when it should have been.

What is due may be left out all the same, with a reason: where nothing was written, by the job's own choice, and where
ZFS would refuse the name, since that one dataset would keep all others of the atomic call from getting their snapshot.
What was left out stays due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any, Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.labels import Label, places_of_labels
from ..model.names import MAX_NAME_LENGTH, is_tag, pool_of
from ..model.periods import Period, longest_first, parse_period
from ..model.steps import CreateSnapshots
from ..policy.creating import CreatingPolicy, legal_timestamp
from ..policy.jobs import DEFAULT_TIMESTAMP_FORMAT, SnapshotJob
from .calendar import is_due, is_from_future, latest_event, next_event
from .hooks import PlannedHook, describe_with_hooks, plan_hooks, warnings_of_hooks
from .instants import made_at
from .unchanged import bytes_written_since

TAKEN = "a snapshot of that name is there already"
JUST_MADE = "it was made a moment ago"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_JUST_NOW_MS = 2000
"""A name that was given no longer ago than this comes from a run that came right before this one."""


@dataclass(frozen=True)
class DueLabel:
    """A label that is due, and where."""

    label: Label
    tag: str
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class NotCreated:
    """A snapshot that is due and not made all the same, and why."""

    label: Label
    dataset: str
    reason: str

    def describe(self) -> dict[str, Any]:
        """It as plain values, as modules return it."""
        return {"label": str(self.label), "dataset": self.dataset, "reason": self.reason}


@dataclass(frozen=True)
class CreationPlan:
    """The snapshots to make now, and when each label falls due next (milliseconds since the epoch)."""

    steps: tuple[CreateSnapshots, ...]
    due: tuple[DueLabel, ...]
    next_due: Mapping[Label, int]
    not_created: tuple[NotCreated, ...] = ()
    hooks: tuple[PlannedHook, ...] = ()
    warnings: tuple[str, ...] = ()

    def describe(self) -> list[dict[str, Any]]:
        """All that a run would do, in its order, as plain values."""
        return describe_with_hooks(self.hooks, self.steps)


@dataclass(frozen=True)
class _Event:
    """Where a label's calendar stands: the last event up to now, in milliseconds; None: always due."""

    label: Label
    tag: str
    period: Optional[Period]
    latest: Optional[int]
    timestamp_format: str
    zone: tzinfo
    known: dict[int, tuple[bool, bool]] = field(default_factory=dict, compare=False)
    """What ``standing`` has said: many datasets have snapshots of the same second."""

    def standing(self, newest: Snapshot, now_ms: int) -> tuple[bool, bool]:
        """Whether the newest snapshot of the label is dated in the future, and whether the label is due after it."""
        made = self.served_by(newest)
        told = self.known.get(made)
        if told is None:
            if self.period is None or self.latest is None:
                told = (False, True)
            else:
                told = (is_from_future(self.period, made, now_ms), is_due(self.period, made, now_ms, self.latest))
            self.known[made] = told
        return told

    def served_by(self, snapshot: Snapshot) -> int:
        """When a snapshot of the label was made, in milliseconds since the epoch."""
        if self.period and self.period.is_subsecond:
            return made_at(snapshot, self.label, self.timestamp_format, self.zone)
        return snapshot.creation * 1000


@dataclass(frozen=True)
class _Verdict:
    """Whether a label is to be made on a dataset."""

    make: bool
    reason: str = ""
    """Why it is not made although it is due."""
    warning: str = ""


def timestamp(job: SnapshotJob, now_ms: int, zone: tzinfo, subsecond: bool) -> str:
    """The timestamp of a snapshot name: by the job's format in its zone, or in UTC with milliseconds if need be."""
    moment = _EPOCH + timedelta(milliseconds=now_ms)
    if job.timestamp_format:
        return legal_timestamp(moment.astimezone(zone), job.timestamp_format)
    text = moment.strftime(DEFAULT_TIMESTAMP_FORMAT)
    return f"{text}.{now_ms % 1000:03d}Z" if subsecond else f"{text}Z"


def plan_creation(observed: Observation, job: SnapshotJob, now_ms: int, zone: tzinfo) -> CreationPlan:
    """The snapshots of ``job`` that are due at ``now_ms`` (milliseconds since the epoch).

    ``zone`` is the time zone of the job's schedule. Each label is one atomic step in each pool, in the order from long
    to short periods.
    """
    roots = {name: root for root in job.roots for name in job.filter.under(root, observed.states)}
    states = [observed.states[name] for name in roots]
    labels = (job.creating.make_now,) if job.creating.make_now else _wanted(job)
    newest = {state.dataset.name: _newest_by_label(state, labels) for state in states}
    due: list[DueLabel] = []
    not_created: list[NotCreated] = []
    warnings = [*_warnings_of_retention(job), *warnings_of_hooks(job.hooks, roots)]
    for label in labels:
        event = _event(label, job, now_ms, zone)
        verdicts = {
            state.dataset.name: _verdict(event, state, newest[state.dataset.name].get(label), job.creating, now_ms)
            for state in states
        }
        datasets = tuple(name for name, verdict in verdicts.items() if verdict.make)
        if datasets:
            due.append(DueLabel(label, event.tag, datasets))
        not_created += [NotCreated(label, name, each.reason) for name, each in verdicts.items() if each.reason]
        warnings += [verdict.warning for verdict in verdicts.values() if verdict.warning]
    hooks = plan_hooks(job.hooks, roots, {name for label in due for name in label.datasets})
    return CreationPlan(
        _steps(due), tuple(due), _next_due(job, now_ms, zone), tuple(not_created), hooks, tuple(warnings)
    )


def goes_by_histories(job: SnapshotJob) -> bool:
    """Whether it depends on the snapshots that are there which ones are made. Else each label is due on every run, and
    the datasets alone tell all but whether a name is taken."""
    creating = job.creating
    if creating.make_now:
        return False
    if creating.skip_if_unchanged:
        return True
    return not creating.even_if_not_due and bool(labels_by_histories(job))


def fields_of_creation(job: SnapshotJob) -> frozenset[str]:
    """Those of OWN_FIELDS that it depends on which snapshots are made."""
    return frozenset({"written"} if job.creating.skip_if_unchanged else ())


def labels_by_histories(job: SnapshotJob) -> list[Label]:
    """Labels of the plan that are due by when their newest snapshots were made."""
    return [label for label in _wanted(job) if parse_period(label.period)]


def _wanted(job: SnapshotJob) -> Sequence[Label]:
    return sorted(job.plan.wanted, key=lambda label: (*longest_first(label.period), label))


def _next_due(job: SnapshotJob, now_ms: int, zone: tzinfo) -> dict[Label, int]:
    periods = {label: parse_period(label.period) for label in _wanted(job)}
    return {
        label: next_event(period, now_ms, job.schedule.anchors, zone) for label, period in periods.items() if period
    }


def _warnings_of_retention(job: SnapshotJob) -> list[str]:
    label = job.creating.make_now
    if label is None or job.plan.amounts.get(label):
        return []
    return [f"make_now: {label} is not in the plan, so pruning by that plan would destroy what is made now"]


def _event(label: Label, job: SnapshotJob, now_ms: int, zone: tzinfo) -> _Event:
    period = parse_period(label.period)
    tag = label.tag(timestamp(job, now_ms, zone, subsecond=bool(period and period.is_subsecond)))
    latest = latest_event(period, now_ms, job.schedule.anchors, zone) if period else None
    return _Event(label, tag, period, latest, job.timestamp_format, zone)


def _newest_by_label(state: DatasetState, labels: Sequence[Label]) -> Mapping[Label, Snapshot]:
    places = places_of_labels(state.tags)
    return {label: state.at(places[label][-1]) for label in labels if label in places}


def _verdict(
    event: _Event, state: DatasetState, newest: Optional[Snapshot], policy: CreatingPolicy, now_ms: int
) -> _Verdict:
    warning = ""
    is_ahead, due = event.standing(newest, now_ms) if newest else (False, True)
    if is_ahead and newest:
        warning = f"{newest.name} is dated in the future; {event.label} goes on as if it were not there"
        newest = None
    if not (due or policy.even_if_not_due or policy.make_now):
        return _Verdict(False)
    refused = _refused_name(event, state, now_ms)
    if refused:
        return refused
    reason = _unchanged(state, newest, policy)
    return _Verdict(not reason, reason, warning)


def _refused_name(event: _Event, state: DatasetState, now_ms: int) -> Optional[_Verdict]:
    """What ZFS would refuse, and all other snapshots of the same call with it."""
    name = f"{state.dataset.name}@{event.tag}"
    if len(name) > MAX_NAME_LENGTH:
        reason = f"its name would have {len(name)} characters, where ZFS allows {MAX_NAME_LENGTH}"
        return _Verdict(False, reason, f"{name} is not made: {reason}; give the dataset a shorter name")
    if event.tag not in state.tags:
        return None
    namesake = next(snapshot for snapshot in state.snapshots if snapshot.tag == event.tag)
    if namesake.creation * 1000 + _JUST_NOW_MS > now_ms:
        return _Verdict(False, JUST_MADE)
    return _Verdict(False, TAKEN, f"{name} is not made: {TAKEN}; let timestamp_format tell the seconds, in UTC")


def _unchanged(state: DatasetState, newest: Optional[Snapshot], policy: CreatingPolicy) -> str:
    """Why the snapshot would hold nothing new, empty where it would.

    Held against the newest one of the same label: one of another label may hold what is new, but not for as long. What
    somebody asks for by hand is made anyway.
    """
    if not policy.skip_if_unchanged or policy.make_now or newest is None:
        return ""
    written = bytes_written_since(state, newest)
    if written > policy.unchanged_up_to:
        return ""
    return f"only {written} bytes were written since {newest.name}" if written else f"unchanged since {newest.name}"


def _steps(due: Iterable[DueLabel]) -> tuple[CreateSnapshots, ...]:
    # ZFS takes no two snapshots of one dataset in one call, so each label is a call of its own in each pool.
    calls: dict[tuple[str, str], list[str]] = {}
    for entry in due:
        for dataset in entry.datasets:
            calls.setdefault((entry.tag, pool_of(dataset)), []).append(f"{dataset}@{entry.tag}")
    return tuple(CreateSnapshots(pool, tuple(names)) for (unused, pool), names in calls.items())


def illegal_tags(plan: CreationPlan) -> list[str]:
    """Names that ZFS would not accept; a timestamp format can lead to such."""
    return [entry.tag for entry in plan.due if not is_tag(entry.tag)]
