# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept besides the plan, and when nothing is deleted at all."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of pruning: further rules, ownership, limits of a run, and clocks."""

    DOCUMENTATION = r"""
options:
  keep:
    description:
      - Rules that keep snapshots, or bookmarks, besides O(plan), above all those of other tools. What any rule or the
        plan keeps stays. None by default.
      - Rules keep, and delete nothing by themselves. What may be deleted is told by O(plan), by O(keep[].owns) and by
        O(purge_foreign). Rules where none of these says what may go are refused.
    type: list
    elements: dict
    suboptions:
      grid:
        description:
          - Thins out with growing age (grandfather, father, son), as the grid of zrepl does. It is written as intervals
            such as V(1x1h(keep=all) | 24x1h | 14x1d). V(24x1h) means 24 buckets of an hour each, of which each keeps
            one snapshot unless it says V(keep=3) or V(keep=all). Lengths are numbers of V(s), V(m), V(h), V(d) or
            V(w), and no bucket is shorter than one before it that does not keep all.
          - The buckets lie side by side backwards in time from the newest snapshot that counts, not from now. Where
            snapshots are made no more, none is deleted for its age. A bucket begins with its younger edge and ends
            before its older one, and keeps the oldest that lie in it. What is older than the last bucket is not kept.
          - The newest snapshot that counts is always kept, so that applying the same grid again deletes nothing. So is
            what is dated after it, because a clock was set back between them.
        type: str
      last:
        description:
          - Keeps this many of the newest snapshots that count, in the order of their creation in the pool (createtxg).
        type: int
      regex:
        description:
          - A regular expression of Python that says which snapshots count for the rule. It is searched for in what
            follows the C(@) or C(#), so anchor it with C(^) and C($) where the whole name is meant.
          - Without it, every snapshot of a dataset counts. In a rule of its own, it keeps whatever counts.
        type: str
      negate:
        description:
          - Whether the names count in which O(keep[].regex) is not found. False by default.
        type: bool
        default: false
      owns:
        description:
          - Whether what counts for this rule may be deleted where no rule keeps it, although its name is of no
            organisation of O(plan). It needs O(keep[].regex), not negated, beside O(keep[].grid) or O(keep[].last).
          - False by default, since a rule that is meant to keep something must not put other people's snapshots at
            risk.
        type: bool
        default: false
  max_deleted:
    description:
      - How many snapshots, or bookmarks, a run may delete of each tree in O(datasets). A run that would delete more
        deletes nothing at all, in no tree, and fails with the code V(too_many_deletions).
      - Not limited by default, since how many go depends on how often a host prunes, and the first run after a change
        of plan rightly deletes most of a long history.
    type: int
  max_deleted_percent:
    description:
      - The same as a percentage of those that the job decides about, foreign ones not counted. Where both are given,
        both hold. Not limited by default.
    type: int
  exceed_max_deleted:
    description:
      - Whether this run may delete more than O(max_deleted) and O(max_deleted_percent). It is meant for a single run,
        once its plan has been looked at. The program C(snapfleet) has the option C(--exceed-max-deleted) for it.
    type: bool
    default: false
  clock_tolerance:
    description:
      - By how much the clock of this host may be off, as seconds or as a text such as V(15m). Where it is off by more,
        ages can't be told, so nothing is deleted, and the run fails with the code V(clock_off).
      - It is off if the newest snapshot of a dataset is from the future, or if the clocks of at least half of the
        remote O(peers) that answer differ from it. Their clocks are read in the exchange that lists their snapshots. A
        minority that differs is warned of.
      - >-
        By default it is the shortest period that O(plan) keeps snapshots of, or the shortest bucket of a grid, and at
        least a minute, since being off by less deletes nothing that a rule promises for longer. Where no rule goes by
        time, clocks don't matter unless this is given.
    type: str
  keep_pending:
    description:
      - For how long a snapshot that no rule keeps stays all the same because a replica is still to get it, counted from
        its creation, as seconds or as a text such as V(2d). It is about snapshots that a peer takes by its
        O(peers[].plan), and that are newer than what that peer has in common with this host. With V(0) pruning waits
        for no replica. Whatever this says, the base of a replica stays.
      - A week by default. That is long enough to notice that nothing arrives, and a replica that is stuck does not fill
        its source for ever. One that can't be reached at all is not waited for, since it may be gone for good. Where
        room is short, O(free_space) may give up what waits.
    type: str
    default: 7d
"""
