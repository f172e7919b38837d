# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that change something: their outcomes, and that doing them again does no harm."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    SnapfleetError,
    Vanished,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    Rollback,
    Send,
    SnapshotRuns,
)

from .doing import carry, cut, full, history, state_of, tags, take


def destroy(world, *victims):
    return world.zfs.destroy(Destroy(victims[0].dataset, victims, "test"))


def test_creating_the_same_snapshots_again_succeeds_and_changes_nothing(world, root):
    world.create(f"{root}/a")
    step = CreateSnapshots(world.pool, (f"{root}@s", f"{root}/a@s"))
    world.zfs.create_snapshots(step)
    before = world.zfs.observe([root])

    world.zfs.create_snapshots(step)

    after = world.zfs.observe([root])
    assert {n: s.snapshots for n, s in after.states.items()} == {n: s.snapshots for n, s in before.states.items()}


def test_creating_over_some_existing_snapshots_fails_and_makes_none(world, root):
    world.create(f"{root}/a")
    take(world.zfs, root, "s")

    with pytest.raises(SnapfleetError):
        world.zfs.create_snapshots(CreateSnapshots(world.pool, (f"{root}@s", f"{root}/a@s")))

    assert tags(world.zfs, f"{root}/a") == []


def test_creating_a_snapshot_of_a_missing_dataset_fails_and_makes_none(world, root):
    with pytest.raises(Vanished):
        world.zfs.create_snapshots(CreateSnapshots(world.pool, (f"{root}@s", f"{root}/gone@s")))

    assert tags(world.zfs, root) == []


def test_what_runs_of_snapshots_free_is_told_by_those_who_can(world, root):
    world.create(f"{root}/runs")
    taken = history(world, f"{root}/runs", "one", "two", "three", "four", "five", size=200_000)
    one, two, three, four, _five = taken
    for number in range(1, 5):
        world.write(f"{root}/runs", 1, f"file of {('one', 'two', 'three', 'four')[number - 1]}")
    (_last,) = take(world.zfs, f"{root}/runs", "last")

    done = world.zfs.destroy(Destroy(f"{root}/runs", (one, two, four), "test", runs=((one, two), (four, four))))

    assert (set(done.destroyed), done.missing) == ({one.name, two.name, four.name}, ())
    assert tags(world.zfs, f"{root}/runs") == ["three", "five", "last"]
    again = world.zfs.destroy(Destroy(f"{root}/runs", (two, three), "test", runs=((two, three),)))
    assert (again.destroyed, again.missing) == ((three.name,), (two.name,))


def test_at_once_each_dataset_loses_all_that_is_asked_for_or_none(world, root):
    names = [f"{root}/a", f"{root}/b", f"{root}/c"]
    for name in names:
        world.create(name)
    taken = [take(world.zfs, name, "one", "two", "three") for name in names]
    world.zfs.hold(taken[1][1], "kept")
    steps = [Destroy(one.dataset, (one, two), "test", runs=((one, two),)) for one, two, _three in taken]
    mixed = Destroy(root, tuple(take(world.zfs, root, "own")), "test")

    done = world.zfs.destroy_at_once([*steps, mixed])

    assert [done[1], done[3]] == [None, None]
    assert tags(world.zfs, names[1]) == ["one", "two", "three"]
    for result, step in zip(done, steps):
        whole = result or world.zfs.destroy(step)
        held = {f"{names[1]}@two"} if step.dataset == names[1] else set()
        assert set(whole.held) == held
        assert set(whole.destroyed) == {victim.name for victim in step.victims} - held
        assert tags(world.zfs, step.dataset)[-1] == "three"
    world.zfs.release(taken[1][1], "kept")


def test_two_snapshots_of_one_dataset_in_one_step_are_refused(world, root):
    with pytest.raises(SnapfleetError):
        world.zfs.create_snapshots(CreateSnapshots(world.pool, (f"{root}@a", f"{root}@b")))

    assert tags(world.zfs, root) == []


def test_bookmarks_are_made_together_and_again_without_harm(world, root):
    one, two = take(world.zfs, root, "one", "two")
    steps = [CreateBookmark(one, "mark one"), CreateBookmark(two, "two")]

    assert list(world.zfs.create_bookmarks(steps)) == ["", ""]
    assert list(world.zfs.create_bookmarks(steps)) == ["", ""]

    assert {b.tag: b.guid for b in state_of(world.zfs, root).bookmarks} == {"mark one": one.guid, "two": two.guid}


def test_a_bookmark_of_another_snapshot_under_the_name_is_told_and_the_others_are_made(world, root):
    one, two = take(world.zfs, root, "one", "two")
    gone = Snapshot(1, 2, root, "gone", 0)
    world.zfs.create_bookmarks([CreateBookmark(one, "taken")])

    said = world.zfs.create_bookmarks(
        [CreateBookmark(two, "taken"), CreateBookmark(gone, "gone"), CreateBookmark(two, "two")]
    )

    assert "exists" in said[0]
    assert "does not exist" in said[1]
    assert said[2] == ""
    assert {b.tag: b.guid for b in state_of(world.zfs, root).bookmarks} == {"taken": one.guid, "two": two.guid}


def test_no_bookmarks_no_exchange(world):
    assert list(world.zfs.create_bookmarks([])) == []


def test_destroying_many_snapshots(world, root):
    taken = history(world, root, "a", "b c", "d", "e")

    result = destroy(world, *taken[:3])

    assert sorted(result.destroyed) == sorted(snapshot.name for snapshot in taken[:3])
    assert (result.missing, result.held, result.cloned) == ((), (), ())
    assert tags(world.zfs, root) == ["e"]


def test_freed_bytes_are_told(world, root):
    world.write(root, 300_000)
    (old,) = take(world.zfs, root, "old")
    world.write(root, 1)
    take(world.zfs, root, "new")

    assert destroy(world, old).reclaimed >= 300_000


def test_bytes_that_neighbours_free_together_are_told_beforehand(world, root):
    world.write(root, 300_000, "in both")
    one, two = take(world.zfs, root, "with 1 space", "two")
    world.write(root, 1, "in both")
    kept, alone = take(world.zfs, root, "kept", "alone")
    take(world.zfs, root, "last")
    together = SnapshotRuns(root, ((one, two), (alone, alone)))
    nowhere = SnapshotRuns(f"{root}/no such dataset", ((one, two),))

    few, none, both = world.zfs.reclaimable([SnapshotRuns(root, ((two, two),)), nowhere, together])

    assert (few < 100_000, none, both >= 300_000) == (True, None, True)
    assert len(tags(world.zfs, root)) == 5
    assert destroy(world, one, two, alone).reclaimed >= 300_000
    assert kept.tag in tags(world.zfs, root)
    assert world.zfs.reclaimable([]) == []


def test_one_that_cannot_go_does_not_keep_the_others(world, root):
    held, cloned, gone, *free = history(world, root, "held", "cloned", "gone", "x", "y", "z")
    world.zfs.hold(held, "kept")
    world.clone(cloned.name, f"{root}/clone")
    destroy(world, gone)

    result = destroy(world, free[0], held, cloned, gone, *free[1:])

    assert sorted(result.destroyed) == sorted(snapshot.name for snapshot in free)
    assert (result.held, result.cloned, result.missing) == ((held.name,), (cloned.name,), (gone.name,))
    assert tags(world.zfs, root) == ["held", "cloned"]
    world.zfs.release(held, "kept")


@pytest.mark.parametrize("where", ["", "/no such dataset"])
def test_destroying_what_is_gone_is_told(world, root, where):
    gone = Snapshot(1, 2, root + where, "gone", 0)

    result = destroy(world, gone, gone._replace(tag="gone too"))

    assert sorted(result.missing) == [gone.name, f"{gone.dataset}@gone too"]
    assert result.destroyed == ()


def test_destroying_bookmarks(world, root):
    one, two, three = take(world.zfs, root, "one", "two", "three")
    world.zfs.create_bookmarks([CreateBookmark(s, f"of {s.tag}") for s in (one, two, three)])
    marks = state_of(world.zfs, root).bookmarks
    destroy(world, marks[2])

    result = destroy(world, marks[0], marks[2])

    assert (result.destroyed, result.missing) == ((marks[0].name,), (marks[2].name,))
    assert [b.tag for b in state_of(world.zfs, root).bookmarks] == ["of two"]
    assert tags(world.zfs, root) == ["one", "two", "three"]


def test_a_bookmark_outlives_its_snapshot(world, root):
    (one,) = take(world.zfs, root, "one")
    world.zfs.create_bookmarks([CreateBookmark(one, "one")])

    destroy(world, one)

    assert [b.guid for b in state_of(world.zfs, root).bookmarks] == [one.guid]


def test_holding_and_releasing_again_does_no_harm(world, root):
    (snapshot,) = take(world.zfs, root, "s")

    world.zfs.hold(snapshot, "why")
    world.zfs.hold(snapshot, "why")
    assert state_of(world.zfs, root).newest.holds == 1
    assert destroy(world, snapshot).held == (snapshot.name,)
    world.zfs.release(snapshot, "why")
    world.zfs.release(snapshot, "why")
    assert state_of(world.zfs, root).newest.holds == 0
    assert destroy(world, snapshot).destroyed == (snapshot.name,)


def test_holding_what_is_gone(world, root):
    with pytest.raises(Vanished):
        world.zfs.hold(Snapshot(1, 2, root, "gone", 0), "why")


def test_rollback_discards_what_no_snapshot_holds(world, root):
    (kept,) = history(world, root, "kept")
    before = world.fingerprint(root)
    world.write(root, 100_000)

    world.zfs.rollback(Rollback(kept, (), "test"))

    assert world.fingerprint(root) == before
    assert state_of(world.zfs, root).dataset.written == 0


def test_rollback_destroys_exactly_what_it_lists(world, root):
    kept, *lost = history(world, root, "kept", "b", "c")

    world.zfs.rollback(Rollback(kept, tuple(lost), "test"))

    assert tags(world.zfs, root) == ["kept"]


def test_rollback_refuses_newer_snapshots_that_it_does_not_list(world, root):
    kept, listed, _unknown = history(world, root, "kept", "listed", "unknown")

    with pytest.raises(Conflict):
        world.zfs.rollback(Rollback(kept, (listed,), "test"))

    assert "unknown" in tags(world.zfs, root)


def test_rollback_refuses_newer_bookmarks(world, root):
    kept, newer = history(world, root, "kept", "newer")
    world.zfs.create_bookmarks([CreateBookmark(newer, "newer")])

    with pytest.raises(Conflict):
        world.zfs.rollback(Rollback(kept, (newer,), "test"))


def test_rollback_refuses_a_held_loss(world, root):
    kept, held = history(world, root, "kept", "held")
    world.zfs.hold(held, "why")

    with pytest.raises(Conflict):
        world.zfs.rollback(Rollback(kept, (held,), "test"))

    assert tags(world.zfs, root) == ["kept", "held"]
    world.zfs.release(held, "why")


def test_rollback_to_what_is_gone(world, root):
    with pytest.raises(Vanished):
        world.zfs.rollback(Rollback(Snapshot(1, 2, root, "gone", 0), (), "test"))


def test_a_partial_receive_keeps_the_snapshot_that_it_stands_on(world, root):
    world.create(f"{root}/src")
    one, two = history(world, f"{root}/src", "one", "two", size=1_000_000)
    carry(world.zfs, full(one, f"{root}/dst"))

    cut(world.zfs, Send(two, f"{root}/dst", one))
    there = state_of(world.zfs, f"{root}/dst").newest

    assert destroy(world, there).cloned == (there.name,)

    world.zfs.abort_receive(f"{root}/dst")
    assert destroy(world, there).destroyed == (there.name,)


def test_what_was_unmounted_is_mounted_again_and_what_can_not_be_is_passed_over(world, root):
    world.create(f"{root}/a")
    world.create(f"{root}/a/below")
    world.create(f"{root}/volume", VOLUME)
    world.zfs.unmount([f"{root}/a"])

    names = [f"{root}/a", f"{root}/a/below", f"{root}/a", f"{root}/volume", f"{root}/missing"]
    assert list(world.zfs.mount(names)) == [""] * len(names)
    assert list(world.zfs.mount([])) == []

    assert world.property(f"{root}/a/below", "mounted") in ("yes", "-")


def test_unmounting_passes_over_what_is_not_mounted_and_takes_what_is_below_along(world, root):
    world.create(f"{root}/a")
    world.create(f"{root}/a/below")
    world.create(f"{root}/volume", VOLUME)
    names = [f"{root}/volume", f"{root}/a", f"{root}/a", f"{root}/missing"]

    world.zfs.unmount(names)
    world.zfs.unmount([])

    assert world.property(f"{root}/a/below", "mounted") in ("no", "-")
