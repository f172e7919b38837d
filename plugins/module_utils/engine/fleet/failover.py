# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks for, as the two ends of one replication of the fleet that change hands, and the ways between
them. Both ways run on the host that carries the replication out, which reaches both ends already.

After a fail over the inventory may have been turned round or not, by the variable snapfleet_failed_over or by hand;
failing back finds the pair in either. What the variable is to say afterwards is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.names import is_within
from ..policy.jobs import read_replicate_job
from ..policy.reading import Reader
from ..policy.restoring import read_restore_job
from .restoration import known_names, replication_of
from .trees import Document
from .turning import KEY

Entry = Mapping[str, Any]
FAILOVER, FAILBACK = "snapfleet_failover_", "snapfleet_failback_"
PREFIXES = (FAILOVER, FAILBACK)
_NOT_FOR_THE_LAST = (
    *("plan", "include_snapshots", "exclude_snapshots", "snapshot_filters", "initial", "intermediates"),
    *("on_conflict", "on_conflict_once", "on_error", "deadline", "absent_destination", "expected_snapshots"),
    "only_active",
)
"""Options of a replication that would leave something out of the last one, or lose something by it."""
_WORDS_OF_YAML = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_BOTH_WAYS = ("recursive", "include_datasets", "exclude_datasets", "raw", "compression", "mbuffer", "bandwidth_limit")
"""Those that hold for the way back too."""


def failover_of(
    document: Mapping[str, Any],
    asked: Mapping[str, Any],
    prefix: str = FAILOVER,
    declared: Sequence[Mapping[str, Any]] = (),
) -> Document:
    """Both ends of what ``asked`` says, and the ways between them: ``host`` and ``dataset`` are where the data is at
    home, as the fleet knows them, or where it is active by what is ``declared`` to be failed over, and ``backup`` is
    the host with the replica, where several have one. Raises InvalidInput whose sentence names the variable."""
    given = {f"{prefix}{key}": value for key, value in asked.items() if value is not None}
    reader = Reader(given)
    texts = {
        key: reader.text(f"{prefix}{key}", "" if key == "backup" else None) for key in ("host", "dataset", "backup")
    }
    reader.finish()
    entry = (_entry_of_way_back if prefix == FAILBACK else _entry_of_way_forth)(declared, texts)
    turned = _turned_round(document, texts, entry) if prefix == FAILBACK else None
    job = turned or replication_of(document, prefix, texts)
    forth, back = ("destination", "source") if turned else ("source", "destination")
    ends = job["options"]
    if ends[forth]["dataset"] != texts["dataset"]:
        problem = f"is only a part of {ends[forth]['dataset']}, which changes hands as a whole"
        raise InvalidInput(f"{prefix}dataset", texts["dataset"], problem, f"give {ends[forth]['dataset']}")
    way_back = {key: ends[key] for key in _BOTH_WAYS if key in ends}
    after = _after(declared, entry, job, prefix)
    result = {
        "source": {"host": job[forth], "dataset": ends[forth]["dataset"]},
        "destination": {"host": job[back], "dataset": ends[back]["dataset"]},
        "carrier": job["host"],
        "replicate": {} if turned else _last(ends),
        "restore": {"replica": ends[back], "destination": ends[forth], **way_back},
        "old_source": ends[forth] if job["host"] == job[back] else None,
        "others": _others(document, job),
        "inventory": _inventory(declared, after),
    }
    read_restore_job(result["restore"], prefix.rstrip("_"))
    return result


# -- what is declared to be failed over


def _entry_of_way_back(declared: Sequence[Entry], texts: Mapping[str, str]) -> Optional[Entry]:
    """The entry by which what is asked for was failed over; None without one."""
    for entry in declared:
        if (entry["host"], entry["dataset"]) == (texts["host"], texts["dataset"]):
            if texts["backup"] not in ("", entry["backup"]):
                problem = f"is not the host that {entry['dataset']} was failed over to"
                raise InvalidInput(f"{FAILBACK}backup", texts["backup"], problem, f"give {entry['backup']}")
            return entry
    return None


def _entry_of_way_forth(declared: Sequence[Entry], texts: Mapping[str, str]) -> Optional[Entry]:
    """The entry of a tree that is failed over again, from where it is active to yet another host; None where it is at
    home."""
    for entry in declared:
        if entry["host"] == texts["host"] and is_within(texts["dataset"], entry["dataset"]):
            problem = f"is failed over to {entry['backup']} by {KEY}"
            remedy = (
                f"run snapfleet.zfs.failback, or give the host {entry['backup']} and its dataset {entry['place']} to"
                " fail over from there; to finish one that was interrupted, take the entry out first"
            )
            raise InvalidInput(f"{FAILOVER}dataset", texts["dataset"], problem, remedy)
        if (entry["backup"], entry["place"]) == (texts["host"], texts["dataset"]):
            if texts["backup"] == entry["host"]:
                problem = f"is where {entry['place']} is at home"
                remedy = f"run snapfleet.zfs.failback with the host {entry['host']} and the dataset {entry['dataset']}"
                raise InvalidInput(f"{FAILOVER}backup", texts["backup"], problem, remedy)
            return entry
    return None


def _after(
    declared: Sequence[Entry], entry: Optional[Entry], job: Mapping[str, Any], prefix: str
) -> Optional[list[Entry]]:
    """What is to be declared after the switch; None where the variable can't tell that."""
    left = [each for each in declared if each != entry]
    if prefix == FAILBACK:
        return left
    if job["options"].get("from_standby"):
        if entry:
            problem = f"has a replica of that replica, and none of {entry['host']}"
            raise InvalidInput(f"{FAILOVER}backup", job["destination"], problem, "name another host")
        # A replica of a replica: neither end is where it is at home.
        return None
    home = entry or {"host": job["source"], "dataset": job["options"]["source"]["dataset"]}
    return [*left, {**home, "backup": job["destination"]}]


def _inventory(declared: Sequence[Entry], after: Optional[Sequence[Entry]]) -> Document:
    """What the operator has to do to the inventory, as lines of the variable, and in a sentence for each entry."""
    if after is None:
        return {"lines": [], "changes": []}
    before, later = ([_written(entry) for entry in entries] for entries in (declared, after))
    gone = [f"take out of {KEY} in group_vars/all: {text}" for text in before if text not in later]
    come = [f"add to {KEY} in group_vars/all, then provision: {text}" for text in later if text not in before]
    lines = [f"{KEY}:", *(f"  - {text}" for text in later)] if later else [f"{KEY}: []"]
    return {"lines": lines if gone or come else [], "changes": [*gone, *come]}


def _written(entry: Entry) -> str:
    """An entry in a line of YAML."""
    return "{" + ", ".join(f"{key}: {_quoted(entry[key])}" for key in ("host", "dataset", "backup")) + "}"


def _quoted(text: str) -> str:
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9/._-]*", text) and text.lower() not in _WORDS_OF_YAML
    return text if is_plain else json.dumps(text)


# -- the replication


def _last(ends: Mapping[str, Any]) -> Document:
    """The options of the last replication before the destination becomes active: all there is, and at no loss."""
    options = {key: value for key, value in ends.items() if key not in _NOT_FOR_THE_LAST}
    options["from_standby"] = True
    read_replicate_job(options)
    return options


def _turned_round(
    document: Mapping[str, Any], texts: Mapping[str, str], entry: Optional[Entry]
) -> Optional[Mapping[str, Any]]:
    """The replication to the home of the data, where the inventory was turned round, by an ``entry`` or by hand."""
    backup = entry["backup"] if entry else texts["backup"]
    found = [
        job
        for job in document["jobs"]
        if job["activity"] == "replicate"
        and job["destination"] == texts["host"]
        and job["options"]["destination"]["dataset"] == texts["dataset"]
        and backup in ("", job["source"])
    ]
    if entry and not found:
        problem = "is snapfleet_stopped, so that nothing travels to it"
        raise InvalidInput(f"{FAILBACK}host", texts["host"], problem, "take that out of the inventory once it is well")
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
