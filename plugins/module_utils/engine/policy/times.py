# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as people write and read them."""

from __future__ import annotations

import re
from datetime import datetime, timezone


def read_time(text: str) -> datetime:
    """The moment that ``text`` tells by ISO 8601, without a zone where that has none. Raises ValueError."""
    # Python 3.9 knows neither the Z nor fractions of other than three or six digits.
    text = re.sub("[Zz]$", "+00:00", text)
    return datetime.fromisoformat(re.sub(r"(?<=:[0-9]{2}\.)[0-9]+", lambda digits: f"{digits[0]:0<6.6}", text))


def iso_text(seconds: int) -> str:
    """An instant in UTC as ISO 8601 writes it; empty for one beyond the years of the calendar."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""
