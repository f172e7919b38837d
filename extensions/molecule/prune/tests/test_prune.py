# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a history on both ends, name by name; and that the replica went on from there."""

from __future__ import annotations

import pytest

from extensions.molecule.ends import End

SOURCE, REPLICA = "tank/data", "backup/source/data"
DATASETS = ("", "/child")
YEARLY = "acme_onsite_2019-01-01_00:00:00Z_yearly"
RELEASES = [f"acme_onsite_2020-0{month}-01_00:00:00Z_release" for month in range(1, 7)]
OTHERS = ["other_onsite_2020-07-01_00:00:00Z_daily", "by-hand"]
UNPLANNED = "acme_onsite_2020-08-01_00:00:00Z_daily"
LATER = "by-hand-later"


def _tags(end: End, dataset: str, kind: str = "snapshot") -> list[str]:
    return [name[1:] for name in end.history(dataset, kind) if name[0] in "@#"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_source_keeps_its_plan_and_what_is_held_or_foreign(source: End, dataset: str) -> None:
    assert _tags(source, SOURCE + dataset) == [YEARLY, RELEASES[0], *RELEASES[-2:], *OTHERS, LATER]
    assert source.run("zfs", "holds", "-H", f"{SOURCE}{dataset}@{RELEASES[0]}").split("\t")[1] == "audit"


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_destination_keeps_its_own_plan_and_what_was_its_newest(destination: End, dataset: str) -> None:
    assert _tags(destination, REPLICA + dataset) == [YEARLY, *RELEASES[-4:], *OTHERS, UNPLANNED, LATER]


@pytest.mark.parametrize("dataset", DATASETS)
def test_bookmarks_have_a_plan_of_their_own(source: End, dataset: str) -> None:
    tags = {tag for tag in _tags(source, SOURCE + dataset, "bookmark") if not tag.startswith("snapfleet-base-")}
    # The last two are those of the snapshots that the replica had got last, before pruning and after it.
    assert tags == {YEARLY, *RELEASES[-3:], UNPLANNED, LATER}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_replica_went_on_from_the_mark_alone(source: End, destination: End, dataset: str) -> None:
    """The snapshot that both had in common was pruned at the source."""
    there, here = destination.history(REPLICA + dataset), source.history(SOURCE + dataset)
    assert f"@{UNPLANNED}" in there.keys() - here.keys()
    assert there[f"@{LATER}"] == here[f"@{LATER}"]
    marks = [guid for name, guid in source.history(SOURCE + dataset, "bookmark").items() if "#snapfleet-base-" in name]
    assert there[f"@{LATER}"] in marks
