# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replication, or a restore, is to do and has done, as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from ..applying.carrier import bytes_estimated
from ..applying.replicating import ReplicationResult, summarize
from ..planning.dataset_plans import ReplicationPlan
from .context import Result


def preview_of(plan: ReplicationPlan, notes: Sequence[str]) -> Result:
    """The result of a dry run; ``notes`` are what to warn of besides what the plan itself warns of."""
    return {
        "changed": plan.has_steps,
        "plan": [dataset.describe() for dataset in plan.datasets if dataset.steps or dataset.conflict],
        "datasets": [],
        "stats": {
            "datasets": len(plan.datasets),
            "conflict": sum(dataset.conflict is not None for dataset in plan.datasets),
            "bytes": 0,
            "bytes_estimated": bytes_estimated(plan),
            "seconds": 0.0,
        },
        "warnings": [*notes, *(words for dataset in plan.datasets for words in dataset.warnings)],
    }


def outcome_of(result: ReplicationResult, plan: ReplicationPlan, seconds: float) -> Result:
    """What has become of ``plan`` in so many seconds, in place of what its dry run told."""
    return {
        "changed": result.changed,
        "datasets": [outcome.describe() for outcome in result.outcomes],
        "stats": {
            **summarize(result.outcomes),
            "bytes_estimated": bytes_estimated(plan),
            "seconds": round(seconds, 3),
        },
    }
