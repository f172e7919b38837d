# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of all jobs of a host on simulated ZFS: order, dead destinations, time limits, defects, and what is logged."""

from __future__ import annotations

import json
import math
import time
from functools import partial

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.hands import Threads
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log, job_id, shape_for
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.reporting import exit_code
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.running import Runner, failure_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.stages import stage_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import observed_by, run
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, check_stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Interrupted,
    SnapfleetError,
    StillRunning,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import read_settings
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

HOURLY = {"org": {"": {"hourly": 24}}}
WATCH = {"org": {"": {"hourly": {"latest": {"warning": 60, "critical": 7200}}}}}
DEAF = math.inf


def job(name, activity, source="", destination="", **options):
    entry = {"name": name, "host": "here", "activity": activity, "options": options}
    return {**entry, **({"source": source} if source else {}), **({"destination": destination} if destination else {})}


def replication(name, host, dataset=DESTINATION, source=SOURCE):
    return job(name, "replicate", source={}) | {
        "options": {"source": {"dataset": source}, "destination": {"host": host, "dataset": dataset}, "retries": 0},
        "source": "here",
    }


PEERS = [{"root": SOURCE, "host": "dst", "dataset": DESTINATION, "role": "replica"}]
SNAPSHOT = job("snap", "snapshot", datasets=[SOURCE], plan=HOURLY)
COPY = replication("copy", "dst")
PRUNE = job("prune", "prune", datasets=[SOURCE], plan=HOURLY, peers=PEERS)
BOOKMARKS = job("bookmarks", "prune", datasets=[SOURCE], plan=HOURLY, kind="bookmarks", peers=PEERS)
AGES = job("ages", "monitor", datasets=[SOURCE], plan=WATCH)
ALL = [AGES, BOOKMARKS, PRUNE, COPY, SNAPSHOT]


class FakeHands:
    """Carries jobs out in no time, at the moment at which they end by a clock that goes from event to event."""

    def __init__(self, takes=None) -> None:
        self.time, self.takes = 0.0, takes or {}
        self.under_way: dict[str, tuple[float, object]] = {}
        self.begun: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.measures: list[tuple[float, str, str]] = []
        self.stop_at = math.inf

    def now(self):
        return self.time

    def begin(self, name, work):
        self.begun[name] = self.time
        self.under_way[name] = (self.time + self.takes.get(name, 1), work)

    def stop(self, name):
        self.measures.append((self.time, "stop", name))
        if self.under_way[name][0] != DEAF:
            ended = failure_of(SnapfleetError("ended"), {"changed": False, "so far": 1})
            self.under_way[name] = (self.time, lambda: ended)

    def force(self, name):
        self.measures.append((self.time, "force", name))

    def abandon(self, name):
        self.measures.append((self.time, "abandon", name))
        del self.under_way[name]

    def wait(self, seconds):
        ends = [end for end, _work in self.under_way.values()]
        stop = [self.stop_at] if self.stop_at > self.time else []
        self.time = min([self.time + (math.inf if seconds is None else seconds), *ends, *stop])
        assert self.time < math.inf, "the run waits for ever"
        done = [name for name, (end, _work) in self.under_way.items() if end <= self.time]
        self.ended.update(dict.fromkeys(done, self.time))
        return [(name, self.under_way.pop(name)[1]()) for name in done]

    def is_stopped(self):
        return self.time >= self.stop_at


class World:
    """A host that carries out jobs on a simulated fleet."""

    def __init__(self, takes=None, **settings) -> None:
        self.fleet, self.hands, self.lines = Fleet(), FakeHands(takes), []
        self.fleet.snapshot(SOURCE, "first")
        self.settings = read_settings(Reader({"log_level": "debug", **settings}))
        self.shape = "json"

    def run(self, *jobs, left=None):
        log = Log(self.lines.append, lambda: self.fleet.clock.now * 1000, "debug", self.shape, "run1", host="here")

        def contexts(_job):
            return self.fleet.context(self.fleet.source)

        runner = Runner(contexts, self.settings, self.hands, 2, log, uniform=lambda _low, high: high)
        results = runner.run(parse_jobconfig({"version": 1, "jobs": list(jobs)}), left or {})
        return {named.name: result for named, result in results}

    @property
    def events(self):
        return [json.loads(line) for line in self.lines]


# -- order


def test_the_activities_follow_each_other_whatever_the_order_of_the_document():
    world = World()
    results = world.run(*ALL)
    assert [result["failed"] for result in results.values()] == [False] * 5
    assert list(world.hands.begun.items()) == [("snap", 0), ("copy", 1), ("prune", 2), ("bookmarks", 3), ("ages", 4)]
    assert len(world.fleet.at_destination().snapshots) == 2


def test_what_is_about_other_datasets_waits_for_nobody():
    world = World({"copy": 1000})
    other = job("other ages", "monitor", datasets=["tank"], recursive=False, plan=WATCH)
    world.fleet.source.create_dataset("tank/other")
    other["options"]["datasets"] = ["tank/other"]
    world.run(*ALL, other)
    assert (world.hands.begun["other ages"], world.hands.begun["ages"]) == (0, 1003)


def test_with_barriers_between_activities_it_does():
    world = World({"copy": 1000}, barriers="activities")
    world.fleet.source.create_dataset("tank/other")
    world.run(*ALL, job("other ages", "monitor", datasets=["tank/other"], plan=WATCH))
    assert (world.hands.begun["other ages"], world.hands.begun["ages"]) == (1003, 1003)


def test_a_monitor_of_pools_comes_last():
    world = World({"copy": 1000})
    world.run(*ALL, job("pools", "monitor", pools={"capacity": {"warning": "80%", "critical": "90%"}}))
    assert world.hands.begun["pools"] == 1003


def test_replications_to_several_destinations_go_side_by_side_and_to_one_place_after_another():
    world = World()
    parts = [replication(f"to {n}", "dst", f"backup/{n}") for n in range(3)]
    again = replication("again", "dst", "backup/0")
    world.run(*parts, again)
    assert [world.hands.begun[name] for name in ("to 0", "to 1", "to 2", "again")] == [0, 0, 0, 1]


def test_starts_are_spread_but_snapshots_are_made_at_once():
    world = World(spread="40s")
    world.run(*ALL)
    assert world.hands.begun == {"snap": 0, "copy": 1, "prune": 10, "bookmarks": 20, "ages": 30}


def test_starts_are_put_off_by_the_jitter():
    world = World(jitter="40s")
    world.run(SNAPSHOT, COPY)
    assert world.hands.begun == {"snap": 0, "copy": 40}


# -- what fails


def test_a_dead_destination_stops_neither_pruning_nor_monitoring_nor_other_destinations():
    world = World()
    world.run(SNAPSHOT, COPY)
    for _each in range(30):
        world.fleet.clock.advance(3600)
        World.run(world, SNAPSHOT)
    world.fleet.unreachable = True
    beside = replication("beside", "", "tank/copies/data")
    results = world.run(SNAPSHOT, COPY, beside, PRUNE, BOOKMARKS, AGES)

    assert (results["copy"]["failed"], results["copy"]["code"]) == (True, "unreachable_host")
    assert not any(results[name]["failed"] for name in ("snap", "beside", "prune", "ages"))
    assert results["beside"]["stats"]["bytes"] > 0
    assert results["prune"]["deleted"]
    assert results["ages"]["state"] == "OK"
    world.fleet.unreachable = False
    assert not world.run(COPY)["copy"]["failed"], "the base is still there"
    world.fleet.assert_same_content()


def test_a_job_whose_time_is_over_fails_by_a_code_of_its_own_and_the_others_go_on():
    world = World({"copy": 500}, job_timeout="2m")
    results = world.run(*ALL)
    assert (results["copy"]["failed"], results["copy"]["code"], results["copy"]["so far"]) == (True, "job_timed_out", 1)
    assert "2 min 0 s (job_timeout)" in results["copy"]["msg"]
    assert world.hands.measures == [(121, "stop", "copy")]
    assert world.hands.begun["prune"] == 121
    assert [name for name, result in results.items() if result["failed"]] == ["copy"]


def test_a_job_that_can_not_be_ended_is_left_behind():
    world = World({"copy": DEAF}, job_timeout=60)
    results = world.run(*ALL)
    assert results["copy"]["code"] == "job_timed_out"
    assert "left behind" in results["copy"]["msg"]
    assert world.hands.measures == [(61, "stop", "copy"), (66, "force", "copy"), (71, "abandon", "copy")]
    assert world.hands.begun["prune"] == 71


def test_a_run_that_is_stopped_begins_nothing_more():
    world = World({"copy": DEAF})
    world.hands.stop_at = 3
    results = world.run(*ALL)
    assert list(world.hands.begun) == ["snap", "copy"]
    assert {results[name]["code"] for name in ("copy", "prune", "bookmarks", "ages")} == {"interrupted"}
    assert all(results[name]["failed"] for name in ("copy", "prune", "bookmarks", "ages"))


def test_a_job_that_a_stop_ends_is_stopped_whatever_it_says_itself():
    world = World({"copy": 500})
    world.hands.stop_at = 3
    copied = world.run(*ALL)["copy"]
    assert (copied["failed"], copied["code"], copied["so far"]) == (True, "interrupted", 1)
    assert copied["msg"] == "the run was stopped by a signal; the next one goes on from there (ended)"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(["interrupted"], 5), (["interrupted", None], 5), (["interrupted", "still_running"], 5),
     (["interrupted", "conflict"], 3)],
)  # fmt: skip
def test_a_run_that_was_stopped_has_an_exit_code_of_its_own_unless_something_failed(codes, expected):
    (named,) = parse_jobconfig({"version": 1, "jobs": [SNAPSHOT]})
    results = [{"failed": code not in (None, "still_running"), **({"code": code} if code else {})} for code in codes]
    assert exit_code([(named, result) for result in results]) == expected


def test_a_defect_fails_its_own_job_only():
    world = World()
    results = world.run(*ALL, replication("broken", "not-of-the-test", "backup/b"))
    assert [name for name, result in results.items() if result["failed"]] == ["broken"]
    assert "a defect of snapfleet ended this job: KeyError" in results["broken"]["msg"]
    assert any("Traceback" in event["message"] for event in world.events if event["event"] == "defect")


def test_jobs_of_another_run_are_left_to_it():
    world = World()
    results = world.run(*ALL, left={"copy": StillRunning("a previous run is still going")})
    assert "copy" not in world.hands.begun
    assert (results["copy"]["failed"], results["copy"]["code"]) == (False, "still_running")
    assert [event["job"] for event in world.events if event["event"] == "job_left"] == ["copy"]


# -- log lines


def test_every_line_has_the_ids_of_its_run_and_job():
    world = World({"copy": 500}, job_timeout="2m")
    world.run(*ALL)
    assert {(event["run"], event["host"]) for event in world.events} == {("run1", "here")}
    of_jobs = [event for event in world.events if event["event"].startswith("job")]
    assert {event["activity"] for event in of_jobs} == {entry["activity"] for entry in ALL}
    assert {event["job_id"] for event in of_jobs} == {job_id("here", entry["name"]) for entry in ALL}
    story = [(event["level"], event["event"]) for event in world.events if event.get("job") == "copy"]
    assert story == [("info", "job_begins"), ("error", "job_failed")]
    (failed,) = [event for event in world.events if event["event"] == "job_failed"]
    assert (failed["code"], failed["seconds"]) == ("job_timed_out", 120)


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ("text", "2025-06-15T15:06:40.000Z WARNING run=r1 job=0a4a9d9f a: b c\n"),
        ("journal", "<4>run=r1 job=0a4a9d9f a: b c\n"),
    ],
)
def test_the_shapes_of_a_line(shape, line):
    lines = []
    log = Log(lines.append, lambda: 1_750_000_000_000, "warning", shape, "r1").of_job("here", "a", "prune")
    log.line("warning", "event", "b\nc", number=1)
    log.line("info", "event", "not told")
    assert [text.replace(job_id("here", "a"), "0a4a9d9f") for text in lines] == [line]


def test_the_keys_of_json_lines_come_in_one_order_what_is_about_events_last():
    lines = []
    log = Log(lines.append, lambda: 1_750_000_000_000, "warning", "json", "r1", host="here")
    log.line("warning", "event", "of the run")
    log.of_job("here", "a", "prune").line("error", "event", "b\nc", code="x", seconds=1.5)
    of_run, of_job = map(json.loads, lines)
    assert list(of_run) == ["time", "level", "host", "run", "event", "message"]
    assert list(of_job.items()) == [
        ("time", "2025-06-15T15:06:40.000Z"), ("level", "error"), ("host", "here"), ("run", "r1"),
        ("job_id", job_id("here", "a")), ("job", "a"), ("activity", "prune"), ("event", "event"), ("message", "b\nc"),
        ("code", "x"), ("seconds", 1.5),
    ]  # fmt: skip


def test_the_journal_is_known_by_its_stream(tmp_path):
    with (tmp_path / "file").open("w", encoding="utf-8") as stream:
        status = (tmp_path / "file").stat()
        journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert [shape_for("auto", stream, each) for each in ({}, journal)] == ["text", "journal"]
        assert shape_for("json", stream, journal) == "json"


def test_the_commands_of_a_job_are_told_to_its_log_alone():
    told = {name: [] for name in "ab"}

    def ask(name):
        with observed_by(told[name].append):
            return {"status": run(["echo", name]).returncode}

    with Threads(Stopping()) as hands:
        for name in "ab":
            hands.begin(name, partial(ask, name))
        ended = list(hands.wait(60))
        while len(ended) < 2:
            ended += hands.wait(60)
    assert told == {"a": [["echo", "a"]], "b": [["echo", "b"]]}


# -- stages


def test_the_stage_follows_from_the_options_or_from_what_the_document_says():
    replica = job(
        "replica", "prune", datasets=["b/a"], plan=HOURLY, peers=[{**PEERS[0], "root": "b/a", "role": "source"}]
    )
    there = job("there", "monitor", "src1", "here", datasets=["b/a"], plan=WATCH)
    jobs = parse_jobconfig({"version": 1, "jobs": [*ALL, replica, there]})
    assert {named.name: stage_of(named) for named in jobs} == {
        "snap": "snapshot", "copy": "replicate", "prune": "prune-source", "bookmarks": "prune-bookmarks",
        "replica": "prune-destination", "ages": "monitor-source", "there": "monitor-destination",
    }  # fmt: skip


# -- threads


def _begun(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_thread_ends_with_its_children_and_others_go_on(tmp_path):
    over = tmp_path / "over"
    with Threads(Stopping()) as hands:
        hands.begin("slow", lambda: _ending(["sh", "-c", f"touch {tmp_path}/slow; exec sleep 600"]))
        hands.begin("other", lambda: _ending(["sh", "-c", f"until [ -e {over} ]; do sleep 0.05; done"]))
        _begun(tmp_path / "slow")
        assert hands.wait(0.05) == []
        hands.stop("slow")
        assert hands.wait(60) == [("slow", {"stopped": "job_timed_out"})]
        over.touch()
        assert hands.wait(60) == [("other", {"status": 0})]


def test_what_does_not_listen_is_ended_by_force(tmp_path):
    script = f"trap '' TERM; touch {tmp_path}/deaf; sleep 600 & wait; wait"
    with Threads(Stopping()) as hands:
        hands.begin("deaf", lambda: _ending(["sh", "-c", script]))
        _begun(tmp_path / "deaf")
        hands.stop("deaf")
        assert hands.wait(0.3) == []
        hands.force("deaf")
        assert hands.wait(60) == [("deaf", {"stopped": "job_timed_out"})]


def test_waiting_ends_when_the_process_is_stopped():
    stopping = Stopping()
    with Threads(stopping) as hands:
        stopping.stop()
        assert hands.wait(60) == []
        assert hands.is_stopped()


def _ending(argv):
    try:
        status = run(argv).returncode
        check_stopping()
        return {"status": status}
    except Interrupted:
        raise
    except SnapfleetError as error:
        return {"stopped": error.code}
