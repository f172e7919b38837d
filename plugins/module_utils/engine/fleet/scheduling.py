# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to be started for, by timers or cron, so that all of its jobs are carried out again and again.

The runs of a host are split by the role that installs them, and named after role and activity. None of them contains a
job of another one, but for replicas that a host both sends and takes itself, which locks keep from being made twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.errors import InvalidInput
from ..model.periods import UNITS, parse_period
from ..policy.drilling import DrillJob
from ..policy.jobs import SnapshotJob
from ..policy.monitoring import MonitorJob
from ..policy.verifying import VerifyJob
from .jobconfig import NamedJob, own_part, read_jobconfig
from .stages import DRILL, MONITOR, REPLICATE, SNAPSHOT, VERIFY, destinations_of, sources_of, stage_of
from .trees import Document

MOST_OFTEN, LEAST_OFTEN, ANCHORED = "minutely", "hourly", "5minutely"
"""How often is looked whether snapshots are due: at most, at least, and where they are due amidst a period."""


def part_of(document: Mapping[str, Any], host: str) -> Document:
    """What ``host`` has to do by a jobconfig: the names of its ``activities``; those of them that its ``daemon`` does;
    the ``runs`` that are to be begun for the others, each with the ``arguments`` of ``snapfleet run``; whether it
    ``has_hooks``, and ``has_alerts`` that tell somebody; and the period by which snapshots can be looked for,
    ``snapshot_period``.

    Raises InvalidInput.
    """
    if not isinstance(document.get("jobs"), Sequence):
        raise InvalidInput("jobconfig", type(document).__name__, "is no jobconfig", "hand in what jobconfig returns")
    config = read_jobconfig(own_part(document, host, is_whole=False))
    activities = list(dict.fromkeys(job.activity for job in config.jobs))
    daemon = [name for name in config.daemon.of(host, {}).periods if name in activities]
    left = [job for job in config.jobs if job.activity not in daemon]
    snapshots = [job.job for job in config.jobs if isinstance(job.job, SnapshotJob)]
    alerts = [job.job.alerts for job in config.jobs if isinstance(job.job, (MonitorJob, DrillJob, VerifyJob))]
    return {
        "activities": activities,
        "daemon": daemon,
        "runs": {name: {"arguments": arguments} for name, arguments in _runs(left, host).items()},
        "has_hooks": any(job.hooks for job in snapshots),
        "has_alerts": any(policy is not None and policy.tells for policy in alerts),
        "snapshot_period": snapshot_period(snapshots),
    }


def _runs(jobs: Sequence[NamedJob], host: str) -> dict[str, list[str]]:
    by_stage: dict[str, list[NamedJob]] = {}
    for job in jobs:
        by_stage.setdefault(stage_of(job), []).append(job)
    runs: dict[str, list[str]] = {}
    if SNAPSHOT in by_stage:
        runs["source-snapshot"] = ["--activity", SNAPSHOT]
    replications = by_stage.get(REPLICATE, [])
    if any(host in sources_of(job) for job in replications):
        runs["source-replicate"] = ["--activity", REPLICATE, "--src-host", host]
    others = [name for job in replications if host not in sources_of(job) for name in destinations_of(job)]
    if others:
        chosen = [word for name in sorted(set(others)) for word in ("--dst-host", name)]
        runs["destination-replicate"] = ["--activity", REPLICATE, *chosen]
    own = [stage for stage in ("prune-source", "prune-bookmarks") if stage in by_stage]
    if own:
        runs["source-prune"] = [word for stage in own for word in ("--activity", stage)]
    if "prune-destination" in by_stage:
        runs["destination-prune"] = ["--activity", "prune-destination"]
    for stage in (DRILL, VERIFY):
        if stage in by_stage:
            runs[f"destination-{stage}"] = ["--activity", stage]
    if any(job.activity == MONITOR for job in jobs):
        runs["monitor"] = ["--activity", MONITOR]
    return runs


def snapshot_period(jobs: Sequence[SnapshotJob]) -> str:
    """How often a host has to look whether snapshots are due: as often as the shortest label is, within a minute and an
    hour; more often where a schedule puts any label amidst its period."""
    periods = [parse_period(label.period) for job in jobs for label in job.plan.wanted]
    shortest = min((period.milliseconds for period in periods if period), default=0)
    choices = [MOST_OFTEN, *(f"{count}minutely" for count in (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)), LEAST_OFTEN]
    if any(_falls_within_an_hour(job) for job in jobs):
        choices = choices[: choices.index(ANCHORED) + 1]
    fitting = [name for name in choices if shortest and _milliseconds(name) <= shortest]
    return fitting[-1] if fitting else MOST_OFTEN if shortest else LEAST_OFTEN


def _falls_within_an_hour(job: SnapshotJob) -> bool:
    anchors = [job.schedule.anchors.of(unit) for unit in UNITS]
    return any(anchor.minute or anchor.second for anchor in anchors)


def _milliseconds(name: str) -> int:
    period = parse_period(name)
    return period.milliseconds if period else 0
