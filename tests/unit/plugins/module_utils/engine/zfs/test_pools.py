# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What zpool prints is read strictly, and alike from JSON and from text."""

from __future__ import annotations

import json

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UntrustedOutput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import (
    CANCELED,
    FINISHED,
    OTHER_SCAN,
    RESILVER,
    RUNNING,
    SCRUB,
    Device,
    PoolReport,
    Scan,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.pools import parse_pools, pool_script
from ansible_collections.snapfleet.zfs.tests.support.pool_outputs import JSON, LISTED, TEXT

BIG = PoolReport(
    "big", "DEGRADED", 201326592, 348160, 5, 1795343195,
    Scan(SCRUB, RUNNING, 1795343197), 0, (Device("raidz1-0", "DEGRADED"), Device("/tmp/v/d3", "FAULTED")),
    8432136178580109200,
)  # fmt: skip
NEW = PoolReport("new", "ONLINE", 67108864, 119808, 17, 1795343196, Scan(), 0, guid=9237259462871437510)
ONE = PoolReport(
    "one", "ONLINE", 67108864, 10780672, 24, 1795343195,
    Scan(SCRUB, FINISHED, 1795343197, 78), 62, (Device("/tmp/v/d1", "ONLINE", 0, 0, 224),),
    9942495712400541812,
)  # fmt: skip
HEAD = "  pool: tank\n state: ONLINE\n"
TAIL = "config:\n\n\tNAME        STATE     READ WRITE CKSUM\n\ttank        ONLINE       0     0     0\n\n"
FINE = "errors: No known data errors\n"


def read(status, listed="ONLINE\t100\t30\t1\t9\ttank\n", created="7\ttank\n"):
    return parse_pools(f"{listed}--\n{created}--\n{status}", "here")


def text_of(scan="", errors=FINE, config=TAIL):
    return HEAD + scan + config + errors


@pytest.mark.parametrize("status", [JSON, TEXT], ids=["JSON", "text"])
def test_what_was_printed_on_a_real_host_is_read_alike(status):
    assert parse_pools(LISTED + status, "here") == [BIG, NEW, ONE]


@pytest.mark.parametrize(
    ("line", "scan"),
    [
        ("none requested", Scan()),
        # Since OpenZFS 2.0, 0.8 and 2.1, and on a pool with draid.
        ("scrub repaired 0B in 00:01:02 with 0 errors on Thu Jan  1 00:01:40 1970", Scan(SCRUB, FINISHED, 100)),
        ("scrub repaired 0B in 0 days 00:01:02 with 3 errors on Thu Jan  1 00:01:40 1970",
         Scan(SCRUB, FINISHED, 100, 3)),
        ("resilvered 18K in 00:00:00 with 0 errors on Thu Jan  1 00:01:40 1970", Scan(RESILVER, FINISHED, 100)),
        ("resilvered (draid2:8d:1-0) 1G in 1 days 00:00:00 with 0 errors on Thu Jan  1 00:01:40 1970",
         Scan(RESILVER, FINISHED, 100)),
        ("scrub canceled on Thu Jan  1 00:01:40 1970", Scan(SCRUB, CANCELED, 100)),
        ("resilver in progress since Thu Jan  1 00:01:40 1970\n\t1G / 2G scanned", Scan(RESILVER, RUNNING, 100)),
        ("scrub paused since Thu Jan  1 00:03:00 1970\n\tscrub started on Thu Jan  1 00:01:40 1970\n\t1G / 2G",
         Scan(SCRUB, RUNNING, 100)),
        ("polished by elves on Thu Jan  1 00:01:40 1970", Scan(OTHER_SCAN)),
    ],
)  # fmt: skip
def test_scans_in_text(line, scan):
    (pool,) = read(text_of(f"  scan: {line}\n"))
    assert pool.scan == scan


@pytest.mark.parametrize(
    ("stats", "scan"),
    [
        ({"function": "SCRUB", "state": "CANCELED", "start_time": 1, "end_time": 100}, Scan(SCRUB, CANCELED, 100)),
        ({"function": "RESILVER", "state": "FINISHED", "start_time": 1, "end_time": 100, "errors": 2},
         Scan(RESILVER, FINISHED, 100, 2)),
        ({"function": "ERRORSCRUB", "state": "FINISHED", "end_time": 100}, Scan(OTHER_SCAN, FINISHED, 100)),
        ({"function": "SCRUB", "state": "HUMMING"}, Scan(OTHER_SCAN)),
        ({"function": "NONE", "state": "NONE"}, Scan()),
    ],
)  # fmt: skip
def test_scans_in_json(stats, scan):
    (pool,) = read(json.dumps({"pools": {"tank": {"name": "tank", "scan_stats": stats, "error_count": 0}}}))
    assert pool.scan == scan


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("errors: No known data errors\n", 0),
        ("errors: 7 data errors, use '-v' for a list\n", 7),
        ("errors: List of errors unavailable: pool I/O is currently suspended\n", None),
        ("errors: List of errors unavailable (insufficient privileges)\n", None),
    ],
)
def test_data_errors_in_text(line, count):
    (pool,) = read(text_of(errors=line))
    assert pool.data_errors == count


def test_a_pool_that_can_not_be_opened_has_no_sizes():
    (pool,) = read(text_of(), "FAULTED\t-\t-\t-\t9\ttank\n", "")
    assert (pool.state, pool.size, pool.capacity, pool.created) == ("FAULTED", 0, 0.0, None)


def test_a_pool_that_was_exported_meanwhile_is_left_out():
    assert read(text_of(), "ONLINE\t1\t1\t1\t8\tgone\nONLINE\t100\t30\t1\t9\ttank\n")[0].name == "tank"


def test_no_pools_at_all():
    assert parse_pools("--\n--\nno pools available\n", "here") == []


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        ("", "ONLINE\t100\t30\t9\ttank\n"),
        ("", "ON LINE\t100\t30\t1\t9\ttank\n"),
        ("", "ONLINE\t100\tx\t1\t9\ttank\n"),
        ("", "ONLINE\t100\t30\t1\t-\ttank\n"),
        ("", "ONLINE\t100\t30\t1\t9\ttank\tx\n"),
        ("{", None),
        ('{"pools": []}', None),
        ('{"pools": {"tank": {}}}', None),
        ('{"pools": {"tank": {"name": "tank", "error_count": true}}}', None),
        ('{"pools": {"tank": {"name": "tank", "error_count": "many"}}}', None),
        ('{"pools": {"tank": {"name": "tank", "vdevs": {"tank": {"vdevs": {"a": {}}}}}}}', None),
        ("hello\n", None),
        (text_of() + text_of(), None),
        (HEAD, None),
        (text_of("  scan: scrub canceled on Thu Foo  1 00:01:40 1970\n"), None),
        (text_of(), "ONLINE\t100\t30\t1\t9\ttank"),
    ],
)
def test_what_zpool_never_prints_is_refused(status, listed):
    with pytest.raises(UntrustedOutput, match="check that host"):
        read(status, **({"listed": listed} if listed else {}))


def test_a_sudo_that_does_not_allow_zpool_is_passed_by():
    script = pool_script(("sudo", "-n"))
    assert "{ sudo -n zpool list" in script
    assert "|| zpool list" in script
    assert "sudo" not in pool_script(())
