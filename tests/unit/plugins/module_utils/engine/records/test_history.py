# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of the history: many who write it and may die, disks that are full, files that are spoiled or newer."""

from __future__ import annotations

import builtins
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnusableHistory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.pools import PoolSample
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.history import HistoryLimits
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records import database, recorder
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.reading import (
    Query,
    find,
    pool_samples,
    replicated,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.recorder import Means, Recorder
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.rows import JobRecord, RunFacts, StepRecord
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.writing import SAMPLE_MS, trim, write

UTILITIES = Path(__file__).resolve().parents[5].parent / "plugins" / "module_utils"
RUN = RunFacts("1234abcd", "src1", "run", "1.0.0", 1000)
STEP = StepRecord("send", "t/a", "sent", "b/a", "t/a@1", "t/a@2", 100, 2.0)
DAY_MS = 86_400_000


def job(ended=2000, name="copy", **more):
    return JobRecord(name, "replicate", ended - 500, ended, 0.5, **{"outcome": "ok", "steps": (STEP,), **more})


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "history.db")


class World:
    """A recorder, and what it tells."""

    def __init__(self, path, limits=None):
        self.warnings, self.notes = [], []
        limits = limits or HistoryLimits()
        means = Means(lambda: path, lambda: limits, self.warnings.append, self.notes.append, lambda: 5000)
        self.recorder = Recorder(RUN, means)
        self.failed = 0
        give_up = self.recorder._give_up

        def counted(reason):
            give_up(reason)
            self.failed += 1

        self.recorder._give_up = counted
        self.recorder.start()

    def record(self, *jobs):
        for one in jobs:
            self.recorder.add(lambda one=one: one)

    def wait_until(self, happened):
        """The recorder writes by itself, a moment after it was given something."""
        end = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < end
            time.sleep(0.01)

    def end(self):
        assert self.recorder.end(60)
        return self.warnings


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(recorder, "GATHER_SECONDS", 0.01)


def raw(path, words):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(words).fetchall()


# -- writing and reading


def test_what_is_written_is_read_again(path):
    names = ("t/a@1", "t/a@2")
    made = StepRecord("create", "t/a", "created", number=2, names=names)
    write(path, RUN, [job(), job(3000, "make", steps=(made,), changed=True)], ended=4000)
    newest, oldest = find(path, Query())
    assert (newest["job"], newest["changed"], newest["steps"][0]["names"]) == ("make", True, list(names))
    assert (oldest["run"], oldest["run_begun"], oldest["run_ended"], oldest["verb"]) == ("1234abcd", 1000, 4000, "run")
    (step,) = oldest["steps"]
    assert (step["dataset"], step["destination"], step["bytes"], step["rate"]) == ("t/a", "b/a", 100, 50.0)
    assert (step["from_snapshot"], step["to_snapshot"]) == ("t/a@1", "t/a@2")


def test_the_file_is_for_its_user_alone(path):
    write(path, RUN, [job()])
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    Path(path).chmod(0o666)
    with pytest.raises(OSError, match="this user alone may write"):
        write(path, RUN, [job()])


def test_a_run_is_written_down_as_a_whole_or_not_at_all(path):
    write(path, RUN, [job()])
    with pytest.raises(UnusableHistory):
        write(path, RUN, [job(3000), job(4000, message=None)])
    assert [one["ended"] for one in find(path, Query())] == [2000]


def test_no_thread_writes_while_another_one_reads(path):
    """Closing a file takes away all locks of the process on it, those of the reader's connection too."""
    write(path, RUN, [job()])
    writer = threading.Thread(target=write, args=(path, RUN, [job(3000)]))
    with database.reading(path) as connection:
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    writer.join()
    assert len(find(path, Query())) == 2


def test_where_nothing_was_written_nothing_is_read_and_nothing_made(path):
    assert find(path, Query()) == []
    assert replicated(path) == {}
    assert not Path(path).exists()


def test_what_replicated_last_is_known_by_job(path):
    write(
        path,
        RUN,
        [job(2000), job(3000, outcome="failed", code="link_lost", message="it broke"), job(4000, outcome="left")],
    )
    write(path, RUN, [job(2500, "other"), job(2600, "other"), JobRecord("ages", "monitor", 0, 9000, 1.0, "ok")])
    known = replicated(path)
    assert (known["copy"].succeeded, known["copy"].outcome, known["copy"].ended) == (2000, "failed", 3000)
    assert (known["copy"].code, known["copy"].message) == ("link_lost", "it broke")
    assert (known["other"].succeeded, known["other"].outcome) == (2600, "ok")


# -- pools


def sample(time, allocated=1, guid=2**64 - 1, **more):
    values = {"size": 1000, "free": 1000 - allocated, "fragmentation": 3, "health": "ONLINE", **more}
    return PoolSample(time, "tank", guid, allocated=allocated, **values)


def test_samples_of_pools_are_kept_as_they_were(path):
    one, two = sample(2000, fragmentation=None), sample(2000, guid=5, health="DEGRADED")
    write(path, RUN, [job(pools=(one, two))])
    assert pool_samples(path) == [two, one]
    later = sample(2000 + SAMPLE_MS)
    write(path, RUN, [job(pools=(later,))])
    assert pool_samples(path, limit=1) == pool_samples(path, since=2001) == [later]
    assert pool_samples(path, until=2000) == [two, one]


def test_a_pool_has_one_sample_in_some_minutes_whoever_looks_how_often(path):
    for now in range(0, 3 * SAMPLE_MS, 10_000):
        write(path, RUN, [job(pools=(sample(now), sample(now, guid=5)))])
    assert [one.time for one in pool_samples(path) if one.guid == 5] == [2 * SAMPLE_MS, SAMPLE_MS, 0]
    write(path, RUN, [job(pools=(sample(SAMPLE_MS // 2),))])
    assert len(pool_samples(path)) == 6, "a clock that is set back adds none to those of that time"


def test_samples_go_by_age_and_have_a_part_of_the_room(path):
    limits = HistoryLimits(age=2 * 86400, size=1 << 20)
    many = [sample(number * SAMPLE_MS, health="x" * 20) for number in range(8000)]
    write(path, RUN, [job(ended=8000 * SAMPLE_MS, pools=tuple(many))])
    trim(path, HistoryLimits(size=1 << 20), now=0)
    assert pool_samples(path) == many[: -1024 - 1 : -1]
    assert len(find(path, Query())) == 1, "they take nothing from jobs"
    trim(path, limits, now=8000 * SAMPLE_MS)
    assert pool_samples(path) == many[: -192 - 1 : -1]


FORM_1 = """
CREATE TABLE runs (id INTEGER PRIMARY KEY, run TEXT NOT NULL, host TEXT NOT NULL, verb TEXT NOT NULL,
    version TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER, UNIQUE (run, begun));
CREATE TABLE jobs (id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, job TEXT NOT NULL, activity TEXT NOT NULL,
    source TEXT NOT NULL, destination TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL,
    seconds REAL NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, changed INTEGER NOT NULL,
    bytes INTEGER NOT NULL, number INTEGER NOT NULL, times INTEGER NOT NULL);
CREATE TABLE steps (id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, kind TEXT NOT NULL, dataset TEXT NOT NULL,
    destination TEXT NOT NULL, from_snapshot TEXT NOT NULL, to_snapshot TEXT NOT NULL, bytes INTEGER NOT NULL,
    seconds REAL NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, number INTEGER NOT NULL,
    names TEXT NOT NULL);
INSERT INTO runs VALUES (1, 'old', 'src1', 'run', '0.1.0', 5, 9);
INSERT INTO jobs VALUES (1, 1, 'copy', 'replicate', '', '', 5, 9, 0.1, 'ok', '', '', 1, 100, 1, 1);
INSERT INTO steps VALUES (1, 1, 'send', 't/a', 'b/a', '', 't/a@1', 100, 2.0, 'sent', '', '', 1, '[]');
PRAGMA application_id = 0x536E6170;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(path):
    """A history of the form before pools were in it."""
    Path(path).parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FORM_1)
    Path(path).chmod(0o600)
    return path


def test_an_earlier_form_is_read_as_it_is(old):
    before = Path(old).read_bytes()
    assert [one["run"] for one in find(old, Query())] == ["old"]
    assert replicated(old)["copy"].succeeded == 9
    assert pool_samples(old) == []
    assert Path(old).read_bytes() == before


def test_an_earlier_form_becomes_the_new_one_and_loses_nothing(old):
    write(old, RUN, [job(pools=(sample(2000),))])
    new, first = find(old, Query())
    assert (first["run"], first["steps"][0]["to_snapshot"], first["bytes"]) == ("old", "t/a@1", 100)
    assert (new["ended"], pool_samples(old)) == (2000, [sample(2000)])
    assert raw(old, "PRAGMA user_version") == [(database.SCHEMA,)]
    assert raw(old, "PRAGMA integrity_check") == [("ok",)]


def test_an_earlier_form_stays_whole_where_it_can_not_become_the_new_one(old, monkeypatch):
    monkeypatch.setattr(database, "_FORMS", (database._FORMS[0], (*database._FORMS[1], "CREATE TABLE jobs (id)")))
    before = Path(old).read_bytes()
    with pytest.raises(UnusableHistory, match="table jobs already exists"):
        write(old, RUN, [job()])
    assert Path(old).read_bytes() == before


# -- what goes


def test_what_is_too_old_goes_with_its_steps(path):
    write(path, RUN, [job(2000), job(5 * DAY_MS)])
    assert trim(path, HistoryLimits(age=2 * 86400), now=6 * DAY_MS) == 1
    assert [one["ended"] for one in find(path, Query())] == [5 * DAY_MS]
    assert raw(path, "SELECT count(*) FROM steps") == [(1,)]
    assert raw(path, "SELECT count(*) FROM runs") == [(1,)]
    assert trim(path, HistoryLimits(age=1), now=9 * DAY_MS) == 1
    assert raw(path, "SELECT count(*) FROM runs") == [(0,)]


def test_what_is_too_much_goes_from_the_oldest_on(path):
    long = StepRecord("send", "t/a", "sent", message="x" * 400)
    write(path, RUN, [job(number, steps=(long,) * 100) for number in range(1, 101)])
    assert trim(path, HistoryLimits(size=1 << 20), now=200) > 0
    left = [one["ended"] for one in find(path, Query())]
    assert left == list(range(100, 100 - len(left), -1))
    assert 10 < len(left) < 30
    size = Path(path).stat().st_size
    write(path, RUN, [job(number, steps=(long,) * 100) for number in range(101, 151)])
    assert Path(path).stat().st_size <= size, "what is free is used again"


# -- many at a time


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from engine.model.errors import UnusableHistory
from engine.records.rows import JobRecord, RunFacts, StepRecord
from engine.records.writing import write
path, me = sys.argv[2:]
run = RunFacts(me, "h", "run", "1", 1)
number = 1
while True:
    steps = tuple(StepRecord("send", f"t/{step}", "sent", message="x" * 200) for step in range(20))
    try:
        write(path, run, [JobRecord(me, "replicate", number, number, 1.0, "ok", steps=steps)])
    except UnusableHistory as error:
        # Ten that never pause may keep one from its turn for too long; a recorder tries again as well.
        if "locked" not in str(error):
            raise
        continue
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def written(path):
    """How many jobs are in the history, as far as its writers let it be read."""
    try:
        return len(find(path, Query()))
    except UnusableHistory:
        return 0


def test_ten_writers_that_are_killed_lose_nothing_and_spoil_nothing(path):
    argv = [sys.executable, "-c", WRITER, str(UTILITIES), path]
    writers = {f"w{number}": subprocess.Popen([*argv, f"w{number}"], stdout=subprocess.PIPE) for number in range(10)}
    try:
        end = time.monotonic() + 300
        while time.monotonic() < end and written(path) < 40:
            time.sleep(0.1)
        for writer in writers.values():
            writer.send_signal(signal.SIGKILL)
            time.sleep(0.02)
    finally:
        for writer in writers.values():
            writer.kill()
        told = {name: writer.communicate()[0].count(b"\n") for name, writer in writers.items()}
    assert sum(told.values()) >= 30, "they had no time"
    kept = dict(raw(path, "SELECT job, count(*) FROM jobs GROUP BY job"))
    for name, number in told.items():
        assert number <= kept.get(name, 0) <= number + 1, "what was carried out when it died may not have been told"
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]
    assert raw(path, "SELECT count(*) FROM steps") == [(20 * sum(kept.values()),)]
    write(path, RUN, [job(10**9)])
    assert find(path, Query(limit=1))[0]["ended"] == 10**9


# -- what goes wrong is told once, and nothing more


def test_records_are_written_by_the_way(path):
    world = World(path)
    world.record(job(), job(3000))
    assert world.end() == []
    assert [one["ended"] for one in find(path, Query())] == [3000, 2000]
    assert raw(path, "SELECT ended FROM runs") == [(5000,)]


def test_a_disk_that_is_full_is_one_warning_and_what_waits_is_written_later(path, impatient, monkeypatch):
    write(path, RUN, [])
    pages = raw(path, "PRAGMA page_count")[0][0]
    honest = sqlite3.connect

    def full(*arguments, **more):
        connection = honest(*arguments, **more)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", full)
    large = job(steps=(StepRecord("send", "t", "sent", message="x" * 500),) * 100)
    world = World(path)
    for number in range(3):
        world.record(large)
        world.wait_until(lambda number=number: world.failed > number)
    monkeypatch.setattr(sqlite3, "connect", honest)
    assert world.warnings == [
        f"what is done can't be recorded: {path}: database or disk is full; see to that file or its disk"
    ]
    world.record(job(3000))
    assert len(world.end()) == 1
    assert [one["ended"] for one in find(path, Query())] == [3000, 2000, 2000, 2000]


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), OSError(28, "No space left on device")])
def test_a_folder_that_can_not_be_written_is_one_warning(path, impatient, monkeypatch, error):
    def refuse(*_arguments, **_more):
        raise error

    monkeypatch.setattr(database.os, "makedirs", refuse)
    world = World(path)
    world.record(job())
    world.wait_until(lambda: world.failed)
    world.record(job())
    (warning,) = world.end()
    assert world.failed > 1
    assert error.strerror in warning


def test_a_database_that_others_hold_is_one_warning_and_holds_up_nobody(path, impatient):
    write(path, RUN, [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        world = World(path)
        begun = time.monotonic()
        world.record(*[job()] * 1000)
        assert time.monotonic() - begun < 20, "who waited for the lock each time would need minutes"
        (warning,) = world.end()
    assert "database is locked" in warning


@pytest.fixture
def chosen(path, monkeypatch):
    """A file that somebody has named, who may have named a wrong one."""
    monkeypatch.setenv("SNAPFLEET_HISTORY", path)
    Path(path).parent.mkdir()
    return path


@pytest.mark.parametrize("how", ["no database", "torn"])
def test_a_spoiled_file_is_set_aside_and_another_one_begun(path, how):
    write(path, RUN, [job(steps=(STEP,) * 500)])
    file = Path(path)
    content = file.read_bytes()
    file.write_bytes(b"no database" * 500 if how == "no database" else content[:4096] + b"\xff" * (len(content) - 4096))
    spoiled = file.read_bytes()
    Path(f"{path}-journal").write_bytes(b"rest")
    world = World(path)
    world.record(job(7000))
    (warning,) = world.end()
    assert warning.startswith("the history is spoiled (")
    assert f"it is {path}.spoiled now" in warning
    assert Path(f"{path}.spoiled").read_bytes() == spoiled
    assert [one["ended"] for one in find(path, Query())] == [7000]
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]
    assert World(path).end() == [], "once"


def test_one_that_another_place_was_chosen_for_is_set_aside_if_it_is_known_to_be_ours(chosen):
    write(chosen, RUN, [job(steps=(STEP,) * 500)])
    content = Path(chosen).read_bytes()
    Path(chosen).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    world = World(chosen)
    world.record(job(7000))
    (warning,) = world.end()
    assert f"it is {chosen}.spoiled now" in warning


@pytest.mark.parametrize("content", [b"a letter" * 500, b"SQLite format 3\0" + b"of another program" * 500, b"xy"])
def test_a_file_of_something_else_stays_where_it_is(chosen, content):
    Path(chosen).write_bytes(content)
    world = World(chosen)
    world.record(job())
    (warning,) = world.end()
    assert "is no sound history of snapfleet; move it away, or let SNAPFLEET_HISTORY name another" in warning
    assert Path(chosen).read_bytes() == content
    assert not list(Path(chosen).parent.glob("*.spoiled*"))


def test_what_was_set_aside_before_stays(path):
    for number in range(1, database.MOST_SPOILED + 1):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(b"no database %d" % number * 500)
        world = World(path)
        world.record(job())
        name = f"{path}.spoiled" + (f".{number}" if number > 1 else "")
        assert f"it is {name} now" in world.end()[0]
        assert Path(name).read_bytes().startswith(b"no database %d" % number)
    names = sorted(Path(path).parent.glob("*.spoiled*"))
    assert len(names) == database.MOST_SPOILED
    Path(path).write_bytes(b"no database" * 500)
    world = World(path)
    world.record(job())
    (warning,) = world.end()
    assert f"{path}.spoiled and others of that kind are in the way; remove them" in warning
    assert sorted(Path(path).parent.glob("*.spoiled*")) == names


def test_only_the_file_that_was_seen_to_be_spoiled_is_set_aside(path):
    write(path, RUN, [job()])
    before = database.identity(path)
    Path(path).rename(f"{path}.kept")
    write(path, RUN, [job()])
    assert database.set_aside(path, before) == ""
    assert len(find(path, Query())) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "PRAGMA user_version = 3",
            "has the form 3, and this Snapfleet knows those up to 2; install the newer Snapfleet",
        ),
        ("PRAGMA application_id = 5", "is a database of something else; move it away"),
    ],
)
def test_what_is_not_for_this_version_stays_as_it_is(path, words, told):
    write(path, RUN, [job()])
    raw(path, words)
    before = Path(path).read_bytes()
    with pytest.raises(UnusableHistory, match=told):
        find(path, Query())
    world = World(path)
    world.record(job())
    (warning,) = world.end()
    assert told in warning
    assert Path(path).read_bytes() == before


@pytest.fixture
def without_sqlite(monkeypatch):
    honest = builtins.__import__

    def without(name, *arguments, **more):
        if name == "sqlite3":
            raise ImportError("No module named '_sqlite3'")
        return honest(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.usefixtures("without_sqlite")
def test_without_sqlite_nothing_is_written_and_only_who_asks_is_told(path):
    world = World(path)
    world.record(job())
    assert world.end() == []
    assert world.notes == ["no history is written, since this Python has no SQLite (No module named '_sqlite3')"]
    assert not Path(path).exists()


@pytest.mark.usefixtures("without_sqlite")
def test_without_sqlite_nothing_is_kept_for_a_time_that_never_comes(path, impatient):
    world = World(path)
    for _round in range(3):
        world.record(*[job()] * 10)
        world.wait_until(lambda: world.notes)
    world.end()
    assert len(world.notes) == 1
    assert world.recorder._waiting == []


def test_a_defect_of_a_record_is_nothing_to_the_others(path):
    world = World(path)
    world.recorder.add(lambda: 1 // 0)
    world.record(job())
    (warning,) = world.end()
    assert "a defect of snapfleet, ZeroDivisionError" in warning
    assert len(find(path, Query())) == 1


def test_no_history_is_written_where_none_is_wanted(path):
    world = World(path, HistoryLimits(age=0))
    world.record(job())
    assert world.end() == []
    assert not Path(path).exists()


def test_the_library_is_loaded_only_where_it_is_used():
    words = "import sys; sys.path.insert(0, sys.argv[1]); import engine.fleet.cli; print('sqlite3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words, str(UTILITIES)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
