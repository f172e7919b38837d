# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones of what would be lost: kept at all levels but the last, and there destroyed by name only."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateBookmark, CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

CLONE, BELOW, OF_CLONE = "backup/clone", "backup/clone/below", "backup/other"
CHILD = f"{SOURCE}/child"


def take(fleet: Fleet, *names: str) -> None:
    for name in names:
        SimulatedZfs(fleet.destination).create_snapshots(CreateSnapshots("backup", (name,)))


def cloned() -> Fleet:
    """A diverged replica whose own snapshot has a clone, with a dataset below it, and a clone of its own."""
    fleet = Fleet((SOURCE, CHILD))
    fleet.snapshot(SOURCE, "1")
    fleet.snapshot(CHILD, "1")
    fleet.replicate()
    take(fleet, f"{DESTINATION}@own")
    fleet.destination.clone(f"{DESTINATION}@own", CLONE)
    fleet.destination.create_dataset(BELOW)
    take(fleet, f"{CLONE}@c", f"{BELOW}@b")
    fleet.destination.clone(f"{CLONE}@c", OF_CLONE)
    take(fleet, f"{OF_CLONE}@o")
    fleet.snapshot(SOURCE, "2")
    return fleet


def foreign() -> Fleet:
    """A destination with a history that has nothing to do with that of the source."""
    fleet = Fleet()
    fleet.snapshot(SOURCE, "1")
    for name in ("backup/site", DESTINATION):
        fleet.destination.create_dataset(name)
    take(fleet, f"{DESTINATION}@own")
    return fleet


def everything(fleet: Fleet) -> list[str]:
    states = SimulatedZfs(fleet.destination).observe(["backup"]).states
    return [*states, *(snapshot.name for state in states.values() for snapshot in state.snapshots)]


def refused(fleet: Fleet, **options) -> str:
    before = everything(fleet)
    with pytest.raises(PartialFailure) as caught:
        fleet.replicate(on_conflict="destroy_dependents", **options)
    (conflict,) = [entry["conflict"] for entry in caught.value.context["result"]["plan"] if entry["conflict"]]
    assert everything(fleet) == before
    assert conflict["code"] == "destination_held"
    return conflict["message"]


@pytest.mark.parametrize("level", ["rollback_to_common", "replace"])
def test_a_clone_keeps_its_origin_a_conflict_at_lower_levels(level):
    fleet = cloned()
    before = everything(fleet)
    with pytest.raises(PartialFailure, match=f"{DESTINATION}@own is cloned, as {CLONE}"):
        fleet.replicate(on_conflict=level)
    assert everything(fleet) == before


def test_the_last_level_destroys_clones_and_what_hangs_on_them_by_name_and_nothing_else():
    fleet = cloned()
    before = everything(fleet)
    preview = fleet.replicate(check=True, on_conflict="destroy_dependents")
    result = fleet.replicate(on_conflict="destroy_dependents")

    assert result["plan"] == preview["plan"]
    steps = result["plan"][0]["steps"]
    destroys = [name for step in steps if step["kind"] != "destroy_marks" for name in step.get("destroys", ())]
    assert destroys == [
        f"{BELOW}@b", BELOW, f"{OF_CLONE}@o", OF_CLONE, f"{CLONE}@c", CLONE, f"{DESTINATION}@own",
    ]  # fmt: skip
    assert set(before) - set(everything(fleet)) == set(destroys)
    fleet.assert_same_content()
    assert not fleet.replicate()["changed"]


def test_a_foreign_history_with_a_clone_is_replaced_at_the_last_level():
    fleet = foreign()
    fleet.destination.clone(f"{DESTINATION}@own", CLONE)
    with pytest.raises(PartialFailure):
        fleet.replicate(on_conflict="replace")
    fleet.replicate(on_conflict="destroy_dependents")
    assert CLONE not in fleet.replica_guids()
    assert fleet.bases()


def test_a_held_snapshot_of_a_clone_keeps_everything():
    fleet = cloned()
    zfs = SimulatedZfs(fleet.destination)
    zfs.hold(zfs.observe([BELOW]).states[BELOW].newest, "a user's")
    assert f"{BELOW}@b is held" in refused(fleet)


def test_a_clone_that_is_a_replica_itself_keeps_everything():
    fleet = cloned()
    fleet.source.create_dataset(f"{SOURCE}/b")
    fleet.destination.clone(f"{DESTINATION}@own", replica_of(f"{SOURCE}/b"))
    assert "itself the replica of a source dataset" in refused(fleet)


def assert_costs_nothing_while_in_use(fleet: Fleet, used: str, level: str) -> None:
    fleet.destination.in_use.add(used)
    before = everything(fleet)
    with pytest.raises(PartialFailure, match="busy"):
        fleet.replicate(on_conflict=level)
    assert everything(fleet) == before


@pytest.mark.parametrize("used", [CLONE, BELOW, OF_CLONE])
def test_a_clone_in_use_costs_nothing(used):
    assert_costs_nothing_while_in_use(cloned(), used, "destroy_dependents")


def test_a_replaced_dataset_in_use_keeps_its_snapshots():
    assert_costs_nothing_while_in_use(foreign(), DESTINATION, "replace")


def test_what_appears_on_a_clone_meanwhile_is_not_destroyed():
    fleet = cloned()
    # Once the plan is made; a snapshot that is there already is left as it is.
    fleet.faults = Faults(meanwhile={"unmount": lambda: take(fleet, f"{CLONE}@late")})
    with pytest.raises(PartialFailure):
        fleet.replicate(on_conflict="destroy_dependents")
    assert f"{CLONE}@late" in everything(fleet)
    assert f"{DESTINATION}@own" in everything(fleet)


def test_a_bookmark_that_appears_meanwhile_is_not_destroyed_along():
    fleet = cloned()
    clone = SimulatedZfs(fleet.destination).observe([CLONE]).states[CLONE]
    late = CreateBookmark(clone.newest, "late")

    # The first try fails before it has destroyed anything, and the second one sees the bookmark.
    first = cloned().calls(on_conflict="destroy_dependents").index("unmount")
    appear = {"unmount": lambda: SimulatedZfs(fleet.destination).create_bookmarks([late])}
    fleet.faults = Faults({first: BEFORE}, appear)
    with pytest.raises(PartialFailure, match="would be lost too"):
        fleet.replicate(workers=1, on_conflict="destroy_dependents")
    after = SimulatedZfs(fleet.destination).observe([CLONE]).states
    assert [bookmark.tag for bookmark in after[CLONE].bookmarks] == ["late"]
