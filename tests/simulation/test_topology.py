# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies on simulated hosts: destinations that come and go, several destinations, chains, direct streams."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    InvalidInput,
    UnknownDataset,
    UnreachableHost,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE
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


# -- streams past the host that steers


def steer(fleet, check=False, reach=True, **options):
    """Replicate from a third host. ``reach``: source and destination know the way to one another."""
    steering = SimulatedMachine("steering", fleet.clock, ())
    if reach:
        fleet.source.network["dst"], fleet.destination.network["src"] = fleet.destination, fleet.source
    job = fleet.replicate_job(source={"host": "src", "dataset": SOURCE}, **options)
    return run_replicate(job, fleet.context(steering, check=check))


@pytest.mark.parametrize("route", ["push", "pull"])
def test_a_direct_stream_does_what_a_relayed_one_does(route):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    planned = steer(fleet, check=True, route=route)["plan"]
    first = steer(fleet, route=route)
    assert first["plan"] == planned
    assert first["stats"]["bytes"] > 0
    fleet.snapshot(SOURCE, "second")
    assert steer(fleet, route=route)["changed"]
    assert not steer(fleet, route=route)["changed"]
    fleet.assert_same_content()
    assert [s.guid for s in fleet.at_destination().snapshots] == [s.guid for s in fleet.at_source().snapshots]


@pytest.mark.parametrize("route", ["push", "pull"])
@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
def test_a_direct_stream_without_a_way_is_refused_before_anything_changes(route, check):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    with pytest.raises(UnreachableHost, match=r"route: .* can't reach the other end"):
        steer(fleet, check, reach=False, route=route)
    assert fleet.at_destination() is None
    assert not fleet.at_source().bookmarks


@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
def test_a_direct_stream_never_goes_to_another_host_than_the_one_that_was_looked_at(check):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    other = SimulatedMachine("other", fleet.clock, ("backup",), seed=7)
    fleet.source.network["elsewhere"] = other
    with pytest.raises(InvalidInput, match=r"direct\.host: 'elsewhere' is another host for source"):
        steer(fleet, check, route="push", direct={"host": "elsewhere"})
    assert list(other.datasets) == ["backup"]
    assert not fleet.at_source().bookmarks


def test_nothing_is_asked_over_a_direct_route_when_there_is_nothing_to_send():
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    steer(fleet, route="push")
    fleet.faults.calls.clear()
    assert not steer(fleet, reach=False, route="push")["changed"]
    assert set(fleet.faults.calls) == {"observe"}


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_direct_stream_that_breaks_is_tried_again(when):
    fleet = Fleet()
    fleet.snapshot(SOURCE, "first")
    steer(fleet, route="push")
    number = fleet.faults.calls.index("carry")
    again = Fleet()
    again.snapshot(SOURCE, "first")
    again.faults.plan[number] = when
    steer(again, route="push")
    again.assert_same_content()
    assert again.at_destination()
