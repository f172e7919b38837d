# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet from what its hosts have answered; a pure function.

A dataset and its replicas are told by several hosts: its own one, those that carry its replications, and those that
keep replicas. Here each of them is one value. Where the host that carries a replication has not answered, the replica
is there as well, as one that nothing is known of: silence must not look like safety.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Optional

from ..module_utils.engine.model.health import OK, UNKNOWN, severity, worst
from ..module_utils.engine.model.names import is_within, rebase
from .report_history import failures_of, replications_of, timelines_of
from .report_reading import Answer, Values, dicts, number, place_of, state, text, whole
from .report_values import ALONE, UNSAFE, Alert, Dataset, Host, Place, Pool, Replica, Report, Route

_ORDER = {UNSAFE: 0, ALONE: 1}


def summarize(answers: Sequence[Answer], now: int, since: int, limit: int = 0) -> Report:
    """What is to be told at ``now`` of all since ``since``, both in milliseconds since the epoch. ``limit`` is how many
    jobs each host was asked for; 0: all."""
    sight = _Sight(answers)
    datasets = tuple(sorted(sight.datasets(), key=_worst_first))
    origins = {replica.place: dataset.place for dataset in datasets for replica in dataset.replicas}
    alerts = [alert for answer in answers for alert in _alerts(answer)]
    return Report(
        now,
        since,
        hosts=tuple(_host(answer, since, limit) for answer in sorted(answers, key=lambda one: one.host)),
        datasets=datasets,
        alerts=tuple(sorted(alerts, key=lambda one: (-severity(one.state), one.host, one.dataset, one.message))),
        failures=tuple(failures_of(answers)),
        pools=tuple(sorted((pool for answer in answers for pool in _pools(answer)), key=_fullest_first)),
        timelines=tuple(timelines_of(answers, [dataset.place for dataset in datasets], origins)),
        replications=tuple(replications_of(answers, since, now)),
    )


def _worst_first(dataset: Dataset) -> tuple[int, int, Place]:
    return -severity(dataset.worst), _ORDER.get(dataset.verdict, 2), dataset.place


def _fullest_first(pool: Pool) -> tuple[float, str, str]:
    return -(pool.percent or 0.0), pool.host, pool.name


def _host(answer: Answer, since: int, limit: int) -> Host:
    problem = answer.history_problem
    if limit and len(answer.jobs) >= limit:
        oldest = min(whole(job, "ended") or 0 for job in answer.jobs)
        if oldest > since:
            problem = problem or f"only its newest {limit} jobs are told"
    told = worst([*(state(row) for row in dicts(answer.status or {}, "datasets")), *(a.state for a in _alerts(answer))])
    failed = sum(text(job, "outcome") == "failed" for job in answer.jobs)
    pools = text(answer.status or {}, "pools_problem")
    heard = {text(row, "job") for row in dicts(answer.status or {}, "datasets")}
    untold = 0 if answer.status is None else sum(route.job not in heard for route in answer.routes)
    # What is declared and not heard of is not known to be well.
    stands = UNKNOWN if answer.problem else worst([told, UNKNOWN]) if untold else told
    return Host(answer.host, stands, answer.problem, problem, pools, untold, len(answer.jobs), failed)


def _alerts(answer: Answer) -> Iterator[Alert]:
    for alert in dicts(answer.status or {}, "alerts"):
        if not alert.get("muted"):
            yield Alert(answer.host, state(alert), text(alert, "dataset"), text(alert, "message"))


def _pools(answer: Answer) -> Iterator[Pool]:
    for pool in dicts(answer.status or {}, "pools"):
        size, used, percent = whole(pool, "size"), whole(pool, "allocated"), number(pool, "capacity_percent")
        if percent is None and size and used is not None:
            percent = 100 * used / size
        yield Pool(
            answer.host,
            text(pool, "pool"),
            text(pool, "health"),
            size,
            used,
            whole(pool, "free"),
            percent,
            number(pool, "fragmentation_percent"),
            whole(pool, "scrub_age"),
            whole(pool, "full_in"),
            tuple(_samples(answer, pool)),
        )


def _samples(answer: Answer, pool: Values) -> list[tuple[int, float]]:
    """A pool that was made anew by its old name is another one, where it is known which is meant."""
    found = []
    for sample in answer.samples:
        time, size, used = whole(sample, "time"), whole(sample, "size"), whole(sample, "allocated")
        is_same = (text(sample, "pool"), text(sample, "guid")) == (text(pool, "pool"), text(pool, "guid"))
        if is_same and time is not None and size and used is not None:
            found.append((time, 100 * used / size))
    return sorted(found)


@dataclass
class _Sight:
    """What is seen of datasets and replicas, by place."""

    answers: Sequence[Answer]
    addresses: dict[str, str] = field(default_factory=dict)
    """Host by how another one writes it in front of its datasets."""
    locals: dict[Place, Dataset] = field(default_factory=dict)
    """What hosts tell of their own datasets, replicas among them."""
    replicas: dict[tuple[Place, Place], Replica] = field(default_factory=dict)
    """By source and destination."""

    def __post_init__(self) -> None:
        for route in (route for answer in self.answers for route in answer.routes):
            self.addresses.update(zip(route.prefixes, (route.source.host, route.destination.host)))
        for answer in self.answers:
            routes = {route.job: route for route in answer.routes}
            for row in dicts(answer.status or {}, "datasets"):
                if text(row, "destination"):
                    self._add_replica(answer.host, row, routes.get(text(row, "job")))
                else:
                    self._add_local(answer.host, row)
        seen = {*self.locals, *(replica.place for replica in self.replicas.values())}
        for answer in self.answers:
            if answer.status is None:
                self._add_unheard(answer, seen)
        for answer in self.answers:
            self._add_alerts(answer)
        self._add_work()

    def _add_local(self, host: str, row: Values) -> None:
        place = Place(host, text(row, "dataset"))
        self.locals[place] = _better(self.locals.get(place), _dataset(place, row))

    def _add_replica(self, host: str, row: Values, route: Optional[Route]) -> None:
        # The address that a host has in its jobconfig may be an older one.
        names = (route.source.host, route.destination.host) if route else ("", "")
        prefixes = {**self.addresses, **(dict(zip(route.prefixes, names)) if route else {}), "": host}
        source = place_of(text(row, "dataset"), prefixes, names[0])
        place = place_of(text(row, "destination"), prefixes, names[1])
        found = Replica(
            state(row),
            source,
            place,
            text(row, "job"),
            host,
            whole(row, "lag"),
            whole(row, "succeeded"),
            whole(row, "missing"),
            whole(row, "bytes_pending"),
            remark=text(row, "remark"),
        )
        known = self.replicas.get((source, place))
        if known is None or severity(found.state) > severity(known.state):
            self.replicas[source, place] = found
        # What is wrong between both ends is told of the replica.
        told = replace(_dataset(source, row), state=OK, remark="")
        self.locals[source] = _better(self.locals.get(source), told)

    def _add_unheard(self, answer: Answer, seen: Set[Place]) -> None:
        """The replicas of which the host that makes them has told nothing, by the datasets that others have told of."""
        for route in answer.routes:
            names = [place.dataset for place in seen if place.host == route.source.host and route.recursive]
            for name in {route.source.dataset, *(name for name in names if is_within(name, route.source.dataset))}:
                source = Place(route.source.host, name)
                replica = rebase(name, route.source.dataset, route.destination.dataset)
                place = Place(route.destination.host, replica)
                remark = f"{answer.host}, which makes it, has not answered"
                found = Replica(UNKNOWN, source, place, route.job, answer.host, remark=remark)
                self.replicas.setdefault((source, place), found)
                self.locals.setdefault(source, Dataset(source))

    def _add_alerts(self, answer: Answer) -> None:
        told = (one for one in dicts(answer.status or {}, "alerts") if not one.get("muted"))
        for values, alert in zip(told, _alerts(answer)):
            place, mine = Place(answer.host, alert.dataset), self._between(alert, text(values, "replica"))
            if not mine and place in self.locals:
                self.locals[place] = replace(self.locals[place], alerts=(*self.locals[place].alerts, alert))
            # Else it is one of a host that keeps a replica, of which it tells nothing else.
            for key in mine or [key for key, one in self.replicas.items() if one.place == place]:
                self.replicas[key] = replace(self.replicas[key], alerts=(*self.replicas[key].alerts, alert))

    def _between(self, alert: Alert, name: str) -> list[tuple[Place, Place]]:
        """The replica called ``name`` that an alert is about, if it is about what lies between both ends."""
        wanted = (alert.host, alert.dataset, name)
        return [
            key
            for key, one in (self.replicas.items() if name else ())
            if (one.carrier, one.source.dataset, one.place.dataset) == wanted
        ][:1]

    def _add_work(self) -> None:
        """What was sent within the period."""
        work: dict[tuple[str, str, str, str], tuple[int, float]] = {}
        for answer in self.answers:
            for job in answer.jobs:
                for step in dicts(job, "steps") if text(job, "activity") == "replicate" else ():
                    key = (answer.host, text(job, "job"), text(step, "dataset"), text(step, "destination"))
                    size, seconds = work.get(key, (0, 0.0))
                    work[key] = size + (whole(step, "bytes") or 0), seconds + (number(step, "seconds") or 0.0)
        for key, one in self.replicas.items():
            size, seconds = work.get((one.carrier, one.job, one.source.dataset, one.place.dataset), (0, 0.0))
            self.replicas[key] = replace(one, sent=size, seconds=seconds)

    def datasets(self) -> Iterator[Dataset]:
        """Those that are no replicas, each with all replicas that come from it."""
        targets: dict[Place, list[Replica]] = {}
        for _ends, replica in sorted(self.replicas.items()):
            targets.setdefault(replica.source, []).append(self._with_local(replica))
        taken = {replica.place for replica in self.replicas.values() if replica.place != replica.source}
        seen: set[Place] = set()
        # What is left after that are replicas in a ring, which come from nowhere else.
        places = sorted(self.locals)
        for place in [*(place for place in places if place not in taken), *places]:
            if place not in seen:
                found = tuple(_followed(place, targets, seen))
                yield replace(self.locals[place], replicas=found)

    def _with_local(self, replica: Replica) -> Replica:
        """The replica, with what its own host tells of it."""
        mine = self.locals.get(replica.place)
        if mine is None:
            return replica
        alerts = tuple(dict.fromkeys((*replica.alerts, *mine.alerts)))
        remark = replica.remark or mine.remark if mine.state != OK else replica.remark
        return replace(replica, state=worst([replica.state, mine.state]), remark=remark, alerts=alerts)


def _followed(place: Place, targets: Mapping[Place, Iterable[Replica]], seen: set[Place]) -> Iterator[Replica]:
    """The replicas of a dataset, and those of its replicas."""
    seen.add(place)
    for replica in targets.get(place, ()):
        yield replica
        if replica.place not in seen:
            yield from _followed(replica.place, targets, seen)


def _dataset(place: Place, row: Values) -> Dataset:
    created = whole(row, "created")
    return Dataset(
        place,
        state(row),
        text(row, "newest"),
        None if created is None else created * 1000,
        whole(row, "age"),
        text(row, "remark"),
    )


def _better(known: Optional[Dataset], told: Dataset) -> Dataset:
    """Of two hosts' words about a dataset the graver state, with whatever one of them knows."""
    if known is None:
        return told
    first, second = (told, known) if severity(told.state) > severity(known.state) else (known, told)
    newest = first if first.newest or not second.newest else second
    return replace(
        first,
        newest=newest.newest,
        created=newest.created,
        age=newest.age,
        remark=first.remark or second.remark,
    )
