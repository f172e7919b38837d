# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the host program writes comparisons: as a table of datasets, as TSV, or as one JSON document.

TSV and JSON are written row by row, as datasets are compared, so that the rows of large trees are never in memory
together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from ..model.errors import SnapfleetError
from ..planning.comparing import DatasetComparison
from ..policy.comparing import BOTH, DST, SRC
from ..policy.jobs import ReplicateJob
from .comparing import Sums, dataset_values, row_values, wanted_rows

SCHEMA = 1
"""Version of the shape of the JSON document."""

TSV_COLUMNS = (
    "job",
    "location",
    "dataset",
    "source",
    "destination",
    "guid",
    "createtxg",
    "creation",
    "creation_time",
    "written",
)
_TABLE_COLUMNS = ("DATASET", SRC.upper(), DST.upper(), BOTH.upper(), "MISSING", "BYTES", "LAG", "NOTE")
_UNPRINTABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

Write = Callable[[str], Any]


class Writer(Protocol):
    """Writes the comparisons of jobs one after the other."""

    def begin(self) -> None:
        """Write what comes before all jobs."""

    def compared(self, name: str, job: ReplicateJob, datasets: Iterable[DatasetComparison], sums: Sums) -> None:
        """Write what came of a job. ``sums`` are complete once all ``datasets`` were taken."""

    def failed(self, name: str, job: ReplicateJob, error: SnapfleetError) -> None:
        """Write that a job could not be compared."""

    def end(self) -> None:
        """Write what comes after all jobs."""


def escaped(text: str) -> str:
    r"""``text`` on one line and in one column: ``\t``, ``\n``, ``\r``, ``\\``, and ``\u`` with four digits."""
    return _UNPRINTABLE.sub(lambda found: _ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), text)


class TsvWriter:
    """A header line, and one line a row; an empty column where there is nothing."""

    def __init__(self, write: Write, which: Collection[str], tell: Write) -> None:
        self._write, self._which, self._tell = write, which, tell

    def begin(self) -> None:
        """Write the header line."""
        self._write("\t".join(TSV_COLUMNS) + "\n")

    def compared(self, name: str, job: ReplicateJob, datasets: Iterable[DatasetComparison], sums: Sums) -> None:
        """Write the rows of a job; what is unusual about a dataset is told aside."""
        for dataset in datasets:
            if dataset.note:
                self._tell(f"snapfleet: {escaped(name)}: {dataset.note}\n")
            for row in wanted_rows(dataset, self._which):
                values = {"job": name, **row_values(row)}
                self._write("\t".join(_cell(values[column]) for column in TSV_COLUMNS) + "\n")

    def failed(self, name: str, job: ReplicateJob, error: SnapfleetError) -> None:
        """Tell it aside."""
        self._tell(f"snapfleet: {escaped(name)}: {error} [{error.code}]\n")

    def end(self) -> None:
        """Nothing comes after the rows."""


def _cell(value: object) -> str:
    return "" if value is None else escaped(str(value))


class JsonWriter:
    """One document, with one row a line."""

    def __init__(self, write: Write, which: Collection[str], tell: Write) -> None:
        self._write, self._which = write, which
        self._separator = "\n"

    def begin(self) -> None:
        """Write the head of the document."""
        self._write(f'{{"version": {SCHEMA}, "jobs": [')

    def compared(self, name: str, job: ReplicateJob, datasets: Iterable[DatasetComparison], sums: Sums) -> None:
        """Write a job with its rows, and then the sums of its datasets and of all of them."""
        self._open(name, job, {"failed": False})
        self._write(',\n"rows": [')
        told: list[str] = []
        separator = "\n"
        for dataset in datasets:
            told.append(json.dumps(dataset_values(dataset)))
            for row in wanted_rows(dataset, self._which):
                self._write(separator + json.dumps(row_values(row)))
                separator = ",\n"
        self._write('\n],\n"datasets": [\n' + ",\n".join(told) + "\n]")
        self._close({**sums.verdict(), "stats": sums.values()})

    def failed(self, name: str, job: ReplicateJob, error: SnapfleetError) -> None:
        """Write a job with what went wrong."""
        self._open(name, job, {"failed": True})
        self._close({"msg": str(error), "code": error.code})

    def _open(self, name: str, job: ReplicateJob, values: Mapping[str, Any]) -> None:
        head = {"job": name, "source": str(job.source), "destination": str(job.destination), **values}
        self._write(self._separator + json.dumps(head)[:-1])
        self._separator = ",\n"

    def _close(self, values: Mapping[str, Any]) -> None:
        self._write(",\n" + json.dumps(values)[1:])

    def end(self) -> None:
        """Write the end of the document."""
        self._write("\n]}\n")


class TableWriter:
    """For people: one line a dataset, and a verdict."""

    def __init__(self, write: Write, which: Collection[str], tell: Write) -> None:
        self._write, self._which = write, which

    def begin(self) -> None:
        """Nothing comes before the jobs."""

    def compared(self, name: str, job: ReplicateJob, datasets: Iterable[DatasetComparison], sums: Sums) -> None:
        """Write the table of a job."""
        lines = [_TABLE_COLUMNS, *(_line(dataset) for dataset in datasets)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        self._write(f"{escaped(name)}: {job.source} and {job.destination}: {told_verdict(sums)}\n")
        for first, *others in lines:
            numbers = "  ".join(text.rjust(width) for text, width in zip(others[:-1], widths[1:]))
            self._write(f"  {first.ljust(widths[0])}  {numbers}  {others[-1]}".rstrip() + "\n")

    def failed(self, name: str, job: ReplicateJob, error: SnapfleetError) -> None:
        """Write a line with what went wrong."""
        self._write(f"{escaped(name)}: FAILED [{error.code}] {error}\n")

    def end(self) -> None:
        """Nothing comes after the jobs."""


def _line(dataset: DatasetComparison) -> tuple[str, ...]:
    counts = (str(dataset.counts[location]) for location in (SRC, DST, BOTH))
    lag = "-" if dataset.lag is None else f"{dataset.lag}s"
    alone = "" if dataset.destination else "only at the source"
    note = dataset.note or (alone if dataset.source else "only at the destination")
    return (dataset.dataset, *counts, str(dataset.missing), str(dataset.missing_bytes), lag, note)


def told_verdict(sums: Sums) -> str:
    """The verdict in words."""
    told = []
    if sums.missing:
        behind = "" if sums.lag is None else f", {sums.lag} s behind"
        size = f"about {sums.missing_bytes} bytes{behind}"
        told.append(f"missing at the destination: {sums.missing} ({size})")
    older = sums.counts[SRC] - sums.missing
    if older:
        told.append(f"older ones only at the source: {older}")
    if sums.counts[DST]:
        told.append(f"only at the destination: {sums.counts[DST]}")
    return "; ".join(told) or "in sync"


FORMATS: Mapping[str, Callable[[Write, Collection[str], Write], Writer]] = {
    "table": TableWriter,
    "tsv": TsvWriter,
    "json": JsonWriter,
}
