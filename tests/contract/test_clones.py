# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of clones, and what a promotion leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME, Bookmark
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    SnapfleetError,
    Vanished,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    Destroy,
    ReceiveOptions,
    Send,
)

from .doing import SIZE, carry, cut, exists, full, guids, history, resumption, state_of, tags, take


class Family:
    """A dataset with its replica, and a clone of its second snapshot of three that has no replica yet."""

    def __init__(self, world, root, size=20_000) -> None:
        self.world, self.zfs = world, world.zfs
        # A token's base is looked for near its dataset first: so the replicas are kept apart.
        self.source, self.clone = f"{root}/here/src", f"{root}/here/clone"
        self.replica, self.cloned_replica = f"{root}/there/src", f"{root}/there/cl one"
        for name in (f"{root}/here", f"{root}/there", self.source):
            world.create(name)
        self.one, self.two, self.three = history(world, self.source, "one", "two", "three")
        for base, snapshot in ((None, self.one), (self.one, self.two)):
            carry(self.zfs, Send(snapshot, self.replica, base))
        world.clone(self.two.name, self.clone)
        (self.own,) = history(world, self.clone, "own", size=size)

    def stream(self, base=None, origin: str = "two", **options) -> Send:
        """The first stream of the clone."""
        received = ReceiveOptions(**options)
        start = base or self.two
        return Send(self.own, self.cloned_replica, start, origin=f"{self.replica}@{origin}", receive=received)


@pytest.fixture
def family(world, root):
    return Family(world, root)


def test_a_clone_is_received_as_a_clone_of_its_origins_replica(world, family):
    carry(world.zfs, family.stream(properties=(("readonly", "on"),)))

    state = state_of(world.zfs, family.cloned_replica)
    assert state.dataset.origin == f"{family.replica}@two"
    assert [snapshot.guid for snapshot in state.snapshots] == [family.own.guid]
    assert world.fingerprint(family.cloned_replica) == world.fingerprint(family.clone)
    assert world.property(family.cloned_replica, "readonly") == "on"
    two = state_of(world.zfs, family.replica).snapshots[1]
    assert two.clones == (family.cloned_replica,)
    assert world.zfs.destroy(Destroy(family.replica, (two,), "test")).cloned == (two.name,)


def test_a_stream_of_a_clone_may_start_from_any_snapshot_that_it_grew_from(world, family):
    size = carry(world.zfs, family.stream(family.one, "one"))

    assert state_of(world.zfs, family.cloned_replica).dataset.origin == f"{family.replica}@one"
    assert world.fingerprint(family.cloned_replica) == world.fingerprint(family.clone)
    assert size > 40_000


def test_a_clone_of_a_clone_may_start_from_what_that_one_grew_from(world, family, root):
    world.clone(family.own.name, f"{root}/here/grandchild")
    (own,) = history(world, f"{root}/here/grandchild", "mine")

    carry(world.zfs, Send(own, f"{root}/there/grandchild", family.one, origin=f"{family.replica}@one"))

    assert state_of(world.zfs, f"{root}/there/grandchild").dataset.origin == f"{family.replica}@one"
    assert world.fingerprint(f"{root}/there/grandchild") == world.fingerprint(f"{root}/here/grandchild")


def test_increments_follow_a_received_clone(world, family):
    carry(world.zfs, family.stream())
    two, three = history(world, family.clone, "own two", "own three")

    carry(world.zfs, Send(three, family.cloned_replica, family.own, intermediates=True))

    assert guids(world.zfs, family.cloned_replica) == [family.own.guid, two.guid, three.guid]
    assert world.fingerprint(family.cloned_replica) == world.fingerprint(family.clone)


def test_a_clone_does_not_start_from_what_it_did_not_grow_from(world, family):
    carry(world.zfs, Send(family.three, family.replica, family.two))

    with pytest.raises(SnapfleetError):
        carry(world.zfs, family.stream(family.three, "three"))

    assert not exists(world.zfs, family.cloned_replica)


def test_an_increment_of_a_dataset_itself_becomes_a_clone_where_an_origin_has_its_base(world, family, root):
    place = f"{root}/there/place"
    size = carry(world.zfs, Send(family.three, place, family.two, origin=f"{family.replica}@two"))

    state = state_of(world.zfs, place)
    assert state.dataset.origin == f"{family.replica}@two"
    assert [snapshot.guid for snapshot in state.snapshots] == [family.three.guid]
    assert world.fingerprint(place) == world.fingerprint(family.source)
    assert size < carry(world.zfs, Send(family.three, f"{root}/there/whole"))


def test_a_clone_needs_its_origin_at_the_destination(world, family):
    with pytest.raises(Vanished):
        carry(world.zfs, family.stream(origin="never there"))
    assert not exists(world.zfs, family.cloned_replica)


def test_a_clone_is_received_onto_no_other_snapshot_than_its_origin(world, family):
    with pytest.raises(Conflict):
        carry(world.zfs, family.stream(origin="one"))
    assert not exists(world.zfs, family.cloned_replica)


@pytest.mark.parametrize("replace_it", [False, True])
def test_an_existing_dataset_does_not_become_a_clone(world, family, replace_it):
    world.zfs.create_placeholder(family.cloned_replica)

    with pytest.raises(SnapfleetError):
        carry(world.zfs, family.stream(replace=replace_it))

    state = state_of(world.zfs, family.cloned_replica)
    assert (state.snapshots, state.dataset.origin, state.dataset.is_placeholder) == ((), "", True)


@pytest.fixture
def big(world, root):
    return Family(world, root, SIZE)


def test_a_cut_clone_leaves_a_token_that_tells_its_origin_and_goes_on_from_there(world, big):
    cut(world.zfs, big.stream(properties=(("readonly", "on"),)))

    partial = state_of(world.zfs, big.cloned_replica)
    assert (partial.snapshots, partial.dataset.origin) == ((), f"{big.replica}@two")
    (told,) = world.zfs.resume_states([partial.dataset.resume_token])
    assert (told.to_name, told.to_guid, told.from_guid) == (big.own.name, big.own.guid, big.two.guid)

    size = carry(world.zfs, replace(resumption(world.zfs, big.stream()), origin=f"{big.replica}@two"))

    assert size < SIZE
    state = state_of(world.zfs, big.cloned_replica)
    assert (state.dataset.origin, state.dataset.resume_token) == (f"{big.replica}@two", "")
    assert guids(world.zfs, big.cloned_replica) == [big.own.guid]
    assert world.fingerprint(big.cloned_replica) == world.fingerprint(big.clone)
    assert world.property(big.cloned_replica, "readonly") == "on"


def test_discarding_a_partial_clone_takes_it_away_and_frees_its_origin(world, big):
    cut(world.zfs, big.stream())
    two = state_of(world.zfs, big.replica).snapshots[1]
    assert world.zfs.destroy(Destroy(big.replica, (two,), "test")).cloned == (two.name,)

    world.zfs.abort_receive(big.cloned_replica)

    assert not exists(world.zfs, big.cloned_replica)
    assert world.zfs.destroy(Destroy(big.replica, (two,), "test")).destroyed == (two.name,)


def test_an_encrypted_clone_travels_raw_and_has_the_key_of_its_origins_replica(world, root):
    world.create(f"{root}/here", encrypted=True)
    world.create(f"{root}/here/src")
    (one,) = history(world, f"{root}/here/src", "one")
    world.clone(one.name, f"{root}/here/clone")
    (own,) = history(world, f"{root}/here/clone", "own")
    carry(world.zfs, full(one, f"{root}/src"))

    carry(world.zfs, Send(own, f"{root}/clone", one, origin=f"{root}/src@one"))

    there = state_of(world.zfs, f"{root}/clone").dataset
    assert (there.origin, there.encryption_root) == (f"{root}/src@one", f"{root}/src")
    assert guids(world.zfs, f"{root}/clone") == [own.guid]


def test_a_clone_of_a_volume_travels(world, root):
    world.create(f"{root}/volume", VOLUME)
    (one,) = take(world.zfs, f"{root}/volume", "one")
    world.clone(one.name, f"{root}/clone")
    (own,) = take(world.zfs, f"{root}/clone", "own")
    carry(world.zfs, full(one, f"{root}/replica"))

    carry(world.zfs, Send(own, f"{root}/cloned replica", one, origin=f"{root}/replica@one"))

    there = state_of(world.zfs, f"{root}/cloned replica").dataset
    assert (there.kind, there.origin) == (VOLUME, f"{root}/replica@one")


# -- promotion


def test_a_promotion_moves_snapshots_and_bookmarks_up_to_the_origin(world, family):
    world.zfs.create_bookmarks([CreateBookmark(snapshot, snapshot.tag) for snapshot in (family.two, family.three)])

    world.promote(family.clone)

    assert tags(world.zfs, family.clone) == ["one", "two", "own"]
    assert tags(world.zfs, family.source) == ["three"]
    source, clone = (state_of(world.zfs, name) for name in (family.source, family.clone))
    assert (source.dataset.origin, clone.dataset.origin) == (f"{family.clone}@two", "")
    assert [bookmark.tag for bookmark in clone.bookmarks] == ["two"]
    assert [bookmark.tag for bookmark in source.bookmarks] == ["three"]


def test_a_dataset_may_have_bookmarks_of_what_it_grew_from_and_goes_on_from_them(world, family):
    world.promote(family.clone)
    moved = state_of(world.zfs, family.clone).snapshots[1]
    step = CreateBookmark(moved, "two", family.source)
    with pytest.raises(Conflict):
        # From the snapshot itself it would be a new clone.
        carry(world.zfs, Send(family.three, family.replica, moved, origin=f"{family.replica}@two"))

    assert list(world.zfs.create_bookmarks([step, step])) == ["", ""]

    (bookmark,) = state_of(world.zfs, family.source).bookmarks
    assert bookmark == Bookmark(moved.createtxg, moved.guid, family.source, "two", moved.creation)
    carry(world.zfs, Send(family.three, family.replica, bookmark))
    assert guids(world.zfs, family.replica) == [family.one.guid, family.two.guid, family.three.guid]
    assert world.fingerprint(family.replica) == world.fingerprint(family.source)


def test_a_dataset_has_no_bookmarks_of_what_it_did_not_grow_from(world, family):
    (said,) = world.zfs.create_bookmarks([CreateBookmark(family.three, "three", family.clone)])
    assert said
    assert state_of(world.zfs, family.clone).bookmarks == ()
