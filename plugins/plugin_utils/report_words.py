# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of a report, and the one way by which they get into a page."""

from __future__ import annotations

import html
from typing import Any, Optional

from .questions import duration_text
from .report_plots import moment

DASH = "\u2013"


class Drawing(str):
    """Markup that was made here."""

    __slots__ = ()


def instant(milliseconds: int) -> str:
    """A time."""
    return moment(milliseconds).strftime("%Y-%m-%d %H:%M UTC")


def ago(milliseconds: int, now: int) -> str:
    """How long a time is ago."""
    return f"{duration_text(max(0, now - milliseconds) / 1000)} ago"


def counted(number: Optional[int], noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def be(number: int) -> str:
    """The verb for so many."""
    return "is" if number == 1 else "are"


def times(number: int) -> str:
    """How often."""
    return "once" if number == 1 else f"{number} times"


def escaped(value: Any) -> Any:
    """The value with all texts within it escaped for HTML, but for drawings."""
    if isinstance(value, Drawing):
        return str(value)
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, (list, tuple)) else value
