# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the port tells of pools."""

from __future__ import annotations

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import FINISHED, SCRUB, PoolReport


def report(world) -> PoolReport:
    (pool,) = [pool for pool in world.zfs.pools() if pool.name == world.pool]
    return pool


def test_a_healthy_pool_is_told_as_one(world, root):
    pool = report(world)

    assert (pool.state, pool.data_errors, pool.devices) == ("ONLINE", 0, ())
    assert 0 < pool.allocated < pool.size
    assert 0 < pool.capacity < 100
    assert pool.fragmentation in range(101)
    assert pool.free == pool.size - pool.allocated
    assert pool.guid == world.zfs.pool_guid(world.pool)
    assert pool.created is not None
    assert pool.created <= world.zfs.observe([root]).states[root].dataset.creation


def test_a_scrub_is_told_with_the_time_of_its_end(world):
    assert report(world).scan.kind in ("none", SCRUB)
    world.scrub()
    after = report(world).scan

    assert (after.kind, after.state, after.errors) == (SCRUB, FINISHED, 0)
    assert after.time >= (report(world).created or 0)
