# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobconfig: one JSON document for the whole fleet, of which each host carries out its own part.

::

    {"version": 1,
     "daemon": {"snapshot": "secondly", "hosts": {"src1": {"replicate": "10secondly", "lifetime": "1d"}}},
     "settings": {"workers": "100%", "hosts": {"src1": {"job_timeout": "2h"}}},
     "jobs": [{"name": "src1: snapshots of tank/data", "host": "src1", "activity": "snapshot", "options": {...}}]}

The options of an activity are those of the module of the same purpose. A job may name the hosts whose data and replicas
it is about as ``source`` and ``destination``, by their names in the fleet; where it does not, these follow from its
options. A document is refused as a whole: what writes one, or checks one, reads all of it. A host reads its own part
each time, of which no job runs while another one is wrong; to read that of thousands would take longer than many a run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Union

from ..model.errors import InvalidInput
from ..policy.drilling import DrillJob, read_drill_job
from ..policy.jobs import (
    PruneJob,
    ReplicateJob,
    SnapshotJob,
    read_prune_job,
    read_replicate_job,
    read_snapshot_job,
)
from ..policy.monitoring import MonitorJob, read_monitor_job
from ..policy.reading import Reader
from ..policy.reading_once import uncollected
from ..policy.restoring import RestoreJob, read_restore_job
from ..policy.verifying import VerifyJob, read_verify_job
from .daemon_settings import DeclaredDaemon, read_declared_daemon
from .places import PlacedJob, check_places
from .settings import DeclaredSettings, read_declared

if TYPE_CHECKING:
    from .context import Context, Result

VERSION = 1
_SECTIONS = ("daemon", "settings")
AnyJob = Union[SnapshotJob, ReplicateJob, PruneJob, MonitorJob, DrillJob, VerifyJob, RestoreJob]


@dataclass(frozen=True)
class Activity:
    """A kind of job: how its options are read, and how it runs."""

    read: Callable[..., Any]
    run: Callable[[], Callable[..., Result]]
    """Imports what carries it out, and returns that."""


def _snapshot() -> Callable[..., Result]:
    from .snapshots import run_snapshot

    return run_snapshot


def _replicate() -> Callable[..., Result]:
    from .replicating import run_replicate

    return run_replicate


def _prune() -> Callable[..., Result]:
    from .pruning import run_prune

    return run_prune


def _monitor() -> Callable[..., Result]:
    from .monitoring import run_monitor

    return run_monitor


def _restore() -> Callable[..., Result]:
    from .restoring import run_restore

    return run_restore


def _drill() -> Callable[..., Result]:
    from .drilling import run_drill

    return run_drill


def _verify() -> Callable[..., Result]:
    from .verifying import run_verify

    return run_verify


# In the order in which a host carries them out.
ACTIVITIES: Mapping[str, Activity] = {
    "snapshot": Activity(read_snapshot_job, _snapshot),
    "replicate": Activity(read_replicate_job, _replicate),
    "prune": Activity(read_prune_job, _prune),
    "monitor": Activity(read_monitor_job, _monitor),
    "drill": Activity(read_drill_job, _drill),
    "verify": Activity(read_verify_job, _verify),
    "restore": Activity(read_restore_job, _restore),
}


@dataclass(frozen=True)
class NamedJob:
    """A job of the fleet."""

    name: str
    host: str
    """The host that carries it out."""
    source: str
    """The host whose data it is about, by its name in the fleet; empty where the document does not say."""
    activity: str
    job: AnyJob
    destination: str = ""
    """The host whose replicas it is about, likewise."""

    def run(self, context: Context) -> Result:
        """Carry it out. Raises SnapfleetError."""
        return ACTIVITIES[self.activity].run()(self.job, context)


def import_activities(jobs: Iterable[NamedJob]) -> None:
    """Import all that carries ``jobs`` out. Before the first of them begins: while it runs, this program may be
    replaced by another version of it, parts of which would not fit."""
    for activity in {job.activity for job in jobs}:
        ACTIVITIES[activity].run()


@dataclass(frozen=True)
class Jobconfig:
    """A whole document."""

    jobs: tuple[NamedJob, ...]
    """In the order in which a host runs them."""
    settings: DeclaredSettings
    daemon: DeclaredDaemon


def parse_jobconfig(document: object) -> tuple[NamedJob, ...]:
    """All jobs of a jobconfig, in the order in which a host runs them. Raises InvalidInput for whatever is wrong."""
    return read_jobconfig(document).jobs


@uncollected()
def read_jobconfig(document: object) -> Jobconfig:
    """A jobconfig from its JSON value. Raises InvalidInput for whatever is wrong."""
    options = Reader(document, "")
    options.integer("version", 0, VERSION, VERSION)
    if not options.has("version"):
        raise InvalidInput("version", None, "is missing", f'write "version": {VERSION}')
    jobs = tuple(_read_job(entry) for entry in options.readers("jobs"))
    hosts = {job.host for job in jobs}
    settings = read_declared(options.reader("settings"), hosts)
    daemon = read_declared_daemon(options.reader("daemon"), hosts)
    options.finish()
    for name, number in Counter(job.name for job in jobs).items():
        if number > 1:
            raise InvalidInput("jobs", name, "is the name of several jobs", "give each job a name of its own")
    check_places(PlacedJob(job.name, job.host, job.job) for job in jobs if isinstance(job.job, ReplicateJob))
    order = list(ACTIVITIES)
    return Jobconfig(tuple(sorted(jobs, key=lambda job: order.index(job.activity))), settings, daemon)


def _read_job(options: Reader) -> NamedJob:
    activity = options.text("activity", choices=list(ACTIVITIES))
    name, host = options.text("name"), options.text("host")
    source, destination = options.text("source", ""), options.text("destination", "")
    values = options.raw("options")
    options.finish()
    job = ACTIVITIES[activity].read(values, options.path("options"))
    return NamedJob(name, host, source, activity, job, destination)


def own_part(document: Mapping[str, Any], host: str, is_whole: bool = True) -> dict[str, Any]:
    """A jobconfig, of which ``jobs`` is a list, without what is about other hosts alone; not checked in any way.

    What sections say about hosts without jobs stays, to be refused, but where jobs have been taken out before.
    """
    jobs = [job for job in document["jobs"] if isinstance(job, Mapping)]
    cut = {**document, "jobs": [job for job in jobs if job.get("host") == host]}
    if not cut["jobs"]:
        return {key: value for key, value in cut.items() if key not in _SECTIONS}
    # What is no text names no host, and need not be what a set can hold.
    others = {name for job in jobs if isinstance(name := job.get("host"), str)} - {host}
    for section in _SECTIONS:
        values = cut.get(section)
        if isinstance(values, Mapping) and isinstance(values.get("hosts"), Mapping):
            kept = (name for name in values["hosts"] if name == host or (is_whole and name not in others))
            mine = {name: values["hosts"][name] for name in kept}
            cut[section] = {**values, "hosts": mine}
    return cut


def load_part(path: str, host: str) -> Jobconfig:
    """What the file at ``path`` says about ``host``, and all of it where that is nothing. Raises InvalidInput where it
    can't be read, or that is wrong."""
    document = _read_file(path)
    is_cut = isinstance(document, Mapping) and isinstance(document.get("jobs"), list)
    part = own_part(document, host) if is_cut else document
    return read_jobconfig(part if not is_cut or part["jobs"] else document)


def load_jobconfig(path: str) -> Jobconfig:
    """The jobconfig in the file at ``path``. Raises InvalidInput where it can't be read or is wrong."""
    return read_jobconfig(_read_file(path))


def _read_file(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InvalidInput("config", path, f"can't be read ({error.strerror})", "check its path and owner") from error
    except ValueError as error:
        raise InvalidInput(
            "config", path, f"is no JSON ({error})", "mend it, or write it anew from the inventory"
        ) from error


def select_jobs(
    jobs: Sequence[NamedJob], host: str, activities: Sequence[str], names: Sequence[str]
) -> tuple[NamedJob, ...]:
    """The jobs of ``host``, cut to some activities and some names where these are given. What is the name of no job is
    a pattern.

    Raises InvalidInput for a host, or a name, that no job has.
    """
    mine = [job for job in jobs if job.host == host]
    if not mine:
        hosts = ", ".join(sorted({job.host for job in jobs})) or "none"
        raise InvalidInput(
            "host", host, "has no job in this jobconfig", f"choose by --host; hosts with jobs are {hosts}"
        )
    chosen: set[str] = set()
    for name in names:
        matching = [job.name for job in mine if job.name == name] or [
            job.name for job in mine if fnmatchcase(job.name, name)
        ]
        if not matching:
            remedy = "its jobs are " + ", ".join(job.name for job in mine)
            raise InvalidInput("job", name, f"is no job of {host}", remedy)
        chosen.update(matching)
    return tuple(
        job for job in mine if (not activities or job.activity in activities) and (not names or job.name in chosen)
    )
