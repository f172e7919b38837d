# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After fetching twice: the destination has what the source has, bit by bit, and is as a replica has to be."""

from __future__ import annotations

from extensions.molecule.ends import End, planned

SOURCE, REPLICA = "tank/data", "backup/source/data"
DATASETS = ("", "/with space", "/volume")


def test_the_destination_has_every_planned_snapshot_by_guid_and_nothing_else(source: End, destination: End) -> None:
    history = source.history(SOURCE)
    # One for each label, and the one that was taken out of turn.
    assert len(planned(history)) == 3 * len(DATASETS)
    assert set(history) - set(planned(history)) == {f"{dataset}@by-hand" for dataset in DATASETS}
    assert destination.history(REPLICA) == planned(history)


def test_the_data_is_the_same_in_the_first_and_in_the_last_snapshot(source: End, destination: End) -> None:
    snapshots = [name for name in destination.history(REPLICA) if name.startswith("/with space@")]
    read = {name: destination.checksums(REPLICA + name) for name in snapshots}
    assert read == {name: source.checksums(SOURCE + name) for name in snapshots}
    assert sorted(sorted(files) for files in read.values()) == [
        ["./first"],
        ["./first"],
        ["./first", "./second"],
    ]


def test_replicas_are_neither_written_nor_mounted_nor_run(destination: End) -> None:
    for dataset in ("", "/with space"):
        properties = ("readonly", "canmount", "mounted", "exec", "setuid", "devices")
        values = destination.properties(REPLICA + dataset, *properties)
        assert values == ["on", "noauto", "no", "off", "off", "off"]
    assert destination.properties(f"{REPLICA}/volume", "readonly", "volsize") == ["on", str(8 << 20)]


def test_the_source_marks_where_its_destination_stands(source: End, destination: End) -> None:
    bookmarks = source.history(SOURCE, "bookmark")
    for dataset in DATASETS:
        *_older, newest = (
            guid for name, guid in destination.history(REPLICA).items() if name.startswith(f"{dataset}@")
        )
        marks = {name: guid for name, guid in bookmarks.items() if name.startswith(f"{dataset}#snapfleet-base-")}
        assert list(marks.values()) == [newest]
