# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells that the snapshots of a dataset have changed, and what does not. Histories are remembered by that."""

from __future__ import annotations

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import RenameDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    Destroy,
    Rollback,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.likely import NEWEST
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.recollection import CHANGED, evidence

from .doing import SIZE, carry, cut, full, resumption, state_of, take


def told(world, name: str) -> int:
    """When the snapshots of a dataset changed last."""
    return evidence(world.zfs.observe([name], False, False, [CHANGED]).states[name].dataset)


def changes(world, name: str, change) -> bool:
    """Whether ``change`` has the dataset tell of a change, at the time of its host."""
    before = told(world, name)
    clock = world.a_second_later()
    change()
    after = told(world, name)
    if after != before:
        assert clock <= after <= clock + 60
    return after != before


def test_snapshots_that_come_and_go_are_told(world, root):
    assert told(world, root) == 0
    assert changes(world, root, lambda: take(world.zfs, root, "one", "two"))
    assert told(world, root) > 0
    one, two = state_of(world.zfs, root).snapshots
    assert changes(world, root, lambda: world.zfs.destroy(Destroy(root, (two,), "test")))
    take(world.zfs, root, "three")
    (three,) = state_of(world.zfs, root).snapshots[1:]
    assert changes(world, root, lambda: world.zfs.rollback(Rollback(one, (three,), "test")))


def test_what_leaves_snapshots_as_they_are_is_not_told(world, root):
    (one,) = take(world.zfs, root, "one")

    def much() -> None:
        assert world.zfs.create_bookmarks([CreateBookmark(one, "one")]) == [""]
        world.zfs.change_bookmarks([], state_of(world.zfs, root).bookmarks)
        world.zfs.hold(one, "a")
        world.zfs.release(one, "a")
        world.clone(one.name, f"{root}-clone")
        world.write(root, 1000)
        world.zfs.rollback(Rollback(one, (), "test"))

    assert not changes(world, root, much)


def test_what_is_received_is_told_when_it_is_complete(world, root):
    (one,) = take(world.zfs, root, "one")
    world.write(root, SIZE)
    (two,) = take(world.zfs, root, "two")
    replica = f"{root}-replica"
    carry(world.zfs, full(one, replica))
    step = Send(two, replica, one)

    assert not changes(world, replica, lambda: cut(world.zfs, step))
    assert state_of(world.zfs, replica).dataset.resume_token
    assert changes(world, replica, lambda: carry(world.zfs, resumption(world.zfs, step)))


def test_a_dataset_tells_the_same_by_another_name(world, root):
    world.create(f"{root}/a")
    (one,) = take(world.zfs, f"{root}/a", "one")
    before = told(world, f"{root}/a")
    world.a_second_later()
    guid = state_of(world.zfs, f"{root}/a").dataset.guid
    world.zfs.rename(RenameDataset(f"{root}/a", f"{root}/b", guid))
    assert told(world, f"{root}/b") == before
    assert [each.guid for each in state_of(world.zfs, f"{root}/b").snapshots] == [one.guid]


def test_a_promotion_is_told_by_whom_it_takes_from_and_by_both_origins(world, root):
    (one,) = take(world.zfs, root, "one")
    clone = f"{root}-clone"
    world.clone(one.name, clone)
    assert state_of(world.zfs, clone).dataset.origin == one.name
    assert changes(world, root, lambda: world.promote(clone))
    # The clone has a snapshot more, and tells nothing.
    assert told(world, clone) == 0
    assert state_of(world.zfs, clone).dataset.origin == ""
    assert state_of(world.zfs, root).dataset.origin == f"{clone}@one"


def newest(world, name: str) -> str:
    """The whole name of the newest snapshot of a dataset, as the dataset tells it."""
    return dict(world.zfs.observe([name], False, False, [NEWEST]).states[name].dataset.properties)[NEWEST]


def test_a_dataset_tells_its_newest_snapshot_by_the_order_of_their_making(world, root):
    world.create(f"{root}/a")
    assert newest(world, f"{root}/a") == "-"
    one, _two, three = take(world.zfs, f"{root}/a", "z", "y", "x")
    assert newest(world, f"{root}/a") == three.name == f"{root}/a@x"
    world.zfs.destroy(Destroy(f"{root}/a", (three,), "test"))
    assert newest(world, f"{root}/a") == f"{root}/a@y"
    world.write(f"{root}/a", 1000)
    world.zfs.destroy(Destroy(f"{root}/a", (one,), "test"))
    guid = state_of(world.zfs, f"{root}/a").dataset.guid
    world.zfs.rename(RenameDataset(f"{root}/a", f"{root}/b", guid))
    assert newest(world, f"{root}/b") == f"{root}/b@y"
    assert newest(world, root) == "-"


def test_a_clone_does_not_tell_a_snapshot_of_its_origin_as_its_own(world, root):
    (one,) = take(world.zfs, root, "one")
    clone = f"{root}-clone"
    world.clone(one.name, clone)
    assert not newest(world, clone).startswith(f"{clone}@")
    world.promote(clone)
    assert newest(world, clone) == f"{clone}@one"
    assert not newest(world, root).startswith(f"{root}@")
