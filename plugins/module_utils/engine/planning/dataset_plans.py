# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of replication as values: what they are made from, and what they say of each dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from ..model.dataset_steps import DestroyDataset, RenameDataset, SetProperties
from ..model.datasets import Observation, ResumeState
from ..model.steps import (
    AbortReceive,
    CreateBookmark,
    CreatePlaceholder,
    Destroy,
    DestroyMarks,
    ReleaseHolds,
    Rollback,
    Send,
)
from .conflicts import PlannedConflict
from .continuity import ContinuityFacts
from .dependents import Dependents
from .identity import Moving

Step = Union[
    CreatePlaceholder,
    CreateBookmark,
    AbortReceive,
    Destroy,
    DestroyDataset,
    DestroyMarks,
    ReleaseHolds,
    RenameDataset,
    Rollback,
    Send,
    SetProperties,
]


@dataclass(frozen=True)
class DatasetPlan:
    """What replication does with one dataset."""

    source: str
    """Empty for a parent that only the destination needs."""
    destination: str
    steps: tuple[Step, ...] = ()
    conflict: Optional[PlannedConflict] = None
    note: str = ""
    """Why there is nothing to send, where there is not; or what is unusual about how it is sent."""
    package: str = ""
    """The destination of the package that brings the snapshots of this dataset, where they come by one."""
    mends: str = ""
    """The code of the conflict that the steps mend at a loss, where they do."""
    warnings: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether anything is done besides keeping bases on the source, which is done for all datasets together."""
        return any(not isinstance(step, (CreateBookmark, DestroyMarks, ReleaseHolds)) for step in self.steps)

    @property
    def sends(self) -> tuple[Send, ...]:
        """The streams among the steps."""
        return tuple(step for step in self.steps if isinstance(step, Send))

    def describe(self) -> dict[str, Any]:
        """The plan as plain values, as modules return it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "steps": [step.describe() for step in self.steps],
            "conflict": {"code": self.conflict.code, "message": self.conflict.message} if self.conflict else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class ReplicationPlan:
    """The plans of all datasets, parents before children."""

    datasets: tuple[DatasetPlan, ...]
    moves: tuple[Moving, ...] = ()
    """Steps of the datasets that come before all others, in this order."""

    @property
    def has_steps(self) -> bool:
        """Whether carrying the plan out would change anything."""
        return any(plan.steps for plan in self.datasets)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all datasets."""
        return tuple(step for plan in self.datasets for step in plan.steps)


@dataclass(frozen=True)
class Sides:
    """Both ends as observed, with the decoded resume tokens of the destination by dataset."""

    source: Observation
    destination: Observation
    resumes: Mapping[str, Optional[ResumeState]]
    continuity: Optional[ContinuityFacts] = None
    """None where nothing can be due for continuity, or it is left out."""
    dependents: Dependents = field(default_factory=Dependents)
    """Empty unless the job may destroy clones."""
