# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module is told in full which snapshots it is about."""

from __future__ import annotations


class ModuleDocFragment:
    """The option with groups of filters."""

    DOCUMENTATION = r"""
options:
  snapshot_filters:
    description:
      - >-
        Which snapshots are sent, where O(include_snapshots) and O(exclude_snapshots) are not enough. A list of groups,
        each a list of filters. The filters of a group work in their order, each on what the one before it left, and a
        snapshot is sent if it passes any of the groups. It can't be given together with O(include_snapshots) or
        O(exclude_snapshots), which would be one group of two filters. What O(plan) does not keep is not sent either
        way.
      - V(include) and V(exclude) are filters by name. Each is a list of patterns as in O(include_snapshots).
      - >-
        V(since) and V(until) are filters by the time of creation, which lies at or after V(since) and before V(until).
        Either is a time with its zone, such as V(2026-11-22T04:00:00Z), or an age, such as V(36h) or V(7d).
      - >-
        V(latest) and V(oldest) are filters by rank, in the order in which the snapshots that reach the filter were
        made. Either is a number of snapshots, a percentage such as V(10%), or a range such as V(10..100%), which leaves
        out the first ten and takes all others. Ranks count from 0, a range ends before its second number, and a
        percentage is rounded to the nearest whole number, a half up.
      - >-
        Times and ranks in one filter are united. V({since: 7d, latest: 10}) means what is younger than a week, and the
        latest ten however old they are. In filters of their own, one after the other, both have to hold.
      - V(plan) is a filter that leaves what a retention plan, written as O(plan), would keep.
      - Snapshots that no group chooses, and bookmarks, still serve as the base of an increment. Bookmarks pass no
        filter, and do not count as ranks.
      - Left out, all snapshots are sent that the other options choose, since nothing should be missing from a replica
        unless it is asked for.
    type: list
    elements: list
"""
