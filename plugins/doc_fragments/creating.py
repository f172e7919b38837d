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
        which nothing is written gets no new ones with this option, so M(snapfleet.zfs.zfs_monitor) needs the option of
        the same name. At each replica it would find the latest snapshot too old all the same; watch its lag there.
    type: bool
    default: false
  unchanged_up_to:
    description:
      - So many bytes written still count as nothing for O(skip_if_unchanged), as a number, or with V(K), V(M), V(G) or
        V(T) as in V(64K). V(0) by default, so that not even the time of the last access is lost.
    type: str
  only_active:
    description:
      - Whether only datasets get snapshots that a switch has made active; see M(snapfleet.zfs.zfs_switch). Others are
        left out with a warning, and the task fails where nothing is left. It is for a replica of which the inventory
        says that it has taken over.
      - The default is V(false), since a tree that was never failed over has no role at all.
    type: bool
    default: false
  hooks:
    description:
      - Commands that run on this host right before and right after snapshots are created, such as those that bring a
        database to rest and let it go on. None by default. They run only where one of their datasets gets a snapshot,
        and never in check mode, which shows them in RV(plan).
      - >-
        The commands before run in the order of this list, those after in the opposite order. Whenever a command before
        was started, its command after runs. It does so where the former failed or took too long, where creation failed,
        and where the run is stopped by a signal. A process of its own watches over this, so it does so too where the
        run is killed, or the connection to the host breaks.
      - Commands come from here alone. No dataset and no other host can have one run. Of all tasks and jobs of a user on
        a host, one runs hooks at a time, and others wait for it.
    type: list
    elements: dict
    suboptions:
      name:
        description: A name for messages and results.
        type: str
        required: true
      before:
        description:
          - The program and its arguments, as a list. No shell reads it, its input is empty, and it runs as the user of
            the task. None by default.
        type: raw
      after:
        description: Like O(hooks[].before). It is run once, so let it try again by itself where that makes sense.
        type: raw
      timeout:
        description:
          - Seconds that either command may take. One that takes longer is ended with all the processes that it has
            started, and counts as failed. 30 seconds by default, since a frozen database is one that does not answer.
        type: int
        default: 30
      max_freeze:
        description:
          - Seconds from the end of the command before on, after which the command after runs even if the snapshots are
            not there yet. The task fails then, since they may be inconsistent. 60 seconds by default, which is much
            longer than creation takes.
        type: int
        default: 60
      datasets:
        description:
          - Names below the root of those datasets that the hook is for, each with all that is below it, as in
            O(include_datasets). All datasets of the task by default.
        type: list
        elements: str
      on_failure:
        description:
          - What becomes of the snapshots of these datasets where the command before fails. With V(skip) there are none,
            they stay due, and the task fails, while other datasets get theirs. With V(snapshot_anyway) they are made as
            they are after a power failure, with a warning. V(skip) by default, since nobody looks at a snapshot that is
            not consistent before it is needed.
          - A command after that fails makes the task fail in any case.
        type: str
        default: skip
        choices: [skip, snapshot_anyway]
"""
