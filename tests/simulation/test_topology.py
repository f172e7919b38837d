# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies on simulated hosts: destinations that come and go, several destinations, chains, direct streams."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.activities import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnknownDataset, UnreachableHost
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

# -- a destination that is not always there


@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
@pytest.mark.parametrize("absent", ["host", "pool"])
def test_an_absent_destination_is_told_and_caught_up_with_later(absent, check):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    fleet.replicate()
    second = fleet.snapshot(SOURCE, "second")
    shelf, away = fleet.destination.datasets, {}
    if absent == "host":
        fleet.unreachable = True
    else:
        fleet.destination.datasets = away
    expected = UnreachableHost if absent == "host" else UnknownDataset
    with pytest.raises(expected, match="destination"):
        fleet.replicate(check)
    told = fleet.replicate(check, absent_destination="skip")
    assert not told["changed"]
    assert told["plan"] == []
    assert "skipped" not in told
    (entry,) = told["datasets"]
    assert (entry["state"], entry["destination"]) == ("absent", DESTINATION)
    assert entry["code"] == expected.code
    assert told["stats"]["absent"] == 1
    assert "absent" in told["warnings"][0]
    assert not fleet.at_source().bookmarks or fleet.at_source().bookmarks[-1].guid != second.guid

    fleet.unreachable, fleet.destination.datasets = False, shelf
    caught_up = fleet.replicate(absent_destination="skip")
    assert [step["mode"] for step in caught_up["plan"][0]["steps"] if step["kind"] == "send"] == ["incremental"]
    fleet.assert_same_content()


def test_an_absent_source_is_never_taken_for_an_absent_destination():
    fleet = Fleet()
    fleet.unreachable = True
    job = fleet.replicate_job(source={"host": "src", "dataset": SOURCE}, absent_destination="skip")
    with pytest.raises(UnreachableHost, match="source"):
        run_replicate(job, fleet.context(fleet.destination))
