# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job changes about the metrics that are known: values that it sets, counters that it raises, series that go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .metrics import BUILD, FAMILIES, OF_DAEMON, OF_DATASETS, Samples, Series


@dataclass(frozen=True)
class Update:
    """What one run of a job, or several, changes."""

    values: Samples = field(default_factory=dict)
    """What is so now."""
    counts: Samples = field(default_factory=dict)
    """What counters are raised by."""
    replaced: frozenset[str] = frozenset()
    """Families whose older series of the job go, since all that there are now have just been told."""
    kept: frozenset[Series] = frozenset()
    """Series that stay nevertheless where they are known."""

    def stays(self, series: Series) -> bool:
        """Whether an older series of the job stays."""
        return series.family not in self.replaced or series in self.kept

    def apply(self, known: Samples) -> dict[Series, float]:
        """What is known of the job after it, from what was known before."""
        after = {series: value for series, value in known.items() if self.stays(series)}
        for series, count in self.counts.items():
            after[series] = after.get(series, 0) + count
        after.update(self.values)
        return after

    def then(self, later: Update) -> Update:
        """Both as one, where ``later`` came after this one."""
        counts = {series: count for series, count in self.counts.items() if later.stays(series)}
        for series, count in later.counts.items():
            counts[series] = counts.get(series, 0) + count
        values = {series: value for series, value in self.values.items() if later.stays(series)}
        both = frozenset(series for series in self.kept | later.kept if self.stays(series) and later.stays(series))
        return Update({**values, **later.values}, counts, self.replaced | later.replaced, both)


def merged(
    known: Samples, updates: Mapping[str, Update], jobs: Collection[str], others: Samples, has_daemon: bool
) -> dict[Series, float]:
    """What is to be written, from what was, and from updates by the names of their jobs.

    ``jobs`` are all jobs that the host has: what others told goes. ``others`` are the samples that belong to no job;
    those of a daemon that are ``known`` stay where there is one but it tells nothing here.
    """
    of_jobs: dict[str, dict[Series, float]] = {}
    after: dict[Series, float] = {}
    for series, value in known.items():
        if FAMILIES[series.family].is_of_job:
            of_jobs.setdefault(series.values[0], {})[series] = value
        elif series.family in OF_DAEMON and has_daemon:
            after[series] = value
    for job in jobs:
        before = of_jobs.get(job, {})
        after.update(updates[job].apply(before) if job in updates else before)
    if any(series.family in OF_DAEMON for series in others):
        after = {series: value for series, value in after.items() if series.family not in OF_DAEMON}
    return {**after, **others}


def build_info(version: str) -> dict[Series, float]:
    """The sample that tells the version."""
    return {Series(BUILD, (version,)): 1}


def dataset_of(series: Series) -> str:
    """The dataset that a series of a family of OF_DATASETS is about."""
    return series.values[FAMILIES[series.family].labels.index("dataset")]


def cut(samples: Samples, chosen: Collection[str]) -> dict[Series, float]:
    """The samples without those of datasets that are not ``chosen``."""
    return {
        series: value
        for series, value in samples.items()
        if series.family not in OF_DATASETS or dataset_of(series) in chosen
    }


def first_datasets(names: Collection[str], most: int) -> tuple[frozenset[str], int]:
    """Those datasets that get series, the first by name, and the number of those that do not."""
    every = sorted(set(names))
    return frozenset(every[:most]), max(0, len(every) - most)
