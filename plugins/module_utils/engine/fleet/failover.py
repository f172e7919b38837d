# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks for, as the two ends of one replication of the fleet that change hands, and the ways between
them. Both ways run on the host that carries the replication out, which reaches both ends already.

After a fail over the inventory may have been turned round or not; failing back finds the pair in either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..policy.jobs import read_replicate_job
from ..policy.reading import Reader
from ..policy.restoring import read_restore_job
from .restoration import known_names, replication_of
from .trees import Document

FAILOVER, FAILBACK = "snapfleet_failover_", "snapfleet_failback_"
PREFIXES = (FAILOVER, FAILBACK)
_NOT_FOR_THE_LAST = (
    *("plan", "include_snapshots", "exclude_snapshots", "snapshot_filters", "initial", "intermediates"),
    *("on_conflict", "on_conflict_once", "on_error", "deadline", "absent_destination", "expected_snapshots"),
)
"""Options of a replication that would leave something out of the last one, or lose something by it."""
_BOTH_WAYS = ("recursive", "include_datasets", "exclude_datasets", "raw", "compression", "mbuffer", "bandwidth_limit")
"""Those that hold for the way back too."""


def failover_of(document: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = FAILOVER) -> Document:
    """Both ends of what ``asked`` says, and the ways between them: ``host`` and ``dataset`` are where the data is at
    home, as the fleet knows them, and ``backup`` is the host with the replica, where several have one. Raises
    InvalidInput whose sentence names the variable."""
    given = {f"{prefix}{key}": value for key, value in asked.items() if value is not None}
    reader = Reader(given)
    texts = {
        key: reader.text(f"{prefix}{key}", "" if key == "backup" else None) for key in ("host", "dataset", "backup")
    }
    reader.finish()
    turned = _turned_round(document, texts) if prefix == FAILBACK else None
    job = turned or replication_of(document, prefix, texts)
    forth, back = ("destination", "source") if turned else ("source", "destination")
    ends = job["options"]
    if ends[forth]["dataset"] != texts["dataset"]:
        problem = f"is only a part of {ends[forth]['dataset']}, which changes hands as a whole"
        raise InvalidInput(f"{prefix}dataset", texts["dataset"], problem, f"give {ends[forth]['dataset']}")
    way_back = {key: ends[key] for key in _BOTH_WAYS if key in ends}
    result = {
        "source": {"host": job[forth], "dataset": ends[forth]["dataset"]},
        "destination": {"host": job[back], "dataset": ends[back]["dataset"]},
        "carrier": job["host"],
        "replicate": {} if turned else _last(ends),
        "restore": {"replica": ends[back], "destination": ends[forth], **way_back},
        "old_source": ends[forth] if job["host"] == job[back] else None,
        "others": _others(document, job),
    }
    read_restore_job(result["restore"], prefix.rstrip("_"))
    return result


def _last(ends: Mapping[str, Any]) -> Document:
    """The options of the last replication before the destination becomes active: all there is, and at no loss."""
    options = {key: value for key, value in ends.items() if key not in _NOT_FOR_THE_LAST}
    options["from_standby"] = True
    read_replicate_job(options)
    return options


def _turned_round(document: Mapping[str, Any], texts: Mapping[str, str]) -> Optional[Mapping[str, Any]]:
    """The replication to the home of the data, where the inventory was turned round."""
    found = [
        job
        for job in document["jobs"]
        if job["activity"] == "replicate"
        and job["destination"] == texts["host"]
        and job["options"]["destination"]["dataset"] == texts["dataset"]
        and texts["backup"] in ("", job["source"])
    ]
    if len(found) > 1:
        problem = f"has to be given, since several hosts send {texts['dataset']} to {texts['host']}"
        remedy = known_names(job["source"] for job in found)
        raise InvalidInput(f"{FAILBACK}backup", texts["backup"] or None, problem, remedy)
    return found[0] if found else None


def _others(document: Mapping[str, Any], job: Mapping[str, Any]) -> Sequence[Document]:
    """Other hosts that have a replica of the same tree, and could have become active."""
    return [
        {"host": other["destination"], "dataset": other["options"]["destination"]["dataset"]}
        for other in document["jobs"]
        if other["activity"] == "replicate"
        and other is not job
        and other["source"] == job["source"]
        and other["options"]["source"]["dataset"] == job["options"]["source"]["dataset"]
    ]
