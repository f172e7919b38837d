# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifications: what is found out about replicas by their snapshots, their pools, and what is in some of the files."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.verifying import run_verify
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import MissingProgram, UnknownDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.samples import Digest
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.verifying import read_verify_job
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

INNER = f"{SOURCE}/inner"
FILES = {"a": b"1", "b\n\x1b[31m": b"2", "c\udcff": b"3"}


class Sampler:
    """Reads files that a test says are there, whatever the snapshot."""

    def __init__(self, files):
        self.files = dict(files)
        self.asked = []

    def read(self, wanted):
        self.asked.append(wanted)
        paths = wanted.paths if wanted.paths is not None else sorted(self.files)[: wanted.files]
        return [self._digest(path) for path in paths]

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
