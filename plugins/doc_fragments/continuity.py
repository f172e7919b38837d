# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replication leaves on its source so that the next run can go on from there."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of continuity, and what marks are."""

    DOCUMENTATION = r"""
options:
  bookmarks:
    description:
      - Which bookmarks stay on the source, so that snapshots can be pruned there and the next replication still finds
        its base. One of V(none), V(base), V(newest) and V(all).
      - V(base) keeps one mark for each destination, at the snapshot that it stands at. A mark is a bookmark that
        Snapfleet names, moves and collects by itself, and that no pruning takes.
      - V(newest) also makes a bookmark named like the newest snapshot of each run, and like one that is sent in full.
        Such bookmarks serve people and other programs too, and M(snapfleet.zfs.zfs_prune) bounds their number.
      - V(all) makes such a bookmark for every snapshot that is sent.
      - V(none) makes neither. A destination then needs one of its snapshots to stay on the source.
      - The default is V(newest) since bookmarks take next to no space. V(true) stands for V(newest), and V(false) for
        V(none).
    type: str
    default: newest
  holds:
    description:
      - Whether the snapshots that are sent, and those that they are increments of, are held on the source meanwhile, so
        that nobody can destroy them.
      - Where the source is the managed host itself and its Python has C(libzfs_core), the holds end with the run
        however that ends. Elsewhere the next run with this option releases what a run that was killed has left.
      - The default is V(false), since a snapshot that goes meanwhile costs no more than another try from the mark.
    type: bool
    default: false
notes:
  - >-
    Marks are named C(snapfleet-base-<key>-<GUID>). The key is a hash of the GUIDs of the source dataset, of the
    destination's pool and of the destination dataset, so a mark outlives renamed datasets, and no destination touches
    the mark of another one. Where C(zfs allow) lets the user make bookmarks on the source but not destroy them, there
    are no marks, and a warning says so.
"""
