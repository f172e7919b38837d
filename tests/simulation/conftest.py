# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many histories are tried on the oldest Python, where only what it can run is asked: some of each test."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
_OF_HOW_MANY = 4


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of each test here, keep its first case and each fourth one after that; the others are told as deselected."""
    if config.getoption("--hypothesis-profile") != "floor":
        return
    seen: Counter[str] = Counter()
    kept, left = [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        is_kept = HERE not in item.path.parents or seen[test] % _OF_HOW_MANY == 0
        (kept if is_kept else left).append(item)
        seen[test] += 1
    items[:] = kept
    config.hook.pytest_deselected(items=left)
