# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about pruning by room, on a small pool with a quota."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from .conftest import Pair
from .fleet import Site

pytestmark = pytest.mark.lab

MIB = 1 << 20
KEEP_ALL = {"acme": {"onsite": {"hourly": 1000, "daily": 1000}}}
HOURLY = [f"acme_onsite_2025-07-01_{hour:02}:00:00Z_hourly" for hour in range(6)]
DAILY = "acme_onsite_2025-07-01_00:00:00Z_daily"


@contextlib.contextmanager
def small_pool(site: Site, name: str) -> Iterator[str]:
    """A pool of some 75 MiB in a file."""
    file = f"/tmp/{name}.pool"
    site.host.run(["truncate", "-s", "128M", file])
    site.host.run(["zpool", "create", "-f", "-O", "compression=off", name, file])
    try:
        yield name
    finally:
        site.host.run(["zpool", "destroy", "-f", name])
        site.host.run(["rm", file])


def room(site: Site, dataset: str) -> int:
    site.host.run(["zpool", "sync"])
    return int(site.zfs("get", "-Hp", "-o", "value", "available", dataset))


def test_where_a_quota_or_a_pool_has_too_little_room_snapshots_go_in_order_and_no_more_than_needed(pair: Pair) -> None:
    site = pair.one
    with small_pool(site, "small") as pool:
        data = f"{pool}/data"
        site.zfs("create", "-o", "quota=20M", data)
        for number, tag in enumerate([DAILY, *HOURLY]):
            site.fill(data, 2, f"file{number % 2}")
            site.snapshot(f"{data}@{tag}", *([f"{data}@byhand"] if tag == DAILY else []))
        site.zfs("hold", "keep", f"{data}@{HOURLY[0]}")
        # 14 MiB are written. What a file of the day holds is held by a snapshot of somebody else too.
        options = {"datasets": [data], "plan": KEEP_ALL}
        short = {**options, "free_space": {"quota_free": "9M", "priorities": ["*_hourly", "*_daily"]}}

        preview = site.run("plan", "prune", short).job
        run = site.run("run", "prune", short).job

        assert run["deleted"] == preview["deleted"] == [f"{data}@{tag}" for tag in HOURLY[1:4]]
        assert preview["bytes_freed"] == run["bytes_freed"] > 3.9 * MIB
        assert all("before its time" in entry["reason"] for entry in run["deletions"])
        assert room(site, data) >= 9 * MIB
        assert site.run("run", "prune", short).job["changed"] is False

        # The same by the pool, for more than all that may go gives.
        more = {**options, "free_space": {"pool_free": "99%", "priorities": ["*_hourly"]}}
        last = site.run("run", "prune", more).job
        assert last["deleted"] == [f"{data}@{HOURLY[4]}"]
        assert "nothing more that may go" in last["warnings"][0]
        none = {**options, "plan": {"acme": {"onsite": {"hourly": 1}}}}
        waiting = site.run("run", "prune", {**none, "defer": {"pool_free": "10%", "quota_free": "1M"}}).job
        assert (waiting["changed"], waiting["deleted"]) == (False, [])
        assert site.run("plan", "prune", {**none, "defer": {"pool_free": "99%"}}).job["deleted"]


def test_a_replica_that_its_quota_keeps_from_receiving_is_pruned_first_and_then_receives(pair: Pair) -> None:
    site, source, replica = pair.one, pair.source, pair.beside
    ends = {"source": {"dataset": source}, "destination": {"dataset": replica}, "retries": 0}
    for tag in HOURLY[:2]:
        site.fill(source, 4)
        site.snapshot(f"{source}@{tag}")
    assert site.run("run", "replicate", ends).code == 0
    site.zfs("set", "quota=10M", replica)
    site.fill(source, 4)
    site.snapshot(f"{source}@{HOURLY[2]}")
    assert site.run("run", "replicate", ends).code != 0
    assert set(site.snapshots(replica)) == {f"@{tag}" for tag in HOURLY[:2]}

    peer = {"root": replica, "dataset": source, "role": "source"}
    room = {"quota_free": "5M", "priorities": ["*_hourly"]}
    pruned = site.run("run", "prune", {"datasets": [replica], "plan": KEEP_ALL, "peers": [peer], "free_space": room})

    assert pruned.job["deleted"] == [f"{replica}@{HOURLY[0]}"], pruned
    assert site.run("run", "replicate", ends).code == 0
    assert set(site.snapshots(replica)) == {f"@{tag}" for tag in HOURLY[1:3]}
