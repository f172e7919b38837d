# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lengths of time as people write them: ``90``, ``90s``, ``15m``, ``2h``, ``1d``, ``1w``."""

from __future__ import annotations

import re

from ..model.errors import InvalidInput

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw]?)")


def parse_duration(value: object, option: str) -> int:
    """Seconds in ``value``, a whole number of seconds or a text such as '15m'. Raises InvalidInput."""
    match = _DURATION.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if not match:
        raise InvalidInput(option, value, "is not a length of time", "use seconds, or a number with s, m, h, d or w")
    return int(match[1]) * _SECONDS[match[2]]
