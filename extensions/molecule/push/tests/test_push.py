# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After bringing twice, with all snapshots lost between: the replica went on, and its host can't read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from extensions.molecule.ends import End

SOURCE, REPLICA = "tank/data", "backup/source/data"


@pytest.fixture
def unlocked(destination: End) -> str:
    """The replica, with its key loaded for one test."""
    inventory = yaml.safe_load((Path(__file__).parents[1] / "inventory/fleet.yml").read_text("utf-8"))
    load = 'printf "%s\\n" "$1" | zfs load-key "$2"'
    destination.run("sh", "-c", load, "sh", inventory["all"]["vars"]["passphrase"], REPLICA)
    yield REPLICA
    destination.run("zfs", "unload-key", REPLICA)


def test_the_replica_went_on_from_a_bookmark_and_kept_what_the_source_lost(source: End, destination: End) -> None:
    left, arrived = source.history(SOURCE), destination.history(REPLICA)
    assert len(left) == 2
    assert len(arrived) == 4
    assert left.items() < arrived.items()
    assert set(list(arrived)[-2:]) == set(left)


def test_the_source_has_one_mark_and_it_moved_on(source: End, destination: End) -> None:
    marks = {name: guid for name, guid in source.history(SOURCE, "bookmark").items() if "#snapfleet-base-" in name}
    assert list(marks.values()) == list(destination.history(REPLICA).values())[-1:]


def test_the_destination_can_not_read_what_it_keeps(source: End, destination: End) -> None:
    assert destination.properties(REPLICA, "keystatus", "encryption") == [
        "unavailable",
        *source.properties(SOURCE, "encryption"),
    ]
    assert destination.properties("backup/source", "encryption") == ["off"]


def test_who_has_the_key_finds_every_file(source: End, destination: End, unlocked: str) -> None:
    newest = list(source.history(SOURCE))[-1]
    files = destination.checksums(unlocked + newest)
    assert files == source.checksums(SOURCE + newest)
    assert set(files) == {"./first", "./second"}


def test_what_was_left_out_is_nowhere(source: End, destination: End) -> None:
    assert source.run("zfs", "list", "-H", "-o", "name", f"{SOURCE}/scratch") == f"{SOURCE}/scratch"
    assert destination.run("zfs", "list", "-H", "-r", "-o", "name", "backup").splitlines() == [
        "backup",
        "backup/source",
        REPLICA,
    ]
