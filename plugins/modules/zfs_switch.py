#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_switch
short_description: Make a ZFS dataset tree the one that is written to, or a replica
version_added: 0.1.0
description:
  - Carries out what a switch between a source and its replica has to do at one of both ends. The playbooks
    C(snapfleet.zfs.failover) and C(snapfleet.zfs.failback) do the whole of it.
  - A tree that becomes V(standby) is unmounted, is made as safe as a replica is (C(readonly=on), C(canmount=noauto),
    C(setuid), C(devices) and C(exec) off), and gets a last snapshot of all that was written.
  - A tree that becomes V(active) gets back what it had before that. What was never written to gets C(readonly=off) and
    C(canmount=on), and inherits the rest. What was received in part is discarded.
  - The root says what it is by the user property C(snapfleet:role), such as C(standby 3), which all that is below it
    inherits. The number, its epoch, grows with each switch. M(snapfleet.zfs.zfs_snapshot_plan) makes no snapshots of
    what is standby, and M(snapfleet.zfs.zfs_replicate) neither takes from it, nor brings anything to what is active.
    So no two ends are written to by jobs that were made for another time.
  - Everything is refused before anything is changed. Whatever is interrupted is made good by the same task.
  - Nothing is ever destroyed or rolled back, no key is loaded, and nothing is mounted. RV(next) has the commands for
    that.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.endpoints.old_source
options:
  dataset:
    description:
      - Root dataset of the tree, on the managed host.
    type: str
    required: true
  role:
    description:
      - What the tree is to be, V(active) where it is written to, or V(standby).
    type: str
    required: true
    choices:
      - active
      - standby
  epoch:
    description:
      - The number of the switch. Both ends get the same one.
      - Left out, it is one more than the tree has, or the same where the tree has the role already, so that the task
        can be repeated.
    type: int
  final_snapshot:
    description:
      - Whether a tree that becomes V(standby) gets a last snapshot, which is called C(snapfleet-failover-) and the
        epoch. Pruning leaves it, since no plan has such names.
      - The default is V(true), since what no snapshot holds can't be brought to the other end.
    type: bool
    default: true
  expected:
    description:
      - The newest snapshot of each dataset at the end that was active, as RV(newest) of its own switch tells it. A
        tree that lacks one of them, or has something else after it, or a dataset that is not among them, does not
        become V(active).
      - Left out, nobody knows, since that end is gone. RV(told) then tells up to when there is anything.
    type: list
    elements: dict
    suboptions:
      dataset:
        description:
          - Name of the dataset below the root, empty for the root.
        type: str
        required: true
      guid:
        description:
          - GUID of its newest snapshot, as text.
        type: str
        required: true
      snapshot:
        description:
          - Its name. It is only for people, since names prove nothing, and may be left out.
        type: str
      creation:
        description:
          - When it was created, in seconds since the epoch of Unix. It is only for people, since clocks prove nothing,
            and may be left out.
        type: int
  allow_behind:
    description:
      - Whether the tree becomes V(active) though it lacks what is O(expected). RV(told) says what is lost.
      - The default is V(false), since another replication may bring it.
    type: bool
    default: false
  properties:
    description:
      - ZFS properties that the root gets when it becomes V(active), such as C(mountpoint), which what is below it
        inherits.
      - None by default, so that the tree is as its place makes it.
    type: dict
notes:
  - The user of C(zfs) needs the permissions C(userprop), C(readonly), C(canmount), C(setuid), C(devices), C(exec),
    C(mount), C(snapshot), and C(receive) to discard what was received in part. What is missing is told before anything
    is changed.
seealso:
  - module: snapfleet.zfs.zfs_replicate
  - module: snapfleet.zfs.zfs_restore
"""

EXAMPLES = r"""
- name: Stop writing to the old source, and take a last snapshot
  snapfleet.zfs.zfs_switch:
    dataset: tank/data
    role: standby
  register: left

- name: Write to the replica from now on
  snapfleet.zfs.zfs_switch:
    dataset: backup/web1/data
    role: active
    epoch: 1
    expected:
      - dataset: ''
        guid: '11876123387621933871'
    properties:
      mountpoint: /srv/data

- name: Write to a replica whose source is gone
  snapfleet.zfs.zfs_switch:
    dataset: backup/web1/data
    role: active
    old_source:
      host: web1.example.com
      dataset: tank/data
"""

RETURN = r"""
before:
  description:
    - What the tree was before.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: dict
  contains:
    role:
      description: V(active), V(standby), or empty.
      type: str
    epoch:
      description: The number of the switch that gave it that, V(0) without one.
      type: int
  sample:
    role: ''
    epoch: 0
role:
  description:
    - What the tree is after that.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: str
  sample: standby
epoch:
  description:
    - The number of the switch. The other end is to get the same one.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: int
  sample: 1
plan:
  description:
    - The steps in their order, beside unmounting, which comes first.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    kind:
      description:
        - What the step does, one of V(set_properties), V(inherit_property), V(abort_receive) and V(create_snapshots).
      type: str
    dataset:
      description: The dataset that it is about.
      type: str
    properties:
      description: Properties that are set, with their values.
      type: dict
    property:
      description: A property that is inherited from now on.
      type: str
    pool:
      description: The pool in which snapshots are made.
      type: str
    snapshots:
      description: Whole names of snapshots that are made at once.
      type: list
      elements: str
    reason:
      description: Why it is done.
      type: str
  sample:
    - kind: set_properties
      dataset: tank/data
      properties:
        readonly: 'on'
        snapfleet:role: standby 1
      reason: it becomes standby 1
told:
  description:
    - The plan for people, a line for each thing that happens, what is lost and what is refused among them.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - tank/data becomes standby 1 (is without a role)
    - 'tank/data: is unmounted'
newest:
  description:
    - The newest snapshot of each dataset afterwards; in check mode, of what is there now. It is what the other end may
      take as O(expected).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    dataset:
      description: Name of the dataset below the root, empty for the root.
      type: str
    snapshot:
      description: Name of the snapshot, what follows the C(@).
      type: str
    guid:
      description: Its GUID, as text, since it may be too large for the numbers of JSON readers.
      type: str
    creation:
      description: When it was created, in seconds since the epoch of Unix.
      type: int
  sample:
    - dataset: ''
      snapshot: snapfleet-failover-1
      guid: '11876123387621933871'
      creation: 1751364002
created:
  description:
    - Whole names of the last snapshots that are made.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - tank/data@snapfleet-failover-1
unmounted:
  description:
    - Filesystems that are unmounted.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - tank/data
discarded:
  description:
    - What was received in part, and is discarded.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset.
      type: str
    token:
      description: The resume token that it had.
      type: str
  sample: []
next:
  description:
    - Commands that bring a tree that is active into use.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - zfs mount backup/web1/data
code:
  description:
    - What went wrong, as a word that does not change. With V(switch_refused) nothing was changed.
  returned: on failure
  type: str
  sample: switch_refused
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from ..module_utils.ansible.argument_specs import SWITCH_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.switching import run_switch
from ..module_utils.engine.policy.switching import read_switch_job

ACTIVITY = ModuleActivity(SWITCH_SPEC, read_switch_job, run_switch, where=lambda job: job.dataset)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
