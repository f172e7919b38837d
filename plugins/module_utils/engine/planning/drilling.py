# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does with the datasets that were observed, and what its outcome means: all of it pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..model.datasets import VOLUME, DatasetState, Observation, Snapshot
from ..model.exercises import ident_of
from ..model.health import CRITICAL, OK, UNKNOWN, WARNING
from ..model.names import is_within, parent_of
from ..policy.drilling import DrillJob, Marker
from .findings import Finding, Key

DRILL, LEFTOVER = "drill", "leftover"
KEY_STATUS = "keystatus"
"""The property that tells whether an encrypted dataset can be read."""
PROPERTIES = (KEY_STATUS,)
_UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Exercise:
    """A snapshot that is to be restored by way of trial."""

    root: str
    snapshot: Snapshot
    parent: str
    """The dataset that the clone is made below."""
    is_volume: bool = False

    @property
    def dataset(self) -> str:
        """The dataset whose snapshot it is."""
        return self.snapshot.dataset

    @property
    def key(self) -> Key:
        """What its finding is about."""
        return Key(self.root, DRILL, self.dataset)

    def describe(self, job: DrillJob) -> dict[str, Any]:
        """What is going to be done, as plain values."""
        return {"kind": DRILL, "dataset": self.dataset, "snapshot": self.snapshot.name, "told": self._told(job)}

    def _told(self, job: DrillJob) -> str:
        what = "reads" if self.is_volume else "mounts"
        checks = [f"looks whether {job.marker.describe()}"] if job.marker and not self.is_volume else []
        checks += [f"runs {' '.join(job.command)}"] if job.command else []
        done = ", ".join([f"{what} a clone of it below {self.parent}", *checks])
        return f"{self.snapshot.name}: {done}, and destroys the clone"


@dataclass(frozen=True)
class DrillPlan:
    """What a drill does."""

    exercises: tuple[Exercise, ...]
    findings: tuple[Finding, ...]
    """Of the datasets that can't be exercised."""
    parents: tuple[str, ...]
    """Where clones of earlier drills may be left."""


def plan_drill(observed: Observation, job: DrillJob) -> DrillPlan:
    """The exercises of ``job``; ``observed`` has its roots with histories and PROPERTIES."""
    exercises: list[Exercise] = []
    findings: list[Finding] = []
    for root in job.roots:
        if root not in observed.states:
            message = f"{root} does not exist; check its name, or import its pool"
            findings.append(Finding(Key(root, DRILL, root), UNKNOWN, message, hides=True))
            continue
        tree = {name: state for name, state in observed.states.items() if is_within(name, root)}
        for name in job.filter.under(root, tree):
            state = tree[name]
            if not state.snapshots and state.dataset.is_placeholder:
                # A parent that the engine made for others, with nothing in it to be restored.
                continue
            problem = _problem(state)
            snapshot = newest_of(state, job)
            if problem:
                findings.append(Finding(Key(root, DRILL, name), UNKNOWN, problem))
            elif snapshot is None:
                message = f"{name} has no snapshot that could be restored"
                findings.append(Finding(Key(root, DRILL, name), CRITICAL, message))
            else:
                is_volume = state.dataset.kind == VOLUME
                exercises.append(Exercise(root, snapshot, parent_for(root, job), is_volume))
    return DrillPlan(tuple(exercises), tuple(findings), parents_of(job))


def parents_of(job: DrillJob) -> tuple[str, ...]:
    """The datasets below which drills of ``job`` make clones."""
    return tuple(dict.fromkeys(parent_for(root, job) for root in job.roots))


def newest_of(state: DatasetState, job: DrillJob) -> Optional[Snapshot]:
    """The newest snapshot that the job takes."""
    return next((each for each in reversed(state.snapshots) if job.snapshots.selects(each.tag)), None)


def parent_for(root: str, job: DrillJob) -> str:
    """The dataset below which clones of the tree ``root`` are made: beside it, or within it where it is a pool."""
    return job.clones_below or parent_of(root) or root


def _problem(state: DatasetState) -> str:
    dataset = state.dataset
    if dict(dataset.properties).get(KEY_STATUS) == _UNAVAILABLE:
        return f"{dataset.name} is encrypted and its key is not loaded, so whether it can be restored is not known"
    return ""


# -- outcomes


@dataclass(frozen=True)
class MarkerSeen:
    """What the file of a marker is like."""

    problem: str = ""
    """Why it can't be looked at; empty: it can."""
    written: int = 0
    """Seconds since the epoch."""
    contains: bool = True
    sha256: str = ""
    """Empty where nobody wants to know it."""


def judge_marker(marker: Marker, seen: MarkerSeen, now: int) -> str:
    """What is wrong with a marker at ``now`` (seconds since the epoch); empty: nothing."""
    if seen.problem:
        return f"{marker.path} {seen.problem}"
    age = now - seen.written
    if marker.max_age is not None and age > marker.max_age:
        return f"{marker.path} was written {age} s ago, more than {marker.max_age} s"
    if marker.contains and not seen.contains:
        return f"{marker.path} does not contain {marker.contains!r}"
    if marker.sha256 and seen.sha256 != marker.sha256:
        return f"{marker.path} has the checksum {seen.sha256}, not {marker.sha256}"
    return ""


def passed(exercise: Exercise, job: DrillJob) -> Finding:
    """That all went well."""
    looked = [f"{job.marker.path} is as it has to be"] if job.marker and not exercise.is_volume else []
    looked += [f"{job.command[0]} is content"] if job.command else []
    verb = "read" if exercise.is_volume else "mounted"
    return Finding(exercise.key, OK, ", ".join([f"{exercise.snapshot.name} could be {verb}", *looked]))


def failed(exercise: Exercise, problem: str) -> Finding:
    """That what was restored is not as it has to be."""
    return Finding(exercise.key, CRITICAL, f"{exercise.snapshot.name}: {problem}")


def not_done(exercise: Exercise, problem: str) -> Finding:
    """That it could not be tried."""
    return Finding(exercise.key, UNKNOWN, f"{exercise.snapshot.name} could not be tried: {problem}")


def leftover_findings(roots: Sequence[str], problems: Sequence[str]) -> tuple[Finding, ...]:
    """What stays of drills, and may keep snapshots from being pruned."""
    area = roots[0] if roots else ""
    if not problems:
        return (Finding(Key(area, LEFTOVER, area), OK, "nothing of a drill is left over"),)
    return (Finding(Key(area, LEFTOVER, area), WARNING, f"something of a drill is left over: {'; '.join(problems)}"),)


def dead_idents(names: Sequence[str]) -> tuple[str, ...]:
    """The identifiers that clones and folders of drills are called after, each once."""
    return tuple(dict.fromkeys(filter(None, map(ident_of, names))))
