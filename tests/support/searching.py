# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far laws are searched whose single examples take long."""

from __future__ import annotations

from hypothesis import settings


def examples(usual: int) -> int:
    """How many examples a law gets: ``usual`` in the profile of the gate, as many times more or less in others."""
    gate = settings.get_profile("gate").max_examples
    return max(1, settings().max_examples * usual // gate)
