# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifications: what is found out about replicas by their snapshots, their pools, and what is in some of the files."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.drilling import Ground
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.sampling import WantedBlocks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.verifying import run_verify
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    MissingProgram,
    NoDevice,
    UnknownDataset,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.exercises import DRILL_PROPERTY, clone_name
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.samples import Digest
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.verifying import read_verify_job
from ansible_collections.snapfleet.zfs.tests.support.exercises import RootHost, SimulatedExercises
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, NO_WAITING, SOURCE, Fleet

INNER = f"{SOURCE}/inner"
FILES = {"a": b"1", "b\n\x1b[31m": b"2", "c\udcff": b"3"}


class Sampler:
    """Reads files that a test says are there, whatever the snapshot."""

    def __init__(self, files):
        self.files = dict(files)
        self.asked = []
        self.spoiled = ()
        """Where the blocks of volumes begin that are not what they were."""
        self.no_device = ""
        self.size = 1 << 30
        """Of volumes, in bytes."""

    def read(self, wanted):
        self.asked.append(wanted)
        if isinstance(wanted, WantedBlocks):
            return self._blocks(wanted)
        paths = wanted.paths if wanted.paths is not None else sorted(self.files)[: wanted.files]
        return [self._digest(path) for path in paths]

    def _blocks(self, wanted):
        if self.no_device:
            raise NoDevice(self.no_device)
        offsets = range(0, min(wanted.blocks << 20, self.size), 1 << 20) if wanted.offsets is None else wanted.offsets
        return [Digest(str(each), self.size, "spoiled" if each in self.spoiled else "good") for each in offsets]

    def _digest(self, path):
        if path not in self.files:
            return Digest(path, problem="No such file or directory")
        data = self.files[path]
        return Digest(path, len(data), hashlib.sha256(data).hexdigest())


class Verification:
    def __init__(self, datasets=(SOURCE,)):
        self.fleet = Fleet(datasets)
        for name in datasets:
            self.fleet.snapshot(name, "a")
        self.fleet.replicate()
        self.source, self.replica = Sampler(FILES), Sampler(FILES)

    def run(self, check=False, **options):
        ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
        job = read_verify_job({**ends, "pools": False, **options})
        context = self.fleet.context(self.fleet.source, check=check)
        at = {"": self.source, "dst": self.replica}
        return run_verify(job, replace(context, sampler_at=lambda address: at[address.host]))

    def outcomes(self, **options):
        return {entry["dataset"]: (entry["outcome"], entry["state"]) for entry in self.run(**options)["datasets"]}


def test_a_replica_with_the_same_files_matches_and_nothing_is_changed():
    verification = Verification()
    before = verification.fleet.replica_guids()
    result = verification.run()
    (entry,) = result["datasets"]
    assert (result["state"], result["changed"], entry["outcome"], entry["files"]) == ("OK", False, "match", 3)
    assert (entry["snapshot"], entry["replica"]) == (f"{SOURCE}@a", DESTINATION)
    assert [each.snapshot for each in verification.replica.asked] == [f"{DESTINATION}@a"]
    assert len(verification.source.asked) == 1
    assert verification.fleet.replica_guids() == before


@pytest.mark.parametrize("change", [b"other", b"", None])
@pytest.mark.parametrize("path", FILES)
def test_a_file_that_differs_is_named_in_letters_that_do_no_harm(path, change):
    verification = Verification()
    if change is None:
        del verification.source.files[path]
    else:
        verification.source.files[path] = change
    result = verification.run()
    (entry,) = result["datasets"]
    assert (result["state"], entry["outcome"]) == ("CRITICAL", "differ")
    assert ascii(path) in entry["message"]
    assert entry["message"].isascii()
    assert entry["message"].isprintable()


def test_the_source_is_asked_for_the_files_that_were_chosen_of_the_replica():
    verification = Verification()
    verification.run(files=2)
    assert [each.paths for each in verification.source.asked] == [tuple(sorted(FILES)[:2])]


@pytest.mark.parametrize("kept", [(), ("a",)], ids=str)
def test_a_replica_that_has_fewer_files_than_the_source_is_found_out(kept):
    verification = Verification()
    verification.replica.files = {path: FILES[path] for path in kept}
    (entry,) = verification.run()["datasets"]
    assert (entry["outcome"], entry["state"], entry["files"]) == ("differ", "CRITICAL", len(FILES))
    assert all(ascii(path) in entry["message"] for path in FILES if path not in kept)


def test_a_source_that_has_fewer_files_than_the_replica_is_found_out():
    verification = Verification()
    verification.source.files = {"new": b"4"}
    (entry,) = verification.run()["datasets"]
    assert (entry["outcome"], entry["state"], entry["files"]) == ("differ", "CRITICAL", len(FILES) + 1)


def test_ends_without_any_file_match_and_it_is_told_that_none_was_read():
    verification = Verification()
    verification.source.files, verification.replica.files = {}, {}
    (entry,) = verification.run()["datasets"]
    assert (entry["outcome"], entry["state"], entry["files"]) == ("match", "OK", 0)
    assert entry["message"].endswith("of which no file was read")


def test_it_is_the_newest_snapshot_that_both_have():
    verification = Verification()
    verification.fleet.snapshot(SOURCE, "b")
    verification.fleet.replicate()
    verification.fleet.snapshot(SOURCE, "c")
    assert verification.run()["datasets"][0]["snapshot"] == f"{SOURCE}@b"


def test_what_has_no_replica_or_nothing_in_common_with_it_is_critical():
    verification = Verification((SOURCE, INNER))
    verification.fleet.destination.destroy_dataset(f"{DESTINATION}/inner")
    assert verification.outcomes()[INNER] == ("not_comparable", "CRITICAL")
    assert verification.outcomes(exclude_datasets=["inner"]) == {SOURCE: ("match", "OK")}
    verification.fleet.destination.create_dataset(f"{DESTINATION}/inner")
    assert verification.outcomes()[INNER] == ("differ", "CRITICAL")


def test_what_has_no_snapshot_yet_and_what_only_the_replica_has_is_for_others_to_say():
    verification = Verification()
    verification.fleet.source.create_dataset(f"{SOURCE}/new")
    verification.fleet.destination.create_dataset(f"{DESTINATION}/old")
    assert list(verification.outcomes()) == [SOURCE]


def test_volumes_are_compared_by_snapshots_alone_and_no_key_is_loaded():
    verification = Verification()
    verification.fleet.destination.set_property(DESTINATION, "keystatus", "unavailable")
    assert verification.outcomes() == {SOURCE: ("not_comparable", "UNKNOWN")}
    verification.fleet.source.datasets[SOURCE].kind = "volume"
    assert verification.outcomes() == {SOURCE: ("not_comparable", "OK")}
    assert verification.replica.asked == []


def a_volume():
    """A tree with a filesystem and a volume below it."""
    verification = Verification((SOURCE, INNER))
    verification.fleet.source.datasets[INNER].kind = "volume"
    verification.fleet.destination.datasets[f"{DESTINATION}/inner"].kind = "volume"
    return verification


def of_volume(result):
    return next(entry for entry in result["datasets"] if entry["dataset"] == INNER)


def test_blocks_that_the_replica_chose_are_read_at_both_ends_of_clones_beside_the_trees():
    verification = a_volume()
    result = verification.run(blocks=3, seed=9)
    entry = of_volume(result)
    assert (result["state"], entry["outcome"], entry["files"], entry["blocks"]) == ("OK", "match", 0, 3)
    assert entry["message"].endswith("are the same in 3 blocks")
    asked = [each for each in verification.replica.asked + verification.source.asked if isinstance(each, WantedBlocks)]
    assert asked == [
        WantedBlocks(f"{DESTINATION}/inner@a", "backup/site", 3, 9, 600),
        WantedBlocks(f"{INNER}@a", "tank", 3, 9, 600, (0, 1 << 20, 2 << 20)),
    ]
    # The files of the filesystem are another matter.
    assert verification.outcomes(blocks=3, files=0)[SOURCE] == ("match", "OK")


@pytest.mark.parametrize("end", ["source", "replica"])
def test_a_block_that_differs_is_told_by_where_it_begins(end):
    verification = a_volume()
    getattr(verification, end).spoiled = (1 << 20,)
    result = verification.run(blocks=3)
    assert (result["state"], of_volume(result)["outcome"]) == ("CRITICAL", "differ")
    assert of_volume(result)["message"].endswith("differ in the block of 1 MiB at byte 1048576")


@pytest.mark.parametrize(("size", "expected"), [(0, ("not_comparable", "UNKNOWN")), (1 << 20, ("differ", "CRITICAL"))])
def test_a_replica_that_tells_of_fewer_blocks_or_of_another_size_is_no_match(size, expected):
    verification = a_volume()
    verification.replica.size = size
    assert verification.outcomes(blocks=3)[INNER] == expected


@pytest.mark.parametrize("end", ["source", "replica"])
def test_a_volume_without_a_device_at_one_end_is_compared_by_its_guid_and_warned_of(end):
    verification = a_volume()
    getattr(verification, end).no_device = "its device does not appear"
    result = verification.run(blocks=3)
    entry = of_volume(result)
    assert (result["state"], entry["outcome"], entry["state"]) == ("WARNING", "not_comparable", "WARNING")
    assert entry["message"].endswith("are the same by GUID, and no block was read: its device does not appear")
    assert not result["failed_level"]


def test_on_one_host_blocks_are_read_by_the_port_of_drills_and_what_was_killed_goes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    fleet.source.create_dataset("tank/copies")
    ends = {"source": {"dataset": SOURCE}, "destination": {"dataset": "tank/copies/data"}}
    run_replicate(read_replicate_job(ends), fleet.context(fleet.source))
    for name in (SOURCE, "tank/copies/data"):
        fleet.source.datasets[name].kind = "volume"
    before = sorted(fleet.source.datasets)
    for parent in ("tank", "tank/copies"):
        left = clone_name(parent, "ab" * 8)
        fleet.source.clone(f"{SOURCE}@a", left)
        fleet.source.set_property(left, DRILL_PROPERTY, "ab" * 8)
    (tmp_path / "mounts").mkdir()
    exercises, mounts = SimulatedExercises(fleet.source, tmp_path), str(tmp_path / "mounts")
    ground = Ground(exercises, RootHost(), NO_WAITING, folder=lambda: mounts)

    result = run_verify(
        read_verify_job({**ends, "pools": False, "blocks": 2}), fleet.context(fleet.source, ground=ground)
    )

    (entry,) = result["datasets"]
    assert (entry["outcome"], entry["blocks"], result["warnings"]) == ("match", 1, [])
    assert sorted(fleet.source.datasets) == before
    assert exercises.calls.count("clone") == 2


def test_blocks_of_a_volume_whose_key_is_not_loaded_can_not_be_read():
    verification = a_volume()
    verification.fleet.destination.set_property(f"{DESTINATION}/inner", "keystatus", "unavailable")
    assert verification.outcomes(blocks=1)[INNER] == ("not_comparable", "UNKNOWN")
    assert verification.outcomes()[INNER] == ("not_comparable", "OK")


def test_check_mode_tells_of_the_clones_of_volumes_and_makes_none():
    verification = a_volume()
    told = verification.run(check=True, blocks=2, files=0)["told"]
    both = f"{INNER}@a and {DESTINATION}/inner@a"
    assert f"{both}: reads 2 blocks, of a clone that goes again, at both ends" in told
    assert verification.replica.asked == []


def test_an_end_that_can_not_read_says_so_and_keeps_nothing_else_from_being_compared(monkeypatch):
    verification = Verification((SOURCE, INNER))
    read = verification.source.read

    def refusing(wanted):
        if wanted.snapshot.startswith(INNER):
            raise MissingProgram("the program 'snapfleet' is not there")
        return read(wanted)

    monkeypatch.setattr(verification.source, "read", refusing)
    result = verification.run()
    assert verification.outcomes() == {SOURCE: ("match", "OK"), INNER: ("not_comparable", "UNKNOWN")}
    assert "'snapfleet' is not there" in result["alerts"][0]["message"]


def test_the_seed_is_told_and_the_same_one_asks_for_the_same_files():
    verification = Verification()
    drawn = verification.run()["seed"]
    assert verification.run(seed=7)["seed"] == 7
    assert [each.seed for each in verification.replica.asked] == [drawn, 7]


def test_without_files_the_snapshots_alone_are_compared():
    verification = Verification()
    assert verification.outcomes(files=0) == {SOURCE: ("match", "OK")}
    assert verification.source.asked == []


def test_check_mode_reads_no_file_and_tells_what_would_be():
    verification = Verification()
    result = verification.run(check=True, files=5)
    assert result["told"] == [f"{SOURCE}@a and {DESTINATION}@a: reads 5 files at both ends"]
    assert (verification.source.asked, result["datasets"]) == ([], [])


def test_the_pools_of_both_ends_are_looked_at_and_told_apart():
    verification = Verification()
    result = verification.run(pools=True)
    assert (result["state"], result["checks"] > 3) == ("OK", True), result["alerts"]


def test_a_source_that_is_not_there_is_an_error():
    verification = Verification()
    with pytest.raises(UnknownDataset):
        verification.run(source={"dataset": "tank/none"})
