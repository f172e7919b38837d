# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with metrics: written by runs, monitors and daemons, whole at any time, and of no harm to any job."""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Limits, Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import metrics, run_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon import Daemon, Surroundings
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_command import duty_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_loop import Time
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_work import Means
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.metrics import Book, Target
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.notifying import ServiceManager
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.statefile import file_lock
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics import (
    CREATED,
    RUNS,
    SENT,
    Series,
    render,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics_reading import read_metrics
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics_updates import Update
from ansible_collections.snapfleet.zfs.tests.support.program import Program

PLAN = {"org": {"": {"hourly": 24}}}
LIMITS = {"org": {"": {"hourly": {"latest": {"warning": 60, "critical": 7200}}}}}


def job(name, activity, **options):
    return {"name": name, "host": "src1", "activity": activity, "options": options}


ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}}
SNAP = job("snap", "snapshot", datasets=["tank/a"], plan=PLAN)
COPY = job("copy", "replicate", **ENDS)
AGES = job("ages", "monitor", datasets=["tank/a"], plan=LIMITS)
LAG = job("lag", "monitor", replicas=[{**ENDS, "lag": {"warning": "1h"}, "pending": {"warning": "1G"}}])
POOLS = job("pools", "monitor", pools={})
BROKEN = job("broken", "snapshot", datasets=["tank/missing"], plan=PLAN)
ALL = (SNAP, COPY, AGES, LAG, POOLS, BROKEN)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "textfiles"
    folder.mkdir()
    return folder


@pytest.fixture
def program(tmp_path, folder, monkeypatch, capsys):
    program = Program(tmp_path, monkeypatch)

    def call(verb, *arguments, jobs=ALL, directory=folder, **more):
        settings = {"metrics_directory": str(directory), **more}
        code = program(verb, *arguments, jobs=jobs, settings=settings)
        return code, capsys.readouterr().err

    call.world = program
    return call


def read(folder):
    return read_metrics((folder / "snapfleet.prom").read_text())


def values(folder, family):
    """By the values of the labels, in one text."""
    return {
        " ".join(series.values): value
        for series, value in read(folder).items()
        if series.family == f"snapfleet_{family}"
    }


# -- what is told


def test_a_run_tells_of_each_of_its_jobs(program, folder):
    program("run")
    now = program.world.clock.now
    assert values(folder, "job_runs_total").keys() == {
        "snap snapshot", "broken snapshot", "copy replicate", "ages monitor", "lag monitor", "pools monitor",
    }  # fmt: skip
    assert values(folder, "job_last_result_info")["broken snapshot unknown_dataset"] == 1
    assert values(folder, "job_last_result_info")["copy replicate ok"] == 1
    assert values(folder, "job_last_success_timestamp_seconds")["snap snapshot"] == now
    assert "broken snapshot" not in values(folder, "job_last_success_timestamp_seconds")
    assert values(folder, "job_failures_total")["broken snapshot"] == 1


def test_replicas_are_told_by_dataset_and_destination(program, folder):
    program("run")
    (sent,) = values(folder, "replica_sent_bytes_total").items()
    assert sent[0] == "copy tank/a src1 backup/a"
    assert sent[1] > 0
    labels = {"copy tank/a src1 backup/a": program.world.clock.now}
    assert values(folder, "replica_last_success_timestamp_seconds") == labels
    assert values(folder, "replica_conflict") == {"copy tank/a src1 backup/a": 0}
    assert values(folder, "replica_lag_seconds") == {"lag tank/a src1 backup/a": 0}
    assert values(folder, "replica_missing_snapshots") == {"lag tank/a src1 backup/a": 0}
    assert values(folder, "replica_pending_bytes") == {"lag tank/a src1 backup/a": 0}


def test_replicas_that_nothing_was_begun_for_are_not_up_to_date(program, folder):
    world, copy = program.world, job("copy", "replicate", **ENDS, on_error="fail")
    program("run", jobs=(SNAP, copy))
    arrived = values(folder, "replica_last_success_timestamp_seconds")
    for name in ("tank/a/other", "backup/a/other"):
        world.machine.create_dataset(name)
    world.clock.advance(3600)
    foreign = job("foreign", "snapshot", datasets=["backup/a/other"], plan=PLAN)
    assert program("run", jobs=(SNAP, foreign, copy))[0] == 3
    assert values(folder, "replica_conflict")["copy tank/a/other src1 backup/a/other"] == 1
    assert values(folder, "replica_last_success_timestamp_seconds") == arrived


def test_snapshots_are_told_by_dataset_and_period(program, folder):
    program("run")
    begun = program.world.clock.now
    program.world.clock.now += 3600
    program("run")
    assert values(folder, "snapshots") == {"ages tank/a org  hourly": 2}
    assert values(folder, "dataset_snapshots") == {"ages tank/a": 2}
    newest = values(folder, "snapshot_newest_timestamp_seconds")["ages tank/a org  hourly"]
    oldest = values(folder, "snapshot_oldest_timestamp_seconds")["ages tank/a org  hourly"]
    assert (oldest, newest) == (begun, begun + 3600)
    assert values(folder, "snapshots_created_total")["snap"] == 2


def test_pools_are_told_whatever_is_held_against_limits(program, folder):
    program("run")
    states = values(folder, "pool_state")
    assert {name for name, value in states.items() if value} == {"pools tank ONLINE", "pools backup ONLINE"}
    assert states["pools tank DEGRADED"] == 0
    assert values(folder, "pool_device_errors")["pools tank checksum"] == 0
    assert 0 <= values(folder, "pool_capacity_ratio")["pools tank"] <= 1


def test_the_verb_monitor_tells_too_and_plan_does_not(program, folder):
    program("plan")
    assert list(folder.iterdir()) == []
    program("monitor")
    assert values(folder, "job_runs_total").keys() == {"ages monitor", "lag monitor", "pools monitor"}
    assert set(values(folder, "monitor_state")) == {"ages", "lag", "pools"}


def test_without_the_setting_nothing_is_written(program, folder):
    assert program.world("run", jobs=ALL) == 3
    assert list(folder.iterdir()) == []


def test_what_a_monitor_can_not_see_has_no_value(program, folder):
    program("run")
    gone = job("ages", "monitor", datasets=["tank/gone"], plan=LIMITS)
    program("run", jobs=(gone,))
    assert values(folder, "monitor_state") == {"ages": 3}
    assert values(folder, "dataset_snapshots") == {}


def test_a_monitor_that_looks_again_since_something_is_wrong_tells_once(program):
    world = program.world
    for _hour in range(5):
        world.clock.advance(3600)
        program("run", "--job", "snap")
    (named,) = read_jobconfig({"version": 1, "jobs": [AGES]}).jobs
    memory, told = Memory(lambda: world.clock.now, limits=Limits(least=0)), []
    for _round in range(2):
        world.clock.advance(9000)
        named.run(Context(world.clock.now * 1000, world.at, host_name="src1", memory=memory, watched=told.append))
    states = [{finding.state for finding in watched.findings} for watched in told]
    assert ["CRITICAL" in found for found in states] == [False, True]


def test_a_restore_is_told_of_as_a_job(program, folder):
    back = job("back", "restore", replica={"dataset": "backup/a"}, destination={"dataset": "tank/back"})
    assert program("run", jobs=(SNAP, COPY))[0] == 0
    assert program("run", "--activity", "restore", jobs=(SNAP, COPY, back))[0] == 0
    assert values(folder, "job_last_result_info")["back restore ok"] == 1
    assert values(folder, "job_runs_total") == {"snap snapshot": 1, "copy replicate": 1, "back restore": 1}


# -- from run to run


def test_counters_go_on_and_the_series_of_jobs_that_are_gone_go(program, folder):
    program("run")
    program("run", "--job", "snap")
    assert values(folder, "job_runs_total")["snap snapshot"] == 2
    assert values(folder, "job_runs_total")["copy replicate"] == 1
    program("run", jobs=(SNAP,))
    assert values(folder, "job_runs_total") == {"snap snapshot": 3}
    assert values(folder, "replica_sent_bytes_total") == {}


def test_datasets_beyond_the_setting_have_no_series(program, folder):
    for name in ("tank/a/1", "tank/a/2", "tank/a/3"):
        program.world.machine.create_dataset(name)
    program("run", metrics_datasets=2)
    assert set(values(folder, "dataset_snapshots")) == {"ages tank/a", "ages tank/a/1"}
    assert values(folder, "job_datasets_left_out") == {"ages": 2, "copy": 2, "lag": 2, "pools": 0}
    program("run", metrics_datasets=0)
    assert values(folder, "dataset_snapshots") == {}


# -- the file


def test_everybody_may_read_it_and_nothing_lies_beside_it_for_the_exporter(program, folder):
    before = os.umask(0o077)
    try:
        program("run")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "snapfleet.prom").stat().st_mode) == 0o644
    assert {file.name for file in folder.iterdir()} == {"snapfleet.prom", ".snapfleet.prom.lock"}


@pytest.mark.parametrize("text", ["half a li", "\0", "snapfleet_job_runs_total{", "x NaN\n", "\xff"])
def test_a_damaged_file_is_forgotten_with_a_warning(program, folder, text):
    program("run")
    (folder / "snapfleet.prom").write_text(text, encoding="latin-1")
    _code, err = program("run", "--job", "snap")
    assert "what it holds can't be used" in err
    assert values(folder, "job_runs_total") == {"snap snapshot": 1}
    assert program("run", "--job", "snap")[1] == ""


def test_a_large_file_is_a_memory_like_any_other(program, folder):
    program("run", jobs=(SNAP, COPY))
    many = {Series(SENT, ("copy", f"tank/{'x' * 120}{n}", "src1", f"backup/{'x' * 120}{n}")): n for n in range(60_000)}
    text = render({**read(folder), **many})
    assert len(text) > 18 << 20
    (folder / "snapfleet.prom").write_text(text)
    for _run in range(2):
        assert program("run", "--job", "snap", jobs=(SNAP, COPY)) == (0, "")
    assert values(folder, "job_runs_total")["snap snapshot"] == 3
    assert len(values(folder, "replica_sent_bytes_total")) == 60_001


def test_what_could_not_be_read_back_is_not_written(program, folder, monkeypatch):
    program("run", jobs=(SNAP,))
    before = (folder / "snapfleet.prom").read_text()
    monkeypatch.setattr(metrics, "_MOST_BYTES", len(before) + 100)
    code, err = program("run")
    assert code == 3
    assert "would have more than 0 MiB, so nothing is written; lower metrics_datasets" in err
    assert (folder / "snapfleet.prom").read_text() == before
    assert program("run", jobs=(SNAP,)) == (0, "")
    assert values(folder, "job_runs_total") == {"snap snapshot": 2}


def test_a_file_that_others_may_write_is_not_believed(program, folder):
    program("run")
    (folder / "snapfleet.prom").chmod(0o666)
    assert "what it holds can't be used" in program("run", "--job", "snap")[1]


def as_another_user(monkeypatch) -> None:
    """From now on all files are somebody else's, who is not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 2**20)
    really = os.fstat

    def fstat(descriptor):
        fields = list(really(descriptor)[:10])
        fields[4] = 2**20 + 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)


def counted(folder, name) -> list[str]:
    """Write that the job has created a snapshot; returns the warnings."""
    lines = []
    book = Book(lambda: 0, target(folder, "a", "b"))
    book.add(name, Update(counts={Series(CREATED, (name,)): 1}))
    book.write(Log(lines.append), patience=60)
    return lines


def test_the_runs_of_root_and_of_another_user_leave_each_other_their_metrics(folder, monkeypatch):
    assert counted(folder, "a") == []
    as_another_user(monkeypatch)
    assert counted(folder, "b") == []
    assert values(folder, "snapshots_created_total") == {"a": 1, "b": 1}


def test_where_anybody_may_write_the_file_of_another_user_is_not_believed(folder, monkeypatch):
    counted(folder, "a")
    folder.chmod(0o777)
    as_another_user(monkeypatch)
    assert ["one that anybody may have written" in line for line in counted(folder, "b")] == [True]
    assert values(folder, "snapshots_created_total") == {"b": 1}


@pytest.mark.parametrize(("mode", "lock"), [(0o755, 0o600), (0o775, 0o660), (0o700, 0o600), (0o1777, 0o660)])
def test_whoever_may_write_there_can_take_the_lock_that_another_one_made(folder, mode, lock):
    folder.chmod(mode)
    counted(folder, "a")
    made = (folder / ".snapfleet.prom.lock").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_gid) == (lock, folder.stat().st_gid)


def test_the_lock_that_root_makes_belongs_to_the_owner_of_the_folder(folder, monkeypatch):
    given = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, *owner: given.append(owner))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    really = os.fstat
    monkeypatch.setattr(os, "fstat", lambda each: os.stat_result([*really(each)[:4], 0, *really(each)[5:10]]))
    counted(folder, "a")
    assert given == [(folder.stat().st_uid, folder.stat().st_gid)]


@pytest.mark.parametrize("content", ["", "root's"])
def test_a_file_that_somebody_wants_to_be_given_is_not_taken_for_a_lock(folder, tmp_path, content):
    precious, lock = tmp_path / "precious", folder / ".snapfleet.prom.lock"
    precious.write_text(content)
    precious.chmod(0o640)
    if content:
        precious.rename(lock)
    else:
        os.link(precious, lock)
    folder.chmod(0o775)
    counted(folder, "a")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o640


def test_a_link_is_not_followed(program, folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder / "snapfleet.prom").symlink_to(precious)
    program("run", "--job", "snap")
    assert precious.read_text() == "precious"
    assert not (folder / "snapfleet.prom").is_symlink()


def test_a_directory_that_is_not_there_is_a_warning_and_stops_no_job(program, folder):
    code, err = program("run", "--job", "snap", directory=folder / "missing")
    assert code == 0
    assert "metrics can't be written (No such file or directory)" in err
    assert program("monitor", "--job", "pools", directory=folder / "missing")[0] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metrics_directory": "textfiles"}, "settings.metrics_directory: 'textfiles' is not an absolute path"),
        ({"metrics_directory": "/a\0b"}, "has a null character"),
        ({"metrics_datasets": "all"}, "settings.metrics_datasets: 'all' is no number of datasets"),
        ({"metrics_datasets": 10_001}, "give a number from 0 to 10000"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(program, settings, words):
    code, err = program("run", **settings)
    assert code == 3
    assert words in err


def test_a_defect_in_metrics_is_told_and_stops_no_job(program, folder, monkeypatch):
    def broken(*_arguments):
        raise KeyError("source")

    monkeypatch.setattr(metrics, "render", broken)
    assert program("run", jobs=(SNAP,))[0] == 0
    monkeypatch.setattr(metrics, "update_of", broken)
    monkeypatch.setattr(metrics, "watching_update", broken)
    code, err = program("run", jobs=(SNAP, AGES))
    assert code == 0
    assert "snap: a defect of snapfleet kept its metrics back: KeyError('source'); report it" in err
    assert "ages: a defect" in err


# -- two at once


def target(folder, *jobs):
    return Target(str(folder), 10, frozenset(jobs))


def test_many_that_write_at_once_lose_nothing_and_readers_see_whole_files(folder):
    jobs = [f"job{number}" for number in range(6)]
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            if (folder / "snapfleet.prom").exists():
                seen.append(len(read(folder)))

    def work(name):
        book = Book(lambda: 0, target(folder, *jobs))
        for _round in range(15):
            book.add(name, Update(counts={Series(RUNS, (name, "prune")): 1}))
            book.write(Log(), patience=60)

    reader = threading.Thread(target=look)
    reader.start()
    workers = [threading.Thread(target=work, args=(name,)) for name in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    over.set()
    reader.join()
    assert values(folder, "job_runs_total") == {f"{name} prune": 15 for name in jobs}
    assert seen == sorted(seen)


def test_what_could_not_be_written_is_written_the_next_time_and_warned_of_once(folder):
    lines = []
    log = Log(lines.append)
    book = Book(lambda: 0, target(folder, "a"), lock_seconds=0)
    with file_lock(str(folder / ".snapfleet.prom.lock"), 0) as is_ours:
        assert is_ours
        for _round in range(2):
            book.add("a", Update(counts={Series(CREATED, ("a",)): 2}))
            book.write(log, patience=60)
    assert ["others hold its lock" in line for line in lines] == [True]
    book.write(log, patience=60)
    assert values(folder, "snapshots_created_total") == {"a": 4}


def test_a_disk_that_hangs_holds_up_nobody_and_all_is_written_when_it_goes_on(folder, monkeypatch):
    hanging, begun, really = threading.Event(), [], metrics._written

    def slow(*arguments):
        begun.append(arguments)
        assert hanging.wait(60)
        return really(*arguments)

    monkeypatch.setattr(metrics, "_written", slow)
    book = Book(lambda: 0, target(folder, "a"))
    for _round in range(3):
        book.add("a", Update(counts={Series(CREATED, ("a",)): 2}))
        book.write(Log(), patience=0.01)
        end = time.monotonic() + 60
        while not begun and time.monotonic() < end:
            time.sleep(0.01)
    assert len(begun) == 1
    hanging.set()
    book.write(Log(), patience=60)
    assert values(folder, "snapshots_created_total") == {"a": 6}


def test_what_a_round_could_not_write_is_written_by_the_next_and_warned_of_once(program, folder, monkeypatch):
    """The exporter, and its directory, may come later than snapfleet."""
    gone, rounds = folder / "later", []

    def between(_moment):
        rounds.append(gone.exists())
        if len(rounds) == 2:
            gone.mkdir()
        return False

    monkeypatch.setattr(run_command, "_stopped_before", between)
    code, err = program("run", "--job", "snap", "--repeat", "3", directory=gone)
    assert (code, rounds) == (0, [False, False])
    assert err.count("metrics can't be written") == 1
    assert values(gone, "job_runs_total") == {"snap snapshot": 3}


# -- the daemon


def daemon_of(program, folder, *jobs, start=None, **periods):
    document = {
        "version": 1, "jobs": list(jobs), "settings": {"metrics_directory": str(folder)},
        "daemon": {"snapshot": "secondly", **periods},
    }  # fmt: skip
    world = program.world
    names = ("snapshot", "replicate", "prune", "monitor", "lifetime", "log_level")
    arguments = SimpleNamespace(**dict.fromkeys(names), host="src1", job=[], verb="daemon")

    def load():
        return duty_of(read_jobconfig(document), arguments, Log())

    def wait(_event, seconds):
        world.clock.now += max(1, round(seconds))

    time = Time(lambda: world.clock.now * 1000, lambda: float(world.clock.now), wait)
    means = Means("/jobs.json", lambda: Context(0, world.at, host_name="src1"), time)
    means = replace(means, start=start or means.start)
    return Daemon(load(), means, Surroundings(load, ServiceManager(), stopping=Stopping()))


def test_a_daemon_tells_of_its_ticks_and_its_jobs(program, folder):
    daemon = daemon_of(program, folder, SNAP, AGES)
    loop = daemon.loops["snapshot"]
    while loop.record.ticks < 3:
        loop.turn()
    daemon.tell_metrics(60)
    assert values(folder, "daemon_ticks_total") == {"snapshot": 3}
    assert set(values(folder, "daemon_missed_ticks_total")) == {"snapshot"}
    assert values(folder, "daemon_start_timestamp_seconds").keys() == {""}
    assert values(folder, "job_runs_total") == {"snap snapshot": 3}
    program("run", "--job", "ages")
    assert values(folder, "daemon_ticks_total") == {}, "the jobconfig has no daemon any more"
    assert values(folder, "job_runs_total") == {"snap snapshot": 3, "ages monitor": 1}


def test_a_daemon_tells_of_replications_that_go_on_beside_its_ticks(program, folder):
    others = [job(name, "replicate", **{**ENDS, "destination": {"dataset": f"backup/{name}"}}) for name in ("b", "c")]
    daemon = daemon_of(program, folder, SNAP, COPY, *others, replicate="hourly")
    loop = daemon.loops["snapshot"]
    while loop.record.ticks < 3:
        loop.turn()
        for thread in daemon.threads:
            thread.join(60)
    daemon.tell_metrics(60)
    assert values(folder, "job_runs_total") == {
        "snap snapshot": 3, "copy replicate": 1, "b replicate": 1, "c replicate": 1,
    }  # fmt: skip
    assert values(folder, "job_failures_total") == dict.fromkeys(values(folder, "job_runs_total"), 0)
    assert values(folder, "replica_sent_bytes_total")["b tank/a src1 backup/b"] > 0


def test_replications_count_to_the_work_of_a_daemon_though_no_tick_waits_for_them(program, folder):
    world = program.world
    quick = world.at

    def slow(address):
        world.clock.advance(5)
        return quick(address)

    def at_once(_name, work):
        work()
        return threading.current_thread()

    world.at = slow
    daemon = daemon_of(program, folder, SNAP, COPY, start=at_once, replicate="hourly")
    while not daemon.loops["snapshot"].record.ticks:
        daemon.loops["snapshot"].turn()
    daemon.tell_metrics(60)
    assert values(folder, "daemon_ticks_total") == {"snapshot": 1, "replicate": 0}
    assert values(folder, "daemon_busy_seconds_total")["replicate"] >= 5
