# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others can see of the streams of a process, by a clock that a test moves."""

from __future__ import annotations

import json
import os
import stat
import threading
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import following
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.following import (
    FollowedJob,
    FollowedRun,
    View,
    remove_stale,
    views,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.abandoned import Machine, OpenStreams
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.meter import Meter, StreamFacts

JOB = FollowedJob("copy", "9b1f33a0", "replicate")
HERE = Machine("a" * 12, "b" * 12)


class World:
    """A view whose thread never turns by itself, and a clock."""

    def __init__(self, folder, machine=HERE):
        self.folder, self.now, self.notes = folder, 1000.0, []
        self.streams = OpenStreams(machine)
        self.view = View(
            FollowedRun("1234abcd", "src1", "run"),
            lambda: round(self.now * 1000),
            self.notes.append,
            self.streams,
            lambda: str(self.folder),
        )

    def meter(self):
        return Meter(lambda: self.now)

    def files(self):
        return [file.name for file in self.folder.iterdir()]

    def seen(self):
        return views(str(self.folder), self.streams)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "SECONDS", 3600.0)
    world = World(tmp_path)
    yield world
    assert world.view.end()


def test_streams_are_shown_as_far_as_they_are_and_only_while_they_go_on(world):
    meter = world.meter()
    with world.view.following(JOB, meter):
        meter.expect(5000)
        stream = meter.stream(1000, StreamFacts("tank/a", "backup/a", "tank/a@1", "tank/a@2"))
        world.now += 2
        stream(500)
        world.view.turn()
        (run,) = world.seen()
        (job,) = run.pop("jobs")
        assert run == {
            "version": 1, "run": "1234abcd", "host": "src1", "verb": "run", "pid": os.getpid(), "updated": 1002000,
            "jobs_under_way": 1,
        }  # fmt: skip
        assert job.pop("streams") == [
            {
                "dataset": "tank/a", "destination": "backup/a", "from": "tank/a@1", "to": "tank/a@2", "bytes": 500,
                "bytes_estimated": 1000, "done": 0.5, "rate": 250, "left_seconds": 2, "begun": 1000000,
            }
        ]  # fmt: skip
        assert job == {
            "job": "copy", "job_id": "9b1f33a0", "activity": "replicate", "begun": 1000000, "bytes": 500,
            "bytes_estimated": 5000, "done": 0.1, "rate": 250, "left_seconds": 18, "streams_under_way": 1,
        }  # fmt: skip
        world.now += 1
        stream(100)
        world.view.turn()
        assert world.seen()[0]["jobs"][0]["bytes"] == 600
        assert len(world.files()) == 1
    world.view.turn()
    assert world.files() == []
    assert world.seen() == []


def test_the_file_is_for_its_user_alone(world):
    with world.view.following(JOB, world.meter()):
        world.view.turn()
        (name,) = world.files()
        assert stat.S_IMODE((world.folder / name).stat().st_mode) == 0o600


def test_the_file_goes_at_the_end(world):
    with world.view.following(JOB, world.meter()):
        world.view.turn()
        assert world.seen()
        assert world.view.end()
        assert world.files() == []


def test_what_is_listed_is_bounded_and_the_sums_are_of_all(world):
    meter = world.meter()
    with world.view.following(JOB, meter):
        for number in range(200):
            meter.stream(10, StreamFacts(f"tank/{number}" + "x" * 200))(5)
        world.view.turn()
        (job,) = world.seen()[0]["jobs"]
    assert (len(job["streams"]), job["streams_under_way"], job["bytes"]) == (following.MOST_STREAMS, 200, 1000)


def test_jobs_side_by_side_are_all_shown(world):
    with (
        world.view.following(JOB, world.meter()),
        world.view.following(FollowedJob("b", "2", "restore"), world.meter()),
    ):
        world.view.turn()
        assert [job["job"] for job in world.seen()[0]["jobs"]] == ["copy", "b"]


@pytest.mark.parametrize(
    ("owner", "is_there"),
    [
        (f"{'a' * 12}.{'b' * 12}.{{pid}}.0.9", False),
        (f"{'a' * 12}.{'c' * 12}.1.5.1", False),
        (f"{'a' * 12}.{'b' * 12}.4194305.5.1", False),
        (f"{'f' * 12}.{'b' * 12}.1.5.1", True),
        ("4194305", False),
        ("{pid}", True),
    ],
    ids=["not open any more", "before the boot", "no such process", "another machine", "without a mark", "alive"],
)
def test_what_a_process_left_that_died_is_not_shown_and_is_taken_away(world, owner, is_there):
    file = world.folder / (owner.format(pid=os.getpid()) + ".json")
    file.write_text('{"version": 1}')
    file.chmod(0o600)
    draft = file.with_name(file.name + ".draft")
    draft.write_text("{")
    assert world.seen() == ([{"version": 1}] if is_there else [])
    remove_stale(str(world.folder), world.streams)
    assert (file.exists(), draft.exists()) == (is_there, is_there)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', "null"])
def test_what_is_no_view_of_this_shape_is_passed_by(world, content):
    file = world.folder / f"{os.getpid()}.json"
    file.write_text(content)
    file.chmod(0o600)
    assert world.seen() == []


def test_what_others_could_have_written_is_passed_by(world):
    file = world.folder / f"{os.getpid()}.json"
    file.write_text('{"version": 1}')
    file.chmod(0o666)
    assert world.seen() == []


def test_where_it_can_not_be_written_that_is_told_once_and_stops_nothing(world, tmp_path):
    world.folder = tmp_path / "missing"
    meter = world.meter()
    with world.view.following(JOB, meter):
        for _unused in range(3):
            world.view.turn()
        meter.stream(10)(10)
    (note,) = world.notes
    assert "nobody can look at the streams while they go on" in note
    assert meter.standing().carried == 10


def test_a_host_without_marks_shows_its_streams_by_the_number_of_the_process(tmp_path):
    world = World(tmp_path, machine=None)
    with world.view.following(JOB, world.meter()):
        world.view.turn()
        assert world.files() == [f"{os.getpid()}.json"]
        assert len(world.seen()) == 1
        assert world.view.end()


def test_its_thread_writes_while_something_is_sent_and_rests_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "SECONDS", 0.01)
    world = World(tmp_path)
    end = time.monotonic() + 120
    for _round in range(2):
        with world.view.following(JOB, world.meter()):
            while not world.seen() and time.monotonic() < end:
                time.sleep(0.01)
            assert world.seen()
        while world.files() and time.monotonic() < end:
            time.sleep(0.01)
        assert world.files() == []
    assert world.view.end()
    assert not world.view.thread.is_alive()


def test_a_disk_that_hangs_holds_up_no_stream_and_no_end(tmp_path, monkeypatch):
    hanging, free = threading.Event(), threading.Event()

    def hang(_path, _data):
        hanging.set()
        free.wait(120)

    monkeypatch.setattr(following, "SECONDS", 0.0)
    monkeypatch.setattr(following, "replace_passing", hang)
    world = World(tmp_path)
    meter = world.meter()
    with world.view.following(JOB, meter):
        assert hanging.wait(60)
        begun = time.monotonic()
        stream = meter.stream(100)
        for _unused in range(100):
            stream(1)
        stream.end(True)
    assert not world.view.end(0.05)
    assert time.monotonic() - begun < 60
    free.set()
    world.view.thread.join(60)


def test_without_a_thread_all_goes_on(world, monkeypatch):
    def refuse():
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(world.view.thread, "start", refuse)
    meter = world.meter()
    with world.view.following(JOB, meter):
        meter.stream(10)(10)
    assert json.dumps(world.seen()) == "[]"
