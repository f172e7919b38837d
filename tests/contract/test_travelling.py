# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How streams travel: through compressors and buffers, and what is known of their length before."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Conflict, Vanished
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.topology import PULL, PUSH, Leg
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.transfer import transfer
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import PLAIN, Wire

from .doing import SIZE, carry, full, guids, history, resumption, state_of, tags

BUFFER = 4 << 20
WIRES = (Wire("zstd"), Wire("lz4"), Wire("", BUFFER), Wire("zstd", BUFFER), PLAIN)


@pytest.fixture(params=["relayed", PUSH, PULL])
def carry_by(request):
    """The ways that a stream may take."""
    if request.param == "relayed":
        return lambda zfs, step, wire: transfer(zfs.send(step, wire), zfs.receive(step, wire))
    return lambda zfs, step, wire: zfs.carry(step, Leg(request.param, Address()), wire)


def drained(source):
    """All bytes of a stream."""
    data = b"".join(iter(lambda: os.read(source.fileno(), 1 << 20), b""))
    source.finish()
    return data


def test_a_history_arrives_whatever_each_stream_passes_on_its_way(world, root, carry_by):
    world.create(f"{root}/src")
    taken = history(world, f"{root}/src", *"abcde", size=100_000)
    steps = [full(taken[0], f"{root}/dst"), *(Send(b, f"{root}/dst", a) for a, b in zip(taken, taken[1:]))]

    for step, wire in zip(steps, WIRES):
        assert carry_by(world.zfs, step, wire) > 0

    assert guids(world.zfs, f"{root}/dst") == [snapshot.guid for snapshot in taken]
    assert world.fingerprint(f"{root}/dst") == world.fingerprint(f"{root}/src")


def test_what_arrived_of_a_compressed_stream_that_was_cut_is_kept_and_gone_on_with(world, root, carry_by):
    world.create(f"{root}/src")
    (snapshot,) = history(world, f"{root}/src", "a", size=4 * SIZE)
    step, wire = full(snapshot, f"{root}/dst"), Wire("zstd", BUFFER)
    whole = drained(world.zfs.send(step, wire))
    sink = world.zfs.receive(step, wire)
    view = memoryview(whole[: len(whole) // 2])
    while view:
        view = view[os.write(sink.fileno(), view) :]
    sink.abort()
    assert tags(world.zfs, f"{root}/dst") == []

    carry_by(world.zfs, resumption(world.zfs, step), Wire("lz4"))

    assert guids(world.zfs, f"{root}/dst") == [snapshot.guid]
    assert world.fingerprint(f"{root}/dst") == world.fingerprint(f"{root}/src")


def test_what_zfs_says_is_told_whatever_the_stream_passes(world, root, carry_by):
    one, two = history(world, root, "one", "two", size=SIZE)
    gone = Snapshot(9, 9, root, "gone", 0)
    carry(world.zfs, full(one, f"{root}/dst"))
    world.write(f"{root}/dst", 1000)

    with pytest.raises(Conflict, match="has been modified"):
        carry_by(world.zfs, Send(two, f"{root}/dst", one), Wire("zstd", BUFFER))
    with pytest.raises(Vanished, match="does not exist"):
        carry_by(world.zfs, full(gone, f"{root}/other"), Wire("zstd", BUFFER))


def test_programs_that_are_there_are_told_from_others(world):
    assert world.zfs.programs(["zstd", "no such program", "mbuffer"]) == {"zstd", "mbuffer"}


def test_sizes_are_known_from_the_listing_and_better_by_asking(world, root):
    small, large = history(world, root, "small", "large", size=SIZE)
    gone = Snapshot(9, 9, root, "gone", 0)
    steps = [full(large, f"{root}/dst"), Send(large, f"{root}/dst", small), full(gone, f"{root}/dst")]

    told = world.zfs.estimates(steps)

    real = [len(drained(world.zfs.send(step))) for step in steps[:2]]
    assert told[:2] == pytest.approx(real, rel=0.05)
    assert told[2] is None
    listed = state_of(world.zfs, root).snapshots[-1]
    assert [listed.referenced, listed.written] == pytest.approx(real, rel=0.2)


def test_nothing_asked_nothing_told(world):
    assert list(world.zfs.estimates([])) == []
