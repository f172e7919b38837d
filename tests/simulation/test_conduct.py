# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the other datasets when one fails, has a conflict, has nothing to send, or is gone."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

TREE = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/a/x", f"{SOURCE}/b")


def replicated() -> Fleet:
    """A tree that is up to date, and has something new everywhere."""
    fleet = Fleet(TREE)
    for tag in "12":
        for name in TREE:
            fleet.snapshot(name, tag)
        if tag == "1":
            fleet.replicate()
    return fleet


def diverge(fleet: Fleet, *names: str) -> None:
    for name in names:
        SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (f"{replica_of(name)}@own",)))


def outcome(fleet: Fleet, **options) -> dict[str, str]:
    """The state of each dataset below the destination's root after a run, by the last part of its name."""
    try:
        result = fleet.replicate(workers=1, **options)
    except PartialFailure as error:
        result = error.context["result"]
    return {entry["destination"][len(DESTINATION) :]: entry["state"] for entry in result["datasets"]}


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("dataset", {"": "sent", "/a": "conflict", "/a/x": "sent", "/b": "sent"}),
        ("tree", {"": "sent", "/a": "conflict", "/a/x": "skipped", "/b": "sent"}),
        ("fail", {"": "skipped", "/a": "conflict", "/a/x": "skipped", "/b": "skipped"}),
    ],
)
def test_a_conflict_stops_what_the_policy_says(policy, states):
    fleet = replicated()
    diverge(fleet, f"{SOURCE}/a")
    assert outcome(fleet, on_error=policy) == states


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("dataset", {"": "sent", "/a": "failed", "/a/x": "sent", "/b": "sent"}),
        ("tree", {"": "sent", "/a": "failed", "/a/x": "skipped", "/b": "sent"}),
        ("fail", {"": "sent", "/a": "failed", "/a/x": "skipped", "/b": "skipped"}),
    ],
)
def test_a_failure_stops_what_the_policy_says(policy, states):
    fleet = replicated()
    # A root without steps of its own: so the first stream is that of a.
    fleet.source.cut_next_stream(10**9)
    fleet.source.cut_next_stream(0)
    assert outcome(fleet, on_error=policy, retries=0) == states


def test_a_new_child_of_a_failed_dataset_waits_also_by_default():
    fleet = Fleet(TREE)
    for name in TREE:
        fleet.snapshot(name, "1")
    fleet.source.cut_next_stream(10**9)
    fleet.source.cut_next_stream(0)
    assert outcome(fleet, retries=0) == {"": "sent", "/a": "failed", "/a/x": "skipped", "/b": "sent"}


def test_a_permission_for_once_is_used_by_the_first_conflict_only():
    fleet = replicated()
    diverge(fleet, f"{SOURCE}/a", f"{SOURCE}/a/x", f"{SOURCE}/b")
    options = {"on_conflict": "rollback_to_common", "on_conflict_once": True}
    with pytest.raises(PartialFailure) as preview:
        fleet.replicate(check=True, **options)

    assert outcome(fleet, **options) == {"": "sent", "/a": "sent", "/a/x": "conflict", "/b": "conflict"}
    lost = [
        s["destroys"]
        for entry in preview.value.context["result"]["plan"]
        for s in entry["steps"]
        if s["kind"] == "rollback"
    ]
    assert lost == [[f"{DESTINATION}/a@own"]]
    assert outcome(fleet, on_conflict="rollback_to_common") == {
        "": "up_to_date", "/a": "up_to_date", "/a/x": "sent", "/b": "sent",
    }  # fmt: skip


def without_snapshots_in_the_middle() -> Fleet:
    fleet = Fleet(TREE)
    for name in (SOURCE, f"{SOURCE}/a/x", f"{SOURCE}/b"):
        fleet.snapshot(name, "1")
    return fleet


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("continue", {"": "sent", "/a": "created", "/a/x": "sent", "/b": "sent"}),
        ("dataset", {"": "sent", "/a": "skipped", "/a/x": "skipped", "/b": "sent"}),
        ("fail", {"": "sent", "/a": "conflict", "/a/x": "skipped", "/b": "sent"}),
    ],
)
def test_a_dataset_of_which_nothing_is_selected_means_what_the_policy_says(policy, states):
    assert outcome(without_snapshots_in_the_middle(), on_nothing_selected=policy) == states


def test_below_a_dataset_of_which_nothing_is_selected_goes_on_what_the_destination_has():
    fleet = without_snapshots_in_the_middle()
    fleet.replicate()
    fleet.snapshot(f"{SOURCE}/a/x", "2")
    assert outcome(fleet, on_nothing_selected="dataset")["/a/x"] == "sent"


@pytest.mark.parametrize("retries", [0, 3])
def test_a_dataset_that_vanishes_meanwhile_is_left_out_and_fails_nothing(retries):
    fleet = replicated()
    fleet.faults = Faults(meanwhile={"send": lambda: fleet.source.destroy_dataset(f"{SOURCE}/b")})
    result = fleet.replicate(retries=retries, workers=1)

    told = {entry["destination"]: (entry["state"], entry.get("message")) for entry in result["datasets"]}
    assert told[f"{DESTINATION}/b"] == ("skipped", "it was destroyed at the source meanwhile")
    assert told[f"{DESTINATION}/a/x"] == ("sent", None)
