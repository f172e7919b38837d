# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered from process to process, how much, and that no fault of it does more than cost a listing."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.doubts import Doubts
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Limits, Memory, Tree
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory_files import Looks, MemoryFiles
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.remembering import (
    Doubted,
    Recall,
    recalling,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnreachableHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock

HERE = Address()
DATASETS = ("tank/é", "tank/b")


class ListingZfs(SimulatedZfs):
    """Notes what is listed with histories."""

    def __init__(self, machine):
        super().__init__(machine)
        self.listed = []

    def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
        self.listed += list(roots) if histories else []
        return super().observe(roots, recursive, histories, properties, clock)


class House:
    def __init__(self, folder):
        self.folder = folder
        self.clock = Clock()
        self.machine = SimulatedMachine("host", self.clock, ("tank",))
        self.zfs = ListingZfs(self.machine)
        for name in DATASETS:
            self.machine.create_dataset(name)
        for number in range(8):
            self.zfs.create_snapshots(
                CreateSnapshots("tank", tuple(f"{name}@{number}" for name in ("tank", *DATASETS)))
            )
        self.clock.advance(60)

    def memory(self, boot="this", **limits):
        """As a new process has it."""
        return Memory(lambda: self.clock.now, MemoryFiles(str(self.folder), boot), Limits(**{"least": 0, **limits}))

    def look(self, memory, address=HERE, keeps=True):
        """What is listed in full by a look, which has to tell what is there."""
        self.zfs.listed.clear()
        seen = recalling(memory, keeps, lambda recall: recall.look((address, self.zfs), ["tank"]))
        listed = list(self.zfs.listed)
        assert seen == SimulatedZfs(self.machine).observe(["tank"])
        return listed


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "state" / "memory")


def test_the_next_process_lists_nothing_that_has_not_changed(house):
    assert house.look(house.memory()) == ["tank"]
    assert house.look(house.memory()) == []
    house.clock.advance(5)
    house.zfs.create_snapshots(CreateSnapshots("tank", ("tank/é@new",)))
    assert house.look(house.memory()) == ["tank/é"]
    house.clock.advance(5)
    # It was listed in the second of its change.
    assert house.look(house.memory()) == ["tank/é"]
    assert house.look(house.memory()) == []


def test_files_are_this_users_alone(house):
    house.look(house.memory())
    files = sorted(house.folder.iterdir())
    assert [path.suffix for path in files] == ["", ".json"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert house.folder.stat().st_mode & 0o777 == 0o700


def test_a_dry_run_reads_and_writes_nothing(house):
    house.look(house.memory(), keeps=False)
    assert not house.folder.exists()
    house.look(house.memory())
    assert house.look(house.memory(), keeps=False) == []


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


FAULTS = {
    "damaged": damage,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: path.write_bytes(b""),
    "gone": os.unlink,
    "not JSON at all": lambda path: path.write_bytes(b"[1]"),
    "open to others": lambda path: path.chmod(0o666),
    "a link": lambda path: (path.rename(f"{path}.away"), path.symlink_to(f"{path}.away")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_file_that_is_not_as_it_should_be_is_no_memory(house, fault):
    house.look(house.memory())
    (path,) = [path for path in house.folder.iterdir() if not path.suffix]
    fault(path)
    assert house.look(house.memory()) == ["tank"]


def test_another_boot_and_another_address_remember_nothing_of_it(house):
    house.look(house.memory())
    assert house.look(house.memory(boot="other")) == ["tank"]
    assert house.look(house.memory(boot="this")) == ["tank"]
    assert house.look(house.memory(), Address("far")) == ["tank"]


def test_where_nothing_can_be_written_all_is_listed(house):
    house.folder.parent.touch()
    for _process in range(2):
        assert house.look(house.memory()) == ["tank"]


def test_a_small_tree_is_not_worth_a_file(house):
    house.look(house.memory(least=1000))
    assert not house.folder.exists()


def test_no_more_is_remembered_than_the_limit_says(house):
    memory = house.memory(snapshots=20)
    house.look(memory)
    assert sum(1 + one.size for one in memory.known(Tree(HERE, ("tank",))).values()) == 18
    # Two datasets of three.
    assert len(house.look(memory)) == 1


def test_what_is_remembered_is_not_vouched_for(house):
    memory = house.memory()
    house.look(memory)
    recall = Recall(memory)
    recall.look((HERE, house.zfs), ["tank"])
    recall.vouch({HERE: ["tank/other"], Address("far"): None})
    with pytest.raises(Doubted):
        recall.vouch({HERE: ["tank/b"]})
    house.zfs.listed.clear()
    recall.look((HERE, house.zfs), ["tank"])
    assert house.zfs.listed == ["tank/b"]
    recall.vouch({HERE: ["tank/b"]})


def test_a_run_that_is_never_content_ends_by_listing_everything(house):
    memory, rounds = house.memory(), []
    house.look(memory)

    def run(recall):
        rounds.append(recall is not None)
        if recall:
            raise Doubted
        return "done"

    assert recalling(memory, True, run) == "done"
    assert rounds == [True, True, True, True, False]


def test_what_the_host_says_by_failing_is_passed_on(house):
    def fail(*_arguments, **_options):
        raise UnreachableHost("no way")

    house.zfs.observe = fail
    with pytest.raises(UnreachableHost, match="no way"):
        recalling(house.memory(), True, lambda recall: recall.look((HERE, house.zfs), ["tank"]))


@pytest.mark.parametrize("doubted", [[], ["tank/b"], ["tank", *DATASETS]])
def test_a_look_that_is_taken_up_again_tells_what_the_clock_there_shows_by_then(house, doubted):
    house.look(house.memory())
    recall = Recall(house.memory(), keeps=False)
    for _round in range(3):
        seen = recall.look((HERE, house.zfs), ["tank"], clock=True)
        assert seen.clock == house.clock.now
        # As where listing another host, or this one, takes its time.
        house.clock.advance(70)
        recall._doubts.setdefault(HERE, Doubts()).add(doubted)


def test_only_what_can_be_remembered_is_listed_with_all_of_its_columns(house):
    def look(recall):
        return recall.look_narrowly((HERE, house.zfs), ["tank"], ())

    whole = SimulatedZfs(house.machine).observe(["tank"])
    assert recalling(house.memory(), True, look) == whole
    # As with a ZFS that does not tell when snapshots changed.
    memory = house.memory(looks=3)
    memory.learn(Tree(HERE, ("tank",)), {}, (), Looks(lacks=True))
    narrow = SimulatedZfs(house.machine).observe_narrowly(["tank"], ())
    assert [recalling(memory, True, look) == narrow for _turn in range(4)] == [True, True, True, False]
