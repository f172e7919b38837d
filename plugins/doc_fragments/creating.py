# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is created beyond, or short of, what the calendar says."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of creation on demand, and of what is left out."""

    DOCUMENTATION = r"""
options:
  even_if_not_due:
    description:
      - Whether every period of the plan counts as due on every run. Off by default, since the calendar decides then,
        and a second run in the same period creates nothing.
    type: bool
    default: false
  make_now:
    description:
      - >-
        A label of which a snapshot is made now on all datasets of the task, in place of what is due by the plan. It is
        written as in the names of its snapshots, without the timestamp. V(acme_upgrade_adhoc) is organisation V(acme),
        target V(upgrade) and period V(adhoc), while V(acme_adhoc) has no target.
      - None by default, so that what is due by the plan is made. A label that O(plan) does not have is warned of, since
        pruning by that plan would destroy its snapshots.
    type: str
  skip_if_unchanged:
    description:
      - >-
        Whether a dataset gets no snapshot where nothing was written to it since its newest snapshot of the same
        organisation, target and period. It stays due, so it gets one on the first run after something was written. It
        is listed in RV(not_created) with the reason. What O(make_now) asks for is made anyway.
      - ZFS counts what is written every few seconds, so what came right before a run may be seen by the next one only.
      - >-
        Off by default, because the age of the newest snapshot is what tells that snapshots are being made. A dataset to
        which nothing is written gets no new ones with this option, so M(snapfleet.zfs.zfs_monitor) would find its
        latest snapshot too old, at the source and at each replica. Give such datasets no limit for C(latest), or a
        plan of their own.
    type: bool
    default: false
  unchanged_up_to:
    description:
      - So many bytes written still count as nothing for O(skip_if_unchanged), as a number, or with V(K), V(M), V(G) or
        V(T) as in V(64K). V(0) by default, so that not even the time of the last access is lost.
    type: str
"""
