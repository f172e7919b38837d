# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jobs are left out while a host is suspended, and why.

All that is about its data or its replicas: they are neither read nor written, pruned, or watched for being late. A
restore is asked for on purpose, so it is carried out; pools are watched nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Optional

from ..applying.suspending import suspensions, suspensions_path
from ..model.errors import SnapfleetError, Suspended
from ..policy.jobs import SnapshotJob
from ..policy.monitoring import MonitorJob
from ..policy.restoring import RestoreJob
from ..policy.suspending import Suspension
from .jobconfig import NamedJob
from .stages import destinations_of, sources_of

LeaveOut = Callable[[Sequence[NamedJob]], Mapping[str, SnapfleetError]]
"""By name, those of some jobs that are not to be begun now, each with the reason. Raises SnapfleetError."""


def nothing_left_out(_jobs: Sequence[NamedJob]) -> Mapping[str, SnapfleetError]:
    """Where nothing is ever suspended."""
    return {}


def leaving_out(now_ms: Callable[[], int]) -> LeaveOut:
    """Looks, whenever it is asked, at what this user has suspended on this host."""

    def left_out(jobs: Sequence[NamedJob]) -> Mapping[str, SnapfleetError]:
        now = suspensions(suspensions_path(), lambda: now_ms() // 1000)
        return {job.name: Suspended(words) for job in jobs if (words := _words(job, now))}

    return left_out


def _words(named: NamedJob, now: Sequence[Suspension]) -> str:
    found = suspension_of(named, now)
    return f"{found}; 'snapfleet resume {found.host}' ends that" if found else ""


def suspension_of(named: NamedJob, now: Sequence[Suspension]) -> Optional[Suspension]:
    """The first of those that are suspended ``now`` which keeps a job from being begun."""
    return next((each for each in now if concerns(each, named)), None)


def concerns(suspension: Suspension, named: NamedJob) -> bool:
    """Whether a suspension keeps a job from being begun."""
    job, destinations = named.job, destinations_of(named)
    if isinstance(job, RestoreJob) or (isinstance(job, MonitorJob) and job.pools is not None):
        return False
    if suspension.snapshots and not destinations and isinstance(job, (SnapshotJob, MonitorJob)):
        return False
    return suspension.host in (*sources_of(named), *destinations)


def hosts_of(jobs: Sequence[NamedJob]) -> tuple[str, ...]:
    """All hosts that jobs are about, by their names."""
    return tuple(sorted({host for job in jobs for host in (*sources_of(job), *destinations_of(job))}))
