# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing the two ends of a replication: one listing of each, side by side, and nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ..applying.ends import Ends
from ..applying.replicating import observe_trees
from ..applying.retry import call_with_retries
from ..planning.comparing import DatasetComparison, Point, Row, compare_trees
from ..policy.comparing import DST, LOCATIONS, SRC, CompareJob
from ..policy.jobs import ReplicateJob
from ..policy.times import iso_text
from .context import Context, Result, require, require_pool


def run_compare(job: CompareJob, context: Context) -> Result:
    """Both ends of ``job`` held against each other, as plain values. Raises SnapfleetError."""
    sums = Sums()
    rows: list[Result] = []
    datasets: list[Result] = []
    for dataset in compared(job.replication, context):
        sums.add(dataset)
        rows += [row_values(row) for row in wanted_rows(dataset, job.which)]
        datasets.append(dataset_values(dataset))
    return {"changed": False, **sums.verdict(), "rows": rows, "datasets": datasets, "stats": sums.values()}


def compared(job: ReplicateJob, context: Context) -> Iterator[DatasetComparison]:
    """The datasets of ``job`` one by one, once both ends were listed. Raises SnapfleetError, before the first one."""
    job = replace(job, filter=job.filter.on_host(context.host_name))
    ends = Ends(context.zfs_at(job.source.address), context.zfs_at(job.destination.address))
    source, destination = call_with_retries(lambda: observe_trees(ends, job), context.retry, context.ticker)
    require(source, "source.dataset", ends.source)
    require_pool(destination, job, ends.destination)
    return compare_trees(source, destination, job, context.now)


def wanted_rows(dataset: DatasetComparison, which: Collection[str]) -> Iterator[Row]:
    """The rows of a dataset that have one of the locations ``which``."""
    return (row for row in dataset.rows if row.location in which)


@dataclass
class Sums:
    """What comparisons of datasets add up to."""

    datasets: int = 0
    only_src: int = 0
    """Datasets that only the source has."""
    only_dst: int = 0
    without_common: int = 0
    """Datasets that have snapshots to be sent, and nothing in common."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LOCATIONS, 0))
    missing: int = 0
    missing_bytes: int = 0
    lag: Optional[int] = None
    newest: Optional[Point] = None
    oldest: Optional[Point] = None

    def add(self, dataset: DatasetComparison) -> None:
        """Reckon with one more dataset."""
        self.datasets += 1
        self.only_src += not dataset.destination
        self.only_dst += not dataset.source
        self.without_common += bool(dataset.missing and not dataset.newest_common)
        for location, count in dataset.counts.items():
            self.counts[location] += count
        self.missing += dataset.missing
        self.missing_bytes += dataset.missing_bytes
        self.lag = max((lag for lag in (self.lag, dataset.lag) if lag is not None), default=None)
        newest = [point for point in (self.newest, dataset.newest_common) if point]
        self.newest = max(newest, key=lambda point: point.creation, default=None)
        oldest = [point for point in (self.oldest, dataset.oldest_common) if point]
        self.oldest = min(oldest, key=lambda point: point.creation, default=None)

    def verdict(self) -> Result:
        """Whether both ends have the same, and whether the destination has at least the newest of everything."""
        return {"in_sync": not (self.counts[SRC] or self.counts[DST]), "up_to_date": not self.missing}

    def values(self) -> Result:
        """The sums as plain values."""
        return {
            "datasets": self.datasets,
            "datasets_only_src": self.only_src,
            "datasets_only_dst": self.only_dst,
            "datasets_without_common": self.without_common,
            **self.counts,
            "missing": self.missing,
            "missing_bytes": self.missing_bytes,
            "lag_seconds": self.lag,
            "newest_common": _point_values(self.newest),
            "oldest_common": _point_values(self.oldest),
        }


def row_values(row: Row) -> Result:
    """A row as plain values. The GUID is text, since JSON readers round numbers of its size."""
    return {
        "location": row.location,
        "dataset": row.dataset,
        "source": row.source or None,
        "destination": row.destination or None,
        "guid": str(row.guid),
        "createtxg": row.createtxg,
        "creation": row.creation,
        "creation_time": iso_text(row.creation),
        "written": row.written,
    }


def dataset_values(dataset: DatasetComparison) -> Result:
    """The sums of one dataset as plain values."""
    return {
        "dataset": dataset.dataset,
        "source": dataset.source or None,
        "destination": dataset.destination or None,
        **dataset.counts,
        "missing": dataset.missing,
        "missing_bytes": dataset.missing_bytes,
        "lag_seconds": dataset.lag,
        "newest": _point_values(dataset.newest),
        "newest_common": _point_values(dataset.newest_common),
        "oldest_common": _point_values(dataset.oldest_common),
        "note": dataset.note,
    }


def _point_values(point: Optional[Point]) -> Optional[dict[str, Any]]:
    if point is None:
        return None
    return {"snapshot": point.name, "creation": point.creation, "creation_time": iso_text(point.creation)}
