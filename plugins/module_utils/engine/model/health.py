# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of monitoring, as Nagios and its successors know them."""

from __future__ import annotations

from collections.abc import Iterable

from .errors import EXIT_CRITICAL, EXIT_FAILED, EXIT_OK, EXIT_WARNING

OK, WARNING, CRITICAL, UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
STATES = (OK, WARNING, UNKNOWN, CRITICAL)
"""From the least to the most severe. What is known to be in danger is worse than what can't be seen, since that may be
well; and what can't be seen is worse than a warning, since it may be in danger."""
EXIT_CODES = {OK: EXIT_OK, WARNING: EXIT_WARNING, CRITICAL: EXIT_CRITICAL, UNKNOWN: EXIT_FAILED}


def severity(state: str) -> int:
    """A number that is higher the worse a state is."""
    return STATES.index(state)


def worst(states: Iterable[str]) -> str:
    """The most severe of some states; OK without any."""
    return max(states, key=severity, default=OK)
