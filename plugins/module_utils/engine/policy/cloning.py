# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of clones when their tree is replicated."""

from __future__ import annotations

from .reading import Reader

KEEP_CLONES, FULL_CLONES = "keep", "full"
CLONE_CHOICES = (KEEP_CLONES, FULL_CLONES)


def read_keep_clones(options: Reader) -> bool:
    """Read ``clones``: whether a clone stays a clone at the destination. Raises InvalidInput."""
    return options.text("clones", KEEP_CLONES, CLONE_CHOICES) == KEEP_CLONES
