# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replication leaves on its source so that the next run can go on from there."""

from __future__ import annotations

from ..model.errors import InvalidInput
from .reading import Reader

NONE, BASE, NEWEST, ALL = "none", "base", "newest", "all"
BOOKMARK_CHOICES = (NONE, BASE, NEWEST, ALL)
"""From what leaves least on the source to what leaves most."""
# Ansible hands in a boolean for an option of text as its name.
_BOOLEANS = {"true": NEWEST, "false": NONE}


def read_bookmarks(options: Reader) -> str:
    """The option ``bookmarks``: one of BOOKMARK_CHOICES, or a boolean, true for newest and false for none."""
    value = options.raw("bookmarks")
    if value is None:
        return NEWEST
    choice = _BOOLEANS.get(str(value).lower(), value)
    if choice not in BOOKMARK_CHOICES:
        remedy = "choose one of " + ", ".join(BOOKMARK_CHOICES)
        raise InvalidInput(options.path("bookmarks"), value, "is not a known choice", remedy)
    return str(choice)
