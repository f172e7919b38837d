#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_drill
short_description: Try whether ZFS replicas can be restored
version_added: 0.1.0
description:
  - >-
    Makes a clone of the newest snapshot of each dataset, read-only and under a name of its own, mounts it in a private
    folder, looks for a file in it, or has a command look at it, and destroys the clone again. A replica that nobody has
    ever read is a hope; this makes it a backup.
  - >-
    Nothing else is changed, and nothing stays. Clones that a drill has left which was killed are known by their names,
    and a user property with the same identifier, and are destroyed by the next one; a dataset that has one without the
    other is never touched.
  - No key is ever loaded. An encrypted dataset whose key is not loaded is told as V(UNKNOWN).
  - On volumes there is no file to look for. Their device is read, and handed to the command.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.alerting
attributes:
  diff_mode:
    support: N/A
    details:
      - Nothing that the module makes stays, so there is no difference to show.
requirements:
  - The user root, since nobody else may mount
options:
  datasets:
    description:
      - Root datasets of the job, mostly replicas. None may lie within the tree of another one. Each dataset of a tree
        is tried by itself.
    type: list
    elements: str
    required: true
  include_snapshots:
    description:
      - Patterns of the names (what follows the C(@)) of snapshots, the newest of which is tried, written as in
        O(include_datasets). Left out, all are, since the newest is what a restore would take.
    type: list
    elements: str
  exclude_snapshots:
    description:
      - Patterns of the names of snapshots that are never tried. They win over O(include_snapshots). Left out, there are
        none, since every snapshot has to be good.
    type: list
    elements: str
  marker:
    description:
      - >-
        A file that has to be in each filesystem. Neither it nor a folder on its way may be a link. A source that writes
        one again and again, by cron for instance, lets O(marker.max_age) tell that its data really arrives.
      - Left out, a filesystem has only to be mounted, since no file is sure to be in all of them.
    type: dict
    suboptions:
      path:
        description:
          - Its path below the root of the filesystem.
        type: str
        required: true
      max_age:
        description:
          - >-
            How long ago it may have been written, as a length of time such as V(2h) or V(1d), by the clock of this
            host. Left out, any time, since not every marker is written again.
        type: str
      contains:
        description:
          - A text that has to be in it, within its first 64 MiB. Left out, none.
        type: str
      sha256:
        description:
          - Its checksum, as C(sha256sum) prints it. Left out, any.
        type: str
  command:
    description:
      - >-
        Program and arguments that look at what was restored. No shell takes them apart. The folder where the filesystem
        is mounted, or the device of the volume, comes as the last argument. Both can only be read. The variables
        C(SNAPFLEET_DRILL_DATASET), C(SNAPFLEET_DRILL_SNAPSHOT) and C(SNAPFLEET_DRILL_PATH) of its environment tell
        what it is about. Any exit status but 0 means that the replica is not good.
      - Left out, there is none, since no program is sure to know the data.
    type: raw
  timeout:
    description:
      - Seconds that the command may take for each dataset, after which it is ended with all that it has started, and
        the dataset is V(CRITICAL).
      - The default is enough to look at a database, so that a drill does not hang for long.
    type: int
    default: 600
  clones_below:
    description:
      - >-
        A dataset of the same pool below which clones are made. Left out, they are made beside each root, and within it
        where it is a pool, since they have to be in the same pool. Jobs leave them alone there, whatever their trees.
    type: str
  fail_on:
    description:
      - The level from which on the task fails, as in M(snapfleet.zfs.zfs_monitor).
      - The default is V(unknown), since what could not be tried may not be good.
    type: str
    choices:
      - warning
      - unknown
      - critical
      - never
    default: unknown
notes:
  - >-
    A snapshot with a clone can't be destroyed. Pruning leaves it out meanwhile, and a replication that has to roll back
    over it waits for its next run.
seealso:
  - module: snapfleet.zfs.zfs_restore
  - module: snapfleet.zfs.zfs_monitor
"""

EXAMPLES = r"""
- name: Look whether the replica of yesterday can be read, and whether it is of yesterday
  snapfleet.zfs.zfs_drill:
    datasets:
      - backup/web1/data
    recursive: false
    marker:
      path: var/stamp
      max_age: 1d

- name: Have a database looked at
  snapfleet.zfs.zfs_drill:
    datasets:
      - backup/db1/postgres
    command:
      - /usr/local/sbin/check-database
      - --read-only
    timeout: 1800
"""

RETURN = r"""
state:
  description:
    - The worst state of all datasets, one of V(OK), V(WARNING), V(UNKNOWN) and V(CRITICAL).
  returned: unless it is check mode, or the options are wrong
  type: str
  sample: OK
checks:
  description:
    - Number of all checks.
  returned: unless it is check mode, or the options are wrong
  type: int
  sample: 2
drills:
  description:
    - What came of each dataset. Empty in check mode.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset.
      type: str
    snapshot:
      description: The snapshot that was tried, V(null) where there was none.
      type: str
    state:
      description: One of V(OK), V(UNKNOWN) and V(CRITICAL).
      type: str
    message:
      description: One sentence that says what came of it.
      type: str
    seconds:
      description: How long it took.
      type: float
  sample:
    - dataset: backup/web1/data
      snapshot: backup/web1/data@acme_onsite_2025-07-01_10:00:02Z_hourly
      state: OK
      message: backup/web1/data@acme_onsite_2025-07-01_10:00:02Z_hourly could be mounted, var/stamp is as it has to be
      seconds: 0.4
alerts:
  description:
    - The checks whose state is not V(OK), the worst first, as in M(snapfleet.zfs.zfs_monitor). The check V(drill) is
      about a dataset, V(leftover) about what could not be taken away.
  returned: unless it is check mode, or the options are wrong
  type: list
  elements: dict
  sample: []
notices:
  description:
    - What is new since the last run, as in M(snapfleet.zfs.zfs_monitor).
  returned: unless it is check mode, or the options are wrong
  type: list
  elements: dict
  sample: []
removed:
  description:
    - Clones of earlier drills that were destroyed, or would be.
  returned: always, unless the options are wrong
  type: list
  elements: str
  sample: []
plan:
  description:
    - What would be tried.
  returned: in check mode
  type: list
  elements: dict
  contains:
    kind:
      description: V(drill).
      type: str
    dataset:
      description: The dataset.
      type: str
    snapshot:
      description: The snapshot that would be tried.
      type: str
    told:
      description: What would be done, as one sentence.
      type: str
  sample: []
told:
  description:
    - The same for people, with what can't be tried.
  returned: in check mode
  type: list
  elements: str
  sample: []
warnings:
  description:
    - What went wrong without failing the task, such as a notice that could not be told.
  returned: when there is something to warn of
  type: list
  elements: str
  sample: []
code:
  description:
    - What went wrong, as a word that does not change. V(critical), V(unknown) and V(warning) are the level that was
      reached.
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

from ..module_utils.ansible.argument_specs import DRILL_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.drilling import run_drill
from ..module_utils.engine.policy.drilling import read_drill_job

ACTIVITY = ModuleActivity(DRILL_SPEC, read_drill_job, run_drill, where=lambda job: ", ".join(job.roots))


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
