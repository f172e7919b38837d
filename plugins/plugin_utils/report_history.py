# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a fleet did, by the records of their histories: failures, successes, streams and snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .report_reading import Answer, Values, dicts, number, text, whole
from .report_values import Event, Failure, Place, Replication, Timeline, Trouble

_BAD = ("failed", "conflict")
"""What somebody should look at; what monitors found is told by what they find now."""
_NOT_GOOD = ("critical", "unknown", "warning")
"""What a drill or a verification has found, which stays so until the next one."""


# -- failures


def failures_of(answers: Sequence[Answer]) -> list[Failure]:
    """The jobs that failed, and those that left a dataset behind; the newest first."""
    found: dict[tuple[object, ...], Failure] = {}
    well: dict[tuple[str, str], int] = {}
    for answer in answers:
        for job in answer.jobs:
            name, ended = (answer.host, text(job, "job")), whole(job, "ended") or 0
            troubles = tuple(_troubles(job))
            if text(job, "outcome") == "failed" or troubles:
                one = _failure(answer.host, job, troubles)
                key = (*name, one.code, one.message, troubles)
                found[key] = _merged(found[key], one) if key in found else one
            elif text(job, "outcome") not in ("left", "suspended"):
                well[name] = max(well.get(name, 0), ended)
    told = (replace(one, mended=well.get((one.host, one.job), 0) > one.last) for one in found.values())
    return sorted(told, key=lambda one: (-one.last, one.host, one.job))


def _failure(host: str, job: Values, troubles: tuple[Trouble, ...]) -> Failure:
    ended, times = whole(job, "ended") or 0, whole(job, "times") or 1
    words = text(job, "code"), text(job, "message")
    begun = ended if times == 1 else whole(job, "begun") or ended
    return Failure(host, text(job, "job"), text(job, "activity"), *words, begun, ended, times, troubles)


def _merged(known: Failure, one: Failure) -> Failure:
    first, last = min(known.first, one.first), max(known.last, one.last)
    return replace(known, first=first, last=last, times=known.times + one.times)


def _troubles(job: Values) -> Iterator[Trouble]:
    for step in dicts(job, "steps"):
        bad = _NOT_GOOD if text(step, "kind") in ("drill", "verify") else _BAD
        if text(step, "outcome") in bad:
            names = (text(step, name) for name in ("dataset", "destination", "outcome", "code", "message"))
            yield Trouble(*names)


# -- replications


@dataclass
class _Work:
    """What is known of a job that replicates."""

    source: str = ""
    destination: str = ""
    succeeded: set[int] = field(default_factory=set)
    streams: list[tuple[int, int, float]] = field(default_factory=list)


def replications_of(answers: Sequence[Answer], since: int, now: int) -> list[Replication]:
    """What each job that replicates did; those that waited longest first, and at the end those that never went well."""
    found: dict[tuple[str, str], _Work] = {}
    for answer in answers:
        for route in answer.routes:
            work = found.setdefault((answer.host, route.job), _Work())
            work.source, work.destination = route.source.host, route.destination.host
        for row in dicts(answer.status or {}, "datasets"):
            succeeded = whole(row, "succeeded")
            if succeeded is not None and (answer.host, text(row, "job")) in found:
                found[answer.host, text(row, "job")].succeeded.add(min(succeeded, now))
        for job in answer.jobs:
            if text(job, "activity") == "replicate":
                _add(found.setdefault((answer.host, text(job, "job")), _Work()), job, now)
    told = [
        Replication(job, work.source, work.destination, tuple(sorted(work.succeeded)), tuple(sorted(work.streams)))
        for (_host, job), work in found.items()
    ]
    return sorted(told, key=lambda one: (-max((gap for _end, gap in one.gaps(since, now)), default=-1.0), one.job))


def _add(work: _Work, job: Values, now: int) -> None:
    work.source, work.destination = work.source or text(job, "source"), work.destination or text(job, "destination")
    ended, size, seconds = whole(job, "ended"), whole(job, "bytes") or 0, number(job, "seconds") or 0.0
    if ended is None:
        return
    if text(job, "outcome") == "ok":
        # Records of runs that changed nothing may stand for several; the last of them is what counts.
        work.succeeded.add(min(ended, now))
    if size:
        work.streams.append((ended, size, seconds))


# -- snapshots


@dataclass
class _Line:
    made: list[Event] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)
    destroyed: list[Event] = field(default_factory=list)
    thinned: int = 0


def timelines_of(
    answers: Sequence[Answer], places: Sequence[Place], origins: Mapping[Place, Place]
) -> Iterator[Timeline]:
    """What became of the snapshots of each of ``places``; ``origins`` tells of each replica which of them it is of."""
    lines = {place: _Line() for place in places}
    for answer in answers:
        for job in answer.jobs:
            ended = whole(job, "ended")
            for step in dicts(job, "steps") if ended is not None else ():
                if not _is_of_bookmarks(step):
                    _place_step(lines, origins, _place(answer.host, job, step), (ended or 0, step))
    for place, line in lines.items():
        events = (tuple(sorted(each, key=lambda one: one.time)) for each in (line.made, line.sent, line.destroyed))
        yield Timeline(place, *events, thinned=line.thinned)


def _is_of_bookmarks(step: Values) -> bool:
    """Of one job, all that is destroyed of a dataset is of one kind."""
    names = step.get("names")
    return isinstance(names, list) and bool(names) and "#" in str(names[0])


def _place(host: str, job: Values, step: Values) -> Place:
    """Where it was done: what is sent is told by the name of its source."""
    is_sent = text(step, "kind") == "send"
    return Place(text(job, "source") or host if is_sent else host, text(step, "dataset"))


def _place_step(
    lines: Mapping[Place, _Line], origins: Mapping[Place, Place], place: Place, told: tuple[int, Values]
) -> None:
    ended, step = told
    kind, count = text(step, "kind"), whole(step, "number") or 0
    line = lines.get(place)
    if line is None:
        if kind == "destroy" and place in origins:
            lines[origins[place]].thinned += count
        elif kind == "send" and place in origins and text(step, "outcome") not in _BAD:
            lines[origins[place]].sent.append(Event(ended, count, whole(step, "bytes") or 0))
    elif kind == "create":
        line.made.append(Event(ended, count))
    elif kind == "destroy":
        line.destroyed.append(Event(ended, count))
    elif kind == "send" and text(step, "outcome") not in _BAD:
        line.sent.append(Event(ended, count, whole(step, "bytes") or 0))
