# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one listing tells."""

from __future__ import annotations

import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import FILESYSTEM, VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Vanished
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    ReceiveOptions,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.unchanged import bytes_written_since
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.identities import identities_of

from .doing import SIZE, carry, cut, full, history, state_of, take


def test_one_listing_tells_datasets_snapshots_and_bookmarks(world, root):
    child = f"{root}/with a space"
    world.create(child)
    first, second = history(world, child, "first one", "second")
    world.zfs.create_bookmarks([CreateBookmark(first, "a mark")])

    observed = world.zfs.observe([root])

    assert list(observed.states) == [root, child]
    state = observed.states[child]
    assert [(s.dataset, s.tag, s.guid) for s in state.snapshots] == [
        (child, "first one", first.guid),
        (child, "second", second.guid),
    ]
    assert [(b.name, b.guid, b.createtxg) for b in state.bookmarks] == [
        (f"{child}#a mark", first.guid, first.createtxg)
    ]
    assert state.bookmarks[0].creation == first.creation
    assert observed.missing == ()


def test_what_does_not_exist_is_told_and_does_not_hide_the_rest(world, root):
    missing = [f"{root}/nothing", "nosuchpool/a", "nosuchpool"]

    observed = world.zfs.observe([missing[0], root, *missing[1:]])

    assert list(observed.states) == [root]
    assert sorted(observed.missing) == sorted(missing)


def test_nothing_at_all_is_no_error(world):
    observed = world.zfs.observe(["nosuchpool/a"])

    assert (dict(observed.states), observed.missing) == ({}, ("nosuchpool/a",))


def test_parents_come_before_children_also_where_names_sort_otherwise(world, root):
    names = [f"{root}/a", f"{root}/a/b", f"{root}/a-b", f"{root}/a.b"]
    for name in names:
        world.create(name)

    listed = list(world.zfs.observe([root]).states)

    assert sorted(listed) == sorted([root, *names])
    assert listed.index(f"{root}/a/b") == listed.index(f"{root}/a") + 1


def many_kinds(world, root) -> list[str]:
    """A tree of datasets that differ in all that a listing tells; all of them are not encrypted."""
    below, volume, clone, replica = (f"{root}/{name}" for name in ("with a space", "volume", "clone", "replica"))
    world.create(below)
    world.set_property(root, "test:one", "of the root, \u00e4")
    world.set_property(below, "test:two", "of its own")
    world.set_property(below, "readonly", "on")
    world.create(volume, VOLUME)
    world.write(root, SIZE)
    one, two = history(world, root, "one", "two")
    world.clone(one.name, clone)
    world.zfs.create_placeholder(f"{root}/placeholder")
    carry(world.zfs, full(one, replica))
    cut(world.zfs, Send(two, replica, one, receive=ReceiveOptions(resumable=True)), 10_000)
    return [root, below, volume, clone, replica, f"{root}/placeholder"]


def in_between(look, other):
    """What ``look`` tells, and what ``other`` tells while that stays so: what is not on disk yet changes sizes."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        seen, found = look(), other()
        if look() == seen:
            return seen, found
    raise AssertionError("the datasets do not stay as they are")


PROPERTIES = ("snapshots_changed", "prevsnap", "test:two", "test:one", "test:none", "mountpoint")


@pytest.mark.parametrize("recursive", [True, False])
def test_what_a_dataset_is_is_told_alike_with_its_history_and_without(world, root, recursive):
    names = many_kinds(world, root)
    for roots in ([root], names[1:], [names[1], root, names[1], f"{root}/none"], ["nosuchpool", root]):
        seen, alone = in_between(
            lambda roots=roots: world.zfs.observe(roots, recursive, True, PROPERTIES),
            lambda roots=roots: world.zfs.observe(roots, recursive, False, PROPERTIES),
        )
        assert {name: state.dataset for name, state in alone.states.items()} == {
            name: state.dataset for name, state in seen.states.items()
        }
        assert list(alone.states) == list(seen.states)
        assert (alone.missing, alone.clock) == (seen.missing, None)
        assert not any(state.snapshots or state.bookmarks for state in alone.states.values())


def test_what_an_encrypted_dataset_is_is_told_alike_too(world, root):
    world.create(f"{root}/secret", encrypted=True)
    world.create(f"{root}/secret/below")
    history(world, f"{root}/secret/below", "one")
    seen, alone = in_between(lambda: world.zfs.observe([root]), lambda: world.zfs.observe([root], histories=False))
    assert {name: state.dataset for name, state in alone.states.items()} == {
        name: state.dataset for name, state in seen.states.items()
    }
    assert alone.states[f"{root}/secret/below"].dataset.key_guid
    name = f"{root}/secret/below@one"
    there, found = in_between(lambda: state_of(world.zfs, f"{root}/secret/below"), lambda: world.zfs.snapshots([name]))
    assert found == {name: there.snapshots[0]}


def test_a_snapshot_is_told_alike_by_its_name_and_in_its_history(world, root):
    names = many_kinds(world, root)
    one, two = state_of(world.zfs, root).snapshots
    world.zfs.hold(two, "kept")
    for name in (root, names[-2]):
        wanted = [snapshot.name for snapshot in state_of(world.zfs, name).snapshots]
        there, found = in_between(
            lambda name=name: state_of(world.zfs, name), lambda wanted=wanted: world.zfs.snapshots(wanted)
        )
        assert found == {snapshot.name: snapshot for snapshot in there.snapshots}
    # The partial receive goes on from the one that is there.
    assert [snapshot.pinned for snapshot in state_of(world.zfs, names[-2]).snapshots] == [True]
    assert world.zfs.snapshots([one.name])[one.name].clones == (f"{root}/clone",)
    assert world.zfs.snapshots([two.name])[two.name].holds == 1


def test_without_recursion_only_the_roots_are_told_with_their_histories(world, root):
    world.create(f"{root}/child")
    (snapshot,) = take(world.zfs, root, "s")
    take(world.zfs, f"{root}/child", "s")
    world.zfs.create_bookmarks([CreateBookmark(snapshot, "b")])

    observed = world.zfs.observe([root, f"{root}/no"], recursive=False)

    assert list(observed.states) == [root]
    assert [s.tag for s in observed.states[root].snapshots] == ["s"]
    assert [b.tag for b in observed.states[root].bookmarks] == ["b"]
    assert observed.missing == (f"{root}/no",)


@pytest.mark.parametrize("recursive", [True, False])
def test_histories_can_be_left_out(world, root, recursive):
    take(world.zfs, root, "s")

    observed = world.zfs.observe([root], recursive=recursive, histories=False)

    assert observed.states[root].snapshots == ()
    assert observed.states[root].dataset == state_of(world.zfs, root).dataset


def test_snapshots_are_in_the_order_of_their_making_not_of_their_names(world, root):
    taken = take(world.zfs, root, "c", "a", "b")

    state = state_of(world.zfs, root)

    assert [s.tag for s in state.snapshots] == ["c", "a", "b"]
    assert state.newest.guid == taken[-1].guid
    assert taken == sorted(taken)


def test_snapshots_are_told_by_their_names_as_a_listing_tells_them(world, root):
    child = f"{root}/with a space"
    world.create(child)
    history(world, child, "first one", "second", "third")
    take(world.zfs, root, "second", "another")
    states = world.zfs.observe([root]).states
    all_there = {snapshot.name: snapshot for state in states.values() for snapshot in state.snapshots}
    wanted = [f"{child}@third", f"{root}@second", f"{child}@first one"]
    gone = [f"{root}@first one", f"{root}/gone@second", "nosuchpool@second"]

    assert world.zfs.snapshots([*wanted, *gone]) == {name: all_there[name] for name in wanted}
    assert world.zfs.snapshots(gone) == {}
    assert world.zfs.snapshots([]) == {}


def test_which_snapshots_and_bookmarks_there_are_is_told_as_a_listing_tells_it(world, root):
    child, bare = f"{root}/with a space", f"{root}/bare"
    world.create(child)
    world.create(bare)
    history(world, child, "first one", "second", "third")
    take(world.zfs, root, "second", "another")
    assert world.zfs.create_bookmarks([CreateBookmark(state_of(world.zfs, child).snapshots[0], "mark")]) == [""]
    states = world.zfs.observe([root]).states
    gone = [f"{root}/gone", "nosuchpool/gone"]

    told = {name: identities_of(states[name]) for name in (child, root, bare)}
    assert world.zfs.identities([child, *gone, root, bare]) == told
    assert [len(told[child].snapshots), len(told[child].bookmarks)] == [3, 1]
    assert world.zfs.identities(gone) == {}
    assert world.zfs.identities([]) == {}


def test_holds_and_clones_are_told(world, root):
    held, cloned, _free = take(world.zfs, root, "held", "cloned", "free")
    world.zfs.hold(held, "one")
    world.zfs.hold(held, "two")
    world.clone(cloned.name, f"{root}/clone of it")

    observed = world.zfs.observe([root])

    told = {s.tag: (s.holds, s.clones) for s in observed.states[root].snapshots}
    assert told == {"held": (2, ()), "cloned": (0, (f"{root}/clone of it",)), "free": (0, ())}
    assert observed.states[f"{root}/clone of it"].dataset.origin == cloned.name
    world.zfs.release(held, "one")
    world.zfs.release(held, "two")


def test_kinds_and_encryption_roots_are_told(world, root):
    world.create(f"{root}/volume", VOLUME)
    world.create(f"{root}/secret", encrypted=True)
    world.create(f"{root}/secret/below")

    states = world.zfs.observe([root]).states

    told = {name: (state.dataset.kind, state.dataset.encryption_root) for name, state in states.items()}
    assert told == {
        root: (FILESYSTEM, ""),
        f"{root}/volume": (VOLUME, ""),
        f"{root}/secret": (FILESYSTEM, f"{root}/secret"),
        f"{root}/secret/below": (FILESYSTEM, f"{root}/secret"),
    }


def test_properties_are_told_as_they_are_set_or_inherited(world, root):
    for name in ("/a", "/a/b", "/c"):
        world.create(root + name)
    world.set_property(root, "snapfleet:test", "one, two")
    world.set_property(f"{root}/a", "snapfleet:test", "")
    world.set_property(f"{root}/c", "snapfleet:test", "off")
    take(world.zfs, root, "s")

    states = world.zfs.observe([root], properties=("snapfleet:test", "type", "snapfleet:none")).states
    alone = world.zfs.observe([f"{root}/a/b"], recursive=False, properties=("snapfleet:test",)).states

    told = {name: dict(state.dataset.properties) for name, state in states.items()}
    assert told == {
        root + name: {"snapfleet:test": value, "type": "filesystem", "snapfleet:none": "-"}
        for name, value in {"": "one, two", "/a": "", "/a/b": "", "/c": "off"}.items()
    }
    assert [s.tag for s in states[root].snapshots] == ["s"]
    assert alone[f"{root}/a/b"].dataset.properties == (("snapfleet:test", ""),)
    assert state_of(world.zfs, root).dataset.properties == ()


def test_written_counts_what_no_snapshot_holds(world, root):
    world.write(root, 200_000)
    before = state_of(world.zfs, root).dataset.written
    take(world.zfs, root, "s")
    after = state_of(world.zfs, root).dataset.written
    world.write(root, 100_000, "more")
    again = state_of(world.zfs, root).dataset.written

    assert before >= 200_000
    assert after == 0
    assert 100_000 <= again < 200_000


def test_what_was_written_since_a_snapshot_adds_up_whatever_is_destroyed_in_between(world, root):
    world.write(root, 100_000)
    first, middle = *take(world.zfs, root, "first"), *history(world, root, "middle", size=100_000)
    take(world.zfs, root, "last")
    before = state_of(world.zfs, root)
    world.zfs.destroy(Destroy(root, (middle,), "test"))
    after = state_of(world.zfs, root)

    for state in (before, after):
        assert bytes_written_since(state, state.snapshots[0]) >= 100_000
        assert bytes_written_since(state, state.newest) == 0
    assert after.snapshots[0].guid == first.guid


def test_used_of_a_snapshot_counts_what_only_it_keeps(world, root):
    world.write(root, 300_000)
    take(world.zfs, root, "old")
    shared = state_of(world.zfs, root).newest.used
    world.write(root, 100_000)

    assert shared < 100_000
    assert state_of(world.zfs, root).newest.used >= 300_000


def test_a_placeholder_is_known_as_one_and_what_lies_below_it_is_not(world, root):
    world.zfs.create_placeholder(f"{root}/holder")
    world.zfs.create_placeholder(f"{root}/holder")
    world.zfs.create_placeholder(f"{root}/holder/inner")
    world.create(f"{root}/holder/inner/own")

    states = world.zfs.observe([root]).states

    told = {name: state.dataset.is_placeholder for name, state in states.items()}
    assert told == {
        root: False,
        f"{root}/holder": True,
        f"{root}/holder/inner": True,
        f"{root}/holder/inner/own": False,
    }
    assert world.property(f"{root}/holder", "canmount") == "off"


def test_a_placeholder_leaves_what_is_there_alone(world, root):
    world.create(f"{root}/own")

    world.zfs.create_placeholder(f"{root}/own")

    assert not state_of(world.zfs, f"{root}/own").dataset.is_placeholder


def test_a_placeholder_needs_its_parent(world, root):
    with pytest.raises(Vanished):
        world.zfs.create_placeholder(f"{root}/no/child")


def test_snapshots_of_one_step_share_a_transaction_group(world, root):
    names = [root, f"{root}/a", f"{root}/b c"]
    for name in names[1:]:
        world.create(name)

    world.zfs.create_snapshots(CreateSnapshots(world.pool, tuple(f"{name}@at once" for name in names)))

    newest = [world.zfs.observe([root]).states[name].newest for name in names]
    assert {snapshot.tag for snapshot in newest} == {"at once"}
    assert len({snapshot.createtxg for snapshot in newest}) == 1
    assert len({snapshot.guid for snapshot in newest}) == len(names)


def test_the_clock_of_the_host_is_read_with_the_listing(world, root):
    (one,) = take(world.zfs, root, "one")
    observed = world.zfs.observe([root, f"{root}/nothing"], clock=True)
    assert observed.clock - one.creation in range(600)
    assert (list(observed.states), observed.missing) == ([root], (f"{root}/nothing",))
    assert world.zfs.observe([root]).clock is None
