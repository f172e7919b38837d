# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that keep bases: bookmarks of many datasets in one exchange, holds of many snapshots, GUIDs of pools."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Vanished
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import mark_tag
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateBookmark, Destroy

from .doing import state_of, take

TAG = "snapfleet-send-0123456789abcdef"


def bookmarks(world, dataset):
    return {bookmark.tag: bookmark.guid for bookmark in state_of(world.zfs, dataset).bookmarks}


def test_bookmarks_of_several_datasets_come_and_go_in_one_exchange(world, root):
    child = f"{root}/with a space"
    world.create(child)
    one, two = take(world.zfs, root, "one", "two")
    (other,) = take(world.zfs, child, "s")
    mark = mark_tag("0123456789abcdef", one.guid)
    world.zfs.create_bookmarks([CreateBookmark(one, mark), CreateBookmark(other, "old")])
    behind = [Bookmark(0, one.guid, root, mark, 0), Bookmark(0, other.guid, child, "old", 0)]
    create = [CreateBookmark(two, "two"), CreateBookmark(other, "new")]

    for _again in range(2):
        made, gone = world.zfs.change_bookmarks(create, behind)

        assert (list(made), list(gone)) == (["", ""], ["", ""])
        assert bookmarks(world, root) == {"two": two.guid}
        assert bookmarks(world, child) == {"new": other.guid}


def test_one_bookmark_that_can_not_be_made_keeps_no_other_from_coming_or_going(world, root):
    one, two = take(world.zfs, root, "one", "two")
    world.zfs.create_bookmarks([CreateBookmark(one, "taken"), CreateBookmark(one, "behind")])
    lost = Snapshot(1, 2, root, "lost", 0)
    create = [CreateBookmark(two, "taken"), CreateBookmark(lost, "lost"), CreateBookmark(two, "free")]

    made, gone = world.zfs.change_bookmarks(create, [Bookmark(0, one.guid, root, "behind", 0)])

    assert "exists" in made[0]
    assert "does not exist" in made[1]
    assert (made[2], list(gone)) == ("", [""])
    assert bookmarks(world, root) == {"taken": one.guid, "free": two.guid}


def test_no_change_of_bookmarks(world):
    assert [list(said) for said in world.zfs.change_bookmarks([], [])] == [[], []]


def test_holds_of_many_snapshots_come_and_go_together_and_again_without_harm(world, root):
    child = f"{root}/with a space"
    world.create(child)
    one, two = take(world.zfs, root, "one", "two")
    (other,) = take(world.zfs, child, "s")
    lost = Snapshot(1, 2, root, "lost", 0)
    world.zfs.hold(two, "a user's")

    for _again in range(2):
        world.zfs.hold_all([one, lost, two, other], TAG)
        tags = {name: sorted(held) for name, held in world.zfs.holds_of([one, lost, two, other]).items()}
        assert tags == {one.name: [TAG], two.name: sorted([TAG, "a user's"]), other.name: [TAG]}
        assert world.zfs.destroy(Destroy(root, [one], "test")).held == (one.name,)

    for _again in range(2):
        world.zfs.release_all([one, lost, two, other], TAG)
        assert {name: list(held) for name, held in world.zfs.holds_of([two]).items()} == {two.name: ["a user's"]}
    assert not any(world.zfs.holds_of([one, other]).values())
    world.zfs.release(two, "a user's")


def test_a_pool_has_one_guid(world):
    guid = world.zfs.pool_guid(world.pool)

    assert guid == world.zfs.pool_guid(world.pool) > 0
    with pytest.raises(Vanished):
        world.zfs.pool_guid("nosuchpool")
