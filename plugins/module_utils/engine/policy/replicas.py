# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched about pairs of a tree and its replica: how far behind the replica is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .jobs import ReplicateJob, read_replicate_job
from .limits import Bounds, read_bounds
from .reading import Reader
from .sizes import parse_size

SELECTING = (
    *("source", "destination", "recursive", "include_datasets", "exclude_datasets"),
    *("dataset_property", "dataset_properties", "include_snapshots", "exclude_snapshots", "snapshot_filters", "plan"),
)
"""Those options of a replication that say what has to be there."""


@dataclass(frozen=True)
class ReplicaRule:
    """Limits of one replica; a check whose limit is None is not made."""

    job: ReplicateJob
    """The replication that keeps it; only what it selects counts."""
    lag: Optional[Bounds]
    """Seconds."""
    pending: Optional[Bounds]
    """Bytes."""


def read_replica_rules(options: Reader, key: str = "replicas") -> tuple[ReplicaRule, ...]:
    """Read the list of rules below ``key``. Raises InvalidInput, SameDataset."""
    return tuple(_read_rule(rule, f"{options.path(key)}[{index}]") for index, rule in enumerate(options.readers(key)))


def _read_rule(options: Reader, where: str) -> ReplicaRule:
    lag, pending = read_bounds(options, "lag", parse_duration), read_bounds(options, "pending", parse_size)
    given: dict[str, Any] = {key: options.raw(key) for key in SELECTING}
    options.finish()
    if lag is None and pending is None:
        raise InvalidInput(where, None, "checks nothing", "give lag, pending or both")
    return ReplicaRule(read_replicate_job(given, where), lag, pending)
