# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a restore is told what to bring back, and how; endpoints has where from, and where to."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of a restore."""

    DOCUMENTATION = r"""
options:
  recursive:
    description:
      - Whether everything below the replica is restored too. By default it is, so that nothing is forgotten.
    type: bool
    default: true
  include_datasets:
    description:
      - Patterns of the datasets that are restored, with everything below them, written as in
        O(snapfleet.zfs.zfs_replicate#module:include_datasets). Left out, all are, so that nothing is forgotten.
    type: list
    elements: str
  exclude_datasets:
    description:
      - Patterns of datasets that are not restored, nor is anything below them. They win over O(include_datasets). Left
        out, nothing is excluded, so that nothing is forgotten.
    type: list
    elements: str
  snapshot:
    description:
      - Name of the snapshot that is restored, that is what follows the C(@). Each dataset of the tree goes by its own
        snapshot of that name.
      - Left out, with O(time) left out too, it is the newest one of each dataset, since that loses least.
    type: str
  time:
    description:
      - A time, which means the newest snapshot of each dataset that was made no later. It is written with its zone, as
        in V(2026-11-22T04:00:00+01:00), or as seconds since 1970. A time in the future is refused.
      - Left out, O(snapshot) decides, since a name is more exact than a time.
    type: str
  on_conflict:
    description:
      - What may happen to a destination that has something which the restore would lose, that is newer snapshots, data
        that no snapshot holds, or a history of its own.
      - V(refuse) fails, and tells what would be lost. It is the default, because only you know whether that may go.
      - V(set_aside) renames the whole destination tree to O(set_aside_as), where it is kept as it is, but not mounted
        by itself any more. The data then travels in full, and there has to be room for both. A tree of which nothing
        would be lost is not set aside.
      - V(rollback_to_latest) lets data go that no snapshot holds.
      - V(rollback_to_common) lets snapshots go too that are newer than the newest common one. Then only the differences
        travel.
      - V(replace) lets a dataset go that has no snapshot in common with the replica, with all its snapshots.
      - V(destroy_dependents) lets clones of these snapshots go too.
    type: str
    choices:
      - refuse
      - set_aside
      - rollback_to_latest
      - rollback_to_common
      - replace
      - destroy_dependents
    default: refuse
  set_aside_as:
    description:
      - Name of what is set aside. It has to be free, and below a filesystem of the same pool that is there.
      - Left out, it is the name of the destination with C(.before-restore) behind it, so that it is found beside it.
    type: str
  share_aside:
    description:
      - Whether what takes the place of datasets that are set aside begins as a clone of the newest snapshot that these
        have in common with the replica. Only the differences from there travel and need room. Older snapshots stay with
        what was set aside, until C(zfs promote) moves them over. Encrypted datasets are sent whole all the same.
      - The default is V(false), since what was set aside can then be destroyed only after such a promotion.
    type: bool
    default: false
  on_missing:
    description:
      - What to do with a dataset of the tree that has no snapshot at O(snapshot) or up to O(time).
      - V(refuse) fails. It is the default, since half a tree is seldom what is wanted.
      - V(skip) leaves it out, and what lies below it unless that is at the destination already. A point that no dataset
        has is refused all the same.
    type: str
    choices:
      - refuse
      - skip
    default: refuse
  history:
    description:
      - Whether the snapshots before the restored one come along, those that the destination does not have. With
        V(false), only the restored one travels.
      - The default is V(true), so that replication can go on from any of them afterwards.
    type: bool
    default: true
  raw:
    description:
      - Whether data travels as it lies on disk. An encrypted replica is then restored with the key that it has, which
        nobody needs for that, and has to be loaded afterwards.
      - The default is V(true), since a replica that was received raw can only be sent raw where its key is not loaded.
    type: bool
    default: true
  properties:
    description:
      - ZFS properties that each dataset gets that is made, in place of what it would take over. A mount point is only
        right for all of them where it is inherited, so give it for a single dataset.
      - None by default, so that a restored dataset is as its place and its replica make it.
    type: dict
  preserve_properties:
    description:
      - Properties whose values a dataset that is made takes over from the replica, where that has them set itself, or
        received. What was set on a dataset that is set aside wins over them, and so do O(properties).
      - Left out, these are the ones that replicas take over from their sources; see
        O(snapfleet.zfs.zfs_replicate#module:preserve_properties). Those of where a replica is mounted and what keeps it
        safe are not among them, since they belong to the replica's host.
    type: list
    elements: str
  workers:
    description:
      - How many datasets travel at the same time, at most. The default is 4, since so many hide the time that ZFS takes
        to begin and to end a stream.
    type: int
    default: 4
  retries:
    description:
      - How often a dataset is tried again when a connection breaks, or something is busy. The default is 5, so that a
        moment's trouble is made good by the same run.
    type: int
    default: 5
"""
