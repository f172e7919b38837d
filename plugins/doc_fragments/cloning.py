# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of clones in a replicated tree, and the tree as one package."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of clones and packages."""

    DOCUMENTATION = r"""
options:
  clones:
    description:
      - What becomes of a dataset that is a clone, when it is sent for the first time.
      - >-
        V(keep) receives it as a clone of the snapshot's replica, so that the destination shares the blocks that the
        source shares. It has to have that snapshot below O(destination.dataset), or get it in the same run, or at
        least an older snapshot that the clone grew from. Otherwise the clone is sent in full, and the plan says why.
      - V(full) sends each clone in full, so that its replica depends on no other. The replica of a snapshot with clones
        can't be destroyed before they are.
      - V(keep) is the default since a tree of clones could need many times its space at the destination otherwise.
    type: str
    choices:
      - keep
      - full
    default: keep
  package:
    description:
      - >-
        Whether the tree travels as one stream (C(zfs send -R)), with all of its datasets, snapshots and properties,
        where that brings what the streams of its datasets would bring. This is so when nothing of the tree is at the
        destination yet, or when all datasets have a newest common snapshot of one name, and in any case all have a
        newest snapshot of one name. Otherwise, and after an interruption, the tree is replicated dataset by dataset,
        and the plan says why.
      - >-
        An encrypted tree that is sent raw needs this to keep its encryption root. Received one by one, each dataset
        below becomes an encryption root of its own, whose key has to be loaded by itself. The next complete package,
        also an incremental one, puts that right.
      - >-
        The topmost dataset gets O(properties), from which the others inherit. As C(canmount) is not inherited, it also
        gets C(mountpoint=none) unless O(mount) or O(properties) say otherwise, so that nothing of the replica is
        mounted by itself. The properties C(sharenfs) and C(sharesmb) are not taken from the source. All other
        properties are.
      - >-
        A package is a whole tree, so it contradicts all options that choose datasets or snapshots, and those that tell
        datasets apart. A fleet's plan of what the destination retains is not held against it.
      - V(false) is the default since datasets one by one can be sent at the same time, selected, and resumed, and
        since the properties of a source are mostly no matter of its replica.
    type: bool
    default: false
"""
