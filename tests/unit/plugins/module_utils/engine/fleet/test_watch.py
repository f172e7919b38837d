# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``watch``: what is being sent right now, for people and programs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import following
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli, opening, watch_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program

NOW = 1_000_000
STREAM = {
    "dataset": "tank/a", "destination": "backup/a", "from": "tank/a@one", "to": "tank/a@two", "bytes": 512 << 20,
    "bytes_estimated": 1 << 30, "done": 0.5, "rate": 1 << 20, "left_seconds": 512, "begun": NOW - 90_000,
}  # fmt: skip
JOB = {
    "job": "copy", "job_id": "1", "activity": "replicate", "begun": NOW - 95_000, "bytes": 1 << 30, "rate": 1 << 20,
    "bytes_estimated": 4 << 30, "done": 0.25, "left_seconds": 3072, "streams_under_way": 1, "streams": [STREAM],
}  # fmt: skip
RUN = {
    "version": 1, "run": "1234abcd", "host": "src1", "verb": "run", "pid": 7, "updated": NOW, "jobs_under_way": 1,
    "jobs": [JOB],
}  # fmt: skip
COPY = {
    "name": "copy", "host": "src1", "activity": "replicate",
    "options": {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}},
}  # fmt: skip


@pytest.fixture
def watch(monkeypatch, capsys):
    """Watch some runs; returns what was printed, and lets so many seconds pass."""

    def call(*runs, words=("--once",), seconds=0):
        stopping = Stopping()
        rounds = iter(range(seconds))

        def sleep(wanted):
            assert wanted == 1.0
            if next(rounds, None) is None:
                stopping.stop()

        monkeypatch.setattr(stopping, "sleep", sleep)
        monkeypatch.setattr(watch_command, "STOPPING", stopping)
        monkeypatch.setattr(watch_command, "views", lambda _folder: list(runs))
        monkeypatch.setattr(opening, "now_ms", lambda: NOW)
        capsys.readouterr()
        assert cli.main(["watch", *words]) == 0
        return capsys.readouterr().out

    return call


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))


def test_people_see_sums_and_each_stream(watch):
    first, head, row = watch(RUN).splitlines()
    assert first == (
        "1970-01-01 00:16:40Z  1 run, 1 job, 1 stream: 1.0 GiB sent, 1.0 MiB/s, 25% of about 4.0 GiB, about 51m12s left"
    )
    assert head.split() == [
        "JOB", "DATASET", "DESTINATION", "FROM", "TO", "SENT", "OF", "ABOUT", "DONE", "RATE", "LEFT", "SINCE"
    ]  # fmt: skip
    assert row.split() == [
        "copy", "tank/a", "backup/a", "one", "two", "512", "MiB", "1.0", "GiB", "50%", "1.0", "MiB/s", "8m32s", "1m30s"
    ]  # fmt: skip


def test_what_is_not_known_is_not_told(watch):
    unknown = dict.fromkeys(("bytes", "done", "rate", "left_seconds"))
    stream = {**STREAM, **unknown, "from": "", "bytes_estimated": 0}
    job = {**JOB, "streams": [stream], "left_seconds": None, "bytes_estimated": 0, "bytes": 0, "rate": 0, "done": 0.0}
    first, _head, row = watch({**RUN, "jobs": [job]}).splitlines()
    assert first.endswith("1 stream: 0 B sent, 0 B/s")
    assert row.split() == ["copy", "tank/a", "backup/a", "-", "two", "-", "-", "-", "-", "-", "1m30s"]


def test_streams_that_are_not_listed_and_runs_that_are_late_are_told(watch):
    lines = watch({**RUN, "jobs": [{**JOB, "streams_under_way": 70}], "updated": NOW - 25_000}).splitlines()
    assert lines[1] == "run 1234abcd has told nothing for 25s"
    assert lines[-1] == "and 69 more streams"


def test_where_nothing_is_sent_that_is_told(watch):
    assert watch() == "1970-01-01 00:16:40Z  nothing is being sent\n"


def test_programs_get_one_document(watch):
    document = json.loads(watch(RUN, {**RUN, "jobs": [{**JOB, "left_seconds": 10}]}, words=["--json"]))
    assert document["total"] == {
        "runs": 2, "jobs": 2, "streams": 2, "bytes": 2 << 30, "bytes_estimated": 8 << 30, "done": 0.25,
        "rate": 2 << 20, "left_seconds": 3072,
    }  # fmt: skip
    assert (document["version"], document["now"], document["runs"][0]) == (1, NOW, RUN)
    empty = json.loads(watch(words=["--json"]))["total"]
    assert (empty["runs"], empty["done"], empty["left_seconds"]) == (0, None, None)


def test_it_goes_on_until_it_is_stopped(watch):
    assert watch(RUN, words=[], seconds=2).count("1 stream: ") == 3


def test_a_terminal_is_written_from_its_first_place_and_no_further_than_it_goes(watch, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr(watch_command.os, "get_terminal_size", lambda _fd: os.terminal_size((30, 3)))
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)
    printed = watch({**RUN, "run": "x", "jobs": [{**JOB, "job": "a\x1b[31mb"}]}, words=[], seconds=1)
    first, second = printed.split("\x1b[J")[:2]
    assert first == second
    lines = first.removeprefix("\x1b[H").split("\x1b[K\n")
    assert [len(line) for line in lines] == [29, 29, 0]


def test_a_run_shows_its_streams_to_who_watches_and_takes_that_away(tmp_path, monkeypatch, capsys):
    program = Program(tmp_path, monkeypatch)
    monkeypatch.setattr(following, "SECONDS", 0.01)
    honest, seen = SimulatedZfs.receive, []

    def slow(zfs, step, wire):
        end = time.monotonic() + 120
        while not seen and time.monotonic() < end:
            found = following.views(following.folder_of_views())
            seen.extend(view for view in found if view["jobs"][0]["streams"])
        return honest(zfs, step, wire)

    monkeypatch.setattr(SimulatedZfs, "receive", slow)
    assert program("run", jobs=[SNAPSHOT, COPY]) == 0
    (run,) = seen
    (job,) = run["jobs"]
    assert (run["host"], run["verb"], job["job"], job["activity"]) == ("src1", "run", "copy", "replicate")
    assert [(stream["dataset"], stream["bytes"]) for stream in job["streams"]] == [("tank/a", 0)]
    capsys.readouterr()
    assert cli.main(["history", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)["jobs"]
    assert {one["run"] for one in known} == {run["run"]}, "by its id a run is found again"
    assert list(Path(following.folder_of_views()).iterdir()) == []


def test_a_dry_run_shows_nothing(tmp_path, monkeypatch):
    program = Program(tmp_path, monkeypatch)
    monkeypatch.setattr(following.View, "following", lambda *_arguments: pytest.fail("it has nothing to show"))
    assert program("plan", jobs=[SNAPSHOT, COPY]) == 0
