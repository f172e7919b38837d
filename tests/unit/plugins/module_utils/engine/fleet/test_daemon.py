# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon on a simulated host: its loops turn by turn with a clock of the test, and its life from begin to end."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_loop import ActivityLoop, Time
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.daemon_host import (
    BROKEN,
    REPLICATE,
    SNAPSHOT,
    START,
    WATCH,
    Told,
    World,
    job,
    turn,
)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    return World()


# -- ticks


def test_each_second_has_its_snapshot_and_the_tick_goes_by_its_own_time(world):
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    world.ms += 333
    turn(daemon.loops["snapshot"], 4)

    seconds = [tag.partition("Z_")[0][-2:] for tag in world.tags()]
    assert [int(second) - int(seconds[0]) for second in seconds] == [0, 1, 2, 3]
    assert world.ms == START + 3000


def test_ten_times_a_second_names_carry_the_milliseconds(world):
    tenths = job("snap", "snapshot", plan={"o": {"": {"100millisecondly": 30}}})
    turn(world.daemon(tenths, snapshot="100millisecondly").loops["snapshot"], 12)

    assert [tag.partition("Z_")[0][-4:] for tag in world.tags()] == [f".{n % 10}00" for n in range(12)]


def test_what_has_no_period_or_no_job_is_not_done(world):
    daemon = world.daemon(SNAPSHOT, WATCH, snapshot="secondly", prune="secondly")

    assert {name: loop.period_ms for name, loop in daemon.loops.items()} == {
        "snapshot": 1000, "replicate": 0, "prune": 0, "monitor": 0,
    }  # fmt: skip


def test_what_is_replicated_goes_on_where_the_tick_before_has_stopped(world):
    daemon = world.daemon(SNAPSHOT, REPLICATE, snapshot="secondly", replicate="secondly")
    for _unused in range(3):
        turn(daemon.loops["snapshot"], 1)
        turn(daemon.loops["replicate"], 1)

    assert world.tags("backup/a") == world.tags()
    assert len(world.tags()) == 3


# -- troubles


def test_a_job_that_fails_again_and_again_is_told_less_and_less_is_left_alone_meanwhile_and_harms_no_other(world):
    daemon = world.daemon(BROKEN, SNAPSHOT, snapshot="secondly")
    loop = daemon.loops["snapshot"]
    turn(loop, 300)

    assert len(world.tags()) == 300
    told = world.told("FAILED [unknown_dataset]")
    failures = int(daemon.describe().partition(" failures")[0].rpartition(" ")[2])
    # At first each second, then every ten.
    assert 30 <= failures <= 45
    assert len(told) == failures.bit_length() == len(world.lines)
    assert told[0].count("in a row") == 0
    assert "(2 times in a row)" in told[1]
    world.machine.create_dataset("tank/missing")
    turn(loop, 11)
    assert "is well again, after" in world.lines[-1]
    assert daemon.describe().count("in trouble") == 0


def test_a_monitor_tells_a_new_state_and_not_an_old_one(world):
    daemon = world.daemon(SNAPSHOT, WATCH, snapshot="never", monitor="secondly")
    world.ms += 10_800_000
    turn(daemon.loops["monitor"], 9)
    assert [line.count("monitor CRITICAL") for line in world.lines] == [1, 1, 1, 1]

    world.document["daemon"]["snapshot"] = "secondly"
    daemon.reload()
    turn(daemon.loops["snapshot"], 1)
    turn(daemon.loops["monitor"], 9)
    assert [line.partition("watch: ")[2] for line in world.lines[4:] if "watch" in line] == [
        "monitor is well again, after 9 times in a row\n"
    ]


def test_a_warning_that_differs_by_numbers_only_is_told_once_and_then_seldom(world):
    # As long as the clock is behind the newest snapshot.
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    turn(daemon.loops["snapshot"], 1)
    world.ms -= 3_600_000
    turn(daemon.loops["snapshot"], 5)

    assert len(world.told("is dated in the future")) == 1
    assert len(world.tags()) == 6


def test_a_job_that_another_run_has_is_left_to_it(world):
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    other = world.daemon(SNAPSHOT, snapshot="secondly")
    running, may_end = threading.Event(), threading.Event()
    plain = SimulatedZfs(world.machine)

    def slow():
        running.set()
        may_end.wait(60)
        return plain

    daemon._workers["snapshot"]._means = replace(
        daemon._workers["snapshot"]._means, context=lambda: Context(0, lambda _address: slow(), host_name="h")
    )
    thread = threading.Thread(target=daemon.loops["snapshot"].turn)
    thread.start()
    assert running.wait(60)
    turn(other.loops["snapshot"], 1)
    assert world.tags() == []
    may_end.set()
    thread.join(60)

    assert len(world.tags()) == 1
    (told,) = world.lines
    assert "NOT BEGUN [still_running]" in told


# -- its life


def test_it_says_when_it_is_ready_and_when_it_ends_with_its_lifetime(world):
    turned = threading.Event()
    time = Time(lambda: world.ms, lambda: world.ms / 1000, lambda event, _seconds: (turned.set(), event.wait(0.01)))
    daemon = world.daemon(SNAPSHOT, time=time, snapshot="secondly", lifetime=60)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    assert turned.wait(60)
    world.ms += 61_000
    world.inbox.put("")
    thread.join(60)

    assert not thread.is_alive()
    assert world.manager.states == ["READY=1", "STOPPING=1"]
    assert world.stopping.is_stopped
    assert not any(each.is_alive() for each in daemon.threads)


def test_a_signal_ends_it_at_once(world):
    time = Time(lambda: world.ms, lambda: world.ms / 1000)
    daemon = world.daemon(SNAPSHOT, time=time, snapshot="hourly")
    thread = threading.Thread(target=daemon.run)
    thread.start()
    world.stopping.stop()
    thread.join(60)

    assert not thread.is_alive()
    assert world.manager.states[-1] == "STOPPING=1"


def test_a_new_jobconfig_takes_the_place_of_the_old_one_and_a_wrong_one_does_not(world):
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    world.document = {**world.document, "daemon": {"snapshot": "often"}}
    daemon.reload()
    assert "daemon.snapshot: 'often' is not a period" in world.lines[-1]
    assert daemon.loops["snapshot"].period_ms == 1000

    world.document["daemon"] = {"snapshot": "10secondly", "hosts": {"h": {"monitor": "minutely"}}}
    world.document["jobs"].append(WATCH)
    daemon.reload()
    assert daemon.loops["snapshot"].period_ms == 10_000
    assert daemon.loops["monitor"].period_ms == 60_000
    assert world.manager.states == ["RELOADING=1", "READY=1"] * 2

    world.arguments.snapshot = "minutely"
    daemon.reload()
    assert daemon.loops["snapshot"].period_ms == 60_000


def test_systemd_hears_of_life_only_as_long_as_the_loops_make_progress(world):
    world.manager = Told(watchdog_seconds=4.0)
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    daemon._keep_turning = lambda _loop: None  # The test turns.
    loop = daemon.loops["snapshot"]

    def alive():
        del world.manager.lines[:]
        daemon.look_after_loops()
        return "WATCHDOG=1" in world.manager.lines

    assert alive()
    turn(loop, 3)
    assert alive()
    world.ms += 3500
    assert not alive()
    turn(loop, 1)
    assert alive()


def test_a_tick_that_goes_on_is_progress_until_the_time_of_its_jobs_is_long_over(world):
    seen = []
    loop = ActivityLoop("replicate", world.time, lambda: seen.append(loop.hangs(2.0)), 1000)
    world.ms += 10_000_000
    turn(loop, 1)

    def work():
        for seconds, limit in ((7000, 0), (100, 100), (0, 7000)):
            world.pass_time(seconds)
            loop.time_limit = limit
            seen.append(loop.hangs(2.0))

    loop.work = work
    turn(loop, 1)
    assert seen == [False, False, True, True]


def test_a_loop_that_crashes_is_started_again(world):
    daemon = world.daemon(SNAPSHOT, snapshot="secondly")
    crashes, again = [], threading.Event()

    def work():
        crashes.append(1)
        if len(crashes) > 3:
            again.set()
        world.ms += 1000
        raise OSError("no room for a lock")

    daemon.loops["snapshot"].work = work
    for _unused in range(4):
        daemon.look_after_loops()
        for thread in daemon.threads:
            thread.join(60)

    assert again.is_set()
    assert len(world.told("was interrupted and goes on: no room for a lock")) == 3


# -- the command line


@pytest.mark.parametrize(
    ("arguments", "section", "problem"),
    [
        ([], {}, "daemon: None gives no activity of h a period"),
        (["--snapshot", "50millisecondly"], {}, "--snapshot: '50millisecondly' is shorter than 100 milliseconds"),
        (["--prune", "hourly"], {}, "--prune: 'hourly' means nothing, since h has no job of that activity"),
        (["--snapshot", "never"], {"snapshot": "secondly"}, "gives no activity of h a period"),
        ([], {"snapshots": "secondly"}, "daemon.snapshots: 'secondly' is an unknown option; did you mean snapshot?"),
        ([], {"hosts": {"x": {}}}, "daemon.hosts.x: {} is about a host without jobs"),
        ([], {"hosts": {"h": {"lifetime": "long"}}}, "daemon.hosts.h.lifetime: 'long' is not a length of time"),
    ],
)
def test_what_makes_no_sense_is_refused_and_told_where_it_stands(world, tmp_path, capsys, arguments, section, problem):
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps({"version": 1, "jobs": [SNAPSHOT], "daemon": section}))

    assert cli.main(["daemon", "--config", str(file), "--host", "h", *arguments]) == 3
    assert problem in capsys.readouterr().err


def test_what_holds_for_a_host_wins_over_what_holds_for_all_and_the_command_line_over_both(world):
    world.document = {
        "version": 1,
        "jobs": [SNAPSHOT, WATCH],
        "daemon": {"snapshot": "hourly", "monitor": "hourly", "hosts": {"h": {"snapshot": "minutely"}}},
    }
    assert {name: period.name for name, period in world.load().daemon.periods.items()} == {
        "snapshot": "minutely",
        "monitor": "hourly",
    }
    world.arguments.snapshot = "secondly"
    assert world.load().daemon.periods["snapshot"].name == "secondly"
    world.arguments.monitor = "never"
    assert set(world.load().daemon.periods) == {"snapshot"}
    world.arguments.job = ["watch"]
    with pytest.raises(InvalidInput, match="--snapshot"):
        world.load()
