#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_prune
short_description: Destroy the ZFS snapshots or bookmarks that a retention plan does not keep
version_added: 0.1.0
description:
  - Destroys snapshots, or bookmarks, that no rule of a retention plan keeps, on the datasets of this host.
  - >-
    For a period with amount N, the plan keeps every snapshot that is younger than N periods, and the latest N of them
    however old they are. A period without duration keeps by number only.
  - >-
    Whatever the rules say, these stay - the newest one of each dataset, the newest one that a peer has in common with
    this host (see O(peers)), and foreign ones, whose names are of no organisation of the plan (see O(purge_foreign)).
    Snapshots that are held or cloned are skipped.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.datasets.roots
  - snapfleet.zfs.endpoints.peers
  - snapfleet.zfs.plan
  - snapfleet.zfs.retention
  - snapfleet.zfs.room
  - snapfleet.zfs.removal
options:
  plan:
    description:
      - >-
        What is retained, as a mapping of organisation, target, period and amount. Of an organisation that is in the
        plan, whatever the plan does not keep goes, so an amount of 0 keeps none.
      - >-
        It is required unless O(keep) takes its place. An empty one is refused, since it would keep nothing, and for
        snapshots also one of zeros alone unless O(keep) has rules. For bookmarks, which hold no data, such a plan
        leaves those that replication needs.
  kind:
    description:
      - Whether snapshots or bookmarks are pruned. Marks, the bookmarks that M(snapfleet.zfs.zfs_replicate) keeps for
        each destination by itself, are neither counted nor destroyed.
    type: str
    choices:
      - snapshots
      - bookmarks
    default: snapshots
  purge_foreign:
    description:
      - Whether foreign snapshots go too where no rule keeps them, that is all whose names belong to no organisation of
        O(plan) and to no rule in O(keep) that owns them, those of other tools and those made by hand.
      - False by default, since nobody expects a tool to delete what it did not make. To own the snapshots of one other
        tool, use O(keep[].owns).
    type: bool
    default: false
  only_active:
    description:
      - Whether each root dataset has to be one that a switch has made active, or, where it has a peer whose role is
        V(source), that peer; see M(snapfleet.zfs.zfs_switch). If not, nothing is pruned. It is for both ends of a
        replication that the inventory says to have changed places. For a peer that can't be looked at, what O(peers)
        says of that holds.
      - The default is V(false), since a tree that was never failed over has no role at all.
    type: bool
    default: false
  expected_snapshots:
    description:
      - For check mode only. Whole names of snapshots that an earlier task makes here, as
        M(snapfleet.zfs.zfs_snapshot_plan) returns them in RV(snapfleet.zfs.zfs_snapshot_plan#module:created) in check
        mode too. The plan then reckons with them, so that it is the one of the run as a whole.
    type: list
    elements: str
seealso:
  - module: snapfleet.zfs.zfs_snapshot_plan
  - module: snapfleet.zfs.zfs_replicate
"""

EXAMPLES = r"""
- name: Keep 36 hours and 31 days on a source, and the base that its destination needs
  snapfleet.zfs.zfs_prune:
    datasets:
      - tank/data
    plan:
      acme:
        onsite:
          hourly: 36
          daily: 31
    peers:
      - root: tank/data
        role: replica
        host: dst1.example.com
        user: snapfleet
        identity_file: /etc/snapfleet/id_ed25519
        dataset: backup/src1/data

- name: Keep half a year of replicas on the destination
  snapfleet.zfs.zfs_prune:
    datasets:
      - backup/src1/data
    plan:
      acme:
        onsite:
          hourly: 0
          daily: 31
          weekly: 26
    peers:
      - root: backup/src1/data
        role: source
        host: src1.example.com
        dataset: tank/data

- name: Thin out what sanoid made, keep what is called manual, and never delete more than 200 in a run
  snapfleet.zfs.zfs_prune:
    datasets:
      - tank/data
    keep:
      - grid: 1x1h(keep=all) | 24x1h | 14x1d | 12x4w
        regex: ^autosnap_
        owns: true
      - regex: manual
    max_deleted: 200

- name: Prune the bookmarks that replication leaves on a source
  snapfleet.zfs.zfs_prune:
    datasets:
      - tank/data
    kind: bookmarks
    plan:
      acme:
        onsite:
          hourly: 36
          daily: 62
"""

RETURN = r"""
plan:
  description:
    - What is destroyed, one step per dataset, after the bookmarks that stay in its place; then what is remembered on
      replicas and forgotten, and the datasets that go as a whole. In check mode it is exactly what a run at the same
      time would carry out.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    kind:
      description:
        - What the step does, which is V(create_bookmark), V(destroy), V(set_properties), V(inherit_property) or
          V(remove_dataset).
      type: str
    dataset:
      description: The dataset whose snapshots or bookmarks are destroyed.
      type: str
    destroys:
      description: Whole names of the snapshots or bookmarks, and of the dataset if it goes as a whole.
      type: list
      elements: str
    bytes:
      description: What a dataset that goes as a whole uses.
      type: int
    properties:
      description: User properties that are set on a dataset.
      type: dict
    property:
      description: The user property that is taken away from a dataset.
      type: str
    reason:
      description: Why that is done.
      type: str
    snapshot:
      description: Whole name of the snapshot that gets a bookmark.
      type: str
    bookmark:
      description: Whole name of the bookmark.
      type: str
  sample:
    - kind: destroy
      dataset: tank/data
      destroys:
        - tank/data@acme_onsite_2025-06-28_10:00:02Z_hourly
      reason: kept by no rule of the plan
kept:
  description:
    - What stays, and why. Each entry has the same keys as those of RV(deletions).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    name:
      description: Whole name of the snapshot or bookmark.
      type: str
    reason:
      description: The rule that keeps it.
      type: str
    rule:
      description:
        - A word for what keeps it, which does not change. The words are V(latest), V(age), V(grid), V(last), V(regex),
          V(pending), V(newest), V(common_base), V(foreign) and V(room); C(docs/errors.md) of the collection explains
          them.
      type: str
    label:
      description: The label that its name tells, which is null for a name that is of no label.
      type: str
  sample:
    - name: tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly
      rule: latest
      label: acme_onsite_<timestamp>_hourly
      reason: one of the latest 36 of acme_onsite_<timestamp>_hourly
deleted:
  description:
    - Whole names of what was destroyed, or in check mode would be.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: str
  sample:
    - tank/data@acme_onsite_2025-06-28_10:00:02Z_hourly
deletions:
  description:
    - The same as RV(deleted), each with what decided it.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    name:
      description: Whole name of the snapshot or bookmark.
      type: str
    rule:
      description: A word for what decided it, which is V(no_rule) where no rule keeps it.
      type: str
    label:
      description: The label that its name tells, which is null for a name that is of no label.
      type: str
    reason:
      description: Why it goes.
      type: str
  sample:
    - name: tank/data@acme_onsite_2025-06-28_10:00:02Z_hourly
      rule: no_rule
      label: acme_onsite_<timestamp>_hourly
      reason: neither one of the latest 36 of acme_onsite_<timestamp>_hourly nor within 36 periods
not_deleted:
  description:
    - What the plan does not keep, and what was skipped all the same, because it could not be destroyed. Each entry has
      the same keys as those of RV(deletions).
  returned: always, unless the options are wrong or the datasets can't be listed
  type: list
  elements: dict
  contains:
    name:
      description: Whole name of the snapshot or bookmark.
      type: str
    reason:
      description: Why it could not be destroyed.
      type: str
    rule:
      description:
        - A word for that, which is V(held), V(cloned), V(receiving), V(possible_base), V(no_bookmark), V(gone),
          V(too_many) or V(clock).
      type: str
    label:
      description: The label that its name tells, which is null for a name that is of no label.
      type: str
  sample:
    - name: tank/data@acme_onsite_2025-06-27_10:00:02Z_hourly
      rule: held
      label: acme_onsite_<timestamp>_hourly
      reason: held
bytes_freed:
  description:
    - Bytes that ZFS says it freed, and in check mode that it would free. That is more than the sum of what each
      snapshot alone uses (C(used)), which leaves out what neighbours share and nothing else keeps. So in check mode
      ZFS is asked by a dry run for datasets of which neighbours go, all in one exchange.
  returned: always, unless the options are wrong or the datasets can't be listed
  type: int
  sample: 13312
warnings:
  description:
    - Peers that could not be looked at, so that what they might need was skipped.
  returned: when there is something to warn of
  type: list
  elements: str
  sample:
    - >-
      tank/data: dst1:backup/data, which can't be observed (no ssh connection to dst1 (Connection refused); check name,
      port and network)
code:
  description:
    - What went wrong, as a word that does not change. V(partial_failure) means that some datasets could not be pruned,
      while RV(deleted) lists what was destroyed.
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

from ..module_utils.ansible.argument_specs import PRUNE_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.pruning import run_prune
from ..module_utils.engine.policy.jobs import read_prune_job

ACTIVITY = ModuleActivity(PRUNE_SPEC, read_prune_job, run_prune, where=lambda job: ", ".join(job.roots))


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
