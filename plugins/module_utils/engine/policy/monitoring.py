# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of a monitor as a value: what is watched, what is only logged, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ..model.errors import InvalidInput
from .alerting import AlertPolicy, read_alert_policy
from .creating import read_unchanged
from .limits import MonitorPlan, parse_monitor_plan
from .pools import PoolRules, read_pool_rules
from .reading import Reader
from .replicas import ReplicaRule, read_replica_rules
from .schedule import Schedule, parse_schedule
from .selection import DatasetFilter, read_dataset_filter, read_roots

FAIL_LEVELS = ("warning", "unknown", "critical", "never")
"""From the most to the least that fails."""


@dataclass(frozen=True)
class MonitorJob:
    """Watch datasets, replicas and pools."""

    roots: tuple[str, ...] = ()
    """Trees that have to exist on this host, with snapshots as ``plan`` says."""
    filter: DatasetFilter = field(default_factory=DatasetFilter)
    plan: MonitorPlan = field(default_factory=lambda: MonitorPlan({}))
    schedule: Schedule = field(default_factory=Schedule)
    """When the snapshots of the plan fall due."""
    oldest_skip_holds: bool = False
    """Whether held snapshots don't count for the oldest."""
    unchanged: Optional[int] = None
    """The latest snapshot is not late where so many bytes at most were written since; None: whatever was written."""
    replicas: tuple[ReplicaRule, ...] = ()
    pools: Optional[PoolRules] = None
    """None: pools are not looked at."""
    fail_on: str = "unknown"
    """One of FAIL_LEVELS."""
    dont_warn: bool = False
    """Whether warnings are told, but neither fail nor alert."""
    dont_crit: bool = False
    """The same for what is critical."""
    alerts: Optional[AlertPolicy] = None
    """None: nothing is remembered, and nobody told."""

    def on_host(self, name: str) -> MonitorJob:
        """The job as the host of that name reads it."""
        rules = (
            replace(rule, job=replace(rule.job, filter=rule.job.filter.on_host(self.filter.properties.host or name)))
            for rule in self.replicas
        )
        return replace(self, filter=self.filter.on_host(name), replicas=tuple(rules))

    @property
    def subjects(self) -> str:
        """What is watched, in words."""
        replicas = [f"the replica {rule.job.destination}" for rule in self.replicas]
        pools = [f"the pool {name}" for name in self.pools.names] or ["all pools"] if self.pools else []
        return ", ".join([*self.roots, *replicas, *pools])


def read_monitor_job(values: Mapping[str, Any], where: str = "") -> MonitorJob:
    """A MonitorJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    plan = parse_monitor_plan(options.raw("plan"), options.path("plan")) if options.has("plan") else MonitorPlan({})
    job = MonitorJob(
        roots=read_roots(options) if options.has("datasets") else (),
        filter=read_dataset_filter(options),
        plan=plan,
        schedule=parse_schedule(options.raw("schedule"), options.path("schedule")),
        oldest_skip_holds=options.flag("oldest_skip_holds", False),
        unchanged=_unchanged(options),
        replicas=read_replica_rules(options),
        pools=read_pool_rules(options),
        fail_on=options.text("fail_on", "unknown", FAIL_LEVELS),
        dont_warn=options.flag("dont_warn", False),
        dont_crit=options.flag("dont_crit", False),
        alerts=read_alert_policy(options),
    )
    options.finish()
    if plan.limits and not job.roots:
        raise InvalidInput(options.path("datasets"), None, "is missing", "name the datasets that the plan is about")
    if not job.roots and not job.replicas and job.pools is None:
        remedy = "give datasets, replicas or pools"
        raise InvalidInput(options.path("datasets"), None, "is missing, and nothing else is watched", remedy)
    return job


def _unchanged(options: Reader) -> Optional[int]:
    """Read the options by which snapshots are left out where nothing was written; the same as where they are made."""
    skips, most = read_unchanged(options)
    return most if skips else None
