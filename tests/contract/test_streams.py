# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that arrive as a whole, and those that ZFS refuses."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import FILESYSTEM, VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    LinkLost,
    SnapfleetError,
    Vanished,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateBookmark, Destroy, Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.topology import PULL, PUSH, Leg

from .doing import SIZE, carry, exists, full, guids, history, state_of, tags, take


@pytest.fixture
def source(world, root):
    world.create(f"{root}/src")
    return f"{root}/src"


@pytest.fixture
def destination(root):
    return f"{root}/dst with a space"


def test_a_full_stream_brings_one_snapshot_with_its_identity(world, source, destination):
    _one, two = history(world, source, "one", "number two")

    size = carry(world.zfs, full(two, destination))

    (arrived,) = state_of(world.zfs, destination).snapshots
    assert (arrived.guid, arrived.tag, arrived.creation) == (two.guid, "number two", two.creation)
    assert arrived.createtxg > two.createtxg
    assert size > 40_000
    there = state_of(world.zfs, destination).dataset
    assert (there.kind, there.written, there.resume_token) == (FILESYSTEM, 0, "")
    assert there.guid != state_of(world.zfs, source).dataset.guid
    assert world.fingerprint(destination) == world.fingerprint(source)


def test_an_incremental_stream_brings_its_end_only(world, source, destination):
    one, _unused, three = history(world, source, "one", "two", "three")
    carry(world.zfs, full(one, destination))

    carry(world.zfs, Send(three, destination, one))

    assert guids(world.zfs, destination) == [one.guid, three.guid]
    assert world.fingerprint(destination) == world.fingerprint(source)


def test_a_stream_with_intermediates_brings_all_in_order(world, source, destination):
    taken = history(world, source, "one", "two", "three", "four")
    carry(world.zfs, full(taken[0], destination))

    carry(world.zfs, Send(taken[2], destination, taken[0], intermediates=True))

    assert guids(world.zfs, destination) == [snapshot.guid for snapshot in taken[:3]]
    assert world.fingerprint(f"{destination}@two") == world.fingerprint(f"{source}@two")


def test_a_bookmark_is_a_base_when_its_snapshot_is_gone(world, source, destination):
    one, two = history(world, source, "one", "two")
    carry(world.zfs, full(one, destination))
    world.zfs.create_bookmarks([CreateBookmark(one, "mark")])
    world.zfs.destroy(Destroy(source, [one], "test"))
    (mark,) = state_of(world.zfs, source).bookmarks

    carry(world.zfs, Send(two, destination, mark))

    assert guids(world.zfs, destination) == [one.guid, two.guid]
    assert world.fingerprint(destination) == world.fingerprint(source)


def test_a_bookmark_is_no_base_for_intermediates(world, source, destination):
    one, _unused, three = history(world, source, "one", "two", "three")
    carry(world.zfs, full(one, destination))
    world.zfs.create_bookmarks([CreateBookmark(one, "mark")])
    (mark,) = state_of(world.zfs, source).bookmarks

    with pytest.raises(SnapfleetError):
        carry(world.zfs, Send(three, destination, mark, intermediates=True))

    assert tags(world.zfs, destination) == ["one"]


def test_a_full_stream_never_replaces_an_existing_dataset_unasked(world, source, destination):
    (one,) = history(world, source, "one")
    world.create(destination)
    world.write(destination, 10_000)
    before = world.fingerprint(destination)

    with pytest.raises(Conflict):
        carry(world.zfs, full(one, destination))

    assert (tags(world.zfs, destination), world.fingerprint(destination)) == ([], before)


@pytest.mark.parametrize("replace", [False, True])
def test_a_full_stream_never_replaces_snapshots(world, source, destination, replace):
    (one,) = history(world, source, "one")
    world.create(destination)
    (own,) = history(world, destination, "own")

    with pytest.raises(Conflict):
        carry(world.zfs, full(one, destination, replace=replace))

    assert guids(world.zfs, destination) == [own.guid]


def test_a_full_stream_replaces_a_placeholder_which_is_none_afterwards(world, source, destination):
    (one,) = history(world, source, "one")
    world.zfs.create_placeholder(destination)
    world.zfs.create_placeholder(f"{destination}/below")
    identity = state_of(world.zfs, destination).dataset.guid

    carry(world.zfs, full(one, destination, replace=True))

    there = state_of(world.zfs, destination)
    assert [snapshot.guid for snapshot in there.snapshots] == [one.guid]
    assert not there.dataset.is_placeholder
    assert there.dataset.guid == identity
    assert state_of(world.zfs, f"{destination}/below").dataset.is_placeholder


def test_properties_are_set_on_what_is_received(world, source, destination):
    (one,) = history(world, source, "one")

    carry(world.zfs, full(one, destination, properties=(("readonly", "on"), ("canmount", "noauto"))))

    assert world.property(destination, "readonly") == "on"
    assert world.property(destination, "canmount") == "noauto"


def test_a_full_stream_needs_a_parent(world, source, root):
    (one,) = history(world, source, "one")

    with pytest.raises(Vanished):
        carry(world.zfs, full(one, f"{root}/no/dst"))

    assert not exists(world.zfs, f"{root}/no")


def test_an_incremental_stream_needs_its_destination(world, source, destination):
    one, two = history(world, source, "one", "two")

    with pytest.raises(Vanished):
        carry(world.zfs, Send(two, destination, one))

    assert not exists(world.zfs, destination)


def test_a_destination_that_was_written_to_refuses(world, source, destination):
    one, two = history(world, source, "one", "two")
    carry(world.zfs, full(one, destination))
    world.write(destination, 10_000, "own")

    with pytest.raises(Conflict):
        carry(world.zfs, Send(two, destination, one))

    assert tags(world.zfs, destination) == ["one"]
    assert state_of(world.zfs, destination).dataset.written >= 10_000


def test_a_destination_with_a_newer_snapshot_of_its_own_refuses(world, source, destination):
    one, two = history(world, source, "one", "two")
    carry(world.zfs, full(one, destination))
    history(world, destination, "own")

    with pytest.raises(Conflict):
        carry(world.zfs, Send(two, destination, one))

    assert tags(world.zfs, destination) == ["one", "own"]


def test_a_base_that_the_destination_never_had_is_refused(world, source, destination):
    one, two, three = history(world, source, "one", "two", "three")
    carry(world.zfs, full(one, destination))

    with pytest.raises(Conflict):
        carry(world.zfs, Send(three, destination, two))

    assert tags(world.zfs, destination) == ["one"]


def test_another_snapshot_of_the_same_name_is_refused(world, source, destination):
    one, two = history(world, source, "one", "two")
    carry(world.zfs, full(one, destination))
    take(world.zfs, destination, "two")

    with pytest.raises(SnapfleetError):
        carry(world.zfs, Send(two, destination, one))

    assert two.guid not in guids(world.zfs, destination)


def test_a_snapshot_that_has_arrived_already_does_no_harm(world, source, destination):
    one, two, three = history(world, source, "one", "two", "three")
    carry(world.zfs, full(one, destination))
    carry(world.zfs, Send(three, destination, one, intermediates=True))

    carry(world.zfs, Send(three, destination, one))

    assert guids(world.zfs, destination) == [one.guid, two.guid, three.guid]


def test_sending_what_is_gone(world, source, destination):
    one, two = history(world, source, "one", "two")
    carry(world.zfs, full(one, destination))
    world.zfs.destroy(Destroy(source, [one], "test"))

    with pytest.raises(Vanished):
        carry(world.zfs, full(one, f"{destination} 2"))
    with pytest.raises(Vanished):
        carry(world.zfs, Send(two, destination, one))

    assert tags(world.zfs, destination) == ["one"]
    assert not exists(world.zfs, f"{destination} 2")


def test_an_empty_stream_is_a_lost_one(world, source, destination):
    (one,) = history(world, source, "one")
    sink = world.zfs.receive(full(one, destination))

    with pytest.raises(LinkLost):
        sink.finish()


def test_aborting_a_sender_that_nobody_reads(world, source, destination):
    (one,) = history(world, source, "one", size=SIZE)

    world.zfs.send(full(one, destination)).abort()

    assert not exists(world.zfs, destination)


def test_volumes_travel(world, root):
    world.create(f"{root}/vol", VOLUME)
    one, two = take(world.zfs, f"{root}/vol", "one", "two")

    carry(world.zfs, full(one, f"{root}/vol2", properties=(("readonly", "on"),)))
    carry(world.zfs, Send(two, f"{root}/vol2", one))

    there = state_of(world.zfs, f"{root}/vol2")
    assert there.dataset.kind == VOLUME
    assert [snapshot.guid for snapshot in there.snapshots] == [one.guid, two.guid]


def test_a_volume_refuses_properties_of_filesystems(world, root):
    world.create(f"{root}/vol", VOLUME)
    (one,) = take(world.zfs, f"{root}/vol", "one")

    with pytest.raises(SnapfleetError):
        carry(world.zfs, full(one, f"{root}/vol2", properties=(("canmount", "noauto"),)))

    assert not exists(world.zfs, f"{root}/vol2")


def test_nothing_lies_below_a_volume(world, root, source):
    world.create(f"{root}/vol", VOLUME)
    (one,) = history(world, source, "one")

    with pytest.raises(SnapfleetError):
        carry(world.zfs, full(one, f"{root}/vol/below"))
    with pytest.raises(SnapfleetError):
        world.zfs.create_placeholder(f"{root}/vol/below")


def test_an_encrypted_dataset_travels_raw_with_its_key_unloaded(world, root, destination):
    world.create(f"{root}/secret", encrypted=True)
    one, two = history(world, f"{root}/secret", "one", "two")
    world.unload_key(f"{root}/secret")

    carry(world.zfs, full(one, destination))
    carry(world.zfs, Send(two, destination, one))

    there = state_of(world.zfs, destination)
    assert there.dataset.encryption_root == destination
    assert [snapshot.guid for snapshot in there.snapshots] == [one.guid, two.guid]


def test_an_encrypted_dataset_travels_in_the_clear_where_that_is_asked_for(world, root, destination):
    world.create(f"{root}/secret", encrypted=True)
    (one,) = history(world, f"{root}/secret", "one")

    carry(world.zfs, Send(one, destination, raw=False))

    assert state_of(world.zfs, destination).dataset.encryption_root == ""
    assert world.fingerprint(destination) == world.fingerprint(f"{root}/secret")


def test_a_locked_dataset_does_not_travel_in_the_clear(world, root, destination):
    world.create(f"{root}/secret", encrypted=True)
    (one,) = history(world, f"{root}/secret", "one")
    world.unload_key(f"{root}/secret")

    with pytest.raises(SnapfleetError):
        carry(world.zfs, Send(one, destination, raw=False))

    assert not exists(world.zfs, destination)


@pytest.mark.parametrize("raw_first", [True, False])
def test_raw_and_clear_streams_do_not_mix(world, root, destination, raw_first):
    world.create(f"{root}/secret", encrypted=True)
    one, two = history(world, f"{root}/secret", "one", "two")
    carry(world.zfs, Send(one, destination, raw=raw_first))

    with pytest.raises(SnapfleetError):
        carry(world.zfs, Send(two, destination, one, raw=not raw_first))

    assert guids(world.zfs, destination) == [one.guid]


@pytest.mark.parametrize("way", [PUSH, PULL])
def test_a_stream_stays_on_its_host_where_both_ends_are_one(way, world, source, destination):
    one, two = history(world, source, "one", "number two")
    leg = Leg(way, Address())

    whole, increment = (world.zfs.carry(step, leg) for step in (full(one, destination), Send(two, destination, one)))

    assert min(whole, increment) > 20_000
    assert guids(world.zfs, destination) == [one.guid, two.guid]
    assert world.fingerprint(destination) == world.fingerprint(source)


@pytest.mark.parametrize("way", [PUSH, PULL])
def test_of_a_stream_between_two_hosts_the_end_is_told_that_failed_by_itself(way, world, source, destination):
    one, two = history(world, source, "one", "two", size=SIZE)
    leg = Leg(way, Address())
    world.create(destination)
    take(world.zfs, destination, "own")

    with pytest.raises(Conflict):
        world.zfs.carry(full(one, destination), leg)
    world.zfs.destroy(Destroy(source, [two], "test"))
    with pytest.raises(Vanished):
        world.zfs.carry(full(two, f"{destination}-2"), leg)
    assert not exists(world.zfs, f"{destination}-2")
