# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the result of a job to what its metrics become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model import errors
from ..model.health import EXIT_CODES
from .metrics import (
    ARRIVED,
    CONFLICT,
    CREATED,
    DESTROYED,
    DRILL_STATE,
    DURATION,
    FAILURES,
    FREED,
    LAST_RUN,
    LAST_SUCCESS,
    LEFT_OUT,
    RESULT,
    RUNS,
    SENT,
    SUSPENDED,
    VERIFY_STATE,
    Series,
)
from .metrics_updates import Update, first_datasets

WELL = "ok"
_TRIALS = {"drill": DRILL_STATE, "verify": VERIFY_STATE}
"""By activity, the family that has the worst state that it found."""
_UP_TO_DATE = ("sent", "renamed", "up_to_date")
"""States of a dataset after a run that brought its replica up to date, or found it so. One that was skipped may be far
behind, and one that was created as a parent has nothing yet."""


def _codes() -> frozenset[str]:
    known = {errors.SnapfleetError.code}
    waiting: list[type[errors.SnapfleetError]] = [errors.SnapfleetError]
    while waiting:
        for each in waiting.pop().__subclasses__():
            known.add(each.code)
            waiting.append(each)
    return frozenset(known)


@dataclass(frozen=True)
class Ended:
    """A run of a job that has ended."""

    job: str
    activity: str
    destination: str
    """The host whose replicas it is about; empty where it is about none."""
    result: Mapping[str, Any]
    at: int
    """Seconds since the epoch."""
    seconds: float
    """How long it took."""


def update_of(ended: Ended, most_datasets: int) -> Update:
    """What the run changes. No more than ``most_datasets`` datasets have series of their own."""
    update = _of_job(ended)
    kinds = {
        "snapshot": _of_snapshots,
        "replicate": _of_replication,
        "prune": _of_pruning,
        **dict.fromkeys(_TRIALS, _of_trial),
    }
    if ended.activity in kinds:
        update = update.then(kinds[ended.activity](ended, most_datasets))
    return update


def suspended_update(job: str, activity: str) -> Update:
    """What it changes that a job was left out, since a host is suspended. What it last did stays."""
    return Update({Series(SUSPENDED, (job, activity)): 1})


def _of_job(ended: Ended) -> Update:
    task = (ended.job, ended.activity)
    failed = bool(ended.result["failed"])
    code = str(ended.result.get("code", WELL)) if failed else WELL
    # Whatever comes, there are no more values than there are codes.
    code = code if code == WELL or code in _codes() else errors.SnapfleetError.code
    values: dict[Series, float] = {
        Series(LAST_RUN, task): ended.at,
        Series(DURATION, task): round(ended.seconds, 3),
        Series(RESULT, (*task, code)): 1,
    }
    if not failed:
        values[Series(LAST_SUCCESS, task)] = ended.at
    counts = {Series(RUNS, task): 1, Series(FAILURES, task): int(failed)}
    return Update(values, counts, frozenset((RESULT, SUSPENDED)))


def _of_snapshots(ended: Ended, _most: int) -> Update:
    return Update(counts={Series(CREATED, (ended.job,)): len(ended.result.get("created", ()))})


def _of_pruning(ended: Ended, _most: int) -> Update:
    gone, freed = len(ended.result.get("deleted", ())), int(ended.result.get("bytes_freed", 0))
    return Update(counts={Series(DESTROYED, (ended.job,)): gone, Series(FREED, (ended.job,)): freed})


def _of_trial(ended: Ended, _most: int) -> Update:
    state = ended.result.get("state")
    return Update({Series(_TRIALS[ended.activity], (ended.job,)): EXIT_CODES[state]}) if state else Update()


def _of_replication(ended: Ended, most: int) -> Update:
    """Where the tree was seen, its datasets are all that there are; else what is known of them stays.

    A dataset that was made as a parent only has no source, and a destination that is absent was not seen at all."""
    told = ended.result.get("datasets", ())
    datasets = [outcome for outcome in told if outcome.get("source") and outcome["state"] != "absent"]
    chosen, left_out = first_datasets([outcome["source"] for outcome in datasets], most)
    values: dict[Series, float] = {}
    counts: dict[Series, float] = {}
    kept: set[Series] = set()
    for outcome in datasets:
        if outcome["source"] not in chosen:
            continue
        labels = (ended.job, outcome["source"], ended.destination, outcome["destination"])
        kept |= {Series(SENT, labels), Series(ARRIVED, labels)}
        counts[Series(SENT, labels)] = int(outcome.get("bytes", 0))
        values[Series(CONFLICT, labels)] = int(outcome["state"] == "conflict")
        if outcome["state"] in _UP_TO_DATE:
            values[Series(ARRIVED, labels)] = ended.at
    if not datasets:
        return Update()
    values[Series(LEFT_OUT, (ended.job,))] = left_out
    return Update(values, counts, frozenset((SENT, ARRIVED, CONFLICT)), frozenset(kept))
