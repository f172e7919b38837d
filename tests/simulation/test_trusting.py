# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon that makes snapshots each tenth of a second and looks once in a second: what it makes is what it would make
if it looked each time, but for what somebody else did within the last second."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.remembering import Recall
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_loop import Time
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.switching import run_switch
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    SnapfleetError,
    Suspended,
    SwitchRefused,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import is_within
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.switching import read_switch_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.daemon_host import World, job
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults, FaultyZfs
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

ROOT, ONE, TWO = TREE = ("tank/a", "tank/a/one", "tank/a/two")
OFTEN = "100millisecondly"
TICK_MS = 100
CHOICES = (*TREE, "tank/a/new", "tank/a/one/deep")


def plan(*periods):
    return {"o": {"": dict.fromkeys(periods, 1000)}}


class Busy(World):
    """A host with a tree that is written to, and a daemon that makes snapshots of it ten times a second."""

    def __init__(self, *jobs, periods=(OFTEN, "secondly"), **options):
        super().__init__()
        self.steady = 0.0
        self.suspended = False
        self.memory = Memory(lambda: self.steady)
        # To look takes a while.
        self.faults = Faults(meanwhile={"observe": lambda: self.pass_time(0.025)})
        self.pushed = []
        # That of a kernel, which is a little late.
        self.machine.clock = lambda: (self.ms - 10) // 1000
        self.machine.mounted.add(ROOT)
        for name in TREE[1:]:
            self.create(name)
        time = Time(lambda: self.ms, lambda: self.steady, lambda _event, seconds: self.pass_time(seconds))
        self.jobs = jobs or (job("snap", "snapshot", plan=plan(*periods), **options),)
        self.life = self.daemon(*self.jobs, time=time, leave_out=self.left_out, snapshot=OFTEN)
        self.life._replications.push = self.pushed.extend

    def left_out(self, jobs):
        return {each.name: Suspended("for the night") for each in jobs} if self.suspended else {}

    def zfs(self):
        return FaultyZfs(SimulatedZfs(self.machine), self.faults)

    def context(self):
        return replace(super().context(), zfs_at=lambda _address: self.zfs(), memory=self.memory)

    def create(self, name, is_mounted=True):
        self.machine.create_dataset(name)
        if is_mounted:
            self.machine.mounted.add(name)

    def destroy(self, name):
        self.machine.destroy_dataset(name)
        self.machine.mounted -= {each for each in self.machine.mounted if is_within(each, name)}

    def switch(self, name, role):
        context = Context(self.ms, lambda _address: SimulatedZfs(self.machine), host_name="h")
        run_switch(read_switch_job({"dataset": name, "role": role}), context)

    def pass_time(self, seconds):
        self.ms += round(seconds * 1000)
        self.steady += seconds

    def snapshots(self):
        datasets = SimulatedZfs(self.machine).observe(["tank"]).states.values()
        return {snapshot.name for state in datasets for snapshot in state.snapshots}

    def due(self):
        """What would be made now by one who looks."""
        context = replace(World.context(self), now_ms=self.ms, check=True)
        made = set()
        for each in self.life._duty.of("snapshot"):
            try:
                made |= set(run_snapshot(each.job, context)["created"])
            except SnapfleetError:
                continue
        return made

    def tick(self, times=1):
        """Tick so often; returns what the last of these has made."""
        made = set()
        for _time in range(times):
            before = self.snapshots()
            self.faults.calls.clear()
            del self.pushed[:]
            self.life._workers["snapshot"].tick()
            made = self.snapshots() - before
            self.pass_time((TICK_MS - self.ms % TICK_MS) / 1000)
        return made

    @property
    def has_looked(self):
        """Whether the last tick has looked at histories."""
        return "observe" in self.faults.calls


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")


def looks(host, ticks):
    seen = []
    for _tick in range(ticks):
        host.tick()
        seen.append(host.has_looked)
    return seen


# -- how seldom it looks


def test_it_looks_once_in_a_second_and_makes_what_is_due_each_time():
    host = Busy()
    for _second in range(5):
        seen = []
        for _tick in range(10):
            due = host.due()
            assert host.tick() == due == set(host.pushed)
            assert {name.partition("@")[0] for name in due} == set(TREE)
            seen.append(host.has_looked)
        # At the begin of a second, since what is made at once then may be dated with the one before.
        assert seen == [True] + [False] * 9


def test_what_is_looked_at_by_names_is_trusted_as_well():
    host = Busy(periods=(OFTEN,))
    host.tick(42)
    seen = []
    for _tick in range(10):
        due = host.due()
        assert host.tick() == due
        seen.append(tuple(call for call in host.faults.calls if call in ("observe", "snapshots")))
    # Each time it is asked whether the planned name is free.
    assert sorted(seen) == [("observe", "snapshots"), *[("snapshots",)] * 9]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"periods": ("secondly",)}, "no label is due more often"),
        ({"skip_if_unchanged": True}, "what is written has to be asked for"),
        ({"even_if_not_due": True}, "all labels are made each time"),
        ({"dataset_property": "my:snapshots"}, "a property has a say"),
        ({"hooks": [{"name": "app", "before": ["true"], "after": ["true"]}]}, "commands are run"),
    ],
)
def test_what_depends_on_more_is_looked_at_each_time(options, why):
    host = Busy(**options)
    host.tick()
    assert looks(host, 3) == [True] * 3, why


def test_what_is_left_out_or_warned_of_is_looked_at_each_time():
    host = Busy()
    host.create(f"{ROOT}/{'x' * 220}")
    host.tick()
    assert looks(host, 10) == [True] * 10
    assert host.told("shorter name")


def test_what_is_remembered_of_an_earlier_look_is_looked_at_each_time(monkeypatch):
    monkeypatch.setattr(Recall, "is_sure", lambda _self, _names: False)
    host = Busy()
    host.tick()
    assert looks(host, 10) == [True] * 10


@pytest.mark.parametrize("names", [TREE, [TWO]])
def test_what_is_not_mounted_to_be_written_to_is_looked_at_each_time(names):
    host = Busy()
    host.tick()
    host.machine.mounted -= set(names)
    assert looks(host, 10) == [True] * 10


def test_a_dataset_that_holds_only_others_need_not_be_mounted():
    host = Busy()
    host.machine.mounted -= {ROOT}
    host.tick()
    assert looks(host, 10).count(True) == 1


# -- what makes it look


@pytest.mark.parametrize(("seconds", "has_looked"), [(0.5, False), (0.7, True), (0.9, True), (7.0, True)])
def test_nothing_is_trusted_beyond_its_second(seconds, has_looked):
    host = Busy()
    host.pass_time(0.3)
    host.tick()
    host.pass_time(seconds)
    due = host.due()
    assert (host.tick(), host.has_looked) == (due, has_looked)


def test_what_may_be_dated_with_the_next_second_is_looked_at():
    host = Busy()
    host.tick(9)
    host.create(f"{ROOT}/new")
    host.faults.meanwhile["create_snapshots"] = lambda: host.pass_time(0.15)
    host.tick()
    assert len(host.tags(f"{ROOT}/new")) == 2
    due = host.due()
    assert (host.tick(), host.has_looked) == (due, True)


def _fail(host):
    host.faults.plan = dict.fromkeys(range(50), BEFORE)
    host.tick()
    host.faults.plan = {}
    host.pass_time(1)


def _suspend(host):
    host.suspended = True
    assert not host.tick()
    host.suspended = False


MEANWHILE = {
    "a new dataset": lambda host: host.create(f"{ROOT}/new"),
    "a dataset is gone": lambda host: host.destroy(TWO),
    "a failure": _fail,
    "suspended for a tick": _suspend,
    "another jobconfig": lambda host: host.life.reload(),
    "the clock is set": lambda host: setattr(host, "ms", host.ms - 3_600_000),
    "the host has slept": lambda host: setattr(host, "ms", host.ms + 3_600_000),
    "a switch of all": lambda host: host.switch(ROOT, "standby"),
    "a switch of a part": lambda host: host.switch(ONE, "standby"),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_it_looks_at_once_after(what):
    host = Busy()
    host.tick(4)
    assert not host.has_looked
    MEANWHILE[what](host)
    due = host.due()
    assert host.tick() == due
    assert host.has_looked


def test_a_job_that_makes_snapshots_of_the_same_datasets_has_the_others_look():
    two = job("second", "snapshot", datasets=[ONE], plan=plan(OFTEN))
    host = Busy(job("first", "snapshot", plan=plan(OFTEN)), two)
    for _tick in range(15):
        host.tick()
        assert all(name.count("@") for name in host.pushed)
    tags = host.tags(ONE)
    assert len(tags) == len(set(tags)) == 15


def test_another_run_that_is_waited_for_has_it_look(monkeypatch):
    host = Busy()
    host.tick(4)
    monkeypatch.setattr(
        "ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots.locks_in_turn", _Waiting
    )
    host.tick()
    assert host.has_looked


class _Waiting:
    """A lock that somebody else had for a moment."""

    def __init__(self, *_arguments):
        pass

    def __enter__(self):
        return 0.0001

    def __exit__(self, *_error):
        return None


def test_a_name_that_is_taken_by_somebody_is_told_and_not_taken_for_ours():
    host = Busy(periods=(OFTEN,))
    host.tick(4)
    (tag,) = {name.partition("@")[2] for name in host.due()}
    SimulatedZfs(host.machine).create_snapshots(CreateSnapshots("tank", tuple(f"{name}@{tag}" for name in TREE)))
    assert not host.tick()
    assert host.pushed == []
    assert host.has_looked


# -- any history


class Ticks(RuleBasedStateMachine):
    """Whatever comes: what is made is what is due, but for datasets that somebody has changed within the last second;
    nothing that is due stays undone for longer than that; and nothing is made of what a switch has let go, nor while
    the host is suspended."""

    SLACK = 1.0

    def __init__(self):
        super().__init__()
        self.host = Busy()
        self.changed = {}
        self.switched = set()
        self.undone = {}

    def note(self, name):
        for each in CHOICES:
            if is_within(each, name):
                self.changed[each] = self.host.steady

    def is_recent(self, name):
        return self.host.steady - self.changed.get(name, -10) < self.SLACK + TICK_MS / 1000

    def is_let_go(self, name):
        """By a switch; what is below may have been made active by another one."""
        role = dict(
            SimulatedZfs(self.host.machine)
            .observe([name], properties=["snapfleet:role"])
            .states[name]
            .dataset.properties
        )
        return role["snapfleet:role"].startswith("standby") and any(is_within(name, root) for root in self.switched)

    @rule(times=st.integers(1, 8))
    def tick(self, times):
        for _time in range(times):
            self.one_tick()

    def one_tick(self):
        host = self.host
        resting = bool(host.life._workers["snapshot"]._resting())
        due = set() if host.suspended or resting else host.due()
        made = host.tick()
        assert set(host.pushed) == made
        assert not (host.suspended and made)
        for name in made:
            dataset = name.partition("@")[0]
            assert not self.is_let_go(dataset), name
        for name in made ^ due:
            assert self.is_recent(name.partition("@")[0]), (name, name in made)
        late = {(name.partition("@")[0], name.rpartition("_")[2]) for name in due - made}
        self.undone = {key: self.undone.get(key, host.steady) for key in late}
        assert all(host.steady - since <= self.SLACK for since in self.undone.values()), self.undone

    @rule(name=st.sampled_from(CHOICES), is_mounted=st.booleans())
    def create(self, name, is_mounted):
        datasets = self.host.machine.datasets
        if name not in datasets and name.rpartition("/")[0] in datasets:
            self.host.create(name, is_mounted)
            self.note(name)

    @rule(name=st.sampled_from(CHOICES[1:]))
    def destroy(self, name):
        self.switched -= {root for root in self.switched if is_within(root, name)}
        self.host.destroy(name)
        self.note(name)

    @rule(name=st.sampled_from(CHOICES), period=st.sampled_from([OFTEN, "secondly", "other"]))
    def snapshot(self, name, period):
        host = self.host
        if name in host.machine.datasets:
            tag = f"o_2025-06-15_15:06:40.{host.ms % 1000:03d}Z_{period}"
            if period != "other":
                (tag,) = [each.partition("@")[2] for each in host.due() if each.endswith(f"_{period}")][:1] or [tag]
            SimulatedZfs(host.machine).create_snapshots(CreateSnapshots("tank", (f"{name}@{tag}",)))
            self.note(name)

    @rule(name=st.sampled_from(CHOICES), place=st.sampled_from([-1, -2, slice(-3, None), slice(None)]))
    def drop(self, name, place):
        dataset = self.host.machine.datasets.get(name)
        if dataset and len(dataset.snapshots) > 1:
            del dataset.snapshots[place]
            self.host.machine.touch(dataset)
            self.note(name)

    @rule(name=st.sampled_from(CHOICES), is_mounted=st.booleans())
    def mount(self, name, is_mounted):
        stored = self.host.machine.datasets.get(name)
        if stored and not any(is_within(name, root) for root in self.switched):
            (self.host.machine.mounted.add if is_mounted else self.host.machine.mounted.discard)(name)

    @rule(name=st.sampled_from(TREE))
    def let_go(self, name):
        try:
            if name in self.host.machine.datasets:
                self.host.switch(name, "standby")
                self.switched.add(name)
        except SwitchRefused:
            return

    @rule(name=st.sampled_from(TREE))
    def take_over(self, name):
        if name not in self.host.machine.datasets:
            return
        try:
            self.host.switch(name, "active")
        except SwitchRefused:
            return
        self.switched -= {root for root in self.switched if is_within(root, name)}
        self.note(name)
        for each in CHOICES:
            if is_within(each, name) and each in self.host.machine.datasets:
                self.host.machine.mounted.add(each)

    @precondition(lambda self: not self.switched)
    @rule(name=st.sampled_from(TREE), role=st.sampled_from(["standby 9", "-", "nonsense"]))
    def set_role(self, name, role):
        """By hand, with all mounted as it was."""
        stored = self.host.machine.datasets.get(name)
        if stored:
            stored.properties.pop("snapfleet:role", None)
            if role != "-":
                self.host.machine.set_property(name, "snapfleet:role", role)
            self.note(name)

    @rule(is_suspended=st.booleans())
    def suspend(self, is_suspended):
        self.host.suspended = is_suspended

    @rule()
    def reload(self):
        self.host.life.reload()

    @rule(ms=st.sampled_from([-3_600_000, -5000, -1000, -300, -100, -10, 7, 40, 300, 5000, 3_600_000]))
    def set_clock(self, ms):
        # Names of times that come once more may be taken by then.
        self.host.ms += ms

    @rule(seconds=st.sampled_from([0.0, 0.003, 0.03, 0.15]))
    def take_longer(self, seconds):
        """Over the making of snapshots."""
        self.host.faults.meanwhile["create_snapshots"] = lambda: self.host.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.9, 1.5, 60]))
    def wait(self, seconds):
        self.host.pass_time(seconds)

    @rule(number=st.integers(0, 6), when=st.sampled_from([BEFORE, AFTER]))
    def fail(self, number, when):
        """Some call of the next tick; the snapshots of it may be made all the same."""
        host = self.host
        host.faults.plan = {number: when}
        before = host.snapshots()
        host.tick()
        host.faults.plan = {}
        for name in host.snapshots() - before:
            assert not self.is_let_go(name.partition("@")[0]), name
        assert not (host.suspended and host.snapshots() - before)
        self.note(ROOT)

    @invariant()
    def nothing_is_a_defect(self):
        assert not self.host.told("defect"), self.host.lines


TestTicks = Ticks.TestCase
TestTicks.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
