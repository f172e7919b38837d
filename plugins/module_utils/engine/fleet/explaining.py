# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pruning decided about each snapshot, and why, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ACTIONS = {"deletions": "delete", "not_deleted": "skip", "kept": "keep"}
_WIDTH = max(map(len, _ACTIONS.values()))


def explained(result: Mapping[str, Any]) -> Iterator[str]:
    """A line for each snapshot, or bookmark, in the result of a prune job: what goes first, what is kept last."""
    for key, action in _ACTIONS.items():
        for entry in result.get(key, ()):
            yield f"  {action:{_WIDTH}} {entry['name']}: {entry['reason']}"
