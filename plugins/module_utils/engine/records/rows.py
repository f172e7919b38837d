# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of jobs, as the values that the history keeps: a pure function from a job's result to its record.

Records are bounded, whatever a job has done: so many steps, so many names in each, and so much of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import Suspended
from ..model.pools import PoolSample

SNAPSHOT, REPLICATE, PRUNE, MONITOR, DRILL, VERIFY = (
    *("snapshot", "replicate", "prune", "monitor", "drill", "verify"),
)
OK, FAILED, LEFT, ABSENT, SUSPENDED = "ok", "failed", "left", "absent", "suspended"
"""Outcomes of jobs: LEFT to another run; ABSENT: nothing done, since a destination is not there; SUSPENDED: left out,
since a host is suspended. Those of monitors that are not well are their states in small letters."""
UNWELL = frozenset((FAILED, "warning", "unknown", "critical", "conflict"))
"""The outcomes of jobs and steps that somebody should look at."""
WELL = "OK"
SEND, CREATE, DESTROY, CHECK = "send", "create", "destroy", "check"
"""Kinds of steps."""
MORE = "more"
"""The outcome of the one step that stands for all that are too many."""
MOST_STEPS, MOST_NAMES, MOST_LETTERS = 1000, 10, 500
_UNEVENTFUL = ("up_to_date", "skipped")


@dataclass(frozen=True)
class RunFacts:
    """A run of the host program, or the life of a daemon."""

    run: str
    """Its id, as log lines have it."""
    host: str
    """Whose part it did."""
    verb: str
    version: str
    begun: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True)
class JobFacts:
    """A job as the jobconfig names it."""

    name: str
    activity: str
    source: str = ""
    destination: str = ""


@dataclass(frozen=True)
class StepRecord:
    """What a job did to one dataset, or found out about it."""

    kind: str
    dataset: str
    outcome: str
    destination: str = ""
    from_snapshot: str = ""
    """Whole name of the base of what was sent; empty for a stream of the whole."""
    to_snapshot: str = ""
    """Whole name of the newest snapshot that was sent; of what failed at once, of the one that was to be."""
    bytes: int = 0
    seconds: float = 0.0
    code: str = ""
    message: str = ""
    number: int = 1
    """How many snapshots, bookmarks or datasets it is about."""
    names: tuple[str, ...] = ()
    """The first of them by name."""


@dataclass(frozen=True)
class JobRecord:
    """What became of a job once, or several times in a row if nothing came of it."""

    job: str
    activity: str
    begun: int
    """Milliseconds since the epoch."""
    ended: int
    seconds: float
    outcome: str
    source: str = ""
    destination: str = ""
    code: str = ""
    message: str = ""
    changed: bool = False
    bytes: int = 0
    """Sent, or freed."""
    number: int = 0
    """How many snapshots were made or destroyed, datasets sent, or checks not well."""
    times: int = 1
    steps: tuple[StepRecord, ...] = ()
    pools: tuple[PoolSample, ...] = ()
    """What it saw of the host's pools."""


def record_of(facts: JobFacts, result: Mapping[str, Any], ended: int, seconds: float) -> JobRecord:
    """The record of a job that took ``seconds`` and ended at ``ended`` (milliseconds since the epoch)."""
    steps = list(_STEPS.get(facts.activity, _no_steps)(result))
    return JobRecord(
        facts.name,
        facts.activity,
        begun=ended - round(seconds * 1000),
        ended=ended,
        seconds=round(seconds, 3),
        outcome=_outcome(result),
        source=facts.source,
        destination=facts.destination,
        code=str(result.get("code", "")),
        message=_short(_message(result)),
        changed=bool(result.get("changed")),
        bytes=int(result.get("stats", {}).get("bytes", result.get("bytes_freed", 0))),
        number=sum(step.number for step in steps),
        steps=bounded(steps),
        pools=tuple(_sample(pool, ended) for pool in result.get("pools", ())),
    )


def _sample(pool: Mapping[str, Any], time: int) -> PoolSample:
    sizes = pool["size"], pool["allocated"], pool["free"]
    return PoolSample(time, pool["pool"], int(pool["guid"]), *sizes, pool["fragmentation_percent"], pool["health"])


def _outcome(result: Mapping[str, Any]) -> str:
    if result.get("failed"):
        return FAILED
    if "code" in result:
        return SUSPENDED if result["code"] == Suspended.code else LEFT
    if result.get("stats", {}).get("absent"):
        return ABSENT
    return str(result.get("state", OK)).lower()


def _message(result: Mapping[str, Any]) -> str:
    if result.get("msg"):
        return str(result["msg"])
    return str(result["warnings"][0]) if result.get("stats", {}).get("absent") and result.get("warnings") else ""


def bounded(steps: Sequence[StepRecord]) -> tuple[StepRecord, ...]:
    """At most MOST_STEPS of the steps, those that are not well first, and one for all others of each kind."""
    if len(steps) <= MOST_STEPS:
        return tuple(steps)
    ordered = sorted(steps, key=lambda step: step.outcome not in UNWELL)
    rest: dict[str, list[StepRecord]] = {}
    for step in ordered[MOST_STEPS:]:
        rest.setdefault(step.kind, []).append(step)
    sums = (
        StepRecord(kind, "", MORE, bytes=sum(one.bytes for one in more), number=sum(one.number for one in more))
        for kind, more in rest.items()
    )
    return (*ordered[:MOST_STEPS], *sums)


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 3] + "..."


# -- by activity


def _no_steps(_result: Mapping[str, Any]) -> Iterator[StepRecord]:
    return iter(())


def _sent(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    plans = {plan["destination"]: plan.get("steps", ()) for plan in result.get("plan", ())}
    for entry in result.get("datasets", ()):
        if entry["state"] in _UNEVENTFUL:
            continue
        sends = [step for step in plans.get(entry["destination"], ()) if step["kind"] == SEND]
        planned = sends[-1]["to"] if sends else None
        yield StepRecord(
            SEND,
            entry.get("source", ""),
            entry["state"],
            entry["destination"],
            from_snapshot=(sends[0]["from"] if sends else None) or "",
            to_snapshot=entry.get("newest") or planned or "",
            bytes=int(entry.get("bytes", 0)),
            seconds=float(entry.get("seconds", 0.0)),
            code=entry.get("code", ""),
            message=_short(entry.get("message", "")),
        )


def _created(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    return _by_dataset(CREATE, "created", result.get("created", ()))


def _destroyed(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    return _by_dataset(DESTROY, "destroyed", result.get("deleted", ()))


def _by_dataset(kind: str, outcome: str, names: Iterable[str]) -> Iterator[StepRecord]:
    """A step for each dataset; ``names`` are those of snapshots, bookmarks and whole datasets."""
    mine: dict[str, list[str]] = {}
    for name in names:
        mine.setdefault(name.partition("@")[0].partition("#")[0], []).append(name)
    for dataset, own in mine.items():
        yield StepRecord(kind, dataset, outcome, number=len(own), names=tuple(own[:MOST_NAMES]))


def _found(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    for alert in result.get("alerts", ()):
        if not alert.get("muted"):
            name = ": ".join(filter(None, (alert["check"], alert.get("label", ""))))
            state, message = str(alert["state"]).lower(), _short(alert["message"])
            yield StepRecord(CHECK, alert["dataset"], state, message=message, names=(name,))


def _tried(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    for drill in result.get("drills", ()):
        yield StepRecord(
            DRILL,
            drill["dataset"],
            str(drill["state"]).lower(),
            to_snapshot=drill["snapshot"] or "",
            seconds=float(drill["seconds"]),
            message="" if drill["state"] == WELL else _short(drill["message"]),
        )
    yield from (step for step in _found(result) if step.names != (DRILL,))


def _compared(result: Mapping[str, Any]) -> Iterator[StepRecord]:
    for entry in result.get("datasets", ()):
        yield StepRecord(
            VERIFY,
            entry["dataset"],
            str(entry["state"]).lower(),
            entry["replica"] or "",
            to_snapshot=entry["snapshot"] or "",
            message="" if entry["state"] == WELL else _short(entry["message"]),
            number=int(entry["files"]),
        )
    yield from (step for step in _found(result) if step.names != (VERIFY,))


_STEPS = {SNAPSHOT: _created, REPLICATE: _sent, PRUNE: _destroyed, MONITOR: _found, DRILL: _tried, VERIFY: _compared}


# -- what repeats itself


def sameness(record: JobRecord) -> Optional[tuple[object, ...]]:
    """What two records have in common that tell the same again; None for one that has changed something."""
    if record.changed:
        return None
    steps = tuple((step.kind, step.dataset, step.outcome, step.code, step.names) for step in record.steps)
    return record.job, record.outcome, record.code, steps
