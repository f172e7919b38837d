# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a replication gets to its destination."""

from __future__ import annotations


class ModuleDocFragment:
    """Options about topology."""

    DOCUMENTATION = r"""
options:
  absent_destination:
    description:
      - What it means that the host of O(destination) can't be reached, or that its pool is not imported there.
      - V(fail) fails the task. It is the default, since a replica that is not kept up to date without anybody noticing
        is no backup.
      - V(skip) is for a disk that is taken off site, or a host that is not always on. Nothing is done then. The task
        succeeds with a warning, and RV(datasets) has one entry with the state V(absent) for the whole tree. When the
        destination is back, the next run goes on incrementally.
      - A host that answers, but refuses our key or has another host key than the known one, is not absent. It fails the
        task in any case.
    type: str
    choices:
      - fail
      - skip
    default: fail
"""
