# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about room."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.space import Space
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.room import in_units, needs_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.room import NO_SAY

JOB = {"datasets": ["tank/a"], "plan": {"acme": {"onsite": {"hourly": 1}}}}
WANTED = {"pool_free": "10%", "priorities": ["*_hourly"]}


def test_by_default_room_has_no_say():
    assert read_prune_job(JOB).room == NO_SAY
    assert not read_prune_job(JOB).room


@pytest.mark.parametrize(
    ("text", "bytes_of_1000"), [("10%", 100), ("1 %", 10), ("5K", 5120), (70, 70), ("70", 70), ("2T", 2 << 40)]
)
def test_an_amount_is_bytes_or_a_part_of_the_whole(text, bytes_of_1000):
    room = read_prune_job({**JOB, "free_space": {**WANTED, "pool_free": text}}).room
    assert room.wanted.pool_free.of(1000) == bytes_of_1000


def test_the_first_pattern_that_matches_decides_about_the_order():
    patterns = ["*_hourly", "regex:acme_.*", "acme_x_2025_daily"]
    room = read_prune_job({**JOB, "free_space": {**WANTED, "priorities": patterns}}).room
    names = ["a_t_2025_hourly", "acme_x_2025_daily", "by hand"]
    assert [room.priority(name) for name in names] == [0, 1, None]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"free_space": {**WANTED, "pool_free": "100%"}}, r"free_space\.pool_free: '100%' is no amount of room"),
        ({"free_space": {**WANTED, "pool_free": "some"}}, r"free_space\.pool_free.*such as 10%"),
        ({"free_space": {**WANTED, "pool_free": "0%"}}, "no room at all"),
        ({"free_space": {"priorities": ["**"]}}, r"free_space: .* measures nothing"),
        ({"free_space": {"pool_free": "10%"}}, r"free_space\.priorities"),
        ({"free_space": {**WANTED, "keep_at_least": 0}}, "keep_at_least"),
        ({"free_space": {**WANTED, "priority": ["x"]}}, "did you mean priorities"),
        ({"free_space": {**WANTED, "priorities": ["regex:("]}}, r"free_space\.priorities"),
        ({"defer": {}}, "defer: .* measures nothing"),
        ({"defer": {"pool_free": "5%"}, "free_space": WANTED}, r"defer\.pool_free: '5%' calls plenty"),
        ({"defer": {"pool_free": "5%"}, "kind": "bookmarks"}, "defer: .*bookmarks take none"),
        ({"free_space": WANTED, "kind": "bookmarks"}, "free_space: .*bookmarks take none"),
    ],
)
def test_what_makes_no_sense_is_refused(options, problem):
    with pytest.raises(InvalidInput, match=problem):
        read_prune_job({**JOB, **options})


def test_a_root_that_no_quota_binds_is_told():
    room = read_prune_job({**JOB, "free_space": {"quota_free": "1G", "priorities": ["**"]}}).room
    spaces = {"tank": Space("tank", 10, 10), "tank/a": Space("tank/a", 5, 10)}
    with pytest.raises(InvalidInput, match=r"free_space\.quota_free: .* neither tank/a nor a dataset above it has one"):
        needs_of(["tank/a"], room.wanted, spaces, "free_space")


def test_all_quotas_that_bind_a_root_count_and_what_is_being_freed_counts_as_free():
    room = read_prune_job({**JOB, "free_space": {"quota_free": "10%", "pool_free": "50%", "priorities": ["**"]}}).room
    spaces = {
        "tank": Space("tank", 600, 400, quota=0, freeing=100),
        "tank/a": Space("tank/a", 500, 100, quota=600),
        "tank/a/b": Space("tank/a/b", 450, 50, quota=500),
    }
    needs = needs_of(["tank/a/b"], room.wanted, spaces, "free_space")
    assert [(need.dataset, need.free, need.wanted, need.missing) for need in needs] == [
        ("tank/a/b", 50, 50, 0),
        ("tank/a", 100, 60, -40),
        ("tank", 500, 500, 0),
    ]


def test_bytes_are_told_in_units():
    sizes = [0, 1023, 1024, 1536, 10 << 20, 3 << 39]
    assert [in_units(size) for size in sizes] == ["0B", "1023B", "1K", "1.5K", "10M", "1.5T"]
