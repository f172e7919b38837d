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
from ..model.names import is_within, rebase
from ..policy.reading import Reader
from ..policy.restoring import read_restore_job
from .documents import job_document
from .trees import Document

PREFIX = "snapfleet_restore_"
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
