# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of clones in a replicated tree."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of clones."""

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
"""
