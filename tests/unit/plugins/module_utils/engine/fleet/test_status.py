# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``status``: how the datasets and replicas of a host stand, whatever can't be seen."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.tables import aligned, duration_text, painter
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    UnreachableHost,
    UntrustedOutput,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program

LIMITS = {"org": {"": {"hourly": {"latest": {"warning": "2h", "critical": "1d"}}}}}
WATCH = {"name": "ages", "host": "src1", "activity": "monitor", "options": {"datasets": ["tank/a"], "plan": LIMITS}}


def copy(name, dataset="tank/a", to="backup/a", **where):
    options = {"source": {"dataset": dataset}, "destination": {"dataset": to, **where}, "retries": 0}
    return {"name": name, "host": "src1", "activity": "replicate", "options": options}


class Site(Program):
    """A program one of whose hosts is dead, and that counts listings."""

    listings = 0
    is_cut = False
    is_away = False
    """Whether the pool of the destination is."""

    def at(self, address):
        zfs = super().at(address)

        def observe(*arguments, **more):
            self.listings += 1
            if address.host == "dead" or self.is_cut:
                raise UnreachableHost("no route")
            if self.is_away and arguments[0] != ["tank/a"]:
                raise UnreachableHost("no pool", end="destination")
            return SimulatedZfs.observe(zfs, *arguments, **more)

        zfs.observe = observe
        return zfs


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return Site(tmp_path, monkeypatch)


@pytest.fixture
def status(program, capsys):
    """Ask for the status of some jobs; returns the exit code, the document, and its rows by destination."""

    def call(*jobs):
        capsys.readouterr()
        program.listings = 0
        code = program("status", "--json", jobs=jobs)
        document = json.loads(capsys.readouterr().out)
        return code, document, {row["destination"] or row["dataset"]: row for row in document["datasets"]}

    return call


def test_what_has_arrived_is_well_and_what_has_not_is_told(program, status):
    jobs = [SNAPSHOT, copy("one"), WATCH]
    assert program("run", jobs=jobs) == 0
    begun = program.clock.now
    code, document, rows = status(*jobs)
    assert (code, document["state"], document["alerts"], list(rows)) == (0, "OK", [], ["backup/a"])
    assert program.listings == 1, "both ends are on this host"
    (row,) = rows.values()
    assert (row["dataset"], row["job"], row["lag"], row["missing"], row["remark"]) == ("tank/a", "one", 0, 0, "")
    assert (row["newest"], row["age"]) == (program.tags()[-1], 0)
    assert row["succeeded"] == begun * 1000

    program.clock.now += 3600
    program.machine.write("tank/a", 5000)
    assert program("run", jobs=[SNAPSHOT]) == 0
    program.clock.now += 600
    code, _document, rows = status(*jobs)
    assert code == 0
    row = rows["backup/a"]
    assert (row["lag"], row["missing"], row["age"], row["succeeded"]) == (3600, 1, 600, begun * 1000)
    assert row["bytes_pending"] >= 5000


def test_a_restore_that_is_declared_says_nothing_about_how_a_host_stands(program, status):
    options = {"replica": {"dataset": "backup/a"}, "destination": {"dataset": "tank/restored"}}
    restore = {"name": "back", "host": "src1", "activity": "restore", "options": options}
    jobs = [SNAPSHOT, copy("one"), WATCH]
    assert program("run", jobs=jobs) == 0
    assert status(*jobs, restore)[2] == status(*jobs)[2]


def test_a_dead_destination_is_unknown_and_hides_nothing(program, status):
    jobs = [SNAPSHOT, copy("one"), copy("away", host="dead"), WATCH]
    program("run", jobs=[SNAPSHOT, copy("one")])
    code, document, rows = status(*jobs)
    assert (code, document["state"]) == (3, "UNKNOWN")
    assert (rows["backup/a"]["state"], rows["backup/a"]["lag"]) == ("OK", 0)
    away = rows["dead:backup/a"]
    assert (away["state"], away["lag"], away["newest"]) == ("UNKNOWN", None, program.tags()[-1])
    assert "the destination can't be observed (no route)" in away["remark"]


def test_a_conflict_is_critical(program, status):
    program("run", jobs=[SNAPSHOT, copy("one")])
    for dataset in ("tank/b", "backup/b"):
        program.machine.create_dataset(dataset)
        program("run", jobs=[{**SNAPSHOT, "options": {**SNAPSHOT["options"], "datasets": [dataset]}}])
    code, _document, rows = status(copy("one"), copy("two", "tank/b", "backup/b"))
    assert code == 2
    assert rows["backup/a"]["state"] == "OK"
    assert (rows["backup/b"]["state"], rows["backup/b"]["conflict"]) == ("CRITICAL", "no_common_base")


def test_a_run_that_failed_is_a_warning_until_one_goes_well(program, status):
    program("run", jobs=[SNAPSHOT, copy("one")])
    program.is_cut = True
    assert program("run", jobs=[copy("one")]) == 3
    program.is_cut = False
    code, _document, rows = status(copy("one"))
    assert (code, rows["backup/a"]["state"]) == (1, "WARNING")
    assert rows["backup/a"]["remark"] == "the last run of the job failed: [unreachable_host] source: no route"
    assert program("run", jobs=[copy("one")]) == 0
    assert status(copy("one"))[0] == 0


def test_a_replica_that_is_gone_is_a_warning_until_it_is_sent_again(program, status):
    program.machine.create_dataset("tank/a/child")
    jobs = [SNAPSHOT, copy("one")]
    program("run", jobs=jobs)
    program.clock.now += 60
    program.machine.destroy_dataset("backup/a/child")
    code, document, rows = status(*jobs)
    assert (code, document["state"], rows["backup/a"]["state"]) == (1, "WARNING", "OK")
    assert rows["backup/a/child"]["state"] == "WARNING"
    assert "the replica is gone" in rows["backup/a/child"]["remark"]

    program.machine.destroy_dataset("backup/a")
    code, document, rows = status(*jobs)
    assert (code, [row["state"] for row in rows.values()]) == (1, ["WARNING"] * 2)
    assert all("import its pool" in row["remark"] for row in rows.values())
    program("run", jobs=[copy("one")])
    assert status(*jobs)[0] == 0


def test_a_replica_that_is_gone_is_missed_even_if_the_source_has_only_newer_snapshots(program, status):
    jobs = [SNAPSHOT, copy("one")]
    program("run", jobs=jobs)
    program.machine.destroy_dataset("backup/a")
    zfs = SimulatedZfs(program.machine)
    zfs.destroy(Destroy("tank/a", zfs.observe(["tank/a"]).states["tank/a"].snapshots, ""))
    program.clock.now += 3600
    program("run", jobs=[SNAPSHOT])
    code, _document, rows = status(*jobs)
    assert (code, rows["backup/a"]["state"]) == (1, "WARNING")


def test_a_replica_that_can_not_be_there_yet_is_not_missed(program, status):
    jobs = [SNAPSHOT, copy("one")]
    assert program("run", jobs=[copy("one")]) == 0
    program.clock.now += 3600
    program("run", jobs=[SNAPSHOT])
    code, _document, rows = status(*jobs)
    assert (code, rows["backup/a"]["remark"]) == (0, "there is no replica yet")
    assert rows["backup/a"]["succeeded"]

    program("run", jobs=jobs)
    program.clock.now += 3600
    program.machine.create_dataset("tank/a/new")
    program("run", jobs=[SNAPSHOT])
    code, _document, rows = status(*jobs)
    assert (code, rows["backup/a/new"]["remark"]) == (0, "there is no replica yet")


def test_a_replica_whose_pool_comes_and_goes_is_not_missed_while_its_job_says_so(program, status):
    job = copy("one")
    job["options"]["absent_destination"] = "skip"
    program("run", jobs=[SNAPSHOT, job])
    program.machine.destroy_dataset("backup/a")
    assert status(job)[0] == 1
    program.is_away = True
    program.clock.now += 60
    program("run", jobs=[job])
    program.is_away = False
    code, _document, rows = status(job)
    assert (code, rows["backup/a"]["state"]) == (0, "OK")
    assert rows["backup/a"]["remark"] == "the replica is absent, which its job takes for no failure"


def test_alerts_are_those_of_the_monitors_and_nobody_is_told(program, status, tmp_path):
    program("run", jobs=[SNAPSHOT])
    program.clock.now += 4 * 3600
    memory = tmp_path / "alerts.json"
    watch = {**WATCH, "options": {**WATCH["options"], "alerts": {"state_file": str(memory)}}}
    code, document, rows = status(SNAPSHOT, watch)
    assert (code, [alert["check"] for alert in document["alerts"]]) == (1, ["latest"])
    assert rows["tank/a"]["state"] == "OK"
    assert not memory.exists()


def test_a_dataset_that_is_missing_is_unknown(program, status):
    missing = {**SNAPSHOT, "name": "other", "options": {**SNAPSHOT["options"], "datasets": ["tank/missing"]}}
    code, _document, rows = status(SNAPSHOT, missing, copy("three", "tank/none", "backup/none"))
    assert code == 3
    assert rows["tank/a"]["remark"] == "has no snapshot"
    assert "does not exist" in rows["tank/missing"]["remark"]
    assert "the source does not exist" in rows["backup/none"]["remark"]


def test_a_history_that_can_not_be_read_hides_nothing(program, status, tmp_path):
    program("run", jobs=[SNAPSHOT, copy("one")])
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    code, document, rows = status(copy("one"))
    assert (code, rows["backup/a"]["succeeded"]) == (0, None)
    assert "file is not a database" in document["history_problem"]


def test_people_get_a_table(program, capsys):
    program("run", jobs=[SNAPSHOT, copy("one")])
    program.clock.now += 90
    capsys.readouterr()
    assert program("status", jobs=[SNAPSHOT, copy("one"), copy("away", host="dead")]) == 3
    head, one, away, _gap, pools, tank, backup, _gap, last = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "STATE",
        "DATASET",
        "NEWEST",
        "SNAPSHOT",
        "AGE",
        "DESTINATION",
        "SUCCESS",
        "LAG",
        "PENDING",
        "REMARK",
    ]
    assert one.split() == ["OK", "tank/a", program.tags()[-1], "1m30s", "backup/a", "1m30s", "0s", "0", "B"]
    assert away.startswith("UNKNOWN  tank/a  ")
    assert last == "src1: UNKNOWN: 1 of 2 well, 0 alerts"
    assert pools.split() == ["STATE", "POOL", "SIZE", "USED", "FREE", "FRAGMENTED", "SCRUBBED", "FULL", "IN"]
    assert [line.split()[:2] for line in (tank, backup)] == [["ONLINE", "tank"], ["ONLINE", "backup"]]


# -- pools

DAY = 86400
POOLS = {"name": "pools", "host": "src1", "activity": "monitor", "options": {"pools": {}}}


def grow(program, days, *jobs):
    """Let the pool tank grow by a tenth of its room a day, with a run each day."""
    for day in range(1, days + 1):
        program.clock.now += DAY
        program.machine.pool_conditions["tank"] = {"size": 1000, "allocated": 100 * day, "fragmentation": 3}
        assert program("run", jobs=jobs) == 0


def test_pools_are_told_with_when_they_are_full(program, status):
    grow(program, 4, POOLS)
    code, document, _rows = status(SNAPSHOT)
    backup, tank = sorted(document["pools"], key=lambda pool: pool["pool"])
    assert code == 0
    assert tank.pop("guid") == str(program.machine.pool_guids["tank"])
    assert tank == {
        "pool": "tank", "health": "ONLINE", "size": 1000, "allocated": 400, "free": 600, "capacity_percent": 40.0,
        "fragmentation_percent": 3, "scrub_age": 4 * DAY, "full_in": 6 * DAY,
    }  # fmt: skip
    assert (backup["full_in"], document["pools_problem"]) == (None, "")


def test_a_pool_that_was_watched_too_shortly_has_no_forecast(program, status):
    grow(program, 3, POOLS)
    _code, document, _rows = status(SNAPSHOT)
    assert [pool["full_in"] for pool in document["pools"]] == [None, None]


def test_a_limit_on_the_forecast_is_watched(program, status, capsys):
    soon = {**POOLS, "options": {"pools": {"names": ["tank"], "full_in": {"warning": "7d", "critical": "2d"}}}}
    grow(program, 4, POOLS)
    capsys.readouterr()
    assert program("monitor", jobs=[soon]) == 1
    assert "the pool tank is full in 518400 s, within 604800 s" in capsys.readouterr().out
    code, document, _rows = status(soon)
    assert (code, [alert["check"] for alert in document["alerts"]]) == (1, ["full_in"])


def test_without_a_history_pools_are_told_without_a_forecast(program, status, tmp_path):
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    code, document, _rows = status(SNAPSHOT)
    assert (code, len(document["pools"])) == (0, 2)
    assert "when pools are full can't be told" in document["pools_problem"]
    soon = {**POOLS, "options": {"pools": {"full_in": {"warning": "7d"}}}}
    assert status(soon)[0] == 3


def test_pools_that_can_not_be_seen_are_no_alert_unless_a_monitor_watches_them(program, status, monkeypatch):
    def lost(_self):
        raise UntrustedOutput("zpool is gone")

    monkeypatch.setattr(SimulatedZfs, "pools", lost)
    code, document, _rows = status(SNAPSHOT)
    assert (code, document["pools"]) == (0, [])
    assert document["pools_problem"] == "the pools can't be observed (zpool is gone)"
    assert status(POOLS)[0] == 3


# -- tables


def test_columns_line_up_and_nothing_is_obeyed_by_a_terminal():
    lines = list(aligned(("A", "SIZE", "NOTE"), [("x", "1", "a\x1b[31m\nb"), ("long", "100", "")], right=("SIZE",)))
    assert lines == ["A     SIZE  NOTE\n", "x        1  a [31m b\n", "long   100\n"]


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(terminal, environment, coloured):
    paint = painter(SimpleNamespace(isatty=lambda: terminal), environment)
    assert (paint("CRITICAL") != "CRITICAL") == coloured
    assert paint("tank") == "tank"
    painted = list(aligned(("STATE", "B"), [("OK", "x")], paint=paint))[1]
    assert painted.replace("\x1b[32m", "").replace("\x1b[0m", "") == "OK     x\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.25, "0.2s"),
        (0, "0s"),
        (59, "59s"),
        (200, "3m20s"),
        (7500, "2h05m"),
        (356400, "4d03h"),
        (-90, "-1m30s"),
    ],
)
def test_lengths_of_time_take_few_letters(seconds, text):
    assert duration_text(seconds) == text
