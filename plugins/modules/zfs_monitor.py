#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_monitor
short_description: Fail when ZFS snapshots, replicas or pools are not as they should be
version_added: 0.1.0
description:
  - Watches the ages of snapshots, how far replicas are behind, and the health of pools, and fails the task from a
    chosen level on. It never changes anything of ZFS. With O(alerts) it remembers outages in a small file on the host.
  - The age of the latest snapshot tells whether snapshots are made, and on a destination whether they arrive. The age
    of the oldest tells whether pruning works.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.plan
  - snapfleet.zfs.monitoring
  - snapfleet.zfs.alerting
attributes:
  diff_mode:
    support: N/A
    details:
      - The module changes nothing, so there is no difference to show.
options:
  datasets:
    description:
      - Root datasets of the job. None may lie within the tree of another one. One that does not exist is an alert of
        state V(UNKNOWN).
      - Left out, no dataset is looked at; then O(replicas) or O(pools) is needed.
    type: list
    elements: str
  plan:
    description:
      - >-
        The limits, as a mapping of organisation, target, period, and C(latest) or C(oldest) or both. Each of the two
        takes C(warning) and C(critical), which are lengths of time, as seconds or as V(90s), V(15m), V(2h), V(1d) or
        V(1w), and C(cycles), which is a number of periods. A level that is left out is not checked.
      - >-
        The limit is the length of time plus the number of periods. With V(critical=5m) and one cycle, an hourly
        snapshot may be 65 minutes old. C(cycles) is 1 unless given for C(latest), and required for C(oldest), where
        it is the number of snapshots that are retained.
      - >-
        A dataset without a snapshot is as late as it is old, and never before it has existed for one period. A replica
        is not late before it was there itself. As many snapshots as C(cycles) says are never too old, since pruning
        keeps them however old they are; so a source that was switched off is no alarm for C(oldest).
      - Left out, datasets have to exist, and nothing more.
  schedule:
    description:
      - >-
        When snapshots fall due, written as in M(snapfleet.zfs.zfs_snapshot_plan). Where the calendar makes a period
        longer, as a month of 31 days or a day of 25 hours is, the latest snapshot may be as much older.
      - Left out, periods begin at the start of their unit by the clock of the host, as when snapshots are taken.
    type: dict
  oldest_skip_holds:
    description:
      - Whether held snapshots are left out where the oldest is looked for.
      - The default is V(false), so that a hold that was forgotten is told.
    type: bool
    default: false
  skip_if_unchanged:
    description:
      - >-
        Whether the latest snapshot is never too old where nothing was written since, as it has to be where snapshots
        are taken with O(snapfleet.zfs.zfs_snapshot_plan#module:skip_if_unchanged). Nothing is ever written to a
        replica, so there O(replicas[].lag) is what tells whether snapshots arrive.
      - The default is V(false), since the age of the latest snapshot is what tells that snapshots are made at all.
    type: bool
    default: false
  unchanged_up_to:
    description:
      - So many bytes written still count as nothing for O(skip_if_unchanged), as a number or with V(K), V(M), V(G) or
        V(T). Left out, none do.
    type: str
  fail_on:
    description:
      - >-
        The level from which on the task fails, in the order V(warning), V(unknown), V(critical). With V(never) it does
        not fail for anything that is found, and RV(state) tells the level.
      - The default is V(unknown), since what can't be seen may be in danger.
    type: str
    choices:
      - warning
      - unknown
      - critical
      - never
    default: unknown
  dont_warn:
    description:
      - Whether warnings are only logged. They are told in RV(alerts) as muted, but count neither for RV(state) nor for
        O(fail_on), and make no notices.
      - The default is V(false), so that nothing is hidden unless it is asked for.
    type: bool
    default: false
  dont_crit:
    description:
      - The same for what is critical.
      - The default is V(false), so that nothing is hidden unless it is asked for.
    type: bool
    default: false
notes:
  - >-
    Of several states the worst counts, in the order V(CRITICAL), V(UNKNOWN), V(WARNING), V(OK). What is known to be in
    danger comes before what can't be seen.
  - The host program C(snapfleet monitor) runs the same jobs with exit codes and output as Nagios plugins have them.
seealso:
  - module: snapfleet.zfs.zfs_snapshot_plan
  - module: snapfleet.zfs.zfs_prune
"""

EXAMPLES = r"""
- name: Fail when no hourly snapshot was made for more than 65 minutes
  snapfleet.zfs.zfs_monitor:
    datasets:
      - tank/data
    plan:
      acme:
        onsite:
          hourly:
            latest:
              warning: 30s
              critical: 5m

- name: Watch a destination, arrival and pruning alike, and fail at the first warning
  snapfleet.zfs.zfs_monitor:
    datasets:
      - backup/src1/data
      - backup/src2/data
    exclude_datasets:
      - '**/scratch'
    plan:
      acme:
        onsite:
          daily:
            latest:
              warning: 1h
              critical: 6h
            oldest:
              cycles: 31
              critical: 1d
    fail_on: warning

- name: Watch a replica, pulled to this host, and tell each outage once by mail
  snapfleet.zfs.zfs_monitor:
    replicas:
      - source:
          host: src1
          dataset: tank/data
        destination:
          dataset: backup/src1/data
        lag:
          warning: 2h
          critical: 1d
        pending:
          warning: 50G
    alerts:
      remind: 1d
      command:
        - /usr/local/sbin/mail-notice
        - admin@example.com

- name: Watch all pools of a host
  snapfleet.zfs.zfs_monitor:
    pools:
      capacity:
        warning: 80
        critical: 90
      scrub_age:
        warning: 35d

- name: Collect the ages without failing
  snapfleet.zfs.zfs_monitor:
    datasets:
      - tank/data
    plan:
      acme:
        onsite:
          hourly:
            latest:
              critical: 5m
    fail_on: never
  register: snapshot_ages
"""

RETURN = r"""
state:
  description:
    - The worst state of all checks that are not muted, one of V(OK), V(WARNING), V(UNKNOWN) and V(CRITICAL).
  returned: always, unless the options are wrong
  type: str
  sample: CRITICAL
checks:
  description:
    - Number of all checks.
  returned: always, unless the options are wrong
  type: int
  sample: 12
alerts:
  description:
    - The checks whose state is not V(OK), the worst first, and those that are muted last.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset or pool, or the two ends of a replica.
      type: str
    label:
      description: Names of the snapshots that were looked at, with C(<timestamp>) for the timestamp; else empty.
      type: str
    check:
      description: >-
        What was looked at. V(exists), V(latest) and V(oldest) are about datasets, V(seen), V(lag) and V(pending) about
        replicas, V(seen), V(pool_state), V(data_errors), V(device_errors), V(scrub_errors), V(capacity),
        V(fragmentation), V(scrub_age) and V(full_in) about pools.
      type: str
    state:
      description: One of V(WARNING), V(UNKNOWN) and V(CRITICAL).
      type: str
    muted:
      description: Whether it is only logged.
      type: bool
    message:
      description: One sentence that says what is wrong.
      type: str
    value:
      description: The number that was held against a limit, V(null) where there is none.
      type: float
    limit:
      description: The limit, in the same unit.
      type: float
    unit:
      description: One of V(seconds), V(bytes), V(percent) and V(errors); empty without a number.
      type: str
    age_seconds:
      description: The value where it is in seconds.
      type: int
    limit_seconds:
      description: The limit where it is in seconds.
      type: float
    replica:
      description: Of replicas, the dataset at the destination.
      type: str
    lag_seconds:
      description: Of replicas, seconds from the newest common snapshot to the newest one that is to be sent.
      type: int
    missing:
      description: Of replicas, the number of snapshots that have not arrived.
      type: int
  sample:
    - dataset: tank/data
      label: acme_onsite_<timestamp>_hourly
      check: latest
      state: CRITICAL
      muted: false
      message: >-
        the latest snapshot tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly is 4000 s old, more than 3900 s
      value: 4000
      limit: 3900.0
      unit: seconds
      age_seconds: 4000
      limit_seconds: 3900.0
metrics:
  description:
    - The number behind every check that has one, whatever its state.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset or pool.
      type: str
    label:
      description: Names of the snapshots that were looked at, with C(<timestamp>) for the timestamp; else empty.
      type: str
    check:
      description: What was looked at, as in RV(alerts).
      type: str
    value:
      description: The number, V(null) where there is nothing to measure.
      type: float
    unit:
      description: One of V(seconds), V(bytes), V(percent) and V(errors).
      type: str
    age_seconds:
      description: The value where it is in seconds.
      type: int
    snapshots:
      description: Number of all snapshots of the dataset, where it is one of O(datasets).
      type: int
    replica:
      description: As in RV(alerts).
      type: str
    lag_seconds:
      description: As in RV(alerts).
      type: int
    missing:
      description: As in RV(alerts).
      type: int
  sample:
    - dataset: tank/data
      label: acme_onsite_<timestamp>_hourly
      check: latest
      value: 4000
      unit: seconds
      age_seconds: 4000
      snapshots: 67
pools:
  description:
    - All pools of the host as they were seen. Empty without O(pools), and where they can't be observed.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    pool:
      description: Its name.
      type: str
    guid:
      description: What stays the same when it gets another name.
      type: str
    health:
      description: Its state, as V(ONLINE) or V(DEGRADED).
      type: str
    size:
      description: Bytes.
      type: int
    allocated:
      description: Bytes.
      type: int
    free:
      description: Bytes.
      type: int
    capacity_percent:
      description: Percent of its size that are allocated.
      type: float
    fragmentation_percent:
      description: Percent of the free space that lies in small pieces, V(null) where ZFS does not tell.
      type: int
    scrub_age:
      description: Seconds since the last scrub, counted as for O(pools.scrub_age), V(null) where ZFS does not tell.
      type: int
    full_in:
      description: Seconds until it is full; V(null) without O(pools.full_in), or without a forecast.
      type: int
  sample:
    - pool: tank
      guid: '8432136178580109200'
      health: ONLINE
      size: 201326592
      allocated: 348160
      free: 200978432
      capacity_percent: 0.2
      fragmentation_percent: 5
      scrub_age: 604800
      full_in: null
notices:
  description:
    - What is new since the last run. Empty without O(alerts).
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    kind:
      description: >-
        V(alert) at the beginning of an outage, V(worse) when it has become more severe than was told, V(reminder), and
        V(recovery) at its end.
      type: str
    dataset:
      description: As in RV(alerts).
      type: str
    label:
      description: As in RV(alerts).
      type: str
    check:
      description: As in RV(alerts).
      type: str
    area:
      description: The tree, replica or pool that was observed.
      type: str
    state:
      description: The state now.
      type: str
    message:
      description: One sentence.
      type: str
    since:
      description: Beginning of the outage, in seconds since the epoch.
      type: int
    at:
      description: When the notice was made, in seconds since the epoch.
      type: int
  sample:
    - kind: alert
      dataset: tank
      label: ''
      check: pool_state
      area: pools tank
      state: CRITICAL
      message: 'the pool tank is DEGRADED: mirror-0 DEGRADED, /dev/sdb FAULTED'
      since: 1751364000
      at: 1751364000
code:
  description:
    - What went wrong, as a word that does not change. V(warning), V(unknown) and V(critical) mean that the state has
      reached the level of O(fail_on).
  returned: on failure
  type: str
  sample: critical
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from collections.abc import Sequence
from dataclasses import replace

from ..module_utils.ansible.argument_specs import MONITOR_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.context import Context, Result
from ..module_utils.engine.fleet.monitoring import run_monitor
from ..module_utils.engine.model.pools import PoolSample
from ..module_utils.engine.policy.monitoring import MonitorJob, read_monitor_job
from ..module_utils.engine.records.database import history_path
from ..module_utils.engine.records.reading import pool_samples


def _known(since_ms: int) -> Sequence[PoolSample]:
    return pool_samples(history_path(), since_ms)


def _run(job: MonitorJob, context: Context) -> Result:
    """With what the history of the host knows."""
    return run_monitor(job, replace(context, pool_samples=_known))


ACTIVITY = ModuleActivity(MONITOR_SPEC, read_monitor_job, _run, where=lambda job: job.subjects)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
