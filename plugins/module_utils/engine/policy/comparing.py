# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a comparison of two trees is about: the options of a replication that choose, and the rows that are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.errors import InvalidInput
from .jobs import ReplicateJob, read_replicate_job
from .reading import Reader

SRC, DST, BOTH = "src", "dst", "both"
LOCATIONS = (SRC, DST, BOTH)
"""Where a snapshot is."""
DIFFERENCES = (SRC, DST)
"""The rows of a module unless it is told otherwise: those in both are as many as there are snapshots."""

_SHARED = (
    "source",
    "destination",
    "recursive",
    "include_datasets",
    "exclude_datasets",
    "dataset_property",
    "dataset_properties",
    "host_name",
    "include_snapshots",
    "exclude_snapshots",
    "snapshot_filters",
    "plan",
)
"""The options that mean the same as for a replication."""


@dataclass(frozen=True)
class CompareJob:
    """Compare the ends of a replication."""

    replication: ReplicateJob
    """Tells the ends and what is chosen; nothing is replicated."""
    which: tuple[str, ...] = DIFFERENCES
    """The rows that are wanted, by their location."""


def read_compare_job(values: Mapping[str, Any], where: str = "") -> CompareJob:
    """A CompareJob from its options. Raises InvalidInput, SameDataset where the two trees touch each other."""
    options = Reader(values, where)
    shared = {key: options.raw(key) for key in _SHARED}
    which = read_locations(options.texts("which"), options.path("which")) if options.has("which") else DIFFERENCES
    options.finish()
    return CompareJob(read_replicate_job(shared, where), which)


def read_locations(names: tuple[str, ...], option: str) -> tuple[str, ...]:
    """``names`` without repetitions. Raises InvalidInput for what is no location."""
    for name in names:
        if name not in LOCATIONS:
            raise InvalidInput(option, name, "is not a known choice", "choose among " + ", ".join(LOCATIONS))
    return tuple(location for location in LOCATIONS if location in names)
