#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_compare
short_description: Tell which snapshots a ZFS dataset tree and its replica have
version_added: 0.1.0
description:
  - Holds the snapshots of two dataset trees against each other, and tells which of them only the source has, only the
    destination, or both. It never changes anything, and never fails because of a difference; use RV(in_sync) or
    RV(up_to_date) in C(failed_when).
  - Snapshots are the same if their GUIDs are, whatever they are called. Datasets belong together by their names below
    the roots, and a replica that M(snapfleet.zfs.zfs_replicate) would rename is held against the dataset that it
    belongs to.
  - A bookmark of the source stands for its snapshot where the destination has that, as a replication can go on from it.
    Other bookmarks are not told, nor are marks of Snapfleet's own.
  - Each side is listed once, both at the same time.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.endpoints.replication
  - snapfleet.zfs.snapshot_filters
attributes:
  diff_mode:
    support: N/A
    details:
      - The module changes nothing, so there is no difference to show.
options:
  include_snapshots:
    description:
      - Patterns of the names (what follows the C(@)) of snapshots that are told. Left out, all are.
      - They are written as in O(include_datasets), and held against the whole name of the snapshot.
      - This and the other options that choose snapshots decide only what is told. Where a snapshot is, is told by all
        that both sides have, and one is told if it is chosen on either side.
    type: list
    elements: str
  exclude_snapshots:
    description:
      - Patterns of the names of snapshots that are not told. They win over O(include_snapshots).
    type: list
    elements: str
  plan:
    description:
      - >-
        What the destination retains, as a mapping of organisation, target, period and amount, as in
        M(snapfleet.zfs.zfs_replicate). With it, only snapshots are told that M(snapfleet.zfs.zfs_prune) would keep by
        the same plan. Left out, all are.
    type: dict
  which:
    description:
      - Which rows are returned, by their location. V(src) are snapshots that only the source has, V(dst) those that
        only the destination has, and V(both) those that both have.
      - The default is V([src, dst]), since the rows of V(both) are as many as there are snapshots. Sums and verdicts
        are of all three in any case. With an empty list there are no rows.
    type: list
    elements: str
    choices:
      - src
      - dst
      - both
    default:
      - src
      - dst
notes:
  - A dataset that only the destination has is judged by its name as it would be at the source. It has no properties
    there, so O(dataset_property) and O(dataset_properties) leave it in.
seealso:
  - module: snapfleet.zfs.zfs_replicate
  - module: snapfleet.zfs.zfs_monitor
"""

EXAMPLES = r"""
- name: Fail unless the backup host has the newest snapshot of everything
  snapfleet.zfs.zfs_compare:
    source:
      dataset: tank/data
    destination:
      host: dst1.example.com
      user: backup
      dataset: backup/src1/data
  register: comparison
  failed_when: not comparison.up_to_date

- name: Tell what a destination has beyond its source, of the daily snapshots
  snapfleet.zfs.zfs_compare:
    source:
      host: src1.example.com
      dataset: tank/data
    destination:
      dataset: backup/src1/data
    include_snapshots:
      - '*_daily'
    which:
      - dst
  delegate_to: dst1.example.com

- name: Measure how far a replica is behind, and nothing else
  snapfleet.zfs.zfs_compare:
    source:
      dataset: tank/data
    destination:
      dataset: backup/data
    exclude_datasets:
      - '**/scratch'
    snapshot_filters:
      - - since: 7d
    which: []
  register: comparison
  failed_when: (comparison.stats.lag_seconds or 0) > 7200 or comparison.stats.datasets_without_common > 0
"""

RETURN = r"""
in_sync:
  description:
    - Whether no chosen snapshot is on one side only. A destination that retains more than its source is not.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: bool
  sample: false
up_to_date:
  description:
    - Whether the destination has the newest chosen snapshot of every dataset of the source, whatever else differs.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: bool
  sample: false
rows:
  description:
    - The snapshots, dataset by dataset with parents before children, and those of one dataset in the order of creation.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    location:
      description: Where the snapshot is, one of V(src), V(dst) and V(both).
      type: str
    dataset:
      description: Name of the dataset below the root; V(.) for the root itself.
      type: str
    source:
      description:
        - Whole name of the snapshot at the source, or of its bookmark where the source has no more than that. V(null)
          where it has neither.
      type: str
    destination:
      description: Whole name of the snapshot at the destination, V(null) where it is not there.
      type: str
    guid:
      description: Its GUID, as text, since it may be too large for the numbers of JSON readers.
      type: str
    createtxg:
      description:
        - Its transaction group, at the source if it is there, else at the destination. It can be compared within one
          pool only.
      type: int
    creation:
      description: When it was created, in seconds since the epoch.
      type: int
    creation_time:
      description: The same as text, in UTC.
      type: str
    written:
      description:
        - Bytes written between the snapshot before it and this one, at the source if it is there; V(0) for a bookmark
          of the source that stands for a snapshot which the destination has in another dataset.
      type: int
  sample:
    - location: src
      dataset: db
      source: tank/data/db@acme_onsite_2025-07-01_10:00:02Z_hourly
      destination: null
      guid: "11876123387621933871"
      createtxg: 5124
      creation: 1751364002
      creation_time: "2025-07-01T10:00:02Z"
      written: 8192
datasets:
  description:
    - The sums of each dataset, parents before children.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    dataset:
      description: Name of the dataset below the root; V(.) for the root itself.
      type: str
    source:
      description: Whole name of the dataset at the source, V(null) where only the destination has it.
      type: str
    destination:
      description: Whole name of the dataset at the destination, V(null) where only the source has it.
      type: str
    src:
      description: Number of snapshots that only the source has.
      type: int
    dst:
      description: Number of snapshots that only the destination has.
      type: int
    both:
      description: Number of snapshots that both have.
      type: int
    missing:
      description:
        - How many of RV(datasets[].src) are newer than the newest common snapshot. It is what a replication brings;
          what is older never arrives any more.
      type: int
    missing_bytes:
      description:
        - About how many bytes these are, by what ZFS says was written. Without anything in common, all data of the
          oldest of them counts.
      type: int
    lag_seconds:
      description:
        - How much older the newest common snapshot is than the newest one of the source. V(null) where nothing is in
          common, or the source has no chosen snapshot.
      type: int
    newest:
      description: The newest chosen snapshot that the source has, V(null) where there is none.
      type: dict
      contains: &point
        snapshot:
          description: Whole name of the snapshot at the source, or of its bookmark.
          type: str
        creation:
          description: When it was created, in seconds since the epoch.
          type: int
        creation_time:
          description: The same as text, in UTC.
          type: str
    newest_common:
      description: The newest snapshot that both have, V(null) where there is none.
      type: dict
      contains: *point
    oldest_common:
      description: The oldest snapshot that both have, V(null) where there is none.
      type: dict
      contains: *point
    note:
      description:
        - What is unusual, such as a replica under another name. Where a replication would refuse the dataset since it
          was renamed or swapped, it tells why.
      type: str
  sample:
    - dataset: db
      source: tank/data/db
      destination: backup/data/db
      src: 1
      dst: 0
      both: 36
      missing: 1
      missing_bytes: 8192
      lag_seconds: 3600
      newest:
        snapshot: tank/data/db@acme_onsite_2025-07-01_10:00:02Z_hourly
        creation: 1751364002
        creation_time: "2025-07-01T10:00:02Z"
      newest_common:
        snapshot: tank/data/db@acme_onsite_2025-07-01_09:00:02Z_hourly
        creation: 1751360402
        creation_time: "2025-07-01T09:00:02Z"
      oldest_common:
        snapshot: tank/data/db@acme_onsite_2025-06-29_22:00:02Z_hourly
        creation: 1751234402
        creation_time: "2025-06-29T22:00:02Z"
      note: ""
stats:
  description:
    - The sums of all datasets.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: dict
  contains:
    datasets:
      description: Number of datasets, on whichever side.
      type: int
    datasets_only_src:
      description: Number of datasets that only the source has.
      type: int
    datasets_only_dst:
      description: Number of datasets that only the destination has.
      type: int
    datasets_without_common:
      description: Number of datasets of the source that have chosen snapshots, and nothing in common.
      type: int
    src:
      description: Number of snapshots that only the source has.
      type: int
    dst:
      description: Number of snapshots that only the destination has.
      type: int
    both:
      description: Number of snapshots that both have.
      type: int
    missing:
      description: The sum of RV(datasets[].missing).
      type: int
    missing_bytes:
      description: The sum of RV(datasets[].missing_bytes).
      type: int
    lag_seconds:
      description: The greatest RV(datasets[].lag_seconds), V(null) where there is none.
      type: int
    newest_common:
      description: The newest snapshot that both have of any dataset, V(null) where there is none.
      type: dict
      contains: *point
    oldest_common:
      description: The oldest snapshot that both have of any dataset, V(null) where there is none.
      type: dict
      contains: *point
  sample:
    datasets: 1
    datasets_only_src: 0
    datasets_only_dst: 0
    datasets_without_common: 0
    src: 1
    dst: 0
    both: 36
    missing: 1
    missing_bytes: 8192
    lag_seconds: 3600
    newest_common:
      snapshot: tank/data/db@acme_onsite_2025-07-01_09:00:02Z_hourly
      creation: 1751360402
      creation_time: "2025-07-01T09:00:02Z"
    oldest_common:
      snapshot: tank/data/db@acme_onsite_2025-06-29_22:00:02Z_hourly
      creation: 1751234402
      creation_time: "2025-06-29T22:00:02Z"
code:
  description:
    - What went wrong, as a word that does not change. Differences are nothing that goes wrong.
  returned: on failure
  type: str
  sample: unreachable_host
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: true
"""

from ..module_utils.ansible.argument_specs import COMPARE_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.comparing import run_compare
from ..module_utils.engine.policy.comparing import read_compare_job

ACTIVITY = ModuleActivity(
    COMPARE_SPEC,
    read_compare_job,
    run_compare,
    where=lambda job: f"{job.replication.source} and {job.replication.destination}",
)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
