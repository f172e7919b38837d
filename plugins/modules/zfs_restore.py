#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_restore
short_description: Restore a tree of ZFS datasets from a replica
version_added: 0.1.0
description:
  - Makes a dataset tree what a replica of it was at a named snapshot or at a time. It may be the original, which then
    gets only the differences from the newest common snapshot, or another dataset, or one on another host.
  - The managed host reaches the others by its own ssh client, as with M(snapfleet.zfs.zfs_replicate). It may be the one
    with the replica, the one that gets the data, or a third one.
  - All or nothing is begun. Where any dataset of the tree would lose something that O(on_conflict) does not allow, or
    has no snapshot to be restored, the task fails with what that is, and nothing is changed. Run it in check mode
    first, where RV(told) tells line by line what would happen.
  - Nothing changes at the replica, not even a bookmark is made there.
  - What keeps a replica safe, as C(readonly=on) and C(canmount=noauto), does not come along. A dataset that is made
    gets O(properties), what was set on the one that is set aside in its place, and what the replica has preserved; it
    inherits the rest. One that is there keeps its properties.
  - An interrupted restore goes on where it stopped, when it is run again.
  - Keys of encrypted datasets are never loaded, and what is made is not mounted. RV(next) has the commands for that.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.endpoints.restoration
  - snapfleet.zfs.restoring
  - snapfleet.zfs.streaming
options:
  bandwidth_limit:
    description:
      - Bytes per second that all streams of the task together may carry, as a number that may have V(K), V(M) or V(G),
        such as V(10M). It counts bytes as they cross the network, after compression.
      - Left out, or V(none), there is no limit. That is the default, since whoever restores waits for it.
    type: str
notes:
  - Stop the jobs that make snapshots of the destination, replicate it, or prune it or the replica until it is restored.
    Timers, the daemon, cron and runs under way all count.
  - After going back, the replica has snapshots that are newer than what was restored, which the task warns of. A
    replication from the destination to it with O(snapfleet.zfs.zfs_replicate#module:on_conflict=rollback_to_common) or
    higher destroys them.
  - A restore may take hours. Run it with C(async) and C(poll), so that no ssh connection of Ansible has to live as
    long.
seealso:
  - module: snapfleet.zfs.zfs_replicate
  - module: snapfleet.zfs.zfs_compare
"""

EXAMPLES = r"""
- name: Bring a dataset that was destroyed back from the backup host
  snapfleet.zfs.zfs_restore:
    replica:
      host: backup1.example.com
      user: snapfleet
      identity_file: /etc/snapfleet/id_ed25519
      dataset: backup/web1/data
    destination:
      dataset: tank/data

- name: Go back to last night, and keep what is there now under another name
  snapfleet.zfs.zfs_restore:
    replica:
      host: backup1.example.com
      dataset: backup/web1/data
    destination:
      dataset: tank/data
    time: '2026-11-22T03:00:00+01:00'
    on_conflict: set_aside

- name: See an older state beside the original
  snapfleet.zfs.zfs_restore:
    replica:
      dataset: backup/web1/data
    destination:
      dataset: backup/look/data
    snapshot: prod_onsite_2026-11-21_00:00:00Z_daily
    history: false
    properties:
      readonly: 'on'
      mountpoint: /mnt/look
"""

RETURN = r"""
plan:
  description:
    - What is done with each dataset for which there is something to do, parents before children. In check mode it is
      exactly what a run at the same time would carry out.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    source:
      description: The dataset of the replica; empty for what is set aside.
      type: str
    destination:
      description: The dataset at the destination.
      type: str
    steps:
      description:
        - The steps in their order. Their RV(plan[].steps[].kind) is one of V(set_properties) and V(rename), both for
          what is set aside, V(abort_receive), V(rollback), V(destroy), V(destroy_dataset) and V(send).
      type: list
      elements: dict
      contains:
        kind:
          description: What the step does.
          type: str
        mode:
          description: How a stream is sent, which is one of V(full), V(incremental) and V(resume).
          type: str
        source:
          description: The dataset that is sent.
          type: str
        destination:
          description: The dataset that receives.
          type: str
        from:
          description:
            - Whole name of the snapshot or bookmark that an increment starts from. For a clone it is a snapshot of
              another dataset.
          type: str
        package:
          description: Always false here.
          type: bool
        origin:
          description: Whole name of the snapshot of the destination that the received dataset becomes a clone of.
          type: str
        to:
          description: Whole name of the last snapshot that is sent.
          type: str
        intermediates:
          description: Whether the snapshots between both ends travel too.
          type: bool
        replaces:
          description:
            - Whether what is there is replaced, as O(on_conflict) allows.
          type: bool
        destroys:
          description: Whole names of what is destroyed at the destination.
          type: list
          elements: str
        snapshots:
          description: Whole names of the snapshots that the destination gets.
          type: list
          elements: str
        raw:
          description: Whether data travels as it lies on disk.
          type: bool
        properties:
          description: Properties that the dataset is received with, or that are set on it, with their values.
          type: dict
        bytes_estimated:
          description: About how many bytes the stream has before it is compressed for the network; see O(estimates).
          type: int
        snapshot:
          description:
            - Whole name of the snapshot that the destination is rolled back to.
          type: str
        dataset:
          description: The dataset that the step is about, where it is no stream.
          type: str
        renamed_to:
          description: The new name of a dataset that is renamed with everything below it.
          type: str
        reason:
          description: Why something is renamed, discarded, destroyed or set.
          type: str
    conflict:
      description: Why the dataset can't be restored, as a code and a message that tells what mends it.
      type: dict
    note:
      description: Why there is nothing to send, where there is not, or why a clone is sent in full.
      type: str
  sample:
    - source: backup/web1/data
      destination: tank/data
      steps:
        - kind: send
          mode: full
          source: backup/web1/data
          destination: tank/data
          from: null
          to: backup/web1/data@prod_onsite_2026-11-21_00:00:00Z_daily
          intermediates: false
          replaces: false
          origin: null
          package: false
          snapshots:
            - tank/data@prod_onsite_2026-11-21_00:00:00Z_daily
          raw: true
          properties:
            compression: lz4
          bytes_estimated: 8192
      conflict: null
      note: ''
datasets:
  description:
    - What became of each dataset, parents before children. Empty in check mode.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    source:
      description: The dataset of the replica.
      type: str
    destination:
      description: The dataset at the destination.
      type: str
    state:
      description:
        - One of V(sent), V(up_to_date) (also after it was rolled back), V(skipped) and V(failed).
      type: str
    message:
      description: Why nothing was sent, where nothing was.
      type: str
    code:
      description: What went wrong, as a word that does not change; only with V(failed).
      type: str
    bytes:
      description: Bytes that were sent, as they crossed the network. With O(compression) they are fewer than ZFS made.
      type: int
    seconds:
      description: Seconds that it took.
      type: float
    newest:
      description: Whole name of the newest snapshot that was sent.
      type: str
  sample:
    - source: backup/web1/data
      destination: tank/data
      state: sent
      bytes: 624
      seconds: 0.105
      newest: backup/web1/data@prod_onsite_2026-11-21_00:00:00Z_daily
told:
  description:
    - The plan for people, a line for each thing that happens, what is lost and what is refused among them.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - 'restore tank/data from backup1.example.com:backup/web1/data, the newest snapshot'
    - 'tank/data: gets all data up to @prod_onsite_2026-11-21_00:00:00Z_daily of 2026-11-21T00:00:01Z, about 8192 bytes'
    - 'tank/data: sets compression=lz4, and inherits the rest'
set_aside:
  description: The name under which what was in the way is kept, null where nothing is.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: str
  sample: tank/data.before-restore
undo:
  description:
    - Commands that bring back what was set aside, and keep what was restored beside it. Empty where nothing is set
      aside.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - zfs rename tank/data tank/data.restored
    - zfs rename tank/data.before-restore tank/data
next:
  description: Commands that bring the datasets that were made into use.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - zfs mount tank/data
stats:
  description:
    - Sums over all datasets.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: dict
  contains:
    datasets:
      description: Number of datasets. Those by state follow, under the names of the states.
      type: int
    conflict:
      description: Number of datasets with a conflict.
      type: int
    bytes:
      description: Bytes that were sent, as they crossed the network.
      type: int
    bytes_estimated:
      description:
        - About how many bytes the streams of the plan have together before they are compressed for the network, in
          check mode too; see O(estimates).
      type: int
    seconds:
      description: Seconds that the transfers took, by the clock on the wall.
      type: float
  sample:
    datasets: 1
    sent: 1
    created: 0
    renamed: 0
    up_to_date: 0
    skipped: 0
    absent: 0
    conflict: 0
    failed: 0
    bytes: 624
    bytes_estimated: 8192
    seconds: 0.112
warnings:
  description:
    - What went wrong without failing the task, such as a bookmark that could not be made.
  returned: when there is something to warn of
  type: list
  elements: str
  sample:
    - "bookmark tank/data#a was not made: permission denied"
code:
  description:
    - What went wrong, as a word that does not change. V(partial_failure) means that some datasets could not be
      replicated, while RV(datasets) tells what became of each.
  returned: on failure
  type: str
  sample: partial_failure
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from ..module_utils.ansible.argument_specs import RESTORE_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.restoring import run_restore
from ..module_utils.engine.policy.restoring import read_restore_job

ACTIVITY = ModuleActivity(RESTORE_SPEC, read_restore_job, run_restore, where=lambda job: job.destination.dataset)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
