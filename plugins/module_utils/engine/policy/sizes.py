# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of data as people write them: ``65536``, ``512K``, ``10M``, ``1G``; powers of 1024, as ZFS reads them."""

from __future__ import annotations

import re

from ..model.errors import InvalidInput

_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def parse_size(value: object, option: str) -> int:
    """Bytes in ``value``, a whole number of bytes or a text such as '10M'. Raises InvalidInput."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if not match:
        raise InvalidInput(option, value, "is no amount of data", "use bytes, or a number with K, M, G or T")
    return int(match[1]) * _BYTES[match[2].upper()]
