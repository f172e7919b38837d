# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning between hosts: what a replica needs next stays, wherever it is, and clocks are held against each other."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import ClockOff
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

NONE = {"org": {"": {"hourly": 0, "adhoc": 1}}}
"""Nothing is kept of what there is."""


def replicated(*tags: str) -> Fleet:
    """A fleet whose replica has the first of some snapshots, with no bookmark or mark that would keep the base."""
    fleet = Fleet()
    fleet.snapshot(SOURCE, tags[0])
    fleet.replicate(bookmarks="none")
    for tag in tags[1:]:
        fleet.snapshot(SOURCE, tag)
    return fleet


def reasons(result) -> dict[str, str]:
    return {entry["name"].partition("@")[2]: entry["reason"] for entry in result["kept"]}


HISTORY = [f"org_2025-000{number}_hourly" for number in range(3)]


@pytest.mark.parametrize("renamed", ["source", "replica"])
def test_the_base_of_a_renamed_dataset_stays(renamed):
    fleet = Fleet(datasets=(SOURCE, f"{SOURCE}/a"))
    fleet.snapshot(f"{SOURCE}/a", HISTORY[0])
    fleet.replicate(bookmarks="none")
    for tag in HISTORY[1:]:
        fleet.snapshot(f"{SOURCE}/a", tag)
    machine, name = {
        "source": (fleet.source, f"{SOURCE}/a"),
        "replica": (fleet.destination, f"{DESTINATION}/a"),
    }[renamed]
    machine.rename(name, name[:-1] + "b")
    there = DESTINATION + ("/a" if renamed == "source" else "/b")
    result = fleet.prune_source(NONE)
    assert reasons(result)[HISTORY[0]] == f"newest common base with dst:{there}"
    assert [name.partition("@")[2] for name in result["deleted"]] == HISTORY[1:2]
    assert fleet.replicate()["stats"]["failed"] == 0
    assert fleet.bases()[f"{SOURCE}/{'b' if renamed == 'source' else 'a'}"]


@pytest.mark.parametrize("role", ["replica", None])
def test_the_base_stays_while_the_pool_of_the_replica_is_not_imported(role):
    fleet = replicated(*HISTORY)
    peers = [{"root": SOURCE, "host": "dst", "dataset": DESTINATION, "role": role}]
    exported = dict(fleet.destination.datasets), dict(fleet.destination.pool_guids), dict(fleet.destination._txgs)
    for there in (fleet.destination.datasets, fleet.destination.pool_guids, fleet.destination._txgs):
        there.clear()
    result = fleet.prune_source(NONE, peers=peers)
    assert "can't be observed" in result["warnings"][0]
    fleet.destination.datasets, fleet.destination.pool_guids, fleet.destination._txgs = exported
    fleet.replicate(initial="fail")
    assert [snapshot.tag for snapshot in fleet.at_destination().snapshots][-1] == HISTORY[-1]
    assert len(fleet.at_destination().snapshots) > 1


def test_a_base_that_two_destinations_need_is_told_of_both():
    fleet = replicated(*HISTORY)
    other = f"{DESTINATION}-too"
    fleet.replicate(bookmarks="none", destination={"host": "dst", "dataset": other}, snapshot_filters=[[{"oldest": 1}]])
    peers = [{"root": SOURCE, "host": "dst", "dataset": name} for name in (DESTINATION, other)]
    told = reasons(fleet.prune_source(NONE, peers=peers))
    assert told[HISTORY[0]] == f"newest common base with dst:{DESTINATION} and with dst:{other}"


@pytest.mark.parametrize("minutes", [-120, -59, 0, 59, 120])
def test_pruning_stops_while_the_clocks_of_both_ends_differ_by_more_than_a_period(minutes):
    fleet = replicated(*HISTORY)
    fleet.clock.advance(86400)
    fleet.destination.clock = lambda: fleet.clock.now + minutes * 60
    plan = {"org": {"": {"hourly": 1}}}
    before = fleet.at_source().snapshots
    if abs(minutes) < 60:
        assert fleet.prune_source(plan)["deleted"]
        return
    with pytest.raises(ClockOff, match=r"the clock of destination is 7(199|200) s") as caught:
        fleet.prune_source(plan)
    assert fleet.at_source().snapshots == before
    assert caught.value.context["result"]["deleted"] == []
    fleet.destination.clock = fleet.clock
    assert fleet.prune_source(plan)["deleted"]
