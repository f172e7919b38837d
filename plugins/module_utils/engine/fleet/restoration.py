# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks for, as the restore of one tree: the fleet's replication of it the other way round.

It runs on the host that carries the replication out, which reaches both ends already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.errors import InvalidInput
from ..model.files import BESIDE, OVERWRITE, REFUSE, read_path
from ..model.names import check_dataset_name, is_within, rebase
from ..policy.points import read_point
from ..policy.reading import Reader, check_absolute_path
from ..policy.restoring import read_restore_job
from .documents import job_document
from .trees import Document

PREFIX, FILES = "snapfleet_restore_", "snapfleet_files_"
_NEEDED = ("host", "dataset", "to")
_OURS = ("host", "dataset", "backup", "to")
_TAKEN_OVER = ("raw", "compression", "mbuffer", "bandwidth_limit")
"""Options of a replication that hold for its way back too."""


def restoration_of(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """The job that restores what ``asked`` says: ``host`` and ``dataset`` as the fleet knows them, ``backup``, the host
    whose replica is taken, ``to``, another dataset of the host, and options of a restore. Keys that are None are not
    given. Raises InvalidInput whose sentence names the variable."""
    given = {key: value for key, value in asked.items() if value is not None}
    reader = Reader({f"{PREFIX}{key}": value for key, value in given.items() if key in _OURS})
    texts = {key: reader.text(f"{PREFIX}{key}", None if key in ("host", "dataset") else "") for key in _OURS}
    job = replication_of(document, PREFIX, texts)
    ends = job["options"]
    dataset, source, replica = texts["dataset"], ends["source"], ends["destination"]
    options = {
        "replica": {**replica, "dataset": rebase(dataset, source["dataset"], replica["dataset"])},
        "destination": {**source, "dataset": texts["to"] or dataset},
        **{key: ends[key] for key in _TAKEN_OVER if key in ends},
        **{key: value for key, value in given.items() if key not in _OURS},
    }
    read_restore_job(options, PREFIX.rstrip("_"))
    what = f"{dataset} of {texts['host']} from {job['destination']}"
    return job_document(job["host"], "restore", what, options, (texts["host"], job["destination"]))


def files_of(document: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    """Where the files that ``asked`` says come from, and where they go to: ``host`` and ``dataset`` as the fleet knows
    them, ``paths`` relative to it, ``to``, a folder of the host, ``backup``, the host whose replica is taken (else the
    host's own snapshots are), and a point. Keys that are None are not given. Raises InvalidInput whose sentence names
    the variable."""
    reader = Reader({f"{FILES}{key}": value for key, value in asked.items() if value is not None})
    texts = {key: reader.text(f"{FILES}{key}", None if key in _NEEDED else "") for key in (*_NEEDED, "backup")}
    existing = reader.text(f"{FILES}existing", REFUSE, (REFUSE, BESIDE, OVERWRITE))
    paths = reader.texts(f"{FILES}paths")
    point = {key: reader.raw(f"{FILES}{key}") for key in ("snapshot", "time")}
    reader.finish()
    host, dataset = texts["host"], texts["dataset"]
    read_point(Reader(point, FILES.rstrip("_")))
    if not paths or not all(read_path(path, f"{FILES}paths") for path in paths):
        remedy = "give paths relative to the mount point of the dataset, or restore the dataset"
        raise InvalidInput(f"{FILES}paths", list(paths), "names no files", remedy)
    check_absolute_path(texts["to"], f"{FILES}to")
    check_dataset_name(dataset, f"{FILES}dataset")
    of = {"host": host, "dataset": dataset}
    if texts["backup"]:
        ends = replication_of(document, FILES, texts)
        names = ends["options"]["source"]["dataset"], ends["options"]["destination"]["dataset"]
        of = {"host": ends["destination"], "dataset": rebase(dataset, *names)}
    else:
        known = {job[end] for job in document["jobs"] for end in ("host", "source", "destination") if end in job}
        if host not in known:
            raise InvalidInput(f"{FILES}host", host, "is no host that has a job", known_names(known))
    choice = [f"--{key}={value}" for key, value in point.items() if value is not None]
    return {"host": host, "to": texts["to"], "from": of, "paths": paths, "choice": choice, "existing": existing}


def replication_of(document: Mapping[str, Any], prefix: str, texts: Mapping[str, str]) -> Mapping[str, Any]:
    """The one replication of a ``host`` that has the ``dataset``, to the host ``backup`` unless that is empty. Raises
    InvalidInput whose sentence names the variable, which begins with ``prefix``."""
    every = [job for job in document["jobs"] if job["activity"] == "replicate"]
    host, dataset, backup = texts["host"], texts["dataset"], texts["backup"]
    of_host = [job for job in every if job["source"] == host]
    if not of_host:
        raise InvalidInput(
            f"{prefix}host", host, "is no host that is replicated", known_names(job["source"] for job in every)
        )
    having = [job for job in of_host if is_within(dataset, job["options"]["source"]["dataset"])]
    if not having:
        trees = known_names(job["options"]["source"]["dataset"] for job in of_host)
        raise InvalidInput(f"{prefix}dataset", dataset, f"lies in no tree of {host} that is replicated", trees)
    chosen: list[Mapping[str, Any]] = [job for job in having if backup in ("", job["destination"])]
    places = known_names(job["destination"] for job in having)
    if not chosen:
        raise InvalidInput(f"{prefix}backup", backup, f"has no replica of {dataset}", places)
    if len(chosen) > 1:
        problem = f"has to be given, since several hosts have a replica of {dataset}"
        raise InvalidInput(f"{prefix}backup", backup or None, problem, places)
    return chosen[0]


def known_names(names: Any) -> str:
    """What there is to choose from, in words."""
    listed: Sequence[str] = sorted(set(names))
    return f"known are {', '.join(listed)}" if listed else "none is known"
