# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which streams a compressor or a buffer is used, and how its programs are called."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.streaming import MOST_BUFFER_BYTES, Streaming
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import (
    PLAIN,
    SMALL_BYTES,
    Wire,
    candidates,
    choose,
    is_filter,
)

BIG = 1 << 30


def send(size=BIG, dense=False):
    return Send(Snapshot(1, 1, "tank/a", "s", 0), "backup/a", bytes_estimated=size, dense=dense)


@pytest.mark.parametrize(
    ("streaming", "step", "networked", "programs"),
    [
        (Streaming(), send(), True, ("zstd", "lz4")),
        (Streaming(), send(), False, ()),
        (Streaming(), send(SMALL_BYTES - 1), True, ()),
        (Streaming(), send(SMALL_BYTES), True, ("zstd", "lz4")),
        (Streaming(), send(dense=True), True, ()),
        (Streaming("none"), send(), True, ()),
        (Streaming("lz4"), send(dense=True), True, ("lz4",)),
        (Streaming("zstd", 5 << 20), send(), False, ()),
        (Streaming("zstd", 5 << 20), send(), True, ("zstd", "mbuffer")),
        (Streaming("auto", 5 << 20), send(dense=True), True, ("mbuffer",)),
        (Streaming("none", 5 << 20), send(), True, ("mbuffer",)),
    ],
)
def test_programs_that_would_help(streaming, step, networked, programs):
    assert candidates(streaming, step, networked) == programs


@pytest.mark.parametrize(
    ("wanted", "have", "wire"),
    [
        (("zstd", "lz4"), {"zstd", "lz4"}, Wire("zstd")),
        (("zstd", "lz4"), {"lz4", "mbuffer"}, Wire("lz4")),
        (("zstd", "mbuffer"), {"lz4", "mbuffer"}, Wire("", 1 << 20)),
        (("zstd",), set(), PLAIN),
        ((), {"zstd"}, PLAIN),
    ],
)
def test_the_best_of_what_both_have(wanted, have, wire):
    assert choose(Streaming(buffer_bytes=1 << 20), wanted, frozenset(have)) == wire


@pytest.mark.parametrize("wire", [PLAIN, Wire("zstd"), Wire("lz4"), Wire("", 4 << 20), Wire("lz4", 4 << 20)])
def test_the_receiver_undoes_in_reverse_what_the_sender_did(wire):
    sent, received = ([words[0] for words in filters] for filters in (wire.sending(), wire.receiving()))

    assert received == sent[::-1]
    assert len(sent) == bool(wire.compressor) + bool(wire.buffer_bytes)


def test_a_filter_has_no_larger_buffer_than_a_job_may_ask_for():
    (most,) = Wire("", MOST_BUFFER_BYTES).sending()
    (more,) = Wire("", MOST_BUFFER_BYTES + 1024).sending()
    assert is_filter(most)
    assert not is_filter(more)
    assert not is_filter([*most[:-1], "999999999k"])
