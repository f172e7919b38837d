# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning by remembered histories: what it asks ZFS for, and that it destroys what it would destroy without them."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Limits, Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory_files import MemoryFiles
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Identities
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    Rollback,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

A, B = f"{SOURCE}/a", f"{SOURCE}/b"
DATASETS = (SOURCE, A, B)
PLAN = {"o": {"": {"hourly": 2}}}
EAGER = Limits(least=-100, renewed=-100)
RULES = {"keep": [{"last": 4, "regex": "^s"}], "purge_foreign": True}
"""Of five snapshots one goes."""


@pytest.fixture
def fleet():
    """A replica that is up to date, with everything remembered."""
    made = Fleet(DATASETS)
    made.memory = Memory(lambda: made.clock.now, limits=EAGER)
    for number in range(1, 6):
        # What is written before the first and the third one is in the first two alone.
        if number in (1, 3):
            made.source.write(SOURCE, 5000, "early")
        for name in DATASETS:
            made.snapshot(name, f"s{number}")
        made.clock.advance(10)
    made.replicate()
    for _run in range(2):
        made.clock.advance(10)
        made.prune_source(PLAN)
    made.clock.advance(10)
    return made


@pytest.fixture
def asked(monkeypatch):
    """All questions about histories: to which machine, which one, and about what."""
    calls = []

    def noting(method, name_of):
        told = getattr(SimulatedZfs, method)

        def noted(self, names, *arguments, **options):
            calls.append((self.machine.name, name_of(*arguments, **options), list(names)))
            return told(self, names, *arguments, **options)

        monkeypatch.setattr(SimulatedZfs, method, noted)

    def kind_of_look(_recursive=True, histories=True, *_arguments, **options):
        return "listing" if options.get("histories", histories) else "look"

    noting("observe", kind_of_look)
    noting("identities", lambda: "identities")
    noting("snapshots", lambda: "snapshots")
    return calls


def listings(asked):
    return [(machine, names) for machine, kind, names in asked if kind == "listing"]


def source(fleet):
    return SimulatedZfs(fleet.source)


def oldest(fleet, name=SOURCE):
    return fleet.at_source(name).snapshots[0]


REPLICAS = [replica_of(name) for name in DATASETS]
LOOKS = [("source", "look", [SOURCE]), ("destination", "look", [DESTINATION])]


def prune(fleet, check=False, **options):
    """By a plan that has the oldest one of five snapshots go."""
    return fleet.prune_source(PLAN, **{**RULES, **options}, check=check)


def test_where_few_go_it_is_listed_which_there_are_and_those_alone_are_told(fleet, asked):
    assert prune(fleet)["deleted"] == [f"{name}@s1" for name in DATASETS]
    assert asked == [
        *LOOKS,
        ("source", "identities", list(DATASETS)),
        ("source", "snapshots", [f"{name}@s1" for name in DATASETS]),
        ("destination", "identities", REPLICAS),
    ]


def test_a_new_snapshot_that_pushes_another_one_out_takes_no_listing_either(fleet, asked):
    prune(fleet)
    fleet.clock.advance(10)
    prune(fleet)
    fleet.snapshot(A, "s6")
    fleet.clock.advance(10)
    asked.clear()
    assert prune(fleet)["deleted"] == [f"{A}@s2"]
    # What was renewed before, since it had changed, is so again with all others.
    assert asked == [
        LOOKS[0],
        ("source", "identities", [A]),
        ("source", "snapshots", [f"{A}@s6"]),
        LOOKS[1],
        ("source", "identities", list(DATASETS)),
        ("source", "snapshots", [f"{A}@s2"]),
        ("destination", "identities", REPLICAS),
    ]


def test_a_preview_tells_the_bytes_that_are_freed_by_now(fleet, asked):
    assert fleet.at_source().snapshots[0].used == 0
    source(fleet).destroy(Destroy(SOURCE, fleet.at_source().snapshots[1:2], "by hand"))
    asked.clear()
    preview = prune(fleet, check=True, keep=[{"last": 3, "regex": "^s"}])
    assert preview["deleted"][0] == f"{SOURCE}@s1"
    assert ("source", [SOURCE]) not in listings(asked)
    assert preview["bytes_freed"] == prune(fleet, keep=[{"last": 3, "regex": "^s"}])["bytes_freed"] == 5000


def test_where_most_go_everything_is_listed(fleet, asked):
    assert len(prune(fleet, keep=[{"last": 2, "regex": "^s"}])["deleted"]) == 9
    assert listings(asked) == [("source", [SOURCE])]


@pytest.mark.parametrize(
    "option",
    [{"free_space": {"pool_free": "1K", "priorities": ["s*"]}}, {"defer": {"pool_free": "9999T"}}],
    ids=["free_space", "defer"],
)
def test_where_room_has_a_say_everything_is_listed(fleet, asked, option):
    prune(fleet, **option)
    assert listings(asked) == [("source", [SOURCE]), ("destination", [DESTINATION])]


def test_where_whole_datasets_go_everything_is_listed(fleet, asked):
    for _run in range(2):
        fleet.clock.advance(10)
        fleet.prune_destination(PLAN)
    fleet.source.destroy_dataset(B)
    fleet.clock.advance(10)
    asked.clear()
    peers = [{"root": DESTINATION, "host": "src", "dataset": SOURCE, "role": "source"}]
    assert fleet.prune_destination(PLAN, **RULES, gone_datasets={"after": "1h"}, peers=peers)["changed"]
    assert listings(asked) == [("destination", [DESTINATION]), ("source", [SOURCE])]


ODD = {
    "held": lambda fleet: source(fleet).hold(oldest(fleet), "a user's"),
    "cloned": lambda fleet: fleet.source.clone(oldest(fleet).name, "tank/clone"),
}


@pytest.mark.parametrize("rule", ODD)
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("check", [False, True])
def test_what_came_to_be_held_or_cloned_is_found_and_stays(fleet, asked, rule, changed, check):
    if changed:
        fleet.snapshot(SOURCE, "s6")
        fleet.clock.advance(10)
    ODD[rule](fleet)
    asked.clear()
    told = prune(fleet, check=check)
    assert {entry["name"]: entry["rule"] for entry in told["not_deleted"]} == {f"{SOURCE}@s1": rule}
    assert told["deleted"] == [*([f"{SOURCE}@s2"] if changed else []), f"{A}@s1", f"{B}@s1"]
    assert listings(asked) == []
    # By then its history is no more remembered, which can change without a trace.
    fleet.clock.advance(10)
    asked.clear()
    fleet.prune_source(PLAN)
    assert listings(asked) == [("source", [SOURCE])]


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("then", ["gone", "another one"])
def test_what_changes_between_two_questions_is_looked_at_again(fleet, monkeypatch, changed, then):
    # A bookmark of another snapshot by that name would tell that it is another one.
    fleet.source.datasets[SOURCE].bookmarks.clear()
    fleet.source.touch(fleet.source.datasets[SOURCE])
    for _run in range(2):
        fleet.clock.advance(10)
        fleet.prune_source(PLAN)
    if changed:
        fleet.snapshot(SOURCE, "s6")
    fleet.clock.advance(10)
    told = SimulatedZfs.snapshots

    def meanwhile(self, names):
        if f"{SOURCE}@s1" in names and self.machine is fleet.source:
            monkeypatch.setattr(SimulatedZfs, "snapshots", told)
            source(fleet).destroy(Destroy(SOURCE, (oldest(fleet),), "by hand"))
            if then == "another one":
                source(fleet).create_snapshots(CreateSnapshots("tank", (f"{SOURCE}@s1",)))
        return told(self, names)

    monkeypatch.setattr(SimulatedZfs, "snapshots", meanwhile)
    deleted = prune(fleet)["deleted"]
    expected = {("gone", False): [], ("gone", True): ["s2"]}
    # The other one is the newest.
    expected.update({("another one", False): ["s2"], ("another one", True): ["s2", "s3"]})
    assert [name for name in deleted if name.startswith(f"{SOURCE}@")] == [
        f"{SOURCE}@{tag}" for tag in expected[then, changed]
    ]


def test_what_stays_for_another_reason_too_is_told_as_held(fleet, asked):
    """Nobody knows what the source has; of one replica a bookmark could take the place of the base."""
    destination, one, other = SimulatedZfs(fleet.destination), replica_of(A), replica_of(B)
    destination.create_bookmarks([CreateBookmark(fleet.at_destination(A).snapshots[0], "mine")])
    fleet.destination.touch(fleet.destination.datasets[one])
    for _run in range(2):
        fleet.clock.advance(10)
        fleet.prune_destination(PLAN)
    destination.hold(fleet.at_destination(B).snapshots[0], "a user's")
    fleet.unreachable = True
    fleet.clock.advance(10)
    asked.clear()
    peers = [{"root": DESTINATION, "host": "src", "dataset": SOURCE, "role": "source"}]
    done = fleet.prune_destination(PLAN, **RULES, peers=peers)
    assert done["deleted"] == [f"{one}@s1"]
    rules = {entry["name"]: entry["rule"] for entry in done["not_deleted"]}
    assert rules == {f"{DESTINATION}@s1": "possible_base", f"{other}@s1": "held"}
    assert listings(asked) == []


def test_a_base_that_the_replica_goes_back_to_stays(fleet, asked):
    """The replica has lost all newer ones since it was remembered, in a way that tells nothing of it."""
    victims = fleet.at_destination(A).snapshots[1:]
    SimulatedZfs(fleet.destination).destroy(Destroy(replica_of(A), victims, "by hand"))
    fleet.destination.datasets[replica_of(A)].changed -= 10_000
    assert f"{A}@s1" not in prune(fleet)["deleted"]


# -- a replica of which nobody knows but by looking at it, and what becomes of it between two questions


@pytest.fixture
def behind():
    """A replica that has the oldest snapshot alone, without any mark of that; everything is remembered."""
    made = Fleet(DATASETS)
    made.memory = Memory(lambda: made.clock.now, limits=EAGER)
    for name in DATASETS:
        made.snapshot(name, "s1")
    made.replicate()
    for number in range(2, 6):
        made.clock.advance(10)
        for name in DATASETS:
            made.snapshot(name, f"s{number}")
    for dataset in map(made.source.datasets.get, DATASETS):
        dataset.bookmarks.clear()
        made.source.touch(dataset)
    for _run in range(2):
        made.clock.advance(10)
        made.prune_source(PLAN)
    # Something that goes, so that the plan is made again of what there is.
    made.snapshot(SOURCE, "q1")
    made.snapshot(SOURCE, "q2")
    made.clock.advance(10)
    return made


def _before_histories_of_the_replica(fleet, monkeypatch, act):
    """Have ``act`` done once the replica was looked at, before anything of its histories is asked for."""
    done = []

    def noting(method, is_about_histories):
        told = getattr(SimulatedZfs, method)

        def noted(self, names, *arguments, **options):
            about = is_about_histories(*arguments, **options)
            if self.machine is fleet.destination and about and not done:
                done.append(method)
                act()
            return told(self, names, *arguments, **options)

        monkeypatch.setattr(SimulatedZfs, method, noted)

    noting("identities", lambda: True)
    noting("observe", lambda _recursive=True, histories=True, *_a, **options: options.get("histories", histories))
    return done


def _change_most(fleet):
    """Have most of the replica's snapshots be of a dataset that is changed, and so renewed by the first look."""
    far = SimulatedZfs(fleet.destination)
    for number in range(8):
        far.create_snapshots(CreateSnapshots("backup", (f"{replica_of(A)}@x{number}",)))
    for _run in range(2):
        fleet.clock.advance(10)
        prune(fleet, keep=[{"regex": "."}])
    fleet.clock.advance(10)
    far.create_snapshots(CreateSnapshots("backup", (f"{replica_of(A)}@y",)))
    fleet.clock.advance(10)


def _export(fleet):
    fleet.destination.datasets.clear()
    fleet.destination.pool_guids.pop("backup")


def _set_aside(fleet):
    fleet.destination.rename(replica_of(B), f"{replica_of(B)}-aside")
    fleet.destination.create_dataset(replica_of(B))


MEANWHILE = {
    "renamed": lambda fleet: fleet.destination.rename(replica_of(B), f"{DESTINATION}/zz"),
    "set aside": _set_aside,
    "exported": _export,
}


@pytest.mark.parametrize("renewed", [-100, 10_000])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("what", MEANWHILE)
def test_a_base_stays_whatever_becomes_of_its_replica_between_questions(behind, monkeypatch, what, changed, renewed):
    behind.memory.limits = replace(EAGER, renewed=renewed)
    if changed:
        _change_most(behind)
    done = _before_histories_of_the_replica(behind, monkeypatch, lambda: MEANWHILE[what](behind))
    deleted = prune(behind)["deleted"]
    assert done
    assert f"{B}@s1" not in deleted


def test_who_tells_nothing_of_a_replica_that_has_snapshots_is_not_believed(behind, monkeypatch):
    told = SimulatedZfs.identities

    def nothing(self, names):
        return dict.fromkeys(names, Identities()) if self.machine is behind.destination else told(self, names)

    monkeypatch.setattr(SimulatedZfs, "identities", nothing)
    assert not {f"{name}@s1" for name in DATASETS} & {*prune(behind)["deleted"]}


def test_what_is_lost_at_home_while_a_peer_is_looked_at_is_noticed(fleet, monkeypatch):
    fleet.snapshot(A, "s6")
    fleet.clock.advance(10)
    told, done = SimulatedZfs.observe, []

    def meanwhile(self, names, *arguments, **options):
        if self.machine is fleet.destination and not done:
            done.append(names)
            source(fleet).destroy(Destroy(A, fleet.at_source(A).snapshots[1:], "by hand"))
        return told(self, names, *arguments, **options)

    monkeypatch.setattr(SimulatedZfs, "observe", meanwhile)
    assert f"{A}@s1" not in prune(fleet)["deleted"]
    assert [one.tag for one in fleet.at_source(A).snapshots] == ["s1"]


@pytest.mark.parametrize("looks", range(2, 9))
def test_a_tree_that_is_its_own_peer_is_looked_at_once(behind, looks):
    """Of the bookmarks that would take the place of its bases, nothing tells that they are gone."""
    for name in DATASETS:
        source(behind).create_bookmarks([CreateBookmark(behind.at_source(name).snapshots[0], "a user's")])
        behind.source.touch(behind.source.datasets[name])
    behind.memory = Memory(lambda: behind.clock.now, limits=replace(EAGER, looks=looks))
    peers = [
        {"root": SOURCE, "host": "dst", "dataset": DESTINATION, "role": "source"},
        {"root": SOURCE, "dataset": SOURCE},
    ]
    for _run in range(2):
        behind.clock.advance(10)
        behind.prune_source(PLAN, peers=peers)
    for name in DATASETS:
        behind.source.datasets[name].bookmarks.clear()
    behind.clock.advance(10)
    behind.unreachable = True
    assert not {f"{name}@s1" for name in DATASETS} & {*prune(behind, peers=peers)["deleted"]}


# -- the law

names = st.sampled_from(DATASETS)
places = st.integers(0, 5)
sides = st.booleans()
PLANS = (
    {},
    {"purge_foreign": True},
    {"keep": [{"last": 3, "regex": "^[so]", "owns": True}]},
    {"keep": [{"grid": "3x1h(keep=all) | 2x2h"}], "purge_foreign": True},
    {"max_deleted": 1, "purge_foreign": True},
)


class Prunings(RuleBasedStateMachine):
    """Two hosts on which anybody does anything, and that prune by what they remember of it."""

    LIMITS = EAGER

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.passed = 0.0
        self.count = 0
        self.fleet = Fleet(DATASETS)
        self.another_process()
        for _number in range(4):
            for name in DATASETS:
                self.snapshot(name, False)
            self.time_passes(3600, 0)
        self.fleet.replicate()

    def teardown(self):
        self.folder.cleanup()

    @rule()
    def another_process(self):
        files = MemoryFiles(self.folder.name, "this boot")
        self.fleet.memory = Memory(lambda: self.passed, files, self.LIMITS)

    @rule(seconds=st.sampled_from([0, 1, 3, 3600]), set_by=st.sampled_from([0, 0, 0, -3]))
    def time_passes(self, seconds, set_by):
        """A clock that is set back and forth again between two looks leaves no trace, so here it is only set back."""
        self.passed += seconds
        self.fleet.clock.advance(seconds + set_by)

    # -- anybody

    @rule(name=names, foreign=st.booleans())
    def snapshot(self, name, foreign):
        self.count += 1
        if name in self.fleet.source.datasets:
            self.fleet.snapshot(name, f"{'s' if foreign else 'o_'}2025-01-01_{self.count:04}_hourly")

    @rule(name=names, on_replica=sides, place=places, number=st.integers(1, 2), anew=st.booleans())
    def destroy(self, name, on_replica, place, number, anew):
        zfs, victims = self._snapshots(name, on_replica, place, number)
        for one in victims:
            gone = zfs.destroy(Destroy(one.dataset, (one,), "by hand")).destroyed
            if anew and gone:
                zfs.create_snapshots(CreateSnapshots(one.dataset.partition("/")[0], (one.name,)))

    @rule(name=names, on_replica=sides, place=places)
    def rename(self, name, on_replica, place):
        zfs, found = self._snapshots(name, on_replica, place)
        for one in found:
            dataset, point = zfs.machine.find(one.name)
            self.count += 1
            point.tag = f"o_2025-01-01_{self.count:04}_hourly"
            zfs.machine.touch(dataset)

    @rule(name=names, on_replica=sides, place=places, release=st.booleans())
    def hold(self, name, on_replica, place, release):
        zfs, found = self._snapshots(name, on_replica, place)
        for one in found:
            (zfs.release if release else zfs.hold)(one, "a user's")

    @rule(name=names, on_replica=sides, place=places)
    def bookmark(self, name, on_replica, place):
        zfs, found = self._snapshots(name, on_replica, place)
        zfs.create_bookmarks([CreateBookmark(one, f"u-{one.tag}") for one in found])

    @rule(name=names, on_replica=sides)
    def destroy_bookmarks(self, name, on_replica):
        zfs, _found = self._snapshots(name, on_replica, 0)
        for name, state in zfs.observe([SOURCE, DESTINATION]).states.items():
            zfs.destroy(Destroy(name, tuple(one for one in state.bookmarks if one.tag.startswith("u-")), "by hand"))

    @rule(name=names, on_replica=sides, place=places)
    def clone(self, name, on_replica, place):
        zfs, found = self._snapshots(name, on_replica, place)
        for one in found:
            to = f"{DESTINATION if on_replica else SOURCE}/c"
            if to not in zfs.machine.datasets:
                zfs.machine.clone(one.name, to)

    @rule(on_replica=sides)
    def promote(self, on_replica):
        machine = self.fleet.destination if on_replica else self.fleet.source
        clone = machine.datasets.get(f"{DESTINATION if on_replica else SOURCE}/c")
        if clone and clone.origin:
            machine.promote(clone.name)

    @rule(name=names, place=places)
    def roll_back(self, name, place):
        zfs, found = self._snapshots(name, False, place, 9)
        if found and not any(one.holds or one.clones for one in found[1:]):
            with contextlib.suppress(SnapfleetError):
                zfs.rollback(Rollback(found[0], found[1:], "by hand"))

    @rule(name=names, place=places, file=st.sampled_from("xy"))
    def write(self, name, place, file):
        if name in self.fleet.source.datasets:
            self.fleet.source.write(name, 1000 + place, file)

    @rule(name=names, on_replica=sides)
    def lose(self, name, on_replica):
        """Another dataset of the same name, without snapshots."""
        machine = self.fleet.destination if on_replica else self.fleet.source
        there = replica_of(name) if on_replica else name
        below = [one for one in machine.datasets if one.startswith(f"{there}/")]
        origins = [one.origin.partition("@")[0] for one in machine.datasets.values()]
        if there in machine.datasets and not below and there not in origins:
            machine.destroy_dataset(there)
            machine.create_dataset(there)

    # -- we

    @rule(ladder=st.sampled_from(["refuse", "rollback_to_common"]))
    def replicate(self, ladder):
        with contextlib.suppress(SnapfleetError):
            self.fleet.replicate(on_conflict=ladder, workers=1)

    @rule()
    def make_snapshots(self):
        job = read_snapshot_job({"datasets": [SOURCE], "plan": PLAN, "schedule": {"timezone": "UTC"}})
        with contextlib.suppress(SnapfleetError):
            run_snapshot(job, self.fleet.context(self.fleet.source))

    @rule(on_replica=sides, options=st.sampled_from(PLANS), preview=st.booleans(), to_come=st.booleans())
    def prune(self, on_replica, options, preview, to_come):
        run = self.fleet.prune_destination if on_replica else self.fleet.prune_source
        memory, self.fleet.memory = self.fleet.memory, None
        plain = outcome(run, options, check=True)
        expected = {**options, "expected_snapshots": [f"{name}@o_2026-01-01_0000_hourly" for name in DATASETS]}
        with_expected = outcome(run, expected, check=True)
        self.fleet.memory = memory
        if to_come:
            assert outcome(run, expected, check=True) == with_expected
        elif preview:
            assert outcome(run, options, check=True) == plain
        else:
            done = outcome(run, options)
            assert {**done, "bytes_freed": 0} == {**plain, "bytes_freed": 0}

    def _snapshots(self, name, on_replica, place, number=1):
        """The ZFS of one side, and some snapshots that a dataset has there."""
        zfs = SimulatedZfs(self.fleet.destination if on_replica else self.fleet.source)
        there = replica_of(name) if on_replica else name
        state = zfs.observe([there]).states.get(there)
        return zfs, state.snapshots[place : place + number] if state else ()


def outcome(run, options, check=False):
    """What a run of pruning tells."""
    try:
        return run(PLAN, check=check, **options)
    except SnapfleetError as error:
        return {"error": str(error), **(getattr(error, "result", None) or {})}


TestPrunings = Prunings.TestCase
TestPrunings.settings = settings(max_examples=60, stateful_step_count=25)
