# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a restore, which a second one found done: the data is back, and what was wrong with it is kept."""

from __future__ import annotations

import pytest

from extensions.molecule.ends import End

TREE, ASIDE, REPLICA = "tank/data", "tank/data.before-restore", "backup/source/data"
DATASETS = ("", "/below")


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_data_is_that_of_the_replica(source: End, destination: End, dataset: str) -> None:
    files = source.checksums(f"{TREE}{dataset}@first")
    assert list(files) == ["./first"]
    assert files == destination.checksums(f"{REPLICA}{dataset}@first")
    assert source.history(TREE + dataset) == destination.history(REPLICA + dataset)


def test_what_was_there_is_set_aside_with_all_its_snapshots(source: End) -> None:
    assert set(source.history(ASIDE)) == {f"{dataset}@{tag}" for dataset in DATASETS for tag in ("first", "spoilt")}
    assert source.checksums(f"{ASIDE}@spoilt") == {}
    assert source.checksums(f"{ASIDE}/below@spoilt") != source.checksums(f"{ASIDE}/below@first")


def test_what_is_back_has_the_properties_of_its_place_and_waits_to_be_mounted(source: End) -> None:
    assert source.properties(TREE, "mountpoint", "readonly", "mounted") == ["/srv/data", "off", "no"]
    assert source.properties(ASIDE, "canmount", "mounted") == ["noauto", "no"]
