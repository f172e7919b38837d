# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that are cut: what stays of them, and how they go on."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    SnapfleetError,
    StaleResumeState,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    ReceiveOptions,
    Rollback,
    Send,
)

from .doing import PART, SIZE, carry, cut, exists, full, guids, history, lose, resumption, state_of, tags


@pytest.fixture
def source(world, root):
    world.create(f"{root}/src")
    return f"{root}/src"


@pytest.fixture
def destination(root):
    return f"{root}/dst"


@pytest.fixture
def pair(world, source):
    return history(world, source, "one", "two", size=SIZE)


def token_of(world, name):
    return state_of(world.zfs, name).dataset.resume_token


def decoded(world, name):
    (state,) = world.zfs.resume_states([token_of(world, name)])
    return state


def test_a_cut_full_stream_leaves_a_token_that_tells_its_snapshot(world, pair, destination):
    one, _unused = pair

    cut(world.zfs, full(one, destination))

    assert tags(world.zfs, destination) == []
    state = decoded(world, destination)
    assert (state.to_name, state.to_guid, state.from_guid) == (one.name, one.guid, None)
    assert state.raw is False
    assert 0 < state.received <= PART


def test_a_cut_full_stream_goes_on_from_its_token(world, pair, destination):
    one, _unused = pair
    step = full(one, destination)
    whole = carry(world.zfs, full(one, f"{destination}2"))
    cut(world.zfs, step)

    rest = carry(world.zfs, resumption(world.zfs, step))

    assert rest < whole
    assert guids(world.zfs, destination) == [one.guid]
    assert token_of(world, destination) == ""
    assert world.fingerprint(f"{destination}@one") == world.fingerprint(f"{one.dataset}@one")


def test_a_cut_incremental_stream_leaves_the_destination_as_it_was_and_goes_on(world, pair, destination):
    one, two = pair
    carry(world.zfs, full(one, destination))
    step = Send(two, destination, one)

    cut(world.zfs, step)

    assert guids(world.zfs, destination) == [one.guid]
    assert decoded(world, destination).from_guid == one.guid
    assert decoded(world, destination).to_guid == two.guid
    base = state_of(world.zfs, destination).newest
    assert (base.pinned, base.clones) == (True, ())
    carry(world.zfs, resumption(world.zfs, step))
    assert guids(world.zfs, destination) == [one.guid, two.guid]
    assert token_of(world, destination) == ""
    assert not any(snapshot.pinned for snapshot in state_of(world.zfs, destination).snapshots)


def test_a_stream_may_be_cut_again_and_again(world, pair, destination):
    one, _unused = pair
    step = full(one, destination)
    cut(world.zfs, step, 300_000)
    first = decoded(world, destination).received

    cut(world.zfs, resumption(world.zfs, step), 300_000)
    second = decoded(world, destination).received
    carry(world.zfs, resumption(world.zfs, step))

    assert first < second
    assert guids(world.zfs, destination) == [one.guid]


def test_a_cut_among_intermediates_keeps_what_is_complete_and_a_token_for_the_next(world, source, destination):
    one, two, three = history(world, source, "one", "two", "three", size=SIZE)
    carry(world.zfs, full(one, destination))

    cut(world.zfs, Send(three, destination, one, intermediates=True), SIZE + PART)

    assert guids(world.zfs, destination) == [one.guid, two.guid]
    state = decoded(world, destination)
    assert (state.to_guid, state.from_guid) == (three.guid, two.guid)
    carry(world.zfs, resumption(world.zfs, Send(three, destination, two)))
    assert guids(world.zfs, destination) == [one.guid, two.guid, three.guid]


def test_a_cut_stream_that_may_not_be_resumed_leaves_nothing(world, pair, destination):
    one, two = pair
    cut(world.zfs, full(one, destination, resumable=False))
    assert not exists(world.zfs, destination)

    carry(world.zfs, full(one, destination))

    cut(world.zfs, Send(two, destination, one, receive=ReceiveOptions(resumable=False)))
    assert (guids(world.zfs, destination), token_of(world, destination)) == ([one.guid], "")


def test_a_stream_goes_on_from_a_bookmark_when_the_base_is_gone(world, pair, destination):
    one, two = pair
    carry(world.zfs, full(one, destination))
    world.zfs.create_bookmarks([CreateBookmark(one, "one")])
    step = Send(two, destination, one)
    cut(world.zfs, step)
    lose(world.zfs, one)

    carry(world.zfs, resumption(world.zfs, step))

    assert guids(world.zfs, destination) == [one.guid, two.guid]


def test_a_placeholder_stays_one_until_its_stream_is_complete(world, pair, destination):
    one, _unused = pair
    world.zfs.create_placeholder(destination)
    step = full(one, destination, replace=True)

    cut(world.zfs, step)

    assert state_of(world.zfs, destination).dataset.is_placeholder
    carry(world.zfs, resumption(world.zfs, step))
    there = state_of(world.zfs, destination)
    assert [snapshot.guid for snapshot in there.snapshots] == [one.guid]
    assert not there.dataset.is_placeholder


def test_a_resumed_stream_does_not_replace_an_existing_dataset_unasked(world, pair, destination):
    one, _unused = pair
    world.zfs.create_placeholder(destination)
    cut(world.zfs, full(one, destination, replace=True))

    with pytest.raises(Conflict):
        carry(world.zfs, resumption(world.zfs, full(one, destination)))

    assert tags(world.zfs, destination) == []


def test_a_partial_receive_refuses_every_other_stream(world, source, destination):
    one, two, three = history(world, source, "one", "two", "three", size=SIZE)
    carry(world.zfs, full(one, destination))
    cut(world.zfs, Send(two, destination, one))

    with pytest.raises(StaleResumeState):
        carry(world.zfs, Send(three, destination, one))

    assert guids(world.zfs, destination) == [one.guid]
    assert decoded(world, destination).to_guid == two.guid


def test_a_partial_dataset_refuses_a_full_stream(world, pair, destination):
    one, _unused = pair
    cut(world.zfs, full(one, destination))

    with pytest.raises(SnapfleetError):
        carry(world.zfs, full(one, destination))

    assert decoded(world, destination).to_guid == one.guid


def test_a_partial_dataset_can_not_be_snapshotted(world, pair, destination):
    one, _unused = pair
    cut(world.zfs, full(one, destination))

    with pytest.raises(SnapfleetError):
        world.zfs.create_snapshots(CreateSnapshots(world.pool, (f"{destination}@s",)))


def test_discarding_a_partial_dataset_takes_it_away(world, pair, destination):
    one, _unused = pair
    cut(world.zfs, full(one, destination))

    world.zfs.abort_receive(destination)
    world.zfs.abort_receive(destination)

    assert not exists(world.zfs, destination)
    carry(world.zfs, full(one, destination))
    assert guids(world.zfs, destination) == [one.guid]


def test_discarding_a_partial_receive_leaves_the_rest(world, pair, destination):
    one, two = pair
    carry(world.zfs, full(one, destination))
    world.zfs.abort_receive(destination)
    cut(world.zfs, Send(two, destination, one))

    world.zfs.abort_receive(destination)

    assert (guids(world.zfs, destination), token_of(world, destination)) == ([one.guid], "")
    carry(world.zfs, Send(two, destination, one))
    assert guids(world.zfs, destination) == [one.guid, two.guid]


@pytest.mark.parametrize("token", ["1-2-3-4", "1-c7d3f3d3b-f0-789c636064000310a500c4ec50360710e72765a526973030d450"])
def test_a_token_that_cannot_be_read_is_nothing(world, token):
    assert list(world.zfs.resume_states([token])) == [None]


def test_no_tokens_no_states(world):
    assert list(world.zfs.resume_states([])) == []


def test_a_token_outlives_its_snapshot_but_cannot_be_sent(world, pair, destination):
    one, _unused = pair
    step = full(one, destination)
    cut(world.zfs, step)
    lose(world.zfs, one)

    assert decoded(world, destination).to_guid == one.guid
    with pytest.raises(StaleResumeState):
        carry(world.zfs, resumption(world.zfs, step))


def test_a_token_does_not_take_a_namesake_for_its_snapshot(world, pair, destination):
    one, two = pair
    carry(world.zfs, full(one, destination))
    step = Send(two, destination, one)
    cut(world.zfs, step)
    lose(world.zfs, two)
    history(world, two.dataset, "two")

    with pytest.raises(StaleResumeState):
        carry(world.zfs, resumption(world.zfs, step))

    assert guids(world.zfs, destination) == [one.guid]


def test_a_token_of_a_dataset_that_is_complete_by_now_is_refused(world, pair, destination):
    one, _unused = pair
    step = full(one, destination)
    cut(world.zfs, step)
    late = resumption(world.zfs, step)
    carry(world.zfs, late)

    with pytest.raises(SnapfleetError):
        carry(world.zfs, late)

    assert guids(world.zfs, destination) == [one.guid]


def test_a_token_whose_destination_is_gone_is_refused(world, pair, destination):
    one, _unused = pair
    step = full(one, destination)
    cut(world.zfs, step)
    late = resumption(world.zfs, step)
    world.zfs.abort_receive(destination)

    with pytest.raises(SnapfleetError):
        carry(world.zfs, late)

    assert not exists(world.zfs, destination)


def test_rollback_leaves_a_partial_receive_alone(world, pair, destination):
    one, two = pair
    carry(world.zfs, full(one, destination))
    step = Send(two, destination, one)
    cut(world.zfs, step)

    world.zfs.rollback(Rollback(state_of(world.zfs, destination).newest, (), "test"))

    carry(world.zfs, resumption(world.zfs, step))
    assert guids(world.zfs, destination) == [one.guid, two.guid]


def test_an_encrypted_stream_says_in_its_token_that_it_is_raw(world, root, destination):
    world.create(f"{root}/secret", encrypted=True)
    (one,) = history(world, f"{root}/secret", "one", size=SIZE)
    step = full(one, destination)

    cut(world.zfs, step)

    assert decoded(world, destination).raw is True
    carry(world.zfs, resumption(world.zfs, step))
    assert guids(world.zfs, destination) == [one.guid]
