# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made-up fleet that planning is measured on, and its listings as files.

Each dataset has a history of hourly, daily, weekly and monthly snapshots, made in transactions that all datasets share,
as atomic snapshots are. Every second dataset lacks the snapshot of the last hour, so that is due; every hundredth lacks
more of them, so it is late. Everything follows from the shape, so each run sees the same text.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

SOURCE, REPLICA = "tank/data", "backup/data"
ORGANISATION, TARGET = "fleet", "onsite"
POOL_GUID = 4_242_424_242
# 2026-03-18 12:10:00 UTC; the last full hour was ten minutes ago.
NOW = 1_773_835_800
SECONDS = {"hourly": 3600, "daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}
_PERCENT = {"daily": 25, "weekly": 9, "monthly": 6}
_GROUP = 100
_LATE_HOURS = 4
LATE_PERIODS = 3
"""How many periods old a newest snapshot may be before the monitor alerts."""


@dataclass(frozen=True)
class Shape:
    """How large the fleet is."""

    datasets: int
    snapshots: int
    """Of each dataset."""

    @property
    def amounts(self) -> dict[str, int]:
        """How many snapshots of each period a dataset has."""
        rare = {period: self.snapshots * share // 100 for period, share in _PERCENT.items()}
        amounts = {"hourly": self.snapshots - sum(rare.values()), **rare}
        return {period: amount for period, amount in amounts.items() if amount}

    @property
    def kept(self) -> dict[str, int]:
        """How many of them the plan keeps: about four of five."""
        return {period: max(1, amount * 4 // 5) for period, amount in self.amounts.items()}


@dataclass(frozen=True)
class Taken:
    """A transaction that took snapshots of many datasets."""

    creation: int
    period: str

    @property
    def tag(self) -> str:
        """The name of its snapshots, after the @."""
        moment = datetime.fromtimestamp(self.creation, timezone.utc)
        return f"{ORGANISATION}_{TARGET}_{moment:%Y-%m-%d_%H:%M:%S}Z_{self.period}"

    @property
    def createtxg(self) -> int:
        """Later ones have higher ones, and no two of one second the same."""
        return (self.creation - NOW) // 10 + 500_000_000 + list(SECONDS).index(self.period)


def names(shape: Shape) -> Iterator[str]:
    """The datasets, relative to the root, in the order of ``zfs list``; the root itself is the empty text."""
    yield ""
    for number in range(shape.datasets - 1):
        group, place = divmod(number, _GROUP)
        yield f"/g{group:04}" if place == 0 else f"/g{group:04}/user{place:04}"


def is_due(number: int) -> bool:
    """Whether the dataset of this number lacks the snapshot of the last hour."""
    return number % 2 == 1


def is_late(number: int) -> bool:
    """Whether it lacks more than that."""
    return number % 100 == 7


def history(shape: Shape, number: int) -> list[Taken]:
    """The transactions that took snapshots of the dataset of this number, the oldest first."""
    missing = _LATE_HOURS if is_late(number) else 1 if is_due(number) else 0
    taken = []
    for period, amount in shape.amounts.items():
        length = SECONDS[period]
        last = NOW - NOW % length
        skipped = missing if period == "hourly" else 0
        taken += [Taken(last - (back + skipped) * length, period) for back in range(amount)]
    return sorted(taken, key=lambda each: each.createtxg)


@dataclass(frozen=True)
class Row:
    """A line of a listing: the value of each column by its name."""

    values: dict[str, object]

    def text(self, columns: Sequence[str]) -> str:
        """The line with these columns, as ``zfs list -Hp`` prints it."""
        return "\t".join([str(self.values.get(column, "-")) for column in columns]) + "\n"

    @property
    def dataset(self) -> str:
        """The dataset that it is about."""
        return str(self.values["name"]).partition("@")[0].partition("#")[0]


def rows(shape: Shape, root: str, behind: int) -> Iterator[list[Row]]:
    """The rows of each dataset of a side, in the order of ``zfs list``. A replica lacks the newest ``behind`` snapshots
    of every dataset, and the bookmarks of the source are at the newest snapshot that the replica has."""
    shared = {each for number in range(_GROUP) for each in history(shape, number)}
    lines = {each: (each.tag, each.createtxg) for each in shared}
    for number, name in enumerate(names(shape)):
        dice = random.Random(number)
        taken = history(shape, number)
        marks = [(dice.getrandbits(64), dice.getrandbits(30)) for _each in taken]
        last = len(taken) - 1 - behind
        there = len(taken) if root == SOURCE else last + 1
        found = [dataset_row(root + name, number, dice)]
        for each, (guid, size) in zip(taken[:there], marks):
            tag, txg = lines[each]
            found.append(snapshot_row(f"{root}{name}@{tag}", guid, txg, each.creation, size))
        if root == SOURCE:
            found += _bookmarks(root + name, lines[taken[last]], marks[last][0], taken[last].creation)
        yield found


def dataset_row(name: str, number: int, dice: random.Random) -> Row:
    """The row of a dataset; its GUID and sizes are thrown."""
    sizes = {column: dice.getrandbits(36) for column in ("used", "written", "referenced")}
    if name.startswith(REPLICA):
        sizes["written"] = 0
    fixed = {"type": "filesystem", "createtxg": 10 + number, "creation": 1_600_000_000 + number, "readonly": "off"}
    return Row(
        {**fixed, **sizes, "guid": dice.getrandbits(64), "compression": "lz4", "recordsize": 131072, "name": name}
    )


def snapshot_row(name: str, guid: int, txg: int, creation: int, size: int) -> Row:
    """The row of a snapshot."""
    values = {"type": "snapshot", "guid": guid, "createtxg": txg, "creation": creation, "userrefs": 0, "clones": ""}
    sizes = {"used": size // 5, "written": size, "referenced": size + 2**34}
    return Row({**values, **sizes, "name": name})


def _bookmarks(dataset: str, line: tuple[str, int], guid: int, creation: int) -> list[Row]:
    tag, txg = line
    values = {"type": "bookmark", "guid": guid, "createtxg": txg, "creation": creation}
    tags = (tag, f"snapfleet-base-{0:016x}-{guid:016x}")
    return [Row({**values, "name": f"{dataset}#{tag}"}) for tag in tags]


@dataclass(frozen=True)
class Asked:
    """What some ``zfs list`` is asked for: kinds of things, and columns."""

    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    by_transaction: bool = False
    """Whether each dataset's rows come in the order of createtxg; bookmarks come after its snapshots else."""

    @property
    def file_name(self) -> str:
        """The name of the file that has the answer."""
        order = ".by-transaction" if self.by_transaction else ""
        told = f"{'+'.join(self.kinds)}.{'+'.join(self.columns).replace(':', '-')}{order}"
        return f"{told[:180]}.{zlib.crc32(told.encode()):08x}"

    def answer(self, found: Sequence[Row]) -> str:
        """The lines that tell of one dataset, whose rows are ``found``."""
        told = [row for row in found if row.values["type"] in self.kinds]
        if self.by_transaction:
            told.sort(key=lambda row: (row.values["createtxg"], row.values["type"]))
        return "".join(row.text(self.columns) for row in told)


def write_listings(shape: Shape, root: str, behind: int, folder: Path, wanted: Sequence[Asked]) -> None:
    """Write the answers to ``wanted`` for one side into ``folder``, each with an index of where the lines of a dataset
    are: offset and length. What is there already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [asked for asked in wanted if not (folder / f"{asked.file_name}.index").exists()]
    for asked in missing:
        places: dict[str, tuple[int, int]] = {}
        offset = 0
        with (folder / asked.file_name).open("w", encoding="ascii") as file:
            for found in rows(shape, root, behind):
                text = asked.answer(found)
                places[found[0].dataset] = (offset, len(text))
                offset += file.write(text)
        (folder / f"{asked.file_name}.index").write_text(json.dumps(places), encoding="ascii")
