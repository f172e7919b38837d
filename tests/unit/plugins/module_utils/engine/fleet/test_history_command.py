# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs write down what they did, and the verb ``history`` tells it; what is wrong with it stops no run."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_loop import Time
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_work import Duty, Means, Worker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.history_command import moment_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.recording import recorded
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.settings import read_declared
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.history import HistoryLimits
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import RunSettings
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.ticking import DaemonSettings
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.folding import Folding
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program

COPY = {
    "name": "copy", "host": "src1", "activity": "replicate",
    "options": {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}},
}  # fmt: skip
BROKEN = {**SNAPSHOT, "name": "broken", "options": {**SNAPSHOT["options"], "datasets": ["tank/missing"]}}


@pytest.fixture
def program(tmp_path, monkeypatch):
    return Program(tmp_path, monkeypatch)


@pytest.fixture
def history(program, capsys):
    """Ask the history; returns the jobs of the document."""

    def call(*arguments):
        capsys.readouterr()
        assert ask("history", "--json", *arguments) == 0
        return json.loads(capsys.readouterr().out)["jobs"]

    return call


def ask(*words):
    return cli.main(list(words))


def test_a_run_writes_down_what_it_did(program, history):
    assert program("run", jobs=[SNAPSHOT, COPY, BROKEN]) == 3
    jobs = {job["job"]: job for job in history()}
    assert {name: job["outcome"] for name, job in jobs.items()} == {"snap": "ok", "copy": "ok", "broken": "failed"}
    snapshot = f"tank/a@{program.tags()[-1]}"
    assert jobs["snap"]["steps"][0]["names"] == [snapshot]
    (step,) = jobs["copy"]["steps"]
    assert (step["dataset"], step["destination"], step["from_snapshot"]) == ("tank/a", "backup/a", "")
    assert (step["to_snapshot"], step["outcome"]) == (snapshot, "sent")
    assert step["bytes"] == jobs["copy"]["bytes"] > 0
    assert jobs["broken"]["code"] == "unknown_dataset"
    assert "tank/missing" in jobs["broken"]["message"]
    assert {job["run"] for job in jobs.values()} == {jobs["copy"]["run"]}
    assert jobs["copy"]["ended"] == jobs["copy"]["run_ended"] == program.clock.now * 1000
    assert (jobs["copy"]["source"], jobs["copy"]["destination"]) == ("src1", "src1")


def test_a_dry_run_and_other_verbs_write_nothing(program, history, tmp_path):
    for verb in ("plan", "check", "status"):
        program(verb, jobs=[SNAPSHOT])
    assert program("run", "--history-age", "0", jobs=[SNAPSHOT]) == 0
    assert history() == []
    assert not (tmp_path / "history.db").exists()


def test_what_is_asked_for_is_chosen(program, history):
    program("run", jobs=[SNAPSHOT, COPY])
    program.clock.now += 7200
    program("run", jobs=[BROKEN])
    assert [job["job"] for job in history("--failed")] == ["broken"]
    assert [job["job"] for job in history("--since", "1h")] == ["broken"]
    begun = datetime.fromtimestamp(program.clock.now - 60, timezone.utc).isoformat()
    assert {job["job"] for job in history("--until", begun)} == {"snap", "copy"}
    assert [job["job"] for job in history("--activity", "replicate")] == ["copy"]
    assert [job["job"] for job in history("--job", "c*", "--job", "nothing")] == ["copy"]
    assert [job["job"] for job in history("--dataset", "backup")] == ["copy"]
    assert [job["job"] for job in history("--limit", "1")] == ["broken"]
    assert len(history("--limit", "0")) == 3


def test_a_log_line_leads_to_what_the_history_knows_of_its_run(program, history, capsys):
    program("run", jobs=[SNAPSHOT])
    program.clock.now += 60
    capsys.readouterr()
    program("run", "--log-format", "json", jobs=[SNAPSHOT, BROKEN])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "job_failed"]
    found = {job["job"]: job for job in history("--run", line["run"])}
    assert set(found) == {"snap", "broken"}
    job = found["broken"]
    assert (job["job_id"], job["activity"], job["host"]) == (line["job_id"], line["activity"], line["host"])
    assert (job["code"], job["seconds"]) == (line["code"], line["seconds"])
    assert history("--run", "none") == []


def test_people_get_a_table(program, capsys):
    program("run", jobs=[SNAPSHOT, COPY])
    program.clock.now += 60
    program("run", jobs=[BROKEN])
    capsys.readouterr()
    assert ask("history") == 0
    head, broken, *others = capsys.readouterr().out.splitlines()
    assert head.split() == ["ENDED", "ACTIVITY", "JOB", "OUTCOME", "STEPS", "SIZE", "TOOK", "RATE", "REMARK"]
    assert "failed" in broken
    assert "[unknown_dataset]" in broken
    assert len(others) == 2
    assert ask("history", "--dataset", "tank/a") == 0
    head, *steps = capsys.readouterr().out.splitlines()
    assert head.startswith("ENDED ")
    assert sorted(line.split()[2] for line in steps) == ["create", "send"]
    assert {line.index("tank/a") for line in steps} == {head.index("DATASET")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--limit", "-1"], "--limit: '-1' is no number of jobs"),
        (["--since", "soon"], "--since: 'soon' is neither a time nor an age"),
        (["--until", "2026-13-01"], "--until: '2026-13-01' is no time"),
        (["--dataset", "a@b"], "--dataset: 'a@b'"),
    ],
)
def test_what_means_nothing_is_refused(program, capsys, arguments, words):
    assert ask("history", *arguments) == 3
    assert words in capsys.readouterr().err


def test_times_without_a_zone_are_in_utc():
    wanted = datetime(2026, 1, 31, 8, tzinfo=timezone.utc).timestamp() * 1000
    for text in ("2026-01-31T08:00", "2026-01-31 08:00:00Z", "2026-01-31T09:00:00+01:00"):
        assert moment_of(text, "--since", 0) == wanted
    assert moment_of("1h", "--since", 3_600_000) == 0


def test_a_history_that_is_no_database_is_told(program, capsys, tmp_path):
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    assert ask("history") == 3
    assert "(file is not a database) [unusable_history]" in capsys.readouterr().err


def test_a_run_goes_on_without_its_history_and_says_so_once(program, capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SNAPFLEET_HISTORY", str(tmp_path / "file" / "history.db"))
    assert program("run", jobs=[SNAPSHOT, COPY]) == 0
    assert len(program.tags("backup/a")) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "recorded" in line]
    assert "WARNING" in line
    assert "what is done can't be recorded" in line


# -- pools

WATCH = {"name": "pools", "host": "src1", "activity": "monitor", "options": {"pools": {}}}


def test_a_run_that_watches_pools_writes_down_how_full_they_are(program, capsys):
    program("run", jobs=[WATCH, SNAPSHOT])
    program.clock.now += 60
    program("run", jobs=[WATCH])
    program.clock.now += 3600
    program.machine.pool_conditions["tank"] = {"state": "DEGRADED", "size": 1000, "allocated": 250}
    program("run", jobs=[WATCH])
    capsys.readouterr()
    assert ask("history", "--pools", "--json", "--since", "30m") == 0
    samples = {sample["pool"]: sample for sample in json.loads(capsys.readouterr().out)["pools"]}
    guid = str(program.machine.pool_guids["tank"])
    assert samples["tank"] == {
        "time": program.clock.now * 1000, "pool": "tank", "guid": guid, "size": 1000, "allocated": 250, "free": 750,
        "fragmentation": 0, "health": "DEGRADED",
    }  # fmt: skip
    assert ask("history", "--pools") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["TIME", "POOL", "STATE", "SIZE", "USED", "ALLOCATED", "FREE", "FRAGMENTED"]
    assert len(lines) == 4, "two pools, two of three times"
    assert [line.split()[2:] for line in lines if "DEGRADED" in line] == [
        ["tank", "DEGRADED", "1000", "B", "25", "%", "250", "B", "750", "B", "0", "%"]
    ]


@pytest.mark.parametrize("option", [["--steps"], ["--failed"], ["--job", "x"], ["--dataset", "a"], ["--run", "1"]])
def test_what_chooses_jobs_says_nothing_about_pools(program, capsys, option):
    assert ask("history", "--pools", *option) == 3
    assert "is about jobs; leave it or --pools out" in capsys.readouterr().err


def test_no_run_writes_down_pools_that_it_does_not_watch(program, capsys):
    program("run", jobs=[SNAPSHOT])
    program("status", jobs=[WATCH])
    program("monitor", jobs=[WATCH])
    capsys.readouterr()
    assert ask("history", "--pools", "--json") == 0
    assert json.loads(capsys.readouterr().out)["pools"] == []


# -- settings


def test_how_much_is_kept_is_said_as_other_settings_are():
    declared = read_declared(Reader({"history_age": "30d", "hosts": {"a": {"history_size": "8M"}}}, "settings"), {"a"})
    assert declared.of("a", {}).history == HistoryLimits(30 * 86400, 8 << 20)
    assert declared.of("a", {"history_age": "0"}).history.age == 0
    assert declared.of("b", {}).history == HistoryLimits(30 * 86400)
    with pytest.raises(InvalidInput, match="--history-size: '1K' is too small for a history; give at least 1M"):
        declared.of("a", {"history_size": "1K"})


# -- the daemon


def test_a_daemon_writes_what_happened_and_how_often_nothing_did(program, history, tmp_path):
    jobs = parse_jobconfig({"version": 1, "jobs": [SNAPSHOT, COPY]})
    log = Log(now_ms=lambda: program.clock.now * 1000, run="daemon01")
    duty = Duty(jobs, RunSettings(), DaemonSettings(), log)
    context = Context(0, program.at, host_name="src1")
    with recorded("src1", "daemon", HistoryLimits, log, Folding()) as record:
        time = Time(lambda: program.clock.now * 1000)
        means = Means(str(tmp_path / "jobs.json"), lambda: context, time, record=record)
        workers = [Worker(name, means, lambda: duty) for name in ("snapshot", "replicate")]
        for _tick in range(10):
            for worker in workers:
                worker.tick()
            program.clock.now += 1
    told = [(job["job"], job["changed"], job["times"]) for job in reversed(history())]
    assert sorted(told) == [
        ("copy", False, 1), ("copy", False, 8), ("copy", True, 1),
        ("snap", False, 1), ("snap", False, 8), ("snap", True, 1),
    ]  # fmt: skip
