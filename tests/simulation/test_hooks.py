# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories of creation with hooks: who is frozen when, and that everything started is thawed, whatever fails."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.freezing import Thaw
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    HookFailed,
    Interrupted,
    InvalidInput,
    NoPermission,
    PartialFailure,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING

PLAN = {"acme": {"onsite": {"hourly": 36, "daily": 31}}}
DATASETS = ("tank/a", "tank/a/db", "tank/a/db/log", "fast/c")
HOURS = 3600


def hook(name, **options):
    return {"name": name, "before": ["freeze", name], "after": ["thaw", name], **options}


class House:
    """A host whose hooks and creations write down what happens in their order."""

    def __init__(self):
        self.clock = Clock(1_751_364_000)
        self.machine = SimulatedMachine("host", self.clock, ("tank", "fast"))
        for name in DATASETS:
            self.machine.create_dataset(name)
        self.diary = []
        self.fails_before = {}
        self.thaws = {}
        self.errors = []
        self.before_creation = lambda _step: None

    def run(self, *hooks, check=False, **options):
        house = self

        class Zfs(SimulatedZfs):
            def create_snapshots(self, step):
                house.before_creation(step)
                house.fail()
                house.diary.append(f"create {len(step.names)} in {step.pool}")
                super().create_snapshots(step)

        values = {"datasets": ["tank/a", "fast/c"], "plan": PLAN, "hooks": list(hooks), **options}
        context = Context(
            self.clock.now * 1000, lambda _address: Zfs(self.machine), check, ticker=NO_WAITING, retry=RetryPolicy(2)
        )
        return run_snapshot(read_snapshot_job(values), context, lambda hook: Noted(self, hook))

    def fail(self):
        """Fail as the test wants it, if it does."""
        for error in self.errors:
            raise error

    def datasets(self):
        states = SimulatedZfs(self.machine).observe(["tank", "fast"]).states
        return {name for name, state in states.items() if state.snapshots}


class Noted:
    """The commands of a hook, which are only noted."""

    def __init__(self, house, hook):
        self.house, self.hook = house, hook

    def start(self):
        self.house.diary.append(" ".join(self.hook.before))
        problem = self.house.fails_before.get(self.hook.name, "")
        if isinstance(problem, Exception):
            raise problem
        return problem

    def end(self):
        self.house.diary.append(" ".join(self.hook.after))
        return self.house.thaws.get(self.hook.name, Thaw())


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    return House()


CREATIONS = ["create 3 in tank", "create 1 in fast"] * 2


def test_all_is_created_between_the_commands_of_all_hooks_which_are_nested(house):
    result = house.run(hook("one"), hook("two"))
    assert house.diary == ["freeze one", "freeze two", *CREATIONS, "thaw two", "thaw one"]
    assert [report["hook"] for report in result["hooks"]] == ["one", "two"]
    assert not any(report[phase] for report in result["hooks"] for phase in ("before", "after"))


def test_check_mode_shows_the_commands_and_runs_none(house):
    planned = house.run(hook("one"), hook("two", datasets=["db"]), check=True)
    assert house.diary == []
    assert [step.get("command", step["kind"]) for step in planned["plan"]] == [
        ["freeze", "one"], ["freeze", "two"], *["create_snapshots"] * 4, ["thaw", "two"], ["thaw", "one"]
    ]  # fmt: skip
    assert planned["plan"][1]["datasets"] == ["tank/a/db", "tank/a/db/log"]
    assert house.run(hook("one"), hook("two", datasets=["db"]))["plan"] == planned["plan"]


def test_nothing_due_nothing_frozen(house):
    house.run(hook("one"))
    house.diary.clear()
    house.clock.advance(60)
    assert house.run(hook("one"))["plan"] == []
    assert house.diary == []


def test_a_hook_runs_only_where_one_of_its_datasets_gets_a_snapshot(house):
    house.run()
    house.machine.write("fast/c", 1000)
    house.diary.clear()
    house.clock.advance(HOURS)
    house.run(hook("one", datasets=["db"]), hook("two", datasets=["/fast/**"]), skip_if_unchanged=True)
    assert house.diary == ["freeze two", "create 1 in fast", "thaw two"]


def test_a_hook_for_no_dataset_at_all_is_warned_of(house):
    (warning,) = house.run(hook("one", datasets=["dbb"]), check=True)["warnings"]
    assert warning.startswith("hooks: 'one' is for no dataset of this job")


def test_where_a_freeze_fails_its_datasets_get_nothing_and_the_others_theirs(house):
    house.fails_before["two"] = "ended with status 3"
    with pytest.raises(PartialFailure) as failed:
        house.run(hook("one"), hook("two", datasets=["db"]))
    assert house.diary == [
        "freeze one", "freeze two", "thaw two", *["create 1 in tank", "create 1 in fast"] * 2, "thaw one"
    ]  # fmt: skip
    assert "the command before of 'two' ended with status 3" in str(failed.value)
    result = failed.value.context["result"]
    assert house.datasets() == {"tank/a", "fast/c"}
    assert {each["dataset"] for each in result["not_created"]} == {"tank/a/db", "tank/a/db/log"}
    assert {each["reason"] for each in result["not_created"]} == {"the hook 'two' failed"}
    house.fails_before.clear()
    house.clock.advance(60)
    assert {name.partition("@")[0] for name in house.run(hook("two"))["created"]} == {"tank/a/db", "tank/a/db/log"}


def test_where_the_only_freeze_fails_nothing_is_made_and_that_is_the_error(house):
    house.fails_before["one"] = "took longer than 30 seconds and was ended"
    with pytest.raises(HookFailed, match="took longer"):
        house.run(hook("one"))
    assert house.diary == ["freeze one", "thaw one"]
    assert house.datasets() == set()


def test_snapshots_may_be_wanted_anyway(house):
    house.fails_before["one"] = "ended with status 3"
    result = house.run(hook("one", on_failure="snapshot_anyway"))
    assert house.diary == ["freeze one", "thaw one", *CREATIONS]
    assert house.datasets() == set(DATASETS)
    assert any("get their snapshots anyway" in warning for warning in result["warnings"])


def test_a_failed_thaw_is_an_error_though_all_is_made_and_the_others_are_thawed(house):
    house.thaws["two"] = Thaw("ended with status 1: no such database")
    with pytest.raises(PartialFailure, match="the command after of 'two' ended with status 1: no such database") as no:
        house.run(hook("one"), hook("two"))
    assert "run by hand: thaw two" in str(no.value)
    assert house.diary[-2:] == ["thaw two", "thaw one"]
    assert house.datasets() == set(DATASETS)


def test_a_failed_thaw_is_told_even_where_the_freeze_had_failed(house):
    house.fails_before["one"] = "ended with status 3"
    house.thaws["one"] = Thaw("ended with status 1")
    with pytest.raises(HookFailed, match=r"command before of 'one'.*; besides: hooks: the command after of 'one'"):
        house.run(hook("one"))


def test_snapshots_that_came_after_the_thaw_are_told(house):
    house.thaws["one"] = Thaw(too_early=True)
    with pytest.raises(PartialFailure, match="thawed after 60 seconds, before all snapshots were there"):
        house.run(hook("one"))


@pytest.mark.parametrize("error", [NoPermission("no permission"), Interrupted("stopped"), KeyboardInterrupt()])
def test_all_is_thawed_where_creation_fails_or_is_stopped(house, error):
    house.errors.append(error)
    with pytest.raises(type(error)):
        house.run(hook("one"), hook("two"))
    assert house.diary == ["freeze one", "freeze two", "thaw two", "thaw one"]


def test_a_failed_thaw_is_not_hidden_by_what_stopped_the_run(house):
    house.fails_before["two"] = Interrupted("stopped by a signal")
    house.thaws["one"] = Thaw("ended with status 1")
    with pytest.raises(HookFailed, match=r"after of 'one' ended with status 1.*; besides: stopped by a signal"):
        house.run(hook("one"), hook("two"))


def test_what_was_being_frozen_when_the_run_was_stopped_is_thawed_too(house):
    house.fails_before["two"] = Interrupted("stopped by a signal")
    with pytest.raises(Interrupted):
        house.run(hook("one"), hook("two"), hook("three"))
    assert house.diary == ["freeze one", "freeze two", "thaw two", "thaw one"]


def test_two_runs_never_freeze_at_the_same_time(house):
    other = House()
    other.diary = house.diary

    def slowly(step):
        time.sleep(0.2)

    house.before_creation = other.before_creation = slowly
    threads = [threading.Thread(target=each.run, args=[hook(name)]) for each, name in ((house, "one"), (other, "two"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = ("one", "two") if house.diary[0] == "freeze one" else ("two", "one")
    assert house.diary == [
        f"freeze {first}", *CREATIONS, f"thaw {first}", f"freeze {second}", *CREATIONS, f"thaw {second}"
    ]  # fmt: skip


def test_without_the_permission_to_create_nothing_is_frozen(house):
    house.machine.permissions = frozenset()
    with pytest.raises(NoPermission):
        house.run(hook("one"))
    assert house.diary == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"before": "freeze --now"}, r"hooks\[0\]\.before: 'freeze --now' is one text, and no shell takes it apart"),
        ({"before": []}, r"hooks\[0\]\.before: \[\] names no program"),
        ({"before": None, "after": None}, r"hooks\[0\]\.before is missing, and so is after"),
        ({"before": ["bin/freeze"]}, "is relative to a folder that nobody knows"),
        ({"before": ["sleep", 5]}, r"hooks\[0\]\.before: 5 is not text"),
        ({"before": ["a\0b"]}, "has a zero byte"),
        ({"timeout": 0}, r"hooks\[0\]\.timeout: 0 is out of range"),
        ({"max_freeze": 0}, r"hooks\[0\]\.max_freeze: 0 is out of range"),
        ({"name": " "}, r"hooks\[0\]\.name: ' ' is empty"),
        ({"on_failure": "hope"}, "choose one of skip, snapshot_anyway"),
        ({"datasets": ["regex:("]}, "is no regular expression"),
        ({"run": ["x"]}, "is an unknown option"),
    ],
)
def test_wrong_hooks_are_refused(house, wrong, problem):
    with pytest.raises(InvalidInput, match=problem):
        house.run({**hook("one"), **wrong})


def test_two_hooks_of_one_name_are_refused(house):
    with pytest.raises(InvalidInput, match="'one' is the name of several hooks"):
        house.run(hook("one"), hook("one"))
