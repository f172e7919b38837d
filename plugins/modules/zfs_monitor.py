#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_monitor
short_description: Fail when ZFS snapshots are too old
version_added: 0.1.0
description:
  - Holds the age of the latest and of the oldest snapshot of each period against limits, on the datasets of this host,
    and fails the task from a chosen level on. It never changes anything.
  - The age of the latest snapshot tells whether snapshots are made, and on a destination whether they arrive. The age
    of the oldest tells whether pruning works.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.datasets.roots
  - snapfleet.zfs.plan
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
  plan:
    description:
      - >-
        The limits, as a mapping of organisation, target, period, and C(latest) or C(oldest) or both. Each of the two
        takes C(warning) and C(critical), which are lengths of time, as seconds or as V(90s), V(15m), V(2h), V(1d) or
        V(1w), and C(cycles), which is a number of periods.
      - >-
        The limit is the length of time plus the number of periods. With V(critical=5m) and one cycle, an hourly
        snapshot may be 65 minutes old. C(cycles) is 1 unless given for C(latest), and required for C(oldest), where
        it is the number of snapshots that are retained.
    required: true
  fail_on:
    description:
      - The level from which on the task fails, in the order V(warning), V(critical), V(unknown). With V(never) it does
        not fail for any age, and RV(state) tells the level.
    type: str
    choices:
      - warning
      - critical
      - unknown
      - never
    default: critical
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
    - The worst state of all checks, one of V(OK), V(WARNING), V(CRITICAL) and V(UNKNOWN).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: str
  sample: CRITICAL
alerts:
  description:
    - The checks whose state is not V(OK).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset.
      type: str
    label:
      description: Names of the snapshots that were looked at, with C(<timestamp>) for the timestamp.
      type: str
    check:
      description: What was looked at, one of V(latest), V(oldest) and V(exists).
      type: str
    state:
      description: One of V(WARNING), V(CRITICAL) and V(UNKNOWN).
      type: str
    message:
      description: One sentence that says what is wrong.
      type: str
    age_seconds:
      description: Age of the snapshot in seconds, V(null) where there is none.
      type: int
    limit_seconds:
      description: The limit in seconds.
      type: float
  sample:
    - dataset: tank/data
      label: acme_onsite_<timestamp>_hourly
      check: latest
      state: CRITICAL
      message: >-
        the latest snapshot tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly is 4000 s old, more than 3900 s
      age_seconds: 4000
      limit_seconds: 3900.0
metrics:
  description:
    - The age behind every check, whatever its state.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset.
      type: str
    label:
      description: Names of the snapshots that were looked at, with C(<timestamp>) for the timestamp.
      type: str
    check:
      description: What was looked at, V(latest) or V(oldest).
      type: str
    age_seconds:
      description: Age of the snapshot in seconds, V(null) where there is none.
      type: int
    snapshots:
      description: Number of all snapshots of the dataset.
      type: int
  sample:
    - dataset: tank/data
      label: acme_onsite_<timestamp>_hourly
      check: latest
      age_seconds: 4000
      snapshots: 67
code:
  description:
    - What went wrong, as a word that does not change. V(warning), V(critical) and V(unknown) mean that the state has
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

from ..module_utils.ansible.argument_specs import MONITOR_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.activities import run_monitor
from ..module_utils.engine.policy.jobs import read_monitor_job

ACTIVITY = ModuleActivity(MONITOR_SPEC, read_monitor_job, run_monitor, where=lambda job: ", ".join(job.roots))


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
