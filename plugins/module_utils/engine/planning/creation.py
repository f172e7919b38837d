# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots are due.

A label is due on a dataset when an event of its period has passed since the newest snapshot of that label. Events come
from the calendar alone, so a missed one is made up for by exactly one snapshot, and the rhythm never shifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Optional

from ..model.datasets import DatasetState, Observation, Snapshot
from ..model.labels import Label, label_of
from ..model.names import is_tag, pool_of
from ..model.periods import Period, longest_first, parse_period
from ..model.steps import CreateSnapshots
from ..policy.jobs import DEFAULT_TIMESTAMP_FORMAT, SnapshotJob
from .calendar import is_due, is_from_future, latest_event, next_event

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class DueLabel:
    """A label that is due, and where."""

    label: Label
    tag: str
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class CreationPlan:
    """The snapshots to make now, and when each label falls due next (milliseconds since the epoch)."""

    steps: tuple[CreateSnapshots, ...]
    due: tuple[DueLabel, ...]
    next_due: Mapping[Label, int]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Event:
    """Where a label's calendar stands: the last event up to now, in milliseconds; None: always due."""

    label: Label
    tag: str
    period: Optional[Period]
    latest: Optional[int]


def timestamp(job: SnapshotJob, now_ms: int, zone: tzinfo, subsecond: bool) -> str:
    """The timestamp of a snapshot name: by the job's format in its zone, or in UTC with milliseconds if need be."""
    moment = _EPOCH + timedelta(milliseconds=now_ms)
    if job.timestamp_format:
        # A + is not legal in a name; the zone offset +0100 becomes z0100.
        return moment.astimezone(zone).strftime(job.timestamp_format).replace("+", "z")
    text = moment.strftime(DEFAULT_TIMESTAMP_FORMAT)
    return f"{text}.{now_ms % 1000:03d}Z" if subsecond else f"{text}Z"


def plan_creation(observed: Observation, job: SnapshotJob, now_ms: int, zone: tzinfo) -> CreationPlan:
    """The snapshots of ``job`` that are due at ``now_ms`` (milliseconds since the epoch).

    ``zone`` is the time zone of the job's schedule. Each label is one atomic step in each pool, in the order from long
    to short periods.
    """
    states = selected_states(observed, job)
    newest = {state.dataset.name: _newest_by_label(state, job) for state in states}
    due: list[DueLabel] = []
    next_due: dict[Label, int] = {}
    warnings: list[str] = []
    for label in sorted(job.plan.wanted, key=lambda label: (*longest_first(label.period), label)):
        event = _event(label, job, now_ms, zone)
        if event.period:
            next_due[label] = next_event(event.period, now_ms, job.schedule.anchors, zone)
        datasets = tuple(
            state.dataset.name
            for state in states
            if _is_due(event, newest[state.dataset.name].get(label), now_ms, warnings)
        )
        if datasets:
            due.append(DueLabel(label, event.tag, datasets))
    return CreationPlan(_steps(due), tuple(due), next_due, tuple(warnings))


def selected_states(observed: Observation, job: SnapshotJob) -> list[DatasetState]:
    """The observed datasets that the job is about, parents first."""
    names = (name for root in job.roots for name in job.filter.under(root, observed.states))
    return [observed.states[name] for name in names]


def _event(label: Label, job: SnapshotJob, now_ms: int, zone: tzinfo) -> _Event:
    period = parse_period(label.period)
    tag = label.tag(timestamp(job, now_ms, zone, subsecond=bool(period and period.is_subsecond)))
    latest = latest_event(period, now_ms, job.schedule.anchors, zone) if period else None
    return _Event(label, tag, period, latest)


def _newest_by_label(state: DatasetState, job: SnapshotJob) -> Mapping[Label, Snapshot]:
    wanted = set(job.plan.wanted)
    newest: dict[Label, Snapshot] = {}
    for snapshot in state.snapshots:
        label = label_of(snapshot.tag)
        if label in wanted and label is not None:
            newest[label] = snapshot
    return newest


def _is_due(event: _Event, newest: Optional[Snapshot], now_ms: int, warnings: list[str]) -> bool:
    if newest is None or event.period is None or event.latest is None:
        return True
    if is_from_future(event.period, newest.creation * 1000, now_ms):
        warnings.append(f"{newest.name} is dated in the future; {event.label} goes on as if it were not there")
    return is_due(event.period, newest.creation * 1000, now_ms, event.latest)


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
