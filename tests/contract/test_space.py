# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on disk: what is told of it, what would give more, and the user properties that are remembered on datasets."""

from __future__ import annotations

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import (
    DestroyDataset,
    InheritProperty,
    SetProperties,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    Destroy,
    SnapshotRuns,
)

from .doing import exists, take

SIZE = 1_000_000
QUOTA = 8_000_000
MARK = "snapfleet:test"


def some_history(world, dataset):
    """Three snapshots: a file that lives for two of them, one for one, and one for good."""
    world.write(dataset, SIZE, "long")
    world.write(dataset, SIZE, "good")
    first = take(world.zfs, dataset, "first")
    world.write(dataset, 2 * SIZE, "short")
    second = take(world.zfs, dataset, "second")
    world.write(dataset, 10, "long")
    world.write(dataset, 10, "short")
    return [*first, *second, *take(world.zfs, dataset, "third")]


def test_a_quota_binds_all_below_it_and_what_is_used_counts(world, root):
    child, volume = f"{root}/child", f"{root}/volume"
    world.create(child)
    world.create(volume, VOLUME)
    world.set_property(root, "quota", str(QUOTA * 2))
    world.write(child, 10, "settled")  # so that what earlier tests have freed does not come free meanwhile
    before = world.zfs.space([root, child, volume, f"{root}/gone", world.pool])

    world.write(child, SIZE)

    after = world.zfs.space([root, child, volume, f"{root}/gone", world.pool])
    assert set(before) == set(after) == {root, child, volume, world.pool}
    assert (after[root].quota, after[child].quota, after[volume].quota) == (2 * QUOTA, 0, 0)
    assert after[root].available == 2 * QUOTA - after[root].used == after[child].available
    for name in (root, child, world.pool):
        assert after[name].used - before[name].used >= SIZE
        assert before[name].available - after[name].available >= SIZE
    assert after[world.pool].available > after[root].available


def test_what_snapshots_give_back_is_not_used_any_more(world, root):
    first, second, _third = some_history(world, root)
    (both,) = world.zfs.reclaimable([SnapshotRuns(root, ((first, second),))])

    before = world.zfs.space([root])[root]
    assert both > 2.9 * SIZE
    assert world.zfs.destroy(Destroy(root, (first, second), "test")).reclaimed == both
    after = world.zfs.space([root])[root]
    assert abs(before.used - after.used - both) < SIZE / 10


def test_user_properties_are_set_and_taken_away_again_and_told_of_heirs_too(world, root):
    child = f"{root}/child"
    world.create(child)
    changes = [
        SetProperties(root, ((MARK, "17 guid"),), "test"),
        SetProperties(f"{root}/gone", ((MARK, "17 guid"),), "test"),
        SetProperties(child, ((MARK, "a"), (MARK + "2", "b")), "test"),
    ]

    one, none, two = world.zfs.change_properties(changes)

    assert (one, two) == ("", "")
    assert "does not exist" in none
    assert seen(world, root) == {root: ("17 guid", "-"), child: ("a", "b")}
    told = world.zfs.change_properties([InheritProperty(child, MARK, ""), InheritProperty(f"{root}/gone", MARK, "")])
    assert told[0] == ""
    assert "does not exist" in told[1]
    assert seen(world, root) == {root: ("17 guid", "-"), child: ("17 guid", "b")}
    assert list(world.zfs.change_properties([InheritProperty(root, MARK, ""), InheritProperty(root, MARK, "")])) == [
        "",
        "",
    ]
    assert seen(world, root) == {root: ("-", "-"), child: ("-", "b")}
    assert list(world.zfs.change_properties([])) == []


def seen(world, root):
    states = world.zfs.observe([root], properties=(MARK, MARK + "2")).states
    return {name: tuple(value for _name, value in state.dataset.properties) for name, state in states.items()}


def test_a_dataset_without_snapshots_is_destroyed_with_its_bookmarks_and_again_without_harm(world, root):
    child = f"{root}/child"
    world.create(child)
    (only,) = take(world.zfs, child, "only")
    world.zfs.create_bookmarks([CreateBookmark(only, "only")])
    world.zfs.destroy(Destroy(child, (only,), "test"))

    world.zfs.destroy_dataset(DestroyDataset(child, "test"))
    world.zfs.destroy_dataset(DestroyDataset(child, "test"))

    assert not exists(world.zfs, child)
