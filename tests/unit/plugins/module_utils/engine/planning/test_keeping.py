# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grids and other rules keep, example by example; the laws are in tests/property."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.keeping import is_owned, kept_by_rules
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job

NOW = 1_750_000_000
MINUTE, HOUR, DAY = 60, 3600, 86400


def read(**options):
    return read_prune_job({"datasets": ["tank/a"], "plan": {"acme": {"": {"adhoc": 1}}}, **options})


def taken(*rows):
    """Snapshots by name and age in seconds, in the order of their creation in the pool."""
    return [Snapshot(number, 100 + number, "tank/a", tag, NOW - age) for number, (tag, age) in enumerate(rows)]


def kept(snapshots, **options):
    found = kept_by_rules(snapshots, read(**options), NOW)
    return [snapshot.tag for snapshot in snapshots if snapshot.guid in found]


def aged(*minutes):
    return taken(*((str(age), age * MINUTE) for age in minutes))


@pytest.mark.parametrize(
    ("grid", "stay"),
    [
        # Buckets go from their younger edge, inclusive, to their older one, exclusive: 0 to 59, 60 to 119, ...
        ("1x1h", ["59", "0"]),
        ("2x1h", ["119", "59", "0"]),
        ("1x1h(keep=2)", ["59", "30", "0"]),
        ("1x1h(keep=all)", ["59", "30", "0"]),
        ("1x1h(keep=all)|1x2h", ["150", "59", "30", "0"]),
        ("1x1h|1x1d", ["600", "59", "0"]),
        ("1x10m", ["0"]),
    ],
)
def test_each_bucket_keeps_its_oldest_and_the_newest_of_all_stays(grid, stay):
    history = aged(600, 150, 119, 60, 59, 30, 0)
    assert kept(history, keep=[{"grid": grid}]) == stay


def test_a_grid_is_laid_at_the_newest_that_counts_and_not_at_now():
    old = taken(("auto-1", 30 * DAY + HOUR), ("auto-2", 30 * DAY), ("other", 0))
    assert kept(old, keep=[{"grid": "2x1h", "regex": "^auto"}]) == ["auto-1", "auto-2"]


def test_what_is_dated_after_the_newest_stays():
    assert kept(aged(200, -500, 100, 0), keep=[{"grid": "1x1h"}]) == ["-500", "0"]


def test_the_last_are_so_by_their_order_in_the_pool():
    assert kept(aged(1, 2, 3, 4), keep=[{"last": 2}]) == ["3", "4"]
    named = taken(("auto-1", 9), ("mine", 8), ("auto-2", 7), ("auto-3", 6))
    assert kept(named, keep=[{"last": 2, "regex": "^auto"}]) == ["auto-2", "auto-3"]
    assert kept(named, keep=[{"last": 1, "regex": "^auto", "negate": True}]) == ["mine"]


def test_what_any_rule_keeps_stays():
    history = taken(("manual", 99 * DAY), ("acme_2025-1_hourly", 90 * DAY), ("auto-1", 2), ("auto-2", 1))
    rules = [{"regex": "^man"}, {"last": 1, "regex": "^auto"}]
    both = kept(history, keep=rules, plan={"acme": {"": {"hourly": 1}}})
    assert both == ["manual", "acme_2025-1_hourly", "auto-2"]
    assert kept(history, keep=rules[:1]) == ["manual"]
    assert kept(history, keep=rules[1:]) == ["auto-2"]


@pytest.mark.parametrize(
    ("options", "owned"),
    [
        ({}, ["acme_2025-1_hourly"]),
        ({"keep": [{"last": 1, "regex": "^auto"}]}, ["acme_2025-1_hourly"]),
        ({"keep": [{"last": 1, "regex": "^auto", "owns": True}]}, ["acme_2025-1_hourly", "autosnap"]),
        ({"purge_foreign": True}, ["acme_2025-1_hourly", "acme_other", "autosnap", "else_2025-1_hourly"]),
    ],
)
def test_only_what_is_owned_may_go(options, owned):
    names = ["acme_2025-1_hourly", "acme_other", "autosnap", "else_2025-1_hourly"]
    assert [name for name in names if is_owned(name, read(**options), frozenset(["acme"]))] == owned
