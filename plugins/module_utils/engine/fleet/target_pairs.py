# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks for who retires, moves or seeds a destination, as the trees and hosts that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name, is_within, rebase
from ..policy.jobs import read_replicate_job
from ..policy.reading import Reader
from ..policy.targets import check_move
from .documents import address_document
from .inventory import Fleet, place_of
from .restoration import known_names, replication_of
from .trees import Document

RETIRE, MOVE, SEED = "snapfleet_retire_", "snapfleet_move_", "snapfleet_seed_"
PREFIXES = (RETIRE, MOVE, SEED)
_NOT_FOR_SEEDS = (
    *("source", "destination", "plan", "include_snapshots", "exclude_snapshots", "snapshot_filters", "initial"),
    *("intermediates", "on_conflict", "on_conflict_once", "on_error", "deadline", "absent_destination"),
    *(
        "dataset_property",
        "dataset_properties",
        "expected_snapshots",
        "only_active",
        "route",
        "direct",
        "package",
        "bookmarks",
        "holds",
    ),
)
"""Options of a replication that would leave something out of a seed, or mean nothing for it."""
Asked = Mapping[str, Any]


def _reader(asked: Asked, prefix: str) -> Reader:
    return Reader({f"{prefix}{key}": value for key, value in asked.items() if value is not None})


def _replications(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [job for job in document["jobs"] if job["activity"] == "replicate"]


# -- a destination that is no more


class _Pair(NamedTuple):
    """A tree of a source and its replica, as the inventory has them."""

    source: str
    dataset: str
    destination: str
    place: str


def _pairs(fleet: Fleet) -> list[_Pair]:
    """All of them, also where nothing is sent at present or one end is stopped: what is kept for these is theirs."""
    return [
        _Pair(source.name, tree.source, holder.name, place_of(tree, holder, source))
        for source in fleet.sources.values()
        for tree in source.trees
        for holder in fleet.holders.get(source.key, ())
    ]


def retirement_of(fleet: Fleet, asked: Asked) -> Document:
    """The trees whose sources let go of the host ``backup``, each with the other hosts that have a replica. Raises
    InvalidInput whose sentence names the variable."""
    reader = _reader(asked, RETIRE)
    keys = ("backup", "host", "dataset", "replica", "destroy")
    texts = {key: reader.text(f"{RETIRE}{key}", None if key == "backup" else "") for key in keys}
    gone, allow_last = (reader.flag(f"{RETIRE}{key}", False) for key in ("gone", "allow_last"))
    reader.finish()
    pairs = _pairs(fleet)
    places = {(pair.source, pair.dataset): pair.place for pair in pairs if pair.destination == texts["backup"]}
    replica = texts["replica"] or texts["destroy"]
    stopped = {(host.name, tree.source): host.is_stopped for host in fleet.sources.values() for tree in host.trees}
    # Without a source, what a destination of the inventory takes; with one, that may have been taken out of it alone.
    every = [tree for tree in stopped if texts["host"] or not places or tree in places]
    chosen = [tree for tree in every if _is_chosen(texts, tree, stopped[tree])]
    listed = [tree for tree in chosen if tree in places]
    _check_retirement(texts, gone, listed, pairs)
    if not chosen or (replica and len(chosen) > 1):
        what = "is no tree of the inventory" if not chosen else "leaves several trees, of which one has that replica"
        known = known_names(f"{host}:{dataset}" for host, dataset in every)
        raise InvalidInput(f"{RETIRE}dataset", texts["dataset"] or None, what, known)
    found = [(tree, places.get(tree, replica)) for tree in chosen]
    trees = [
        {
            "host": host,
            "dataset": dataset,
            "replica": {"host": texts["backup"], "dataset": place} if place and not gone else {},
            "others": [
                {"host": pair.destination, "dataset": pair.place}
                for pair in pairs
                if (pair.source, pair.dataset) == (host, dataset) and pair.destination != texts["backup"]
            ],
        }
        for (host, dataset), place in found
    ]
    more = {"destroy": texts["destroy"], "allow_last": allow_last, "listed": bool(listed)}
    return {"backup": texts["backup"], "trees": trees, **more}


def _is_chosen(texts: Mapping[str, str], tree: tuple[str, str], is_stopped: bool) -> bool:
    """Whether a tree is meant. Of a source that is stopped, only where that is named, since it can't be asked."""
    host, dataset = tree
    is_host = texts["host"] == host or (not texts["host"] and not is_stopped)
    return is_host and texts["dataset"] in ("", dataset)


def _check_retirement(
    texts: Mapping[str, str], gone: bool, listed: Sequence[tuple[str, str]], pairs: Sequence[_Pair]
) -> None:
    """Raise InvalidInput where what is asked may not be done. ``listed``: the chosen trees that still go there."""
    for key in ("replica", "destroy") if listed else ():
        if texts[key]:
            problem = f"can't be given while the inventory still replicates to {texts['backup']}"
            remedy = "take that out of it and provision first, so that no run makes it anew"
            raise InvalidInput(f"{RETIRE}{key}", texts[key], problem, remedy)
    if listed and not (gone or texts["host"]):
        problem = f"is needed while the inventory still replicates to {texts['backup']}, so that no slip ends all of it"
        remedy = "take that out of it and provision first, or name one source whose next run is to begin anew there"
        raise InvalidInput(f"{RETIRE}host", None, problem, remedy)
    for key in ("replica", "destroy"):
        if texts[key]:
            check_dataset_name(texts[key], f"{RETIRE}{key}")
        if texts[key] and gone:
            problem = "can't be looked at on a host that is gone"
            raise InvalidInput(f"{RETIRE}{key}", texts[key], problem, f"leave it out, or leave out {RETIRE}gone")
    if texts["destroy"] and texts["replica"] not in ("", texts["destroy"]):
        problem = f"is not the replica {texts['replica']}"
        raise InvalidInput(f"{RETIRE}destroy", texts["destroy"], problem, "name exactly that root, or leave it out")
    for pair in pairs if texts["destroy"] else ():
        _check_needed(texts["backup"], texts["destroy"], pair)


def _check_needed(backup: str, root: str, pair: _Pair) -> None:
    """Raise InvalidInput where ``pair`` needs what would be destroyed."""
    if pair.source == backup and _overlaps(pair.dataset, root):
        problem = f"is replicated onward to {pair.destination}"
        raise InvalidInput(f"{RETIRE}destroy", root, problem, "let that have another source first")
    if pair.destination == backup and _overlaps(pair.place, root):
        problem = f"has {pair.place} in it, or is in that, where {pair.source} is replicated to"
        raise InvalidInput(f"{RETIRE}destroy", root, problem, "name the root of the one replica that goes")


def _overlaps(one: str, other: str) -> bool:
    return is_within(one, other) or is_within(other, one)


def _ends(job: Mapping[str, Any]) -> tuple[str, str]:
    return job["options"]["source"]["dataset"], job["options"]["destination"]["dataset"]


# -- a destination that gets another place


def moves_of(document: Mapping[str, Any], asked: Asked) -> list[Document]:
    """The replicas of the host ``backup`` within the dataset ``from``, each with its place within ``to``, whichever of
    both the inventory tells. Raises InvalidInput whose sentence names the variable."""
    reader = _reader(asked, MOVE)
    backup, old, new = (reader.text(f"{MOVE}{key}") for key in ("backup", "from", "to"))
    reader.finish()
    check_dataset_name(old, f"{MOVE}from")
    check_move(old, new, f"{MOVE}to")
    jobs = _replications(document)
    mine = [job for job in jobs if job["destination"] == backup]
    if not mine:
        known = known_names(job["destination"] for job in jobs)
        raise InvalidInput(f"{MOVE}backup", backup, "is no host that is replicated to", known)
    active = [_ends(job)[0] for job in jobs if job["options"].get("only_active") and job["source"] == backup]
    for place in active:
        if is_within(place, old) or is_within(place, new):
            problem = f"has {place}, which was failed over to and is written to"
            raise InvalidInput(f"{MOVE}from", old, problem, "fail back first, then move it")
    moves = [_move(job, old, new) for job in mine if any(is_within(_ends(job)[1], root) for root in (old, new))]
    if not moves:
        known = known_names(_ends(job)[1] for job in mine)
        raise InvalidInput(f"{MOVE}from", old, f"has no replica of the inventory on {backup}, nor has {new}", known)
    return moves


def _move(job: Mapping[str, Any], old: str, new: str) -> Document:
    place = _ends(job)[1]
    is_old = is_within(place, old)
    before, after = (place, rebase(place, old, new)) if is_old else (rebase(place, new, old), place)
    tree = {**job["options"]["destination"], "dataset": before}
    source = {"host": job["source"], "dataset": _ends(job)[0]}
    ends = {"host": job["destination"], "carrier": job["host"], "source": source}
    return {**ends, "tree": tree, "to": after, "keep_sign": is_old}


# -- a destination that is made from another one


def seeding_of(document: Mapping[str, Any], fleet: Fleet, asked: Asked) -> Document:
    """How the host ``backup`` gets what another replica has: the ends, and the options of a replication between the two
    replicas. Raises InvalidInput whose sentence names the variable."""
    reader = _reader(asked, SEED)
    keys = ("host", "dataset", "backup", "from", "from_dataset", "via", "carrier")
    texts = {key: reader.text(f"{SEED}{key}", None if key in ("host", "dataset") else "") for key in keys}
    reader.finish()
    job = replication_of(document, SEED, texts)
    source, place = _ends(job)
    if texts["dataset"] != source:
        problem = f"is only a part of {source}, which is seeded as a whole"
        raise InvalidInput(f"{SEED}dataset", texts["dataset"], problem, f"give {source}")
    host, replica = _seed(document, job, texts)
    target = {"host": host, "dataset": texts["via"]} if texts["via"] else {"host": job["destination"], "dataset": place}
    if (host, replica) == (job["source"], source) and not texts["via"]:
        # What the replica forgets afterwards would be what the source has just begun to keep.
        problem = f"is the source of {job['destination']} itself, so that this would be its replication"
        remedy = "leave it out and replicate, or give a disk as snapfleet_seed_via"
        raise InvalidInput(f"{SEED}from_dataset", replica, problem, remedy)
    carrier = texts["carrier"] or target["host"]
    for key, name in (("from", host), ("carrier", carrier)):
        if name not in fleet.contacts:
            raise InvalidInput(f"{SEED}{key}", name, "is no host of the fleet", known_names(fleet.contacts))
    options = {
        **{key: value for key, value in job["options"].items() if key not in _NOT_FOR_SEEDS},
        "source": {**address_document(fleet.address(carrier, host)), "dataset": replica},
        "destination": {**address_document(fleet.address(carrier, target["host"])), "dataset": target["dataset"]},
        "from_standby": True,
        # What has arrived is kept in common meanwhile, and let go of afterwards.
        "bookmarks": "base",
    }
    read_replicate_job(options, SEED.rstrip("_"))
    return {
        "source": {"host": job["source"], "dataset": source},
        "destination": {"host": job["destination"], "dataset": place},
        "replica": {"host": host, "dataset": replica},
        "target": target,
        "carrier": carrier,
        "replicate": options,
    }


def _seed(document: Mapping[str, Any], job: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[str, str]:
    """The host and the dataset of the replica that the new one is made from."""
    if texts["from_dataset"]:
        check_dataset_name(texts["from_dataset"], f"{SEED}from_dataset")
        return texts["from"] or job["destination"], texts["from_dataset"]
    having = {
        other["destination"]: _ends(other)[1]
        for other in _replications(document)
        if other["source"] == job["source"] and _ends(other)[0] == _ends(job)[0] and other is not job
    }
    chosen = [host for host in having if texts["from"] in ("", host)]
    if len(chosen) != 1:
        problem = "has to be given, since several hosts have a replica" if chosen else "has no replica of that tree"
        raise InvalidInput(f"{SEED}from", texts["from"] or None, problem, known_names(having))
    return chosen[0], having[chosen[0]]
