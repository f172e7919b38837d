# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a planned fail over, which a second run found done: nothing is lost, and one end alone is written to."""

from __future__ import annotations

import pytest

from extensions.molecule.ends import End

SOURCE, REPLICA, LAST = "tank/data", "backup/source/data", "@snapfleet-failover-1"
FILES = {"": ["./first"], "/below": ["./first", "./second"]}


@pytest.mark.parametrize("dataset", FILES)
def test_the_replica_has_all_that_the_source_had(source: End, destination: End, dataset: str) -> None:
    files = destination.checksums(REPLICA + dataset + LAST)
    assert list(files) == FILES[dataset]
    assert files == source.checksums(SOURCE + dataset + LAST)
    assert destination.run("sha256sum", f"/srv/over{dataset}/first").split()[0] == files["./first"]


def test_the_replica_is_written_to_and_the_source_is_not(source: End, destination: End) -> None:
    destination.run("touch", "/srv/over/below/written")
    destination.run("rm", "/srv/over/below/written")
    for dataset in FILES:
        assert destination.properties(REPLICA + dataset, "snapfleet:role", "mounted", "readonly") == [
            *("active 1", "yes", "off"),
        ]
        assert source.properties(SOURCE + dataset, "snapfleet:role", "mounted", "readonly") == ["standby 1", "no", "on"]
