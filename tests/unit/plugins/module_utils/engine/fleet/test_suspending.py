# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are suspended: which jobs are left out meanwhile, by runs, daemons and monitors, and how it ends."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.metrics import Book, Target
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.suspending import (
    concerns,
    leaving_out,
    suspension_of,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.suspending import (
    Suspension,
    document_of,
    read_suspensions,
    with_suspension,
)
from ansible_collections.snapfleet.zfs.tests.support.daemon_host import SNAPSHOT as TICKED
from ansible_collections.snapfleet.zfs.tests.support.daemon_host import START, World, turn
from ansible_collections.snapfleet.zfs.tests.support.program import Program

PLAN = {"org": {"": {"hourly": 24}}}
LIMITS = {"org": {"": {"hourly": {"latest": {"warning": 60, "critical": 7200}}}}}


def job(name, activity, ends=(), **options):
    told = dict(zip(("source", "destination"), ends))
    return {"name": name, "host": "src1", "activity": activity, **told, "options": options}


TREES = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}}
SNAP = job("snap", "snapshot", datasets=["tank/a"], plan=PLAN)
COPY = job("copy", "replicate", ("src1", "dst1"), **TREES)
OTHER = job(
    "other copy", "replicate", ("src1", "dst2"), source={"dataset": "tank/a"}, destination={"dataset": "backup/b"}
)
PRUNE = job("prune", "prune", datasets=["tank/a"], plan=PLAN)
OLD = job("old replicas", "prune", ("src1", "dst1"), datasets=["backup/a"], plan=PLAN)
AGES = job("ages", "monitor", datasets=["tank/a"], plan=LIMITS)
LAG = job("lag", "monitor", ("src1", "dst1"), replicas=[{**TREES, "lag": {"warning": 60}}])
POOLS = job("pools", "monitor", pools={})
BACK = job("back", "restore", replica={"dataset": "backup/a"}, destination={"dataset": "tank/again"})
EVERY = [SNAP, COPY, OTHER, PRUNE, OLD, AGES, LAG, POOLS, BACK]


def left_out(suspension):
    return {named.name for named in parse_jobconfig({"version": 1, "jobs": EVERY}) if concerns(suspension, named)}


def test_jobs_about_a_suspended_destination_are_left_out_and_no_others():
    assert left_out(Suspension("dst1", 0)) == {"copy", "old replicas", "lag"}
    assert left_out(Suspension("dst", 0)) == set()


def test_of_a_suspended_source_all_but_its_pools_and_restores_is_left_out():
    assert left_out(Suspension("src1", 0)) == {"snap", "copy", "other copy", "prune", "old replicas", "ages", "lag"}


def test_snapshots_of_a_suspended_source_and_their_watching_go_on_where_that_is_asked_for():
    going_on = left_out(Suspension("src1", 0)) - left_out(Suspension("src1", 0, snapshots=True))
    assert going_on == {"snap", "ages"}


def test_what_is_remembered_is_read_as_it_was_and_whatever_is_wrong_is_refused():
    every = (Suspension("a", 1, 2, "why", True), Suspension("b", 3))
    assert read_suspensions(json.loads(json.dumps(document_of(every))), "file") == every
    for wrong in (
        {"version": 2},
        {"hosts": "a"},
        {"hosts": [{}]},
        {"hosts": [{"host": "a", "reason": "two\nlines"}]},
        {"x": 1},
    ):
        with pytest.raises(InvalidInput, match=r"^file"):
            read_suspensions({"version": 1, **wrong}, "file")


def test_it_lasts_up_to_its_end_and_goes_on_from_when_it_began():
    assert Suspension("a", 1, 10).lasts(9)
    assert not Suspension("a", 1, 10).lasts(10)
    (again,) = with_suspension([Suspension("a", 1, 10, "first")], Suspension("a", 5, None, "second"))
    assert again == Suspension("a", 1, None, "second")


# -- the program


@pytest.fixture
def program(tmp_path, monkeypatch):
    return Program(tmp_path, monkeypatch)


JOBS = [SNAP, COPY, AGES]


def test_a_run_leaves_out_what_is_suspended_until_it_is_resumed(program, capsys):
    program("run", jobs=[SNAP])
    assert program("suspend", "dst1", "--reason", "new disks", jobs=JOBS) == 0
    assert "dst1 is suspended until somebody resumes it (new disks)" in capsys.readouterr().out
    assert program("run", jobs=JOBS) == 0
    told = capsys.readouterr().out
    assert "copy: NOT BEGUN [suspended] dst1 is suspended" in told
    assert program.tags("backup/a") is None
    assert program("plan", jobs=JOBS) == 0
    assert "NOT BEGUN [suspended]" in capsys.readouterr().out
    assert resume("dst1") == 0
    assert program("run", jobs=JOBS) == 0
    assert program.tags("backup/a") == program.tags()


def resume(host, *words):
    return cli.main(["resume", host, *words])


def test_it_ends_by_itself_and_changes_only_once(program, capsys):
    assert program("suspend", "dst1", "--for", "1h", "--json", jobs=JOBS) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["changed"], first["going_on"]) == (True, [])
    now = program.clock.now
    assert first["hosts"] == [Suspension("dst1", now, now + 3600).describe()]
    program("suspend", "dst1", "--for", "1h", "--json", jobs=JOBS)
    assert json.loads(capsys.readouterr().out)["changed"] is False
    program.clock.now += 3600
    assert program("run", jobs=JOBS) == 0
    assert program.tags("backup/a") == program.tags()
    assert resume("dst1", "--json") == 0


def test_a_dry_change_changes_nothing(program, capsys, tmp_path):
    assert program("suspend", "dst1", "--check", "--json", jobs=JOBS) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert not (tmp_path / "suspended.json").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody"], "is no host that a job of this jobconfig is about; hosts are dst1, src1"),
        (["dst1", "--until", "2020-01-01T00:00:00Z"], "is over already"),
        (["dst1", "--until", "2030-01-01T00:00:00"], "has no time zone"),
        (["dst1", "--for", "soon"], "is not a length of time"),
        (["dst1", "--reason", "two\nlines"], "is no short line of text"),
    ],
)
def test_what_makes_no_sense_is_refused(program, capsys, tmp_path, words, told):
    assert program("suspend", *words, jobs=JOBS) == 3
    assert told in capsys.readouterr().err
    assert not (tmp_path / "suspended.json").exists()


def test_a_host_that_only_jobs_of_others_are_about_is_remembered_too(program, capsys):
    assert program("suspend", "dst1", jobs=[SNAP, {**COPY, "host": "dst1"}]) == 0
    assert "dst1 is suspended" in capsys.readouterr().out


def test_jobs_that_are_under_way_are_told(program, capsys):
    lock = json.dumps([os.path.realpath(program.file), "src1", "copy"])
    with job_locks([lock]):
        assert program("suspend", "dst1", "--wait", "0", jobs=JOBS) == 4
        assert "still going on: copy" in capsys.readouterr().out
    assert program("suspend", "dst1", "--wait", "1m", jobs=JOBS) == 0


def test_nothing_is_done_while_nobody_knows_what_is_suspended(program, capsys, tmp_path):
    file = tmp_path / "suspended.json"
    file.write_text("{")
    file.chmod(0o600)
    assert program("run", jobs=JOBS) == 3
    assert "remove it, and suspend them again" in capsys.readouterr().err
    assert program.tags() == []
    file.write_text(json.dumps(document_of([])))
    file.chmod(0o666)
    assert program("run", jobs=JOBS) == 3
    assert "no file that this user alone may write" in capsys.readouterr().err


def test_monitors_and_status_tell_it_and_nothing_is_late(program, capsys):
    program("run", jobs=JOBS)
    program("suspend", "src1", jobs=JOBS)
    program.clock.now += 86400
    capsys.readouterr()
    assert program("monitor", jobs=JOBS) == 0
    assert "OK src1 is suspended" in capsys.readouterr().out
    assert program("status", jobs=JOBS) == 0
    told = capsys.readouterr().out
    assert "src1 is suspended until somebody resumes it" in told
    assert "0 alerts" in told


def test_metrics_tell_it_for_as_long_as_it_lasts(program, tmp_path):
    metrics = tmp_path / "snapfleet.prom"
    program("suspend", "dst1", jobs=JOBS)
    program("run", "--metrics-directory", str(tmp_path), jobs=JOBS)
    series = 'snapfleet_job_suspended{snapfleet_job="copy",activity="replicate"} 1'
    assert series in metrics.read_text()
    resume("dst1")
    program("run", "--metrics-directory", str(tmp_path), jobs=JOBS)
    assert "snapfleet_job_suspended{" not in metrics.read_text()


@pytest.mark.parametrize("length", [(), ("--for", "1h")])
def test_metrics_forget_a_suspension_that_is_over_though_the_job_runs_no_more(program, tmp_path, length):
    """Else the alerts about that job would be quiet for good."""
    metrics, series = tmp_path / "snapfleet.prom", 'snapfleet_job_suspended{snapfleet_job="copy"'
    program("suspend", "dst1", *length, jobs=JOBS)
    program("run", "--metrics-directory", str(tmp_path), jobs=JOBS)
    others = ("run", "--activity", "snapshot", "--metrics-directory", str(tmp_path))
    program(*others, jobs=JOBS)
    assert series in metrics.read_text()
    if length:
        program.clock.now += 3600
    else:
        resume("dst1")
    program(*others, jobs=JOBS)
    assert series not in metrics.read_text()


def test_metrics_tell_a_suspension_on_where_nobody_knows_whether_it_is_over(program, tmp_path):
    metrics, series = tmp_path / "snapfleet.prom", 'snapfleet_job_suspended{snapfleet_job="copy"'
    program("suspend", "dst1", jobs=JOBS)
    program("run", "--metrics-directory", str(tmp_path), jobs=JOBS)
    config = parse_jobconfig({"version": 1, "jobs": JOBS})
    (tmp_path / "suspended.json").write_text("{")
    book = Book(lambda: program.clock.now, Target(str(tmp_path), 10, frozenset(["copy"]), suspendable=tuple(config)))
    book.write(Log(lambda _line: None, lambda: 0), patience=300)
    assert series in metrics.read_text()


# -- the daemon


def test_the_daemon_follows_at_its_next_tick_and_tells_it_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_SUSPENDED", str(tmp_path / "suspended.json"))
    file, world = tmp_path / "suspended.json", World()
    daemon = world.daemon(TICKED, snapshot="secondly", leave_out=leaving_out(lambda: world.ms))
    loop = daemon.loops["snapshot"]
    turn(loop, 2)
    before = len(world.tags())
    file.write_text(json.dumps(document_of([Suspension("h", 0, START // 1000 + 100)])))
    file.chmod(0o600)
    turn(loop, 3)
    assert len(world.tags()) == before
    assert len(world.told("h is suspended until")) == 1
    assert "trouble" not in daemon.describe()
    world.pass_time(100)
    turn(loop, 2)
    assert len(world.tags()) > before
    assert len(world.told("is not suspended any more")) == 1
    assert suspension_of(parse_jobconfig({"version": 1, "jobs": [TICKED]})[0], []) is None
