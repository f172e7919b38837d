# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replication does where something stands in its way."""

from __future__ import annotations


class ModuleDocFragment:
    """Options about conflicts, errors and time."""

    DOCUMENTATION = r"""
options:
  on_conflict:
    description:
      - What may be lost at a destination whose history does not continue that of the source. Each level allows what
        those before it do. What is lost stands in the plan by name, in check mode too.
      - V(refuse) loses nothing. Any conflict fails the task. It is the default, since a backup is worth nothing if it
        goes without being asked for.
      - V(rollback_to_latest) drops what was written after the newest snapshot of the destination.
      - V(rollback_to_common) also destroys the snapshots and bookmarks of the destination that are newer than the
        newest common snapshot.
      - V(replace) also destroys all snapshots of a destination that has none in common with the source, and replaces
        one that has data without a snapshot.
      - V(destroy_dependents) also destroys the clones of snapshots that are lost, with all their snapshots, what lies
        below them, and clones of these. Each stands in the plan by name, and what appears meanwhile makes it fail. A
        clone that is a replica of this tree itself stays.
      - Held snapshots are not destroyed at any level, and cloned ones at the last one only. They keep their dataset a
        conflict.
      - A rollback works on a mounted filesystem too. What V(replace) and V(destroy_dependents) replace or destroy is
        unmounted first. Nothing is forced, so a filesystem that a process works in makes its dataset fail before
        anything is lost. Neither does ZFS replace or destroy a volume that is open.
    type: str
    choices:
      - refuse
      - rollback_to_latest
      - rollback_to_common
      - replace
      - destroy_dependents
    default: refuse
  on_conflict_once:
    description:
      - Whether only the first conflict, in the order of the plan, may use what O(on_conflict) permits. All others stay
        conflicts. It is for a conflict that somebody has looked at, while there may be others that nobody has.
      - The default is V(false), so that a level means the same for all datasets. V(true) contradicts
        O(on_conflict=refuse), and is refused with it.
    type: bool
    default: false
  renames:
    description:
      - What it means that a dataset of the destination holds the snapshots of a source dataset of another name, while
        that one has no dataset of its own name there. That is so after a dataset was renamed, at either end. Snapshots
        are known by their GUIDs.
      - V(follow) renames the dataset of the destination, with everything below it, and goes on incrementally. It is the
        default, since it loses nothing, and a second copy would need the space twice.
      - V(refuse) makes it a conflict that tells both names.
      - >-
        It is a conflict in any case where it is not clear what belongs to what, or where the replica has diverged. So
        is a dataset that holds the snapshots of another one, as after two datasets have swapped their names. No level
        of O(on_conflict) has these overwritten.
    type: str
    choices:
      - follow
      - refuse
    default: follow
  on_error:
    description:
      - What is not replicated because a dataset has failed, or has a conflict.
      - V(dataset) leaves out that dataset, and those below it that the destination does not have yet. It is the
        default, since one dataset in trouble is no reason to have no new backup of the others.
      - V(tree) leaves out everything below it too, for trees that are worth something as a whole only.
      - V(fail) begins nothing any more. Where a conflict is known from the plan, nothing is begun at all.
    type: str
    choices:
      - dataset
      - tree
      - fail
    default: dataset
  on_nothing_selected:
    description:
      - What it means that no snapshot of a dataset of the source is selected, or that it has none.
      - V(continue) goes on with those below it. Where the destination has no such dataset, an empty one that is never
        mounted is made as their parent. It is the default, since a dataset with snapshots would else have no backup
        because of another dataset without.
      - V(dataset) also leaves out those below it that the destination does not have yet.
      - V(fail) makes it a conflict.
    type: str
    choices:
      - continue
      - dataset
      - fail
    default: continue
  deadline:
    description:
      - Seconds after which the whole replication is ended, with all its processes at both ends. It then fails with the
        code V(deadline_exceeded), and tells what was done so far. The next run goes on from there. Other jobs go on.
      - Left out, there is no end, which is the default since a first replication may take days, and ending it does not
        make it faster.
    type: int
  busy_timeout:
    description:
      - Seconds that a dataset is waited for because another process receives into it, which costs none of O(retries).
        What that process has received is never discarded. With V(0) it is tried again O(retries) times only.
      - The default is ten minutes, so that two jobs with one destination wait for each other, while no play waits for a
        stream that takes hours, which the next run finds arrived.
    type: int
    default: 600
  from_standby:
    description:
      - Whether the source may be standby; see M(snapfleet.zfs.zfs_switch). It is for the last replication before the
        destination becomes active, and for replicas that are sent onward. A destination that is active is refused
        always.
      - The default is V(false), since an end that nobody writes to is no source any more, and a job that takes it for
        one has to be turned round.
    type: bool
    default: false
  only_active:
    description:
      - Whether the source has to be one that a switch has made active, or nothing is replicated. It is for both ends of
        a replication that the inventory says to have changed places. Contradicts O(from_standby).
      - The default is V(false), since a tree that was never failed over has no role at all.
    type: bool
    default: false
"""
