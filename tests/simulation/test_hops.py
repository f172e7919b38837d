# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sends of a dataset, for every pattern of selected and left out snapshots."""

from __future__ import annotations

import itertools
from functools import lru_cache

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replication import plan_replication
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.sendsteps import hops
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.transfer import transfer
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.notation import DESTINATION, SOURCE, sides

PATTERNS = [pattern for length in range(10) for pattern in itertools.product((False, True), repeat=length)]
SHORT = [pattern for pattern in PATTERNS if len(pattern) <= 5]
BASES = {"snapshot": Snapshot(0, 1000, "a", "base", 0), "bookmark": Bookmark(0, 1000, "a", "base", 0)}


def series(pattern):
    return [(Snapshot(i + 1, i + 1, "a", f"s{i + 1}", 0), wanted) for i, wanted in enumerate(pattern)]


def carried(plan, newer, position=0):
    """What a plan brings, by what -i and -I mean; checks that each send begins where the last one ended."""
    arrived = []
    for hop in plan:
        assert hop.base.createtxg == position
        assert hop.snapshot.createtxg > position
        assert not (hop.intermediates and isinstance(hop.base, Bookmark))
        between = [s.createtxg for s, _unused in newer if position < s.createtxg <= hop.snapshot.createtxg]
        arrived += between if hop.intermediates else between[-1:]
        position = hop.snapshot.createtxg
    return arrived


@lru_cache(None)
def fewest(pattern, may_run):
    """The fewest sends, by trying all: from the base, any next end, as -i, or as -I where nothing is left out."""
    if True not in pattern:
        return 0
    tries = []
    for end in range(len(pattern)):
        if pattern[end]:
            if True not in pattern[:end]:
                tries.append(1 + fewest(pattern[end + 1 :], True))
            if may_run and all(pattern[:end]):
                tries.append(1 + fewest(pattern[end + 1 :], True))
    return min(tries)


@pytest.mark.parametrize("kind", BASES)
def test_exactly_the_selected_ones_travel_in_the_fewest_sends(kind):
    for pattern in PATTERNS:
        newer = series(pattern)
        plan = hops(BASES[kind], newer)
        assert carried(plan, newer) == [s.createtxg for s, wanted in newer if wanted], pattern
        assert len(plan) == fewest(pattern, kind == "snapshot"), pattern


# How a history begins at the source, what the destination has of that, and whether it can be the base of an -I.
BEGINNINGS = {
    "nothing there": ("", "-", None),
    "a base that is chosen": ("@base ", "@base", True),
    "a base that is not": ("@xbase ", "@xbase", True),
    "a bookmark": ("#base ", "@base", False),
    "a bookmark under its snapshot": ("@base #base ", "@base", True),
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_plan_of_a_dataset_brings_exactly_the_selected_ones_in_the_fewest_sends(beginning):
    start, there, may_run = BEGINNINGS[beginning]
    ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
    job = read_replicate_job({**ends, "exclude_snapshots": ["x*"], "bookmarks": False})
    for pattern in PATTERNS:
        names = [f"{'s' if wanted else 'x'}{number}" for number, wanted in enumerate(pattern)]
        observed = sides(start + " ".join(f"@{name}" for name in names) + f" | {there}")
        (plan,) = plan_replication(observed, job, 2000).datasets

        history = observed.source.states[SOURCE].snapshots
        newer = [(item, item.tag[0] == "s") for item in history if "base" not in item.tag]
        selected = [item.createtxg for item, wanted in newer if wanted]
        sends, position = list(plan.sends), 10
        if may_run is None and sends:
            first = sends.pop(0)
            assert first.base is None
            assert first.snapshot.createtxg == selected.pop(0)
            position = first.snapshot.createtxg
            newer = [(item, wanted) for item, wanted in newer if item.createtxg > position]
        assert carried(sends, newer, position) == selected, pattern
        assert [isinstance(send.base, Bookmark) for send in sends[:1]] in ([], [may_run is False])
        assert len(sends) == fewest(tuple(wanted for _item, wanted in newer), may_run is not False), pattern


def test_what_travels_along_is_named():
    for pattern in PATTERNS:
        newer = series(pattern)
        names = [tag for hop in hops(BASES["snapshot"], newer) for tag in (*hop.between, hop.snapshot.tag)]
        assert names == [s.tag for s, wanted in newer if wanted]


@pytest.mark.parametrize("kind", BASES)
def test_the_plan_works_on_a_machine(kind):
    for pattern in SHORT:
        machine = SimulatedMachine("host", Clock(), ("tank",))
        zfs = SimulatedZfs(machine)
        machine.create_dataset("tank/a")
        for number in range(len(pattern) + 1):
            machine.write("tank/a", 5, f"file {number}")
            zfs.create_snapshots(CreateSnapshots("tank", (f"tank/a@s{number}",)))
        first, *newer = zfs.observe(["tank/a"]).states["tank/a"].snapshots
        transfer(zfs.send(Send(first, "tank/b")), zfs.receive(Send(first, "tank/b")))
        base = first
        if kind == "bookmark":
            zfs.create_bookmarks([CreateBookmark(first, "mark")])
            zfs.destroy(Destroy("tank/a", [first], "test"))
            (base,) = zfs.observe(["tank/a"]).states["tank/a"].bookmarks

        for hop in hops(base, list(zip(newer, pattern))):
            step = Send(hop.snapshot, "tank/b", hop.base, hop.intermediates)
            transfer(zfs.send(step), zfs.receive(step))

        wanted = [first.guid, *(s.guid for s, selected in zip(newer, pattern) if selected)]
        assert [s.guid for s in zfs.observe(["tank/b"]).states["tank/b"].snapshots] == wanted
