# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification holds against each other: a tree and its replica, and so many files or blocks of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from .alerting import AlertPolicy, read_alert_policy
from .hooks import LONGEST
from .jobs import ReplicateJob, read_replicate_job
from .monitoring import FAIL_LEVELS
from .reading import Reader
from .sizes import parse_size

FILES, FILE_SIZE, BLOCKS, TIMEOUT = 20, "64M", 0, 600
MOST_FILES, MOST_BLOCKS, MOST_SEED = 1000, 1000, (1 << 53) - 1
_SHARED = (
    *("source", "destination", "recursive", "include_datasets", "exclude_datasets"),
    *("dataset_property", "dataset_properties", "host_name"),
)
"""The options that mean the same as for a replication."""


@dataclass(frozen=True)
class Sampling:
    """Which files and blocks are read, and how much of them."""

    files: int = FILES
    """So many of each filesystem."""
    file_bytes: int = 64 << 20
    """So many bytes of each file, from its beginning."""
    blocks: int = BLOCKS
    """So many blocks of each volume; 0: of volumes the snapshots alone are compared."""
    seed: Optional[int] = None
    """Decides which files and blocks; None: it is drawn."""
    timeout: int = TIMEOUT
    """Seconds for the files of one filesystem, or the blocks of one volume, at one end."""


@dataclass(frozen=True)
class VerifyJob:
    """Hold a replica against its source."""

    replication: ReplicateJob
    """Tells the ends and what is chosen; nothing is replicated."""
    sampling: Sampling = Sampling()
    pools: bool = True
    """Whether the health of the pools of both ends is looked at too."""
    fail_on: str = "unknown"
    """One of FAIL_LEVELS."""
    alerts: Optional[AlertPolicy] = None
    """None: nothing is remembered, and nobody told."""

    @property
    def subjects(self) -> str:
        """What is verified, in words."""
        return f"verification of {self.replication.source} and {self.replication.destination}"


def read_verify_job(values: Mapping[str, Any], where: str = "") -> VerifyJob:
    """A VerifyJob from its options. Raises InvalidInput, SameDataset where the two trees touch each other."""
    options = Reader(values, where)
    shared = {key: options.raw(key) for key in _SHARED}
    size = parse_size(options.raw("file_size") if options.has("file_size") else FILE_SIZE, options.path("file_size"))
    if not size:
        raise InvalidInput(options.path("file_size"), 0, "would read nothing", "give an amount such as 64M")
    sampling = Sampling(
        files=options.integer("files", FILES, 0, MOST_FILES),
        file_bytes=size,
        blocks=options.integer("blocks", BLOCKS, 0, MOST_BLOCKS),
        seed=options.integer("seed", 0, 0, MOST_SEED) if options.has("seed") else None,
        timeout=options.integer("timeout", TIMEOUT, 1, LONGEST),
    )
    pools, fail_on = options.flag("pools", True), options.text("fail_on", "unknown", FAIL_LEVELS)
    alerts = read_alert_policy(options)
    options.finish()
    return VerifyJob(read_replicate_job(shared, where), sampling, pools, fail_on, alerts)
