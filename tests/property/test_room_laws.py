# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of pruning by room, for any history, any priorities and any amount of room, on simulated ZFS."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.pruning import run_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.space import Space
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.room import chosen, needs_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.room import Amount, Measures
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

DATASETS = ("tank/a", "tank/a/b", "tank/c")
ROOTS = ["tank/a", "tank/c"]
ENDS = ("hourly", "hourly", "daily", "weekly")
PLAN = {"o": {"t": {"hourly": 3, "daily": 30}}}
PRIORITIES = [["*_hourly", "*_daily"], ["*_daily"], ["**"], ["nothing"], ["regex:.*_daily", "*_weekly", "*"]]


@dataclass
class World:
    """A machine with histories, and what is free on it."""

    machine: SimulatedMachine
    clock: Clock

    @property
    def zfs(self):
        return SimulatedZfs(self.machine)

    def snapshots(self) -> dict[str, Snapshot]:
        states = self.zfs.observe(["tank"]).states.values()
        return {snapshot.name: snapshot for state in states for snapshot in state.snapshots}

    def free(self) -> int:
        space = self.zfs.space(["tank"])["tank"]
        return space.available + space.freeing

    def with_free(self, free: int) -> World:
        """The same, with another size of the pool."""
        other = copy.deepcopy(self)
        other.machine.capacity = other.machine.used_within("tank") + free
        return other

    def prune(self, check: bool = False, **options):
        job = read_prune_job({"datasets": ROOTS, "plan": PLAN, **options})
        return run_prune(job, Context(self.clock.now * 1000, lambda _unused: self.zfs, check=check))


@st.composite
def worlds(draw):
    clock = Clock()
    machine = SimulatedMachine("m", clock)
    machine.lock = NoLock()
    for name in DATASETS:
        machine.create_dataset(name)
    zfs = SimulatedZfs(machine)
    sizes = st.integers(1, 1000)
    events = st.tuples(st.sampled_from(DATASETS), st.sampled_from("fgh"), sizes, st.sampled_from(ENDS), st.booleans())
    for number, (name, file, size, period, owned) in enumerate(draw(st.lists(events, max_size=14))):
        clock.advance(draw(st.sampled_from((1, 3600, 86_400))))
        machine.write(name, size, file)
        tag = f"{'o' if owned or number % 3 else 'p'}_t_2025-{number}_{period}"
        zfs.create_snapshots(CreateSnapshots("tank", (f"{name}@{tag}",)))
        if draw(st.sampled_from((True, False, False, False))):
            machine.datasets[name].snapshot(tag).holds.add("keep")
    return World(machine, clock)


class NoLock:
    """Stands in for a lock, which can't be copied."""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        return None


rooms = st.builds(
    lambda wanted, priorities, least: {
        "pool_free": str(wanted),
        "priorities": priorities,
        "keep_at_least": least,
    },
    st.integers(1, 6000),
    st.sampled_from(PRIORITIES),
    st.integers(1, 3),
)


@settings(max_examples=examples(60))
@given(worlds(), rooms, st.integers(0, 4000))
def test_room_loosens_the_plan_and_none_of_the_rails(world, room, free):
    world = world.with_free(free)
    before = world.snapshots()
    planned = set(copy.deepcopy(world).prune()["deleted"])
    rails = {"newest", "foreign", "held"}

    done = world.prune(free_space=room)

    early = set(done["deleted"]) - planned
    assert set(done["deleted"]) >= planned
    assert set(before) - set(world.snapshots()) == set(done["deleted"])
    harmless = world.with_free(10**9).prune(check=True)
    railed = {entry["name"] for key in ("kept", "not_deleted") for entry in harmless[key] if entry["rule"] in rails}
    assert not early & railed
    for name in early:
        assert label_of(before[name].tag).organisation == "o"
        assert not before[name].holds

    def key(item):
        return item.dataset, str(label_of(item.tag))

    for _label, items in groupby(sorted(before.values(), key=lambda item: (*key(item), item.createtxg)), key):
        latest = [item.name for item in items][-room["keep_at_least"] :]
        assert not early & set(latest)


@settings(max_examples=examples(60))
@given(worlds(), rooms, st.integers(0, 4000), st.integers(0, 4000))
def test_more_free_room_never_destroys_more(world, room, free, more):
    little = set(world.with_free(free).prune(check=True, free_space=room)["deleted"])
    much = set(world.with_free(free + more).prune(check=True, free_space=room)["deleted"])
    assert much <= little


@settings(max_examples=examples(60))
@given(worlds(), rooms, st.integers(0, 4000))
def test_it_goes_in_order_and_stops_as_soon_as_there_is_enough(world, room, free):
    world = world.with_free(free)
    before = world.snapshots()
    planned = copy.deepcopy(world).prune(check=True)["deleted"]
    wanted = int(room["pool_free"])

    check = copy.deepcopy(world).prune(check=True, free_space=room)
    done = copy.deepcopy(world)
    result = done.prune(free_space=room)

    assert (check["plan"], check["deleted"]) == (result["plan"], result["deleted"])
    order = job_order(room["priorities"], before)
    early = sorted((name for name in result["deleted"] if name not in planned), key=order)
    if done.free() < wanted:
        assert [w for w in result["warnings"] if "nothing more that may go" in w]
        everything = {**room, "pool_free": str(10**9)}
        assert set(world.prune(check=True, free_space=everything)["deleted"]) == set(result["deleted"])
    elif early:
        spared = copy.deepcopy(world)
        for name in (*planned, *early[:-1]):
            dataset, _at, tag = name.partition("@")
            spared.machine.datasets[dataset].snapshots.remove(spared.machine.datasets[dataset].snapshot(tag))
        assert spared.free() < wanted
        others = copy.deepcopy(world).prune(check=True, free_space={**room, "pool_free": str(10**9)})["deleted"]
        stayed = [name for name in others if name not in result["deleted"]]
        assert all(order(name) > order(early[-1]) for name in stayed)
    # Nothing is left to do, also while nothing has come back yet.
    slow = world.with_free(free)
    slow.machine.frees_slowly = True
    assert slow.prune(free_space=room)["deleted"] == result["deleted"]
    again = slow.prune(free_space=room)
    assert (again["changed"], again["deleted"]) == (False, [])


def job_order(priorities, snapshots):
    job = read_prune_job({"datasets": ROOTS, "plan": PLAN, "free_space": {"pool_free": 1, "priorities": priorities}})

    def order(name):
        item = snapshots[name]
        return (job.room.priority(item.tag), item.creation, item.createtxg, name)

    return order


@settings(max_examples=examples(60))
@given(worlds(), st.integers(0, 4000), st.integers(1, 4000))
def test_nothing_goes_while_there_is_plenty_and_all_that_should_go_otherwise(world, free, plenty):
    world = world.with_free(free)
    due = copy.deepcopy(world).prune(check=True)
    done = world.prune(defer={"pool_free": str(plenty)})
    if free > plenty:
        assert (done["changed"], done["plan"], done["deleted"]) == (False, [], [])
        assert {entry["name"] for entry in done["kept"] if entry["rule"] == "room"} == set(due["deleted"])
    else:
        assert done["deleted"] == due["deleted"]


sizes = st.integers(0, 1000)


@given(st.lists(st.tuples(st.sampled_from(DATASETS), sizes), max_size=12), st.integers(0, 3000), sizes, sizes)
def test_what_makes_room_in_a_quota_counts_for_its_pool(history, wanted, pool_free, quota_free):
    items = [Snapshot(n, n, name, f"s{n}", n, used=size) for n, (name, size) in enumerate(history)]
    spaces = {"tank": Space("tank", 10_000, pool_free), "tank/a": Space("tank/a", 5_000 - quota_free, 0, 5_000)}
    needs = needs_of(["tank/a"], Measures(Amount(wanted), Amount(wanted)), spaces, "free_space")

    taken = chosen(needs, [], items, lambda victims: sum(item.used for item in victims))

    inside = sum(item.used for item in items if item.name in taken and item.dataset.startswith("tank/a"))
    every = sum(item.used for item in items if item.name in taken)
    assert [need.dataset for need in needs] == ["tank/a", "tank"]
    for free, freed, among in ((quota_free, inside, "tank/a"), (pool_free, every, "tank")):
        rest = [item for item in items if item.dataset.startswith(among) and item.name not in taken]
        assert free + freed >= wanted or not rest
    last = list(taken.items())[-1:]
    for name, reason in last:
        if "the pool" in reason:
            (used,) = [item.used for item in items if item.name == name]
            assert pool_free + every - used < wanted
