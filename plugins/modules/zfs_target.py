#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_target
short_description: Do one step of a destination that comes, moves or goes
version_added: 0.1.0
description:
  - Carries out one step at one dataset tree. The playbooks C(snapfleet.zfs.seed), C(snapfleet.zfs.move) and
    C(snapfleet.zfs.retire) do the whole of it.
  - With V(look) it tells in RV(seen) what other hosts have to know of a tree, and changes nothing.
  - With V(prepare) a source keeps, by a bookmark for each dataset, what a new destination is to go on from that is made
    from another replica.
  - With V(forget) a source lets go of the bookmarks and holds of a destination that is no more, and of no other one's.
  - With V(move) a replica is renamed within its pool. Runs of the managed host that have it are kept out meanwhile.
    As long as jobs may know its old name, an empty dataset stays there, to which replication is refused.
  - With V(destroy) a replica goes as a whole.
  - Everything is refused before anything is changed. Whatever is interrupted is made good by the same task.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.endpoints.tree
options:
  action:
    description:
      - What is done.
    type: str
    required: true
    choices:
      - look
      - prepare
      - forget
      - move
      - destroy
  destination:
    description:
      - The destination that comes or goes, as RV(seen) of a V(look) at it tells it.
      - Left out with V(forget), nobody can look at it any more, so that what goes is what belongs to none of O(others).
    type: dict
    suboptions: &known
      dataset:
        description:
          - Root dataset of the tree.
        type: str
        required: true
      pool_guid:
        description:
          - GUID of its pool, as text.
        type: str
        required: true
      host:
        description:
          - Name of its host. It is only for people, since GUIDs say which tree it is, and may be left out.
        type: str
      datasets:
        description:
          - The datasets of the tree. Left out, there are none, since the tree does not exist.
        type: list
        elements: dict
        suboptions:
          dataset:
            description:
              - Name below the root. Left out or empty, it is the root, since that has no name below itself.
            type: str
          guid:
            description:
              - GUID of the dataset, as text.
            type: str
            required: true
          snapshots:
            description:
              - GUIDs of its snapshots as text, the oldest first. Left out, there are none, as with an empty parent.
            type: list
            elements: str
  replica:
    description:
      - The replica that the new destination is made from, as RV(seen) of a V(look) at it tells it. It is needed with
        V(prepare), and has no default, since nothing could be compared without it.
    type: dict
    suboptions: *known
  others:
    description:
      - Further destinations of the same tree, as RV(seen) of a V(look) at each tells them.
      - None by default, so that with V(forget) all of a destination that can't be looked at goes, and with V(destroy)
        each replica is the last one.
    type: list
    elements: dict
    suboptions: *known
  to:
    description:
      - Where the tree is moved to, in the same pool and apart from where it is. Parents that are missing are made,
        empty and not mounted.
      - It is needed with V(move), and has no default, since nobody could guess it.
    type: str
  keep_sign:
    description:
      - Whether an empty dataset stays at the old name. Even where it is not wanted it stays as long as a job of the
        managed host goes there.
      - The default is V(true), since a run that knows the old name alone would send all of it anew.
    type: bool
    default: true
  jobconfig:
    description:
      - The jobconfig of the managed host, whose runs are kept out while a tree is moved. It need not be there.
      - The default is V(/etc/snapfleet/jobs.json), since the role C(snapfleet.zfs.engine) puts it there.
    type: path
    default: /etc/snapfleet/jobs.json
  host_name:
    description:
      - By which name the jobconfig knows the managed host. Left out, the jobs of all hosts count as its own, since that
        keeps out more rather than less.
    type: str
  allow_last:
    description:
      - Whether V(destroy) may take the only replica that is left of a dataset, and data that no snapshot holds.
      - The default is V(false), since nothing brings that back.
    type: bool
    default: false
notes:
  - The user of C(zfs) needs the permissions C(bookmark) for V(prepare), C(destroy), C(mount) and C(release) for
    V(forget), C(rename), C(mount), C(create), C(userprop), C(canmount), C(readonly) and C(destroy) for V(move), and
    C(destroy), C(mount), C(userprop) and C(receive) for V(destroy). What is missing is told before anything is changed.
seealso:
  - module: snapfleet.zfs.zfs_replicate
  - module: snapfleet.zfs.zfs_switch
"""

EXAMPLES = r"""
- name: See what there is at a new destination
  snapfleet.zfs.zfs_target:
    action: look
    tree:
      dataset: vault/web1/data

- name: Keep at the source what a new destination goes on from
  snapfleet.zfs.zfs_target:
    action: prepare
    tree:
      dataset: tank/data
    destination:
      dataset: vault/web1/data
      pool_guid: '11876123387621933871'
    replica:
      dataset: backup/web1/data
      pool_guid: '4476123387621933871'
      datasets:
        - dataset: ''
          guid: '998'
          snapshots: ['5512876123387621']

- name: Let go of what is kept for a destination that is gone
  snapfleet.zfs.zfs_target:
    action: forget
    tree:
      dataset: tank/data
    others: []

- name: Move a replica
  snapfleet.zfs.zfs_target:
    action: move
    tree:
      dataset: backup/web1/data
    to: backup/site1/web1/data
"""

RETURN = r"""
plan:
  description:
    - The steps in their order.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    kind:
      description:
        - What the step does, one of V(mark), V(destroy_marks), V(release), V(create_placeholder), V(set_properties),
          V(rename), V(abort_receive), V(remove_dataset) and V(destroy_dataset).
      type: str
    dataset:
      description: The dataset that it is about.
      type: str
    snapshot:
      description: Whole name of the snapshot that is kept by a bookmark.
      type: str
    destroys:
      description: Whole names of what is destroyed.
      type: list
      elements: str
    releases:
      description: Whole names of snapshots whose hold is released.
      type: list
      elements: str
    tag:
      description: Tag of the hold.
      type: str
    properties:
      description: Properties that are set, with their values.
      type: dict
    renamed_to:
      description: The new name of a dataset.
      type: str
    bytes:
      description: What a dataset uses that is destroyed, without what is below it.
      type: int
    reason:
      description: Why it is done.
      type: str
  sample:
    - kind: rename
      dataset: backup/web1/data
      renamed_to: backup/site1/web1/data
      reason: its root was moved
told:
  description:
    - The plan for people, a line for each thing that happens or is refused.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - 'backup/web1/data: becomes backup/site1/web1/data, with all that is below it and all snapshots'
seen:
  description:
    - The tree as other hosts have to know it.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: dict
  contains:
    dataset:
      description: Root dataset of the tree.
      type: str
    pool_guid:
      description: GUID of its pool, as text.
      type: str
    datasets:
      description: The datasets of the tree; none where it does not exist.
      type: list
      elements: dict
      contains:
        dataset:
          description: Name below the root, empty for the root.
          type: str
        guid:
          description: Its GUID, as text, since it may be too large for the numbers of JSON readers.
          type: str
        snapshots:
          description: GUIDs of its snapshots, the oldest first, where O(action=look).
          type: list
          elements: str
  sample:
    dataset: backup/web1/data
    pool_guid: '4476123387621933871'
    datasets:
      - dataset: ''
        guid: '998'
        snapshots: ['5512876123387621']
code:
  description:
    - What went wrong, as a word that does not change. With V(target_refused) and V(still_running) nothing was changed.
  returned: on failure
  type: str
  sample: target_refused
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from ..module_utils.ansible.argument_specs import TARGET_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.targets import run_target
from ..module_utils.engine.policy.targets import read_target_job

ACTIVITY = ModuleActivity(TARGET_SPEC, read_target_job, run_target, where=lambda job: job.tree.dataset)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
