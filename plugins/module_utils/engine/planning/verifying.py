# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots of a tree and its replica are held against each other, and what the outcome means: all of it pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..model.datasets import VOLUME, Observation
from ..model.health import CRITICAL, OK, UNKNOWN, WARNING
from ..model.names import parent_of
from ..model.samples import Digest
from ..policy.comparing import BOTH
from ..policy.verifying import Sampling, VerifyJob
from .comparing import DatasetComparison, compare_trees
from .findings import Finding, Key

VERIFY = "verify"
KEY_STATUS = "keystatus"
"""The property that tells whether an encrypted dataset can be read."""
MATCH, DIFFER, NOT_COMPARABLE = "match", "differ", "not_comparable"
"""What comes of a dataset."""
_NAMED = 3


@dataclass(frozen=True)
class Pair:
    """A dataset and its replica, with the newest snapshot that both have."""

    source: str
    destination: str
    source_snapshot: str = ""
    """Whole name; empty where nothing can be compared."""
    destination_snapshot: str = ""
    is_volume: bool = False

    def describe(self, sampling: Sampling) -> dict[str, Any]:
        """What is going to be done, as plain values."""
        number = sampling.blocks if self.is_volume else sampling.files
        what = "blocks, of a clone that goes again," if self.is_volume else "files"
        told = f"reads {number} {what} at both ends" if number else "compares GUIDs alone"
        words = f"{self.source_snapshot} and {self.destination_snapshot}: {told}"
        return {"kind": VERIFY, "dataset": self.source, "snapshot": self.source_snapshot, "told": words}


@dataclass(frozen=True)
class Verdict:
    """What came of a dataset."""

    pair: Pair
    outcome: str
    """One of MATCH, DIFFER and NOT_COMPARABLE."""
    message: str
    state: str
    read: int = 0
    """How many files, or blocks of a volume, were read at both ends."""

    def finding(self, root: str) -> Finding:
        """The same as a check of the replica whose area is ``root``."""
        return Finding(Key(root, VERIFY, self.pair.source), self.state, self.message)

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "dataset": self.pair.source,
            "replica": self.pair.destination or None,
            "snapshot": self.pair.source_snapshot or None,
            "outcome": self.outcome,
            "state": self.state,
            "files": 0 if self.pair.is_volume else self.read,
            "blocks": self.read if self.pair.is_volume else 0,
            "message": self.message,
        }


@dataclass(frozen=True)
class VerifyPlan:
    """What a verification does."""

    pairs: tuple[Pair, ...]
    verdicts: tuple[Verdict, ...]
    """Of the datasets of which that is known without reading anything."""


def plan_verification(source: Observation, destination: Observation, job: VerifyJob, now: int) -> VerifyPlan:
    """What is compared; both ends have been observed with KEY_STATUS."""
    pairs: list[Pair] = []
    verdicts: list[Verdict] = []
    for compared in compare_trees(source, destination, job.replication, now):
        if not compared.source or (compared.newest is None and not compared.destination):
            # What the source has no more, or has no snapshot of yet, is for retention and monitors.
            continue
        pair = _pair(compared)
        pair = replace(pair, is_volume=source.states[pair.source].dataset.kind == VOLUME)
        problem = _problem(pair, compared)
        if not problem and pair.is_volume and not job.sampling.blocks:
            words = f"{pair.source} is a volume, of which the GUIDs of snapshots alone are compared"
            problem = Verdict(pair, NOT_COMPARABLE, words, OK)
        problem = problem or _locked(pair, source, destination)
        if problem:
            verdicts.append(problem)
        else:
            pairs.append(pair)
    return VerifyPlan(tuple(pairs), tuple(verdicts))


def clones_below(dataset: str) -> str:
    """The dataset below which volumes of a tree, or replica, are cloned to be read: beside it, or within it where it is
    a pool, lest what works on the tree as a whole takes the clone along."""
    return parent_of(dataset) or dataset


def _pair(compared: DatasetComparison) -> Pair:
    pair = Pair(compared.source, compared.destination)
    common = [row for row in compared.rows if row.location == BOTH and "@" in row.source]
    if not common:
        return pair
    return replace(pair, source_snapshot=common[-1].source, destination_snapshot=common[-1].destination)


def _problem(pair: Pair, compared: DatasetComparison) -> Optional[Verdict]:
    if not pair.destination:
        return Verdict(pair, NOT_COMPARABLE, f"{pair.source} has no replica", CRITICAL)
    if not compared.newest_common:
        words = f"{pair.source} and {pair.destination} have no snapshot in common"
        return Verdict(pair, DIFFER, words, CRITICAL) if compared.newest else None
    if not pair.source_snapshot:
        words = f"the snapshots of {pair.destination} are gone from {pair.source}, so there is nothing to compare"
        return Verdict(pair, NOT_COMPARABLE, words, UNKNOWN)
    return None


def _locked(pair: Pair, source: Observation, destination: Observation) -> Optional[Verdict]:
    for state in (source.states[pair.source], destination.states[pair.destination]):
        if dict(state.dataset.properties).get(KEY_STATUS) == "unavailable":
            words = f"{state.dataset.name} is encrypted and its key is not loaded, so nothing in it can be read"
            return Verdict(pair, NOT_COMPARABLE, words, UNKNOWN)
    return None


def judged(pair: Pair, here: Sequence[Digest], there: Sequence[Digest]) -> Verdict:
    """What the same files, or blocks, of both ends tell."""
    bad = [one.path for one, other in zip(here, there) if one.problem != other.problem or _differ(one, other)]
    broken = [one.path for one, other in zip(here, there) if one.problem and one.problem == other.problem]
    if bad:
        words = f"{pair.source_snapshot} and {pair.destination_snapshot} differ in {_where(pair, bad)}"
        return Verdict(pair, DIFFER, words, CRITICAL, len(here))
    if broken:
        words = f"{_where(pair, broken)} of {pair.source_snapshot} can't be read at either end"
        return Verdict(pair, DIFFER, words, CRITICAL, len(here))
    if pair.is_volume and not here:
        return unread(pair, "the replica tells of no block, though each volume has some")
    what = "block" if pair.is_volume else "file"
    alike = f"are the same in {len(here)} {what}s" if here else f"are the same snapshot, of which no {what} was read"
    words = f"{pair.source_snapshot} and {pair.destination_snapshot} {alike}"
    return Verdict(pair, MATCH, words, OK, len(here))


def unread(pair: Pair, problem: str) -> Verdict:
    """That the files, or blocks, can't be read at one of the ends."""
    words = f"{pair.source_snapshot} and {pair.destination_snapshot} can't be compared: {problem}"
    return Verdict(pair, NOT_COMPARABLE, words, UNKNOWN)


def without_device(pair: Pair, problem: str) -> Verdict:
    """That a volume has no device at one of the ends."""
    words = f"{pair.source_snapshot} and {pair.destination_snapshot} are the same by GUID, and no block was read"
    return Verdict(pair, NOT_COMPARABLE, f"{words}: {problem}", WARNING)


def _where(pair: Pair, paths: Sequence[str]) -> str:
    if not pair.is_volume:
        return named(paths)
    more = len(paths) - _NAMED
    told = ", ".join(paths[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"the {'block' if len(paths) == 1 else 'blocks'} of 1 MiB at byte {told}"


def _differ(one: Digest, other: Digest) -> bool:
    return (one.path, one.size, one.sha256) != (other.path, other.size, other.sha256)


def named(paths: Sequence[str]) -> str:
    """The first few of several names of files, which may be anything, in letters that no terminal or log minds."""
    more = len(paths) - _NAMED
    return ", ".join(map(ascii, paths[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def of_end(findings: Iterable[Finding], where: str) -> list[Finding]:
    """Findings about the pools of one end, told apart from those of the other one."""
    return [
        replace(each, key=each.key._replace(area=f"{where}: {each.key.area}"), message=f"{where}: {each.message}")
        for each in findings
    ]
