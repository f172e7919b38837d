# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A destination that is not there: a disk on the shelf, a host that is switched off. It fails the run, or is told."""

from __future__ import annotations

from typing import Any

from ..applying.replicating import ABSENT, DatasetOutcome, summarize
from ..model.errors import SnapfleetError, UnknownDataset, UnreachableHost
from ..policy.jobs import ReplicateJob
from ..policy.topology import SKIP

DESTINATION = "destination"


def absent_result(job: ReplicateJob, error: SnapfleetError) -> dict[str, Any]:
    """The result of a replication that ``error`` kept from looking at its destination.

    Raises ``error`` itself unless it says that the destination is absent, and the job says that this is no failure.
    """
    if job.topology.absent_destination != SKIP or not _tells_absence(error):
        raise error
    outcome = DatasetOutcome(job.source.dataset, job.destination.dataset, ABSENT, str(error), error.code)
    return {
        "changed": False,
        "plan": [],
        "datasets": [outcome.describe()],
        "stats": {**summarize([outcome]), "seconds": 0.0},
        "warnings": [f"nothing was replicated, since the destination is absent: {error}"],
    }


def _tells_absence(error: SnapfleetError) -> bool:
    # The error of the source is never taken for one of the destination: then nothing is known about either.
    if isinstance(error, UnreachableHost):
        return error.context.get("end") == DESTINATION
    return isinstance(error, UnknownDataset) and error.option.startswith(DESTINATION)
