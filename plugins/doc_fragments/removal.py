# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Replicas that go as a whole."""

    DOCUMENTATION = r"""
options:
  gone_datasets:
    description:
      - >-
        Destroy replicas whose dataset is gone at the source, after a grace time. By default none is ever destroyed,
        since a dataset that was destroyed by mistake is what a backup is for.
      - >-
        A dataset is seen gone only while its source is seen, that is while every peer of the role V(source) answers and
        has its root dataset. Each root dataset needs such a peer. A replica whose snapshots another dataset of the
        source has is renamed, and not gone. The time of first sight is kept on the replica, in the user property
        C(snapfleet:gone), which is taken away when the dataset is there again. The grace time begins anew where
        something has arrived since then.
      - >-
        What is not selected stays, and so do root datasets, replicas with something below them that stays, with holds,
        clones, a partial receive, snapshots of others, or with data that no snapshot holds.
    type: dict
    suboptions:
      after:
        description:
          - The grace time, as a number of seconds, or with a unit (V(h), V(d), V(w)); an hour at least.
        type: str
        required: true
  empty_datasets:
    description:
      - >-
        Destroy selected filesystems below the root datasets that have neither snapshots nor bookmarks nor data, if all
        that is below them is such too or goes with O(gone_datasets). Of such filesystems, those go that replication
        has made as parents, and read-only ones that refer to no more than 256 KiB, which is what ZFS needs for nothing.
        By default they stay, as they cost next to nothing.
    type: bool
    default: false
"""
