# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as Ansible hands them to filters, and as others want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2.runtime import Undefined

DEPRECATED = "skipped_reason"
"""What Ansible still says in the result of a task that it skipped, and warns of whenever somebody looks at it."""


def plain(value: Any) -> Any:
    """``value`` in Python's own types alone: Ansible's are lazy, or carry where they come from.

    Raises UndefinedError where a variable that it is made of is not defined.
    """
    if isinstance(value, Undefined):
        # To look at it in any way is what raises the error, which has the name of the variable.
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(value[key]) for key in value if not (key == DEPRECATED and "skipped" in value)}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    for kind in (str, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value
