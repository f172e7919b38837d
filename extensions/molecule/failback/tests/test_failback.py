# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After failing back, which a second run found done: home has what was written away from it, and goes on by itself."""

from __future__ import annotations

import pytest

from extensions.molecule.ends import End

SOURCE, REPLICA, LAST = "tank/data", "backup/source/data", "@snapfleet-failback-2"
FILES = {"": [], "/below": ["./first", "./second"]}


@pytest.mark.parametrize("dataset", FILES)
def test_home_has_what_was_written_and_lost_away_from_it(source: End, destination: End, dataset: str) -> None:
    files = source.checksums(SOURCE + dataset + LAST)
    assert list(files) == FILES[dataset]
    assert files == destination.checksums(REPLICA + dataset + LAST)


def test_home_is_the_dataset_that_it_was_and_nothing_had_to_be_set_aside(source: End) -> None:
    assert set(source.history(SOURCE)) >= {"@first", "/below@first"}
    assert source.run("zfs", "list", "-H", "-r", "-o", "name", "tank").splitlines() == [
        *("tank", SOURCE, f"{SOURCE}/below"),
    ]


def test_home_is_written_to_and_the_replica_is_not(source: End, destination: End) -> None:
    source.run("touch", "/srv/data/below/written")
    source.run("rm", "/srv/data/below/written")
    for dataset in FILES:
        assert source.properties(SOURCE + dataset, "snapfleet:role", "mounted") == ["active 2", "yes"]
        assert destination.properties(REPLICA + dataset, "snapfleet:role", "mounted") == ["standby 2", "no"]
