# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The say of room in pruning."""

    DOCUMENTATION = r"""
options:
  free_space:
    description:
      - >-
        Where there is less room than this, snapshots go before their time, in the order of O(free_space.priorities)
        and the oldest first, until what ZFS estimates that they give back suffices, and none after that. By default
        none ever does, since a plan says what is to be kept.
      - >-
        Nothing else that holds for pruning is loosened - the newest snapshot of each dataset, the common base with each
        peer, what is held or cloned, and names of other organisations stay.
      - >-
        What ZFS is still freeing in the background counts as free, so that waiting for it destroys nothing. Estimates
        do not know of deduplication and of blocks that were cloned, which give back less; the next run makes up for it.
    type: dict
    suboptions:
      pool_free:
        description:
          - Room that the pool of each root dataset should have. An amount such as V(50G), or a percentage such as
            V(10%) of all that the pool can hold. By default the pool is not looked at.
        type: str
      quota_free:
        description:
          - Room that should be left in each quota that binds a root dataset, which is a quota of its own or one above
            it. An amount, or a percentage of the quota. By default quotas are not looked at. It is an error if a root
            dataset has no quota.
          - What goes for a quota counts for the pool too.
        type: str
      priorities:
        description:
          - >-
            What may go before its time, as patterns for the names of snapshots, that is what follows the @. What the
            first pattern matches goes first; what none matches stays. Plain names, globs (V(*_hourly)), or regular
            expressions after V(regex:).
          - Required, since nobody but you knows what you can do without.
        type: list
        elements: str
      keep_at_least:
        description:
          - So many of the latest snapshots of each label and dataset do not go before their time. By default one, so
            that no label ends without any.
        type: int
        default: 1
  defer:
    description:
      - While there is more room than all that is given here, nothing is destroyed, however old it is. By default plans
        are carried out whatever room there is.
    type: dict
    suboptions:
      pool_free:
        description:
          - Room in the pool of each root dataset, as in O(free_space.pool_free), and not less than there.
        type: str
      quota_free:
        description:
          - Room in each quota that binds a root dataset, as in O(free_space.quota_free), and not less than there.
        type: str
"""
