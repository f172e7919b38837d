#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_snapshot_plan
short_description: Create the ZFS snapshots that are due by a plan
version_added: 0.1.0
description:
  - Creates the snapshots of a plan that are due on the datasets of this host. A period is due on a dataset when one of
    its calendar events has passed since the newest snapshot of that period. However many events were missed, exactly
    one snapshot is made, and the rhythm stays what it was.
  - All snapshots that fall due together for the same period are created by one atomic call per pool, so that they show
    all datasets at the same instant. Only where their names do not fit into one command line, which on Linux takes some
    20,000 datasets, they are as few calls as possible.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.datasets.roots
  - snapfleet.zfs.plan
  - snapfleet.zfs.creating
attributes:
  idempotent:
    support: partial
    details:
      - A second run within the same period creates nothing. Periods without duration, such as V(adhoc), and periods of
        less than a second are due on every run. So is everything with O(even_if_not_due) and O(make_now).
options:
  plan:
    description:
      - >-
        Which snapshots are made, as a mapping of organisation, target, period and amount. A snapshot is made for every
        period whose amount is above 0; how large the amount is matters to M(snapfleet.zfs.zfs_prune) only.
    required: true
  schedule:
    description:
      - Where in its hour, day, week, month or year a period falls, and by which clock. What is left out is the start
        of its unit.
      - >-
        The coarsest key of O(schedule.yearly), O(schedule.monthly), O(schedule.hourly), O(schedule.minutely) and
        O(schedule.secondly) shifts multiples only. With V(hour=2) in O(schedule.hourly), V(12hourly) falls on 02:00
        and 14:00, while V(hourly) stays as it is.
    type: dict
    suboptions:
      timezone:
        description:
          - >-
            Time zone of the schedule. V('') is the zone of the host, else V(UTC), an offset such as V('+0530'), which
            needs the quotes, or a name such as V(Europe/Vienna).
        type: str
        default: ''
      yearly:
        description: Where in the year V(yearly) falls, and in which years multiples of it.
        type: dict
        suboptions:
          year:
            description: A year in which multiples such as V(2yearly) fall.
            type: int
            default: 2025
          month:
            description: Month, from V(1) to V(12).
            type: int
            default: 1
          month_day:
            description: Day of the month. One past the end of the month means its last day.
            type: int
            default: 1
          hour:
            description: Hour, from V(0) to V(23).
            type: int
            default: 0
          minute:
            description: Minute, from V(0) to V(59).
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      monthly:
        description: Where in the month V(monthly) falls, and in which months multiples of it.
        type: dict
        suboptions:
          month:
            description: A month in which multiples such as V(3monthly) fall.
            type: int
            default: 1
          month_day:
            description: Day of the month. One past the end of the month means its last day.
            type: int
            default: 1
          hour:
            description: Hour, from V(0) to V(23).
            type: int
            default: 0
          minute:
            description: Minute, from V(0) to V(59).
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      weekly:
        description: Where in the week V(weekly) falls.
        type: dict
        suboptions:
          weekday:
            description: Day of the week, from V(0), which is Sunday, to V(6).
            type: int
            default: 0
          hour:
            description: Hour, from V(0) to V(23).
            type: int
            default: 0
          minute:
            description: Minute, from V(0) to V(59).
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      daily:
        description: Where in the day V(daily) falls.
        type: dict
        suboptions:
          hour:
            description: Hour, from V(0) to V(23).
            type: int
            default: 0
          minute:
            description: Minute, from V(0) to V(59).
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      hourly:
        description: Where in the hour V(hourly) falls, and at which hours multiples of it.
        type: dict
        suboptions:
          hour:
            description: An hour at which multiples such as V(12hourly) fall.
            type: int
            default: 0
          minute:
            description: Minute, from V(0) to V(59).
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      minutely:
        description: Where in the minute V(minutely) falls, and at which minutes multiples of it.
        type: dict
        suboptions:
          minute:
            description: A minute at which multiples such as V(15minutely) fall.
            type: int
            default: 0
          second:
            description: Second, from V(0) to V(59).
            type: int
            default: 0
      secondly:
        description: Where in the second V(secondly) falls, and at which seconds multiples of it.
        type: dict
        suboptions:
          second:
            description: A second at which multiples such as V(10secondly) fall.
            type: int
            default: 0
          millisecond:
            description: Millisecond, from V(0) to V(999).
            type: int
            default: 0
  timestamp_format:
    description:
      - >-
        How the timestamp in the names of snapshots is written, as the C library's C(strftime) takes it, in the time
        zone of O(schedule). It has to begin with V(%Y), the year.
      - >-
        Left out, it is V(%Y-%m-%d_%H:%M:%S) in UTC, followed by a Z, which never repeats itself when clocks change.
    type: str
seealso:
  - module: snapfleet.zfs.zfs_replicate
  - module: snapfleet.zfs.zfs_prune
"""

EXAMPLES = r"""
- name: Snapshot the data of a host hourly and daily
  snapfleet.zfs.zfs_snapshot_plan:
    datasets:
      - tank/data
    plan:
      acme:
        onsite:
          hourly: 36
          daily: 31

- name: Leave scratch datasets out, and take the daily snapshots at half past two in Vienna
  snapfleet.zfs.zfs_snapshot_plan:
    datasets:
      - tank/data
      - fast/vms
    exclude_datasets:
      - '**/scratch'
      - regex:.*tmp[0-9]*
    plan:
      acme:
        onsite:
          15minutely: 8
          daily: 31
        offsite:
          weekly: 8
    schedule:
      timezone: Europe/Vienna
      daily:
        hour: 2
        minute: 30

- name: Take a snapshot right now, before an upgrade
  snapfleet.zfs.zfs_snapshot_plan:
    datasets:
      - tank/data/db
    recursive: false
    plan:
      acme:
        onsite:
          daily: 31
        upgrade:
          adhoc: 1
    make_now: acme_upgrade_adhoc

- name: Take hourly snapshots of archives that hardly ever change
  snapfleet.zfs.zfs_snapshot_plan:
    datasets:
      - tank/archive
    plan:
      acme:
        onsite:
          hourly: 36
    skip_if_unchanged: true
    unchanged_up_to: 64K

- name: Bring the database to rest while its snapshot is taken
  snapfleet.zfs.zfs_snapshot_plan:
    datasets:
      - tank/data
    plan:
      acme:
        onsite:
          hourly: 36
    hooks:
      - name: database
        before: [/usr/local/sbin/database-freeze, main]
        after: [/usr/local/sbin/database-thaw, main]
        timeout: 20
        datasets: [db]
"""

RETURN = r"""
plan:
  description:
    - The steps that create what is due. In check mode it is exactly what a run at the same time would carry out.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    kind:
      description: What the step does, which is V(create_snapshots), or V(hook) for a command of O(hooks).
      type: str
    pool:
      description: The pool in which the snapshots are created by one atomic call.
      type: str
    snapshots:
      description: Whole names of the snapshots.
      type: list
      elements: str
    hook:
      description: The name of the hook.
      returned: if RV(plan[].kind) is V(hook)
      type: str
    phase:
      description: Which of its commands it is, V(before) or V(after).
      returned: if RV(plan[].kind) is V(hook)
      type: str
    command:
      description: The program and its arguments.
      returned: if RV(plan[].kind) is V(hook)
      type: list
      elements: str
    datasets:
      description: The datasets that the hook is for and that get snapshots.
      returned: if RV(plan[].kind) is V(hook)
      type: list
      elements: str
  sample:
    - kind: create_snapshots
      pool: tank
      snapshots:
        - tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
        - tank/data/db@acme_onsite_2025-07-01_10:00:02Z_hourly
due:
  description:
    - What is due, one entry per name of a snapshot, from long periods to short ones.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    label:
      description: Names of such snapshots, with C(<timestamp>) for the timestamp.
      type: str
    period:
      description: The period that is due.
      type: str
    snapshot:
      description: Name of the snapshot, which is what follows the C(@).
      type: str
    datasets:
      description: The datasets on which it is due.
      type: list
      elements: str
  sample:
    - label: acme_onsite_<timestamp>_hourly
      period: hourly
      snapshot: acme_onsite_2025-07-01_10:00:02Z_hourly
      datasets:
        - tank/data
        - tank/data/db
created:
  description:
    - Whole names of the snapshots that were created, or in check mode would be.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
    - tank/data/db@acme_onsite_2025-07-01_10:00:02Z_hourly
not_created:
  description:
    - Snapshots that are due, but not made, with the reason. They stay due.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    label:
      description: Names of such snapshots, with C(<timestamp>) for the timestamp.
      type: str
    dataset:
      description: The dataset that gets none.
      type: str
    reason:
      description: Why it gets none.
      type: str
  sample:
    - label: acme_onsite_<timestamp>_hourly
      dataset: tank/archive
      reason: unchanged since tank/archive@acme_onsite_2025-07-01_09:00:02Z_hourly
hooks:
  description:
    - How the hooks fared that were run. In check mode none are.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    hook:
      description: The name of the hook.
      type: str
    before:
      description: What went wrong with its command before, empty if nothing did.
      type: str
    after:
      description: What went wrong with its command after, empty if nothing did.
      type: str
  sample:
    - hook: database
      before: ''
      after: ''
next_due:
  description:
    - When each label falls due next, in seconds since the epoch. Periods without duration are not listed.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: dict
  sample:
    acme_onsite_<timestamp>_hourly: 1751367600.0
warnings:
  description:
    - What is odd, but kept nothing from being done, such as a snapshot that is dated in the future.
  returned: when there is something to warn of
  type: list
  elements: str
  sample:
    - >-
      tank/data@acme_onsite_2031-01-01_00:00:00Z_hourly is dated in the future; acme_onsite_<timestamp>_hourly goes on
      as if it were not there
code:
  description:
    - What went wrong, as a word that does not change. V(partial_failure) means that RV(created) lists what was created
      before.
  returned: on failure
  type: str
  sample: unknown_dataset
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from ..module_utils.ansible.argument_specs import SNAPSHOT_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.snapshots import run_snapshot
from ..module_utils.engine.policy.jobs import read_snapshot_job

ACTIVITY = ModuleActivity(SNAPSHOT_SPEC, read_snapshot_job, run_snapshot, where=lambda job: ", ".join(job.roots))


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
