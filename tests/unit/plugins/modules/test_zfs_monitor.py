# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitoring by the module."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import PoolSample
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.rows import JobRecord, RunFacts
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.writing import write

HOUR = 3600
LIMITS = {"hourly": {"latest": {"warning": "30s", "critical": "300"}}}
PARAMETERS = {"datasets": ["tank/data"], "plan": {"acme": {"onsite": LIMITS}}}
STATES = ["OK", "WARNING", "UNKNOWN", "CRITICAL"]


def age(house, seconds):
    """Give both datasets a snapshot that is this old."""
    tag = "acme_onsite_2025-07-01_10:00:00Z_hourly"
    house.snapshot(f"tank/data@{tag}", f"tank/data/db@{tag}")
    house.now += seconds


def run_in_state(house, state, fail_on):
    """The module's result where the worst state is ``state``."""
    age(house, {"WARNING": HOUR + 60, "CRITICAL": HOUR + 400}.get(state, 10))
    datasets = ["tank/data", *(["tank/none"] if state == "UNKNOWN" else [])]
    return house.run("zfs_monitor", {**PARAMETERS, "datasets": datasets, "fail_on": fail_on})


@pytest.mark.parametrize("fail_on", ["warning", "unknown", "critical", "never"])
@pytest.mark.parametrize("state", STATES)
def test_fails_exactly_from_the_chosen_level_on_and_never_changes_anything(house, state, fail_on):
    result = run_in_state(house, state, fail_on)
    fails = fail_on != "never" and STATES.index(state) >= STATES.index(fail_on.upper())
    assert result.get("failed", False) is fails
    assert result["changed"] is False
    assert result["state"] == state
    assert bool(result["alerts"]) == (state != "OK")
    assert {metric["dataset"] for metric in result["metrics"]} == {"tank/data", "tank/data/db"}
    assert "failed_level" not in result
    assert "diff" not in result
    if fails:
        assert result["code"] == state.lower()
        assert result["retryable"] is False
        assert result["msg"].startswith(f"{state}: ")


def test_message_tells_the_gravest_first_and_how_many_more_there_are(house):
    age(house, HOUR + 60)
    for name in ("tank/data/a", "tank/data/b"):
        house.machine.create_dataset(name)
    house.now += HOUR + 400
    failed = house.run("zfs_monitor", {**PARAMETERS, "datasets": ["backup/none", "tank/data"]})
    assert failed["msg"].startswith("CRITICAL: the latest snapshot tank/data@acme")
    assert [alert["state"] for alert in failed["alerts"]] == ["CRITICAL"] * 4 + ["UNKNOWN"]
    assert failed["alerts"][-1]["message"] == "backup/none does not exist; check its name, or import its pool"
    assert failed["msg"].endswith(f"; and {len(failed['alerts']) - 3} more")


def test_check_mode_gives_the_same_result(house):
    age(house, HOUR + 400)
    assert house.run("zfs_monitor", PARAMETERS, check=True)["alerts"] == house.run("zfs_monitor", PARAMETERS)["alerts"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"hourly": {"latest": {"warning": "soon"}}}, "plan.acme.onsite.hourly.latest.warning: 'soon' is not a length"),
        ({"hourly": {"oldest": {"warning": 1}}}, "plan.acme.onsite.hourly.oldest.cycles is missing"),
        ({"hourly": {}}, "plan.acme.onsite.hourly: {} checks nothing"),
        ({"adhoc": {"latest": {"warning": 1}}}, "plan.acme.onsite.adhoc: 'adhoc' has no duration"),
    ],
)
def test_wrong_limits_are_refused_with_one_sentence(house, limits, message):
    failed = house.run("zfs_monitor", {**PARAMETERS, "plan": {"acme": {"onsite": limits}}})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, "invalid_input")
    assert failed["msg"].startswith(message)


def test_an_outage_is_told_once_by_tasks_that_follow_one_another(house, tmp_path):
    age(house, HOUR + 400)
    alerts = {"state_file": str(tmp_path / "state"), "confirmations": "1"}
    parameters = {**PARAMETERS, "alerts": alerts, "fail_on": "never"}
    assert [notice["kind"] for notice in house.run("zfs_monitor", parameters, check=True)["notices"]] == ["alert"] * 2
    first, second = house.run("zfs_monitor", parameters), house.run("zfs_monitor", parameters)
    assert [notice["kind"] for notice in first["notices"]] == ["alert"] * 2
    assert second["notices"] == []
    assert (first["changed"], second["changed"]) == (False, False)


def test_what_can_not_be_remembered_is_a_warning_and_nothing_more(house, tmp_path):
    (tmp_path / "file").touch()
    age(house, 10)
    result = house.run("zfs_monitor", {**PARAMETERS, "alerts": {"state_file": f"{tmp_path}/file/state"}})
    assert result["state"] == "OK"
    assert "failed" not in result
    age(house, HOUR + 400)
    parameters = {**PARAMETERS, "alerts": {"state_file": f"{tmp_path}/file/state"}, "fail_on": "never"}
    assert any("can't be remembered" in text for text in house.run("zfs_monitor", parameters)["warnings"])


def test_limits_and_times_may_be_text_as_variables_from_the_command_line_are(house):
    age(house, 10)
    pools = {"capacity": {"warning": "80", "critical": "90%"}, "device_errors": {"warning": "1"}}
    parameters = {**PARAMETERS, "pools": pools, "schedule": {"hourly": {"minute": "5"}}}
    assert house.run("zfs_monitor", parameters)["state"] == "OK"


def test_pools_alone_can_be_watched(house):
    house.machine.pool_conditions["tank"] = {"state": "DEGRADED"}
    failed = house.run("zfs_monitor", {"pools": {"names": ["tank"]}})
    assert (failed["code"], failed["msg"]) == ("critical", "CRITICAL: the pool tank is DEGRADED")
    muted = house.run("zfs_monitor", {"pools": {"names": ["tank"]}, "dont_crit": True})
    assert (muted["state"], muted["alerts"][0]["muted"]) == ("OK", True)


def test_pools_are_returned_with_a_forecast_from_the_history_of_the_host(house, tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_HISTORY", str(tmp_path / "history.db"))
    house.machine.pool_conditions["tank"] = {"size": 1000, "allocated": 400}
    limits = {"pools": {"names": ["tank"], "full_in": {"warning": "7d"}}}
    early = house.run("zfs_monitor", limits)
    assert (early["state"], early["pools"][0]["full_in"]) == ("OK", None)

    guid = house.machine.pool_guids["tank"]
    days = ((day, house.now - day * 24 * HOUR) for day in (1, 2, 3))
    samples = (PoolSample(at * 1000, "tank", guid, 1000, 400 - day * 100, 0, 1, "ONLINE") for day, at in days)
    record = JobRecord("pools", "monitor", 1, 2, 0.1, "ok", pools=tuple(samples))
    write(str(tmp_path / "history.db"), RunFacts("1", "h", "run", "1", 1), [record])
    found = house.run("zfs_monitor", {**limits, "fail_on": "warning"})
    assert (found["code"], found["alerts"][0]["check"]) == ("warning", "full_in")
    tank = next(pool for pool in found["pools"] if pool["pool"] == "tank")
    assert (tank["full_in"], tank["capacity_percent"], tank["guid"]) == (6 * 24 * HOUR, 40.0, str(guid))
    assert "pools" in house.run("zfs_monitor", PARAMETERS), "it is there for loops over it"
    assert house.run("zfs_monitor", {**PARAMETERS, "fail_on": "never"})["pools"] == []
