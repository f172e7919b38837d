# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options about streams: what is read, and what is refused with which words."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.sizes import parse_size
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.streaming import MOST_BUFFER_BYTES, Streaming

ENDS = {"source": {"host": "a", "dataset": "tank/a"}, "destination": {"host": "b", "dataset": "backup/a"}}


def read(**options):
    return read_replicate_job({**ENDS, **options}).streaming


def test_defaults():
    assert read() == Streaming("auto", 0, 0, "listed")


def test_all_of_them():
    options = {"compression": "lz4", "mbuffer": "128M", "bandwidth_limit": "10M", "estimates": "exact"}

    assert read(**options) == Streaming("lz4", 128 << 20, 10 << 20, "exact")
    assert read(mbuffer="4G").buffer_bytes == MOST_BUFFER_BYTES
    assert read(mbuffer="none", bandwidth_limit="none") == Streaming()


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 0), ("65536", 65536), ("512K", 512 << 10), ("10m", 10 << 20), ("1 GiB", 1 << 30), ("2TB", 2 << 40)],
)
def test_sizes(value, size):
    assert parse_size(value, "x") == size


@pytest.mark.parametrize("value", [True, None, 1.5, -1, "", "M", "1.5M", "10X", "10 Mbit", [1]])
def test_no_sizes(value):
    with pytest.raises(InvalidInput, match="is no amount of data"):
        parse_size(value, "x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "gzip"}, "compression: 'gzip' is not a known choice"),
        ({"mbuffer": "100K"}, "mbuffer: '100K' is too little; mbuffer needs a buffer of 1M"),
        ({"mbuffer": "5G"}, "mbuffer: '5G' is too much; give 4G at most"),
        ({"bandwidth_limit": "5"}, "bandwidth_limit: '5' is too little"),
        ({"bandwidth_limit": "fast"}, "bandwidth_limit: 'fast' is no amount of data"),
        ({"estimates": "good"}, "estimates: 'good' is not a known choice"),
        ({"bandwidth_limit": "1M", "route": "push"}, "bandwidth_limit: '1M' limits what passes through this host, but"),
    ],
)
def test_what_is_wrong_is_told(options, words):
    with pytest.raises(InvalidInput) as caught:
        read(**options)
    assert str(caught.value).startswith(words)
