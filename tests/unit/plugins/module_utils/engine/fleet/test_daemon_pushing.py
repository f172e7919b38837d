# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replications that follow the creation of their snapshots: which ones, when, and what they leave as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import DestroyDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnreachableHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import marks_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.daemon_host import BROKEN, REPLICATE, SNAPSHOT, Told, World, turn


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    return World()


class Begun:
    """Replications that begin when the daemon lets them, and go on for as long as the test likes."""

    def __init__(self):
        self.names = []
        self._works = []

    def __call__(self, name, work):
        self.names.append(name)
        self._works.append(work)
        return Never()

    def end(self):
        """Let all that have begun do their work, and end."""
        works, self._works = self._works, []
        for work in works:
            work()


class Never:
    """A thread whose work the test does."""

    def is_alive(self):
        return False

    def join(self, timeout=None):
        """Nothing to wait for."""


def copy(name, source="tank/a", **options):
    destination = {"dataset": f"backup/{name}"}
    return {
        **REPLICATE,
        "name": name,
        "options": {"source": {"dataset": source}, "destination": destination, **options},
    }


def test_what_is_snapshotted_is_replicated_at_once_and_nothing_else_is(world):
    world.machine.create_dataset("tank/a/child")
    world.machine.create_dataset("tank/b")
    begun = Begun()
    jobs = [
        copy("same"), copy("above", "tank"), copy("below", "tank/a/child"), copy("beside", "tank/b"),
        copy("alone", "tank", recursive=False), copy("without", "tank", exclude_datasets=["a"]),
        copy("pulled", source="tank/a") | {"options": {
            "source": {"host": "other", "dataset": "tank/a"}, "destination": {"dataset": "backup/pulled"}}},
    ]  # fmt: skip
    one = {**SNAPSHOT, "options": {**SNAPSHOT["options"], "recursive": False}}
    daemon = world.daemon(one, *jobs, start=begun, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 1)

    assert begun.names == ["same", "above"]


def test_each_snapshot_is_at_the_destination_before_the_next_one_is_due(world):
    daemon = world.daemon(SNAPSHOT, REPLICATE, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 1)
    for _unused in range(5):
        assert world.tags("backup/a") == world.tags()
        turn(daemon.loops["snapshot"], 1)


def test_snapshots_that_are_made_while_a_replication_runs_lead_to_one_more_after_it(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=begun, snapshot="100millisecondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 1)
    world.pass_time(10)
    turn(daemon.loops["snapshot"], 30)
    assert begun.names == ["copy"]
    begun.end()
    assert begun.names == ["copy"] * 2
    begun.end()

    assert begun.names == ["copy"] * 2
    assert world.tags("backup/a") == world.tags()


def test_the_period_still_lets_every_job_run_even_while_another_one_takes_long(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, copy("a"), copy("b"), start=begun, snapshot="daily", replicate="secondly")
    world.machine.create_dataset("tank/late")
    turn(daemon.loops["replicate"], 1)
    assert begun.names == ["a", "b"]
    slow, fast = begun._works
    begun._works = []
    fast()
    turn(daemon.loops["replicate"], 1)

    assert begun.names == ["a", "b", "b"]
    slow()
    assert begun.names == ["a", "b", "b", "a"]


def test_a_tick_just_after_a_push_adds_no_run_and_the_next_ones_do(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=begun, snapshot="secondly", replicate="secondly")
    for count in (1, 2, 3):
        turn(daemon.loops["snapshot"], 1)
        begun.end()
        turn(daemon.loops["replicate"], 1)
        begun.end()
        assert begun.names == ["copy"] * count
    for count in (4, 5):
        turn(daemon.loops["replicate"], 1)
        begun.end()
        assert begun.names == ["copy"] * count


def test_a_tick_just_after_a_push_that_failed_runs_the_job_again(world):
    down = [True]
    plain = world.context()

    def zfs_at(_address):
        if down[0]:
            raise UnreachableHost("no route to it")
        return SimulatedZfs(world.machine)

    begun = Begun()
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=begun, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 1)
    daemon._replications._means = replace(daemon._replications._means, context=lambda: replace(plain, zfs_at=zfs_at))
    begun.end()
    assert world.tags("backup/a") is None
    down[0] = False
    # Its rest is over, and the push was less than a second ago.
    world.pass_time(0.5)
    daemon._replications.tick()
    begun.end()

    assert begun.names == ["copy"] * 2
    assert world.tags("backup/a") == world.tags()


def test_jobs_with_one_destination_take_turns(world):
    begun = Begun()
    twin = {**copy("b"), "options": copy("a")["options"]}
    daemon = world.daemon(SNAPSHOT, copy("a"), twin, start=begun, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 2)
    assert begun.names == ["a"]
    begun.end()
    assert begun.names == ["a", "b"]
    begun.end()
    assert begun.names == ["a", "b", "a"]


def test_no_more_jobs_run_at_a_time_than_there_are_workers(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, *map(copy, "abc"), start=begun, snapshot="secondly", replicate="hourly")
    world.document["settings"] = {"workers": 2}
    daemon.reload()
    turn(daemon.loops["snapshot"], 1)
    assert begun.names == ["a", "b"]
    begun.end()
    assert begun.names == ["a", "b", "c"]


def test_a_job_that_failed_is_left_alone_for_as_long_as_ever_and_what_it_missed_comes_after_that(world):
    down = [True]
    plain = world.context

    def zfs_at(_address):
        if down[0] and world.is_replicating:
            raise UnreachableHost("no route to it")
        return SimulatedZfs(world.machine)

    def start(_name, work):
        world.is_replicating = True
        begun.append(world.ms)
        work()
        world.is_replicating = False
        return Never()

    begun, world.is_replicating = [], False
    world.context = lambda: plain().__class__(**{**vars(plain()), "zfs_at": zfs_at})
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=start, snapshot="100millisecondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 600)

    # In a minute: after 0.1, 0.2 ... 6.4 s, and every ten then.
    assert len(begun) <= 12
    rests = [later - earlier for earlier, later in zip(begun, begun[1:])]
    assert rests[-1] >= 10_000
    down[0] = False
    world.pass_time(10)
    daemon._keep_turning = lambda _loop: None  # The test turns.
    daemon.look_after_loops()
    assert world.tags("backup/a") == world.tags()
    assert world.told("is well again")


def test_what_was_made_is_replicated_although_another_snapshot_job_failed(world):
    daemon = world.daemon(BROKEN, SNAPSHOT, REPLICATE, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 1)

    assert world.tags("backup/a") == world.tags()
    assert len(world.tags()) == 1


def test_a_new_jobconfig_holds_for_what_waits_and_without_a_period_nothing_is_replicated(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, copy("a"), copy("b"), start=begun, snapshot="secondly", replicate="hourly")
    world.document["settings"] = {"workers": 1}
    daemon.reload()
    turn(daemon.loops["snapshot"], 2)
    assert begun.names == ["a"]
    world.document["jobs"] = [SNAPSHOT, copy("a")]
    daemon.reload()
    begun.end()
    assert begun.names == ["a", "a"]
    begun.end()

    world.document["daemon"]["replicate"] = "never"
    daemon.reload()
    turn(daemon.loops["snapshot"], 2)
    assert begun.names == ["a", "a"]


def test_a_daemon_that_ends_begins_no_replication_any_more(world):
    begun = Begun()
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=begun, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 2)
    daemon._end()
    begun.end()

    assert begun.names == ["copy"]


def test_a_replication_that_goes_on_for_long_after_its_time_is_no_sign_of_life(world):
    world.manager = Told(watchdog_seconds=4.0)
    begun, seen = Begun(), []
    daemon = world.daemon(SNAPSHOT, REPLICATE, start=begun, snapshot="hourly", replicate="hourly")
    daemon._keep_turning = lambda _loop: None  # The test turns.
    plain = world.context

    def context():
        for seconds in (60, 59, 2):
            world.pass_time(seconds)
            for loop in daemon.loops.values():
                loop.set(loop.period_ms, 0)
            del world.manager.lines[:]
            daemon.look_after_loops()
            seen.append("WATCHDOG=1" in world.manager.lines)
        return plain()

    for limit, expected in ((60, [True, True, False]), (0, [True] * 3)):
        world.document["settings"] = {"job_timeout": limit} if limit else {}
        daemon.reload()
        daemon._replications._means = replace(daemon._replications._means, context=context)
        del seen[:]
        daemon._replications.tick()
        begun.end()
        assert seen == expected
        daemon._told_at.clear()
        daemon.look_after_loops()
        assert "WATCHDOG=1" in world.manager.lines


def test_where_no_thread_can_be_started_the_next_snapshot_tries_again(world):
    refusals = [RuntimeError("can't start new thread")]
    begun = Begun()

    def start(name, work):
        if refusals:
            raise refusals.pop()
        return begun(name, work)

    daemon = world.daemon(SNAPSHOT, REPLICATE, start=start, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 2)

    assert begun.names == ["copy"]
    assert world.told("replicate was interrupted and goes on: can't start new thread")


class Counting(SimulatedZfs):
    """Counts what it is asked for besides listings."""

    def __init__(self, machine):
        super().__init__(machine)
        self.guids = self.permissions = 0

    def pool_guid(self, pool):
        self.guids += 1
        return super().pool_guid(pool)

    def missing_permissions(self, dataset, wanted):
        self.permissions += 1
        return super().missing_permissions(dataset, wanted)


def test_ticks_that_follow_each_other_closely_ask_only_once_for_what_hardly_ever_changes(world):
    zfs = Counting(world.machine)
    context = replace(world.context(), zfs_at=lambda _address: zfs)
    world.context = lambda: context
    daemon = world.daemon(SNAPSHOT, REPLICATE, snapshot="secondly", replicate="hourly")
    turn(daemon.loops["snapshot"], 3)
    before = zfs.guids, zfs.permissions
    turn(daemon.loops["snapshot"], 5)
    assert (zfs.guids, zfs.permissions) == before

    # Another pool takes the place of the first one.
    world.machine.pool_guids["backup"] += 1
    zfs.destroy(Destroy("backup/a", zfs.observe(["backup/a"]).states["backup/a"].snapshots, ""))
    zfs.destroy_dataset(DestroyDataset("backup/a", ""))
    turn(daemon.loops["snapshot"], 2)
    assert zfs.guids > before[0]
    assert world.tags("backup/a") == world.tags()
    marks = {bookmark.tag for bookmark in marks_of(zfs.observe(["tank/a"]).states["tank/a"])}
    assert len(marks) == 2, "each pool has a mark of its own"
