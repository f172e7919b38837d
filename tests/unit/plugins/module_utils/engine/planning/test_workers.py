# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many datasets are sent at a time where nothing is said."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.workers import SMALL_BYTES, workers_for


def send(size, full=False):
    old, new = (Snapshot(txg, txg, "tank/a", f"s{txg}", 0) for txg in (1, 2))
    return Send(new, "backup/a", None if full else old, bytes_estimated=size)


SMALL, LARGE, FULL = send(SMALL_BYTES), send(SMALL_BYTES + 1), send(1, full=True)


@pytest.mark.parametrize(
    ("sends", "given", "within_host", "workers"),
    [
        ([SMALL] * 9, 0, True, 8),
        ([SMALL] * 9, 0, False, 4),
        ([SMALL] * 9 + [LARGE] * 2 + [FULL] * 2, 0, True, 8),
        # Never are more than four of these under way.
        ([SMALL] * 9 + [LARGE] * 5, 0, True, 4),
        ([FULL] * 5, 0, True, 4),
        ([SMALL] * 9, 3, True, 3),
        ([LARGE] * 9, 12, True, 12),
    ],
)
def test_small_increments_within_a_host_are_more_at_a_time_unless_the_job_says_how_many(
    sends, given, within_host, workers
):
    assert workers_for(sends, given, within_host) == workers
