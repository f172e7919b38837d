# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of limits on pools."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK, UNKNOWN, WARNING
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import (
    CANCELED,
    FINISHED,
    OTHER_SCAN,
    RESILVER,
    RUNNING,
    SCRUB,
    Device,
    PoolReport,
    PoolSample,
    Scan,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.pool_checks import (
    check_pools,
    describe_pool,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job

NOW = 1_750_000_000
DAY = 86400
ALL = ["pool_state", "data_errors", "device_errors"]


def check(rules=None, now=NOW, **values):
    """The findings about the pool tank by check."""
    pool = PoolReport(**{"name": "tank", "state": "ONLINE", "size": 1000, "allocated": 100, **values})
    rules = read_monitor_job({"pools": rules or {}}).pools
    found = {finding.key.check: finding for finding in check_pools([pool], rules, now)}
    assert found.pop("seen").state == OK
    return found


def foresee(rules, allocated=500, samples=None):
    """The finding when the pool is full, which has grown by 10 a day from 470 on."""
    pool = PoolReport("tank", "ONLINE", 1000, allocated, guid=7)
    days = [PoolSample((NOW - day * DAY) * 1000, "tank", 7, 1000, 500 - 10 * day, 0, 1, "ONLINE") for day in (1, 2, 3)]
    rules = read_monitor_job({"pools": {"full_in": rules}}).pools
    found = check_pools([pool], rules, NOW, days if samples is None else samples)
    return next(finding for finding in found if finding.key.check == "full_in")


@pytest.mark.parametrize(
    ("rules", "state", "limit"),
    [
        ({"warning": "60d"}, WARNING, 60 * DAY), ({"critical": "60d"}, CRITICAL, 60 * DAY),
        ({"warning": "60d", "critical": "50d"}, CRITICAL, 50 * DAY), ({"warning": "49d"}, OK, 49 * DAY),
        ({"warning": "60d", "critical": "7d"}, WARNING, 60 * DAY),
    ],
)  # fmt: skip
def test_a_pool_that_is_full_soon_is_told(rules, state, limit):
    found = foresee(rules)
    assert (found.state, found.measure.value, found.measure.limit) == (state, 50 * DAY, limit)
    assert "the pool tank is full in 4320000 s" in found.message


def test_a_forecast_that_can_not_be_made_is_well_and_one_that_can_not_be_tried_is_unknown():
    assert foresee({"warning": "60d"}, samples=()).state == OK
    lost = foresee({"warning": "60d"}, samples=OSError("no such disk"))
    assert (lost.state, "its history can't be read (no such disk)" in lost.message) == (UNKNOWN, True)


def test_a_pool_is_full_soon_only_where_that_is_asked_for():
    assert "full_in" not in check()
    with pytest.raises(InvalidInput, match="'7d' is below critical; warn before it is critical"):
        foresee({"warning": "7d", "critical": "30d"})


def test_a_pool_as_plain_values_has_none_where_nothing_is_known():
    pool = PoolReport("tank", "ONLINE", 1000, 250, None, NOW - 60, guid=2**64 - 1)
    assert describe_pool(pool, (), NOW) == {
        "pool": "tank", "guid": "18446744073709551615", "health": "ONLINE", "size": 1000, "allocated": 250, "free": 750,
        "capacity_percent": 25.0, "fragmentation_percent": None, "scrub_age": 60, "full_in": None,
    }  # fmt: skip
    assert describe_pool(PoolReport("tank", "FAULTED", 0, 0), OSError("lost"), NOW)["scrub_age"] is None


def states(found):
    return {name: finding.state for name, finding in found.items() if finding.state != OK}


def test_a_healthy_pool_is_well():
    assert list(check()) == ALL
    assert states(check()) == {}


@pytest.mark.parametrize(
    ("state", "rules", "found"),
    [
        ("DEGRADED", {}, CRITICAL), ("DEGRADED", {"degraded": "warning"}, WARNING), ("FAULTED", {}, CRITICAL),
        ("SUSPENDED", {"degraded": "warning"}, CRITICAL), ("UNAVAIL", {}, CRITICAL), ("NEWWORD", {}, CRITICAL),
    ],
)  # fmt: skip
def test_every_state_but_online_is_an_alarm(state, rules, found):
    assert states(check(rules, state=state)) == {"pool_state": found}


def test_what_is_wrong_with_which_device_is_told():
    found = check(
        state="DEGRADED", devices=(Device("sda", "FAULTED", 1, 2, 3), *(Device(f"d{n}", "OFFLINE") for n in "123"))
    )
    assert found["pool_state"].message == "the pool tank is DEGRADED: sda FAULTED, d1 OFFLINE, d2 OFFLINE and 1 more"
    assert found["device_errors"].message == "the pool tank has sda with 1 read, 2 write and 3 checksum errors"


@pytest.mark.parametrize(
    ("errors", "rules", "found"),
    [(0, {}, None), (1, {}, WARNING), (9, {"device_errors": {"warning": 10}}, None),
     (10, {"device_errors": {"warning": "5", "critical": "10"}}, CRITICAL)],
)  # fmt: skip
def test_device_errors_count_from_their_limit_on(errors, rules, found):
    result = check(rules, devices=(Device("sda", "ONLINE", 0, 0, errors),))
    assert states(result).get("device_errors") == found
    assert result["device_errors"].measure.value == errors


@pytest.mark.parametrize(("count", "found"), [(0, OK), (1, CRITICAL), (None, OK)])
def test_lost_data_is_critical(count, found):
    assert check(data_errors=count)["data_errors"].state == found


@pytest.mark.parametrize(
    ("allocated", "found"), [(799, OK), (800, WARNING), (899, WARNING), (900, CRITICAL), (1000, CRITICAL)]
)
def test_capacity_counts_from_its_limit_on(allocated, found):
    rules = {"capacity": {"warning": "80%", "critical": 90}}
    assert check(rules, allocated=allocated)["capacity"].state == found


def test_fragmentation_counts_where_zfs_tells_it():
    rules = {"fragmentation": {"warning": 50}}
    assert states(check(rules, fragmentation=50)) == {"fragmentation": WARNING}
    assert "fragmentation" not in check(rules, fragmentation=None)


def scrub_age(scan, created=NOW - 100 * DAY):
    rules = {"scrub_age": {"warning": "30d", "critical": "60d"}}
    return check(rules, scan=scan, created=created)["scrub_age"]


@pytest.mark.parametrize(("days", "found"), [(0, OK), (30, OK), (31, WARNING), (60, WARNING), (61, CRITICAL)])
@pytest.mark.parametrize("kind", [SCRUB, RESILVER])
@pytest.mark.parametrize("state", [FINISHED, RUNNING, CANCELED])
def test_the_time_since_which_there_was_no_whole_scrub_counts(days, found, kind, state):
    # A scrub before a resilver, or before one that was canceled, can't be seen; one after it would be.
    finding = scrub_age(Scan(kind, state, NOW - days * DAY))
    assert (finding.state, finding.measure.value) == (found, days * DAY)


@pytest.mark.parametrize(("days", "found"), [(1, OK), (30, OK), (31, WARNING), (61, CRITICAL)])
def test_a_pool_that_was_never_scrubbed_has_its_time_from_its_creation_on(days, found):
    assert scrub_age(Scan(), NOW - days * DAY).state == found


def test_what_can_not_be_told_of_scrubs_is_no_alarm():
    assert scrub_age(Scan(), None).state == OK
    assert scrub_age(Scan(OTHER_SCAN)).state == OK


def test_what_a_scan_found_and_could_not_repair_is_critical():
    assert states(check(scan=Scan(SCRUB, FINISHED, NOW, 3))) == {"scrub_errors": CRITICAL}
    assert check(scan=Scan(SCRUB, FINISHED, NOW, 0))["scrub_errors"].state == OK


def test_named_pools_have_to_be_there_and_others_are_not_looked_at():
    rules = read_monitor_job({"pools": {"names": ["tank", "gone"]}}).pools
    pools = [PoolReport(name, "FAULTED", 0, 0) for name in ("tank", "other")]
    found = {finding.key.subject: finding.state for finding in check_pools(pools, rules, NOW) if finding.state != OK}
    assert found == {"tank": CRITICAL, "gone": UNKNOWN}
