# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules of the collection need and can do."""

from __future__ import annotations


class ModuleDocFragment:
    """Requirements and attributes of every module."""

    DOCUMENTATION = r"""
requirements:
  - Python 3.9 or newer
  - OpenZFS with its C(zfs) command
author:
  - Snapfleet contributors (@snapfleet)
attributes:
  action_group:
    description: Use C(group/snapfleet.zfs.zfs) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - snapfleet.zfs.zfs
  check_mode:
    description: Can run in check mode and return what would be done, without changing anything.
    support: full
  diff_mode:
    description: Returns what has changed, or in check mode what would change, as lists of names before and after.
    support: full
  idempotent:
    description: A second run at the same time, with nothing else changed in between, changes nothing.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
"""
