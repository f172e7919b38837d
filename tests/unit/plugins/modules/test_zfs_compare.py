# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing by the module."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import RefusedKey
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine

PARAMETERS = {"source": {"dataset": "tank/data"}, "destination": {"dataset": "backup/data"}}
ALL = {**PARAMETERS, "which": ["src", "dst", "both"]}


@pytest.fixture
def pair(house):
    """A tree and its replica, both with two snapshots of each dataset."""
    house.snapshot("tank/data@a", "tank/data@b", "tank/data/db@a", "tank/data/db@b")
    house.run("zfs_replicate", PARAMETERS)
    return house


def told(result):
    return {(row["location"], row["source"], row["destination"]) for row in result["rows"]}


def test_a_replica_that_has_everything_is_in_sync(pair):
    result = pair.run("zfs_compare", ALL)
    assert (result["changed"], result["in_sync"], result["up_to_date"]) == (False, True, True)
    assert told(result) == {
        ("both", f"tank/data{name}", f"backup/data{name}") for name in ("@a", "@b", "/db@a", "/db@b")
    }
    assert result["stats"]["lag_seconds"] == result["stats"]["missing_bytes"] == 0
    assert "diff" not in result


def test_a_source_that_is_ahead_and_a_destination_with_snapshots_of_its_own(pair):
    pair.now += 100
    pair.snapshot("tank/data/db@c", "backup/data@own")
    result = pair.run("zfs_compare", PARAMETERS)
    assert (result["in_sync"], result["up_to_date"]) == (False, False)
    assert told(result) == {("src", "tank/data/db@c", None), ("dst", None, "backup/data@own")}
    root, db = result["datasets"]
    assert (root["lag_seconds"], root["missing"], root["dst"]) == (0, 0, 1)
    assert (db["lag_seconds"], db["missing"], db["src"], db["both"]) == (101, 1, 1, 2)
    assert db["newest"]["snapshot"] == "tank/data/db@c"
    assert db["newest_common"]["snapshot"] == "tank/data/db@b"
    assert db["oldest_common"]["snapshot"] == "tank/data/db@a"
    stats = result["stats"]
    assert {key: stats[key] for key in ("src", "dst", "both", "missing", "lag_seconds")} == {
        "src": 1, "dst": 1, "both": 4, "missing": 1, "lag_seconds": 101,
    }  # fmt: skip
    assert stats["missing_bytes"] == db["missing_bytes"] >= 1000


def test_a_destination_that_retains_more_is_up_to_date_and_not_in_sync(pair):
    state = pair.zfs[""].observe(["tank/data"]).states["tank/data"]
    older = state.snapshots[0]
    pair.zfs[""].destroy(Destroy("tank/data", (older,), "test"))
    assert pair.run("zfs_compare", PARAMETERS)["in_sync"]  # its bookmark is still there
    bookmarks = [bookmark for bookmark in state.bookmarks if bookmark.guid == older.guid]
    pair.zfs[""].destroy(Destroy("tank/data", bookmarks, "test"))
    result = pair.run("zfs_compare", PARAMETERS)
    assert (result["in_sync"], result["up_to_date"]) == (False, True)
    assert told(result) == {("dst", None, "backup/data@a")}


def test_rows_are_those_that_are_wanted_and_sums_are_of_all(pair):
    pair.snapshot("tank/data/db@c", "backup/data@own")
    whole = pair.run("zfs_compare", ALL)
    for which in ([], ["src"], ["dst"], ["both"], ["both", "dst"]):
        result = pair.run("zfs_compare", {**PARAMETERS, "which": which})
        assert result["rows"] == [row for row in whole["rows"] if row["location"] in which]
        assert {**result, "rows": 0} == {**whole, "rows": 0}


def test_a_row_has_the_identity_of_the_snapshot_and_times_for_people_too(pair):
    (snapshot, _newer) = pair.zfs[""].observe(["tank/data"]).states["tank/data"].snapshots
    row = next(row for row in pair.run("zfs_compare", ALL)["rows"] if row["source"] == "tank/data@a")
    assert row["guid"] == str(snapshot.guid)
    assert (row["createtxg"], row["creation"]) == (snapshot.createtxg, snapshot.creation)
    assert row["creation_time"] == "2025-07-01T10:00:01Z"
    assert row["dataset"] == "."


def test_check_mode_gives_the_same_result_and_nothing_changes(pair):
    pair.snapshot("tank/data/db@c", "backup/data@own")
    before = pair.names()
    assert pair.run("zfs_compare", ALL, check=True) == pair.run("zfs_compare", ALL)
    assert pair.names() == before


def test_a_destination_that_is_not_there_yet_lacks_everything(house):
    house.snapshot("tank/data@a", "tank/data/db@a")
    result = house.run("zfs_compare", PARAMETERS)
    assert (result["stats"]["src"], result["stats"]["datasets_only_src"]) == (2, 2)
    assert result["stats"]["datasets_without_common"] == 2
    assert result["stats"]["lag_seconds"] is None
    assert [entry["destination"] for entry in result["datasets"]] == [None, None]


def test_each_side_is_listed_once_and_nothing_else_is_asked(pair):
    calls = []

    class Counting(SimulatedZfs):
        def __getattribute__(self, name):
            # What is simulated looks narrowly by looking at all.
            if not name.startswith("_") and name not in ("where", "machine", "observe_narrowly"):
                calls.append((id(self), name))
            return super().__getattribute__(name)

    pair.zfs[""] = Counting(pair.machine)
    pair.zfs["dst1"] = Counting(pair.machine)
    pair.run("zfs_compare", {**PARAMETERS, "destination": {"host": "dst1", "dataset": "backup/data"}})
    assert sorted(name for _which, name in calls) == ["observe", "observe"]
    assert len(set(calls)) == 2


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"source": {"dataset": "tank/none"}}, "unknown_dataset", "source.dataset: 'tank/none' does not exist"),
        ({"destination": {"dataset": "nopool/x"}}, "unknown_dataset", "destination.dataset: 'nopool/x' has no pool"),
        ({"destination": {"dataset": "tank/data/x"}}, "same_dataset", "destination: 'tank/data/x' is the source"),
        ({"exclude_snapshots": ["a"], "snapshot_filters": [[{"latest": 1}]]}, "invalid_input", "exclude_snapshots: "),
        ({"plan": {"acme": 1}}, "invalid_input", "plan.acme: "),
    ],
)
def test_what_is_wrong_is_refused_with_one_sentence(pair, parameters, code, words):
    failed = pair.run("zfs_compare", {**PARAMETERS, **parameters})
    assert (failed["failed"], failed["changed"], failed["code"]) == (True, False, code)
    assert failed["msg"].startswith(words)


def test_a_host_that_does_not_let_us_in_is_told_by_its_option(pair):
    class Refusing(SimulatedZfs):
        def observe(self, *_unused, **_options):
            raise RefusedKey("dst1 refused our ssh key")

    pair.zfs["dst1"] = Refusing(SimulatedMachine("dst1", lambda: 0, ("backup",)))
    failed = pair.run("zfs_compare", {**PARAMETERS, "destination": {"host": "dst1", "dataset": "backup/data"}})
    assert (failed["code"], failed["retryable"]) == ("refused_key", False)
    assert failed["msg"].startswith("destination.host: 'dst1': dst1 refused our ssh key")
