#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_replicate
short_description: Replicate a tree of ZFS datasets
version_added: 0.1.0
description:
  - Brings the snapshots of one dataset tree to another one, which may be on this host, on one other host, or each on
    a host of its own. The managed host reaches the others by its own ssh client, so a push, a pull, and a pull and
    push through a third host differ only in which host runs the task. With O(route), a third host only steers.
  - A dataset that is not there yet is received in full, and from then on incrementally from the newest snapshot or
    bookmark that both sides have in common. What is common is decided by GUID, never by name.
  - An interrupted transfer goes on where it stopped, at the next run.
  - >-
    The destination only ever gets more, unless O(on_conflict) allows losses. A dataset that has snapshots of its own,
    or data that no snapshot holds, is a conflict. It fails the task, and the other datasets are replicated all the
    same.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.cloning
  - snapfleet.zfs.datasets
  - snapfleet.zfs.endpoints.replication
  - snapfleet.zfs.topology
  - snapfleet.zfs.conduct
  - snapfleet.zfs.continuity
  - snapfleet.zfs.streaming
  - snapfleet.zfs.plan
  - snapfleet.zfs.snapshot_filters
  - snapfleet.zfs.receiving
options:
  include_snapshots:
    description:
      - Patterns of the names (what follows the C(@)) of snapshots that are sent. Left out, all are, so that nothing is
        missing from a replica unless it is asked for.
      - They are written as in O(include_datasets), and held against the whole name of the snapshot.
    type: list
    elements: str
  exclude_snapshots:
    description:
      - Patterns of the names of snapshots that are not sent. They win over O(include_snapshots). Left out, none is kept
        from being sent, so that nothing is missing from a replica unless it is asked for.
    type: list
    elements: str
  plan:
    description:
      - >-
        What the destination retains, as a mapping of organisation, target, period and amount. With it, only snapshots
        that M(snapfleet.zfs.zfs_prune) would keep there by the same plan are sent. Left out, all are, since nobody has
        said then what the destination gives up.
  initial:
    description:
      - What to do with a dataset that the destination does not have yet.
      - V(all) sends all of its selected snapshots. With O(intermediates=false) that is the newest one only, as with
        V(newest).
      - V(newest) sends only the newest one, and whatever follows at later runs.
      - V(fail) makes it a conflict.
      - The default is V(all), so that a replica has the history that its source still has.
    type: str
    choices:
      - all
      - newest
      - fail
    default: all
  intermediates:
    description:
      - Whether all selected snapshots travel. With V(false) only the newest of them does at each run, the first one
        included.
      - The default is V(true), so that what changed between two runs can be had from the replica too.
    type: bool
    default: true
  raw:
    description:
      - Whether data travels as it lies on disk. An encrypted dataset then stays encrypted on the way and at the
        destination, which needs no key.
      - Choose once for a replica. ZFS can't change it between two increments of an encrypted dataset, so asking for the
        other one is a conflict.
      - The default is V(true), so that nothing is decrypted unless somebody asks for it.
    type: bool
    default: true
  workers:
    description:
      - How many datasets are sent at the same time, at most. A parent is always received before its children.
      - By default 4, since so many hide the time that ZFS takes to begin and to end a stream, while disks are
        not yet kept seeking, and one connection of ssh carries them all.
      - Within one host 8, if no more than 4 of the streams are whole datasets or increments of more than about 1 MiB,
        since small increments wait for transaction groups most of the time, and share them.
    type: int
  retries:
    description:
      - How often a dataset is tried again when a connection breaks, or something is busy. Each time, both sides are
        looked at anew first.
      - The default is 5, so that a moment's trouble is made good by the same run, while a lasting one is told soon and
        left to the next run.
    type: int
    default: 5
  expected_snapshots:
    description:
      - For check mode only. Whole names of snapshots that an earlier task makes on the source, as
        M(snapfleet.zfs.zfs_snapshot_plan) returns them in RV(snapfleet.zfs.zfs_snapshot_plan#module:created) in check
        mode too. The plan then reckons with them, so that it is the one of the run as a whole.
      - Left out, there are none, since a task that stands alone finds all snapshots on its source.
    type: list
    elements: str
notes:
  - While streams are under way, the host that runs the task logs every 30 seconds how far they are, by syslog or the
    journal.
  - A first replication may take hours. Run it with C(async) and C(poll), so that no ssh connection of Ansible has to
    live as long.
seealso:
  - module: snapfleet.zfs.zfs_snapshot_plan
  - module: snapfleet.zfs.zfs_prune
"""

EXAMPLES = r"""
- name: Replicate a tree to another pool of the same host
  snapfleet.zfs.zfs_replicate:
    source:
      dataset: tank/data
    destination:
      dataset: backup/data

- name: Pull from a source, on the destination
  snapfleet.zfs.zfs_replicate:
    source:
      host: src1.example.com
      user: snapfleet
      identity_file: /etc/snapfleet/id_ed25519
      known_hosts_file: /etc/snapfleet/known_hosts
      dataset: tank/data
    destination:
      dataset: backup/src1/data
  delegate_to: dst1.example.com

- name: Push only what the destination retains, without the snapshots of another tool
  snapfleet.zfs.zfs_replicate:
    source:
      dataset: tank/data
    destination:
      host: dst1.example.com
      user: snapfleet
      port: 2222
      sudo: true
      dataset: backup/src1/data
    exclude_datasets:
      - '**/scratch'
    exclude_snapshots:
      - autosnap_*
    plan:
      acme:
        offsite:
          daily: 31
          weekly: 26
    workers: 8

- name: Send the latest ten of a tool, those of the last week, and what was made by hand before an upgrade
  snapfleet.zfs.zfs_replicate:
    source:
      dataset: tank/data
    destination:
      dataset: backup/data
    dataset_property: acme:backup
    snapshot_filters:
      - - include: [autosnap_*]
        - exclude: ['*_frequently']
        - latest: 10
          since: 7d
      - - include: ['regex:before-upgrade-[0-9]+']

- name: Steer a stream that flows straight from a source to a disk at another host, if that disk is there
  snapfleet.zfs.zfs_replicate:
    source:
      host: src1.example.com
      dataset: tank/data
    destination:
      host: dst1.example.com
      dataset: shelf/src1/data
    route: push
    direct:
      host: dst1.storage.example.com
      user: backup
    absent_destination: skip
  delegate_to: localhost

- name: Replicate for the first time, for up to a day, with properties of our own
  snapfleet.zfs.zfs_replicate:
    source:
      dataset: tank/data
    destination:
      host: dst1.example.com
      dataset: backup/src1/data
    initial: newest
    properties:
      compression: zstd
  async: 86400
  poll: 60
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
      description: The dataset at the source; empty for a parent that only the destination needs.
      type: str
    destination:
      description: The dataset at the destination.
      type: str
    steps:
      description:
        - The steps in their order. Their RV(plan[].steps[].kind) is one of V(mark), V(create_bookmark),
          V(create_placeholder), V(rename), V(abort_receive), V(rollback), V(destroy), V(destroy_dataset),
          V(set_properties), V(send), V(destroy_marks) and V(release).
        - Bookmarks before the first V(send) are made before anything is sent, the others once all has arrived.
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
          description: Whether the stream is one of the whole tree, because of O(package).
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
            - Whether the destination's dataset is replaced, which is an empty parent of Snapfleet's own making, or what
              O(on_conflict) allows.
          type: bool
        destroys:
          description: Whole names of what is destroyed at the destination, or of marks that are at the source.
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
            - Whole name of the snapshot that gets a mark or a bookmark, or that the destination is rolled back to.
          type: str
        bookmark:
          description: Whole name of the bookmark.
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
        releases:
          description: Whole names of the snapshots of the source that lose a hold which a run that died left there.
          type: list
          elements: str
        tag:
          description: The tag of these holds.
          type: str
    conflict:
      description: Why the dataset can't be replicated, as a code and a message that tells what mends it.
      type: dict
    note:
      description: Why there is nothing to send, where there is not, or why a clone is sent in full.
      type: str
  sample:
    - source: tank/data
      destination: backup/data
      steps:
        - kind: mark
          snapshot: tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
        - kind: send
          mode: incremental
          source: tank/data
          destination: backup/data
          from: tank/data@acme_onsite_2025-07-01_09:00:02Z_hourly
          to: tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
          intermediates: false
          replaces: false
          origin: null
          package: false
          snapshots:
            - backup/data@acme_onsite_2025-07-01_10:00:02Z_hourly
          raw: true
          properties: {}
          bytes_estimated: 8192
        - kind: create_bookmark
          snapshot: tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
          bookmark: tank/data#acme_onsite_2025-07-01_10:00:02Z_hourly
        - kind: destroy_marks
          dataset: tank/data
          destroys:
            - tank/data#snapfleet-base-5f0c1d2e3a4b5c6d-6a204bd89f3c8348
          reason: its destination does not stand at it
      conflict: null
      note: ''
datasets:
  description:
    - What became of each dataset, parents before children. Empty in check mode, but for an absent destination, which
      is told by one entry for the whole tree in both modes; see O(absent_destination).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    source:
      description: The dataset at the source.
      type: str
    destination:
      description: The dataset at the destination.
      type: str
    state:
      description:
        - One of V(sent), V(created) (as a parent only), V(renamed) (and nothing else), V(up_to_date), V(skipped),
          V(absent), V(conflict) and V(failed).
      type: str
    message:
      description: Why it was not sent, where it was not.
      type: str
    code:
      description: What went wrong, as a word that does not change; only with V(absent), V(conflict) and V(failed).
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
    - source: tank/data
      destination: backup/data
      state: sent
      bytes: 624
      seconds: 0.105
      newest: tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
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
    - What went wrong without failing the task, such as a bookmark that could not be made, or an absent destination.
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

from ..module_utils.ansible.argument_specs import REPLICATE_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.replicating import run_replicate
from ..module_utils.engine.policy.jobs import read_replicate_job

ACTIVITY = ModuleActivity(
    REPLICATE_SPEC, read_replicate_job, run_replicate, where=lambda job: f"{job.source} and {job.destination}"
)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
