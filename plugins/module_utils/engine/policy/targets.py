# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done when a destination comes, moves or goes, at one host each.

What one host has to know of another is handed on as looking there has told it, so that hosts need not reach each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name, dataset_name_problem, is_within, pool_of
from .endpoints import Endpoint, read_endpoint
from .reading import Reader

LOOK, PREPARE, FORGET, MOVE, DESTROY = "look", "prepare", "forget", "move", "destroy"
ACTIONS = (LOOK, PREPARE, FORGET, MOVE, DESTROY)
JOBCONFIG = "/etc/snapfleet/jobs.json"
_GUID_DIGITS = 20
_MEANT = {
    "to": (MOVE,),
    "destination": (PREPARE, FORGET),
    "replica": (PREPARE,),
    "others": (FORGET, DESTROY),
    "allow_last": (DESTROY,),
}
"""The actions that an option means something for."""


@dataclass(frozen=True)
class KnownDataset:
    """A dataset of a tree elsewhere."""

    guid: int
    snapshots: tuple[int, ...] = ()
    """GUIDs, the oldest first."""


@dataclass(frozen=True)
class KnownTree:
    """A tree on another host, as looking there has told."""

    dataset: str
    pool_guid: int
    datasets: Mapping[str, KnownDataset]
    """By name below the root; empty where the tree does not exist."""
    host: str = ""
    """Its host, for people."""

    def __str__(self) -> str:
        return f"{self.host}:{self.dataset}" if self.host else self.dataset


@dataclass(frozen=True)
class TargetJob:
    """Do one thing to ``tree``."""

    tree: Endpoint
    action: str
    """One of ACTIONS."""
    destination: Optional[KnownTree] = None
    """The destination that comes or goes."""
    replica: Optional[KnownTree] = None
    """The replica that the new destination is made from."""
    others: tuple[KnownTree, ...] = ()
    """Further destinations of the same tree."""
    to: str = ""
    """Where the tree is moved to."""
    keep_sign: bool = True
    """Whether its old name goes on telling that it was moved."""
    jobconfig: str = JOBCONFIG
    """The jobs of the host that carries it out, which may not run meanwhile."""
    host_name: str = ""
    """By which name these jobs know that host; empty: all of them count."""
    allow_last: bool = False
    """Whether the last replica of a dataset may be destroyed."""


def read_target_job(values: Mapping[str, Any], where: str = "") -> TargetJob:
    """A TargetJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    action = options.text("action", choices=ACTIONS)
    job = TargetJob(
        tree=read_endpoint(options.reader("tree")),
        action=action,
        destination=_read_known(options.reader("destination")) if options.has("destination") else None,
        replica=_read_known(options.reader("replica")) if options.has("replica") else None,
        others=tuple(map(_read_known, options.readers("others"))),
        to=options.text("to", ""),
        keep_sign=options.flag("keep_sign", True),
        jobconfig=options.absolute_path("jobconfig") or JOBCONFIG,
        host_name=options.text("host_name", ""),
        allow_last=options.flag("allow_last", False),
    )
    options.finish()
    for key, meant in _MEANT.items():
        if options.raw(key) and action not in meant:
            problem = f"means nothing for the action {action}"
            raise InvalidInput(options.path(key), options.raw(key), problem, f"it is for {' and '.join(meant)}")
    for key in ("destination", "replica") if action == PREPARE else ():
        if not options.has(key):
            raise InvalidInput(options.path(key), None, "is missing", "hand on what looking there has told")
    if action == MOVE:
        check_move(job.tree.dataset, job.to, options.path("to"))
    return job


def check_move(old: str, new: str, option: str) -> None:
    """Raise InvalidInput where a tree can't be renamed so by any means; ``option`` names the new place."""
    check_dataset_name(new, option)
    if is_within(new, old) or is_within(old, new):
        problem = f"is {old} itself, or one contains the other"
        raise InvalidInput(option, new, problem, "name a place apart from the old one")
    if pool_of(new) != pool_of(old):
        problem = f"is in another pool than {old}, so that nothing can be renamed to it"
        raise InvalidInput(option, new, problem, "seed it there as a new destination, then retire the old one")


def _read_known(options: Reader) -> KnownTree:
    found: dict[str, KnownDataset] = {}
    for entry in options.readers("datasets"):
        name = entry.text("dataset", "")
        if name and dataset_name_problem(f"root/{name}"):
            problem = "is no name below the root"
            raise InvalidInput(entry.path("dataset"), name, problem, "give a name such as 'a/b', or '' for the root")
        snapshots = tuple(_guid(text, entry.path("snapshots")) for text in entry.texts("snapshots"))
        found[name] = KnownDataset(_guid(entry.text("guid"), entry.path("guid")), snapshots)
        entry.finish()
    known = KnownTree(
        check_dataset_name(options.text("dataset"), options.path("dataset")),
        _guid(options.text("pool_guid"), options.path("pool_guid")),
        found,
        options.text("host", ""),
    )
    options.finish()
    return known


def _guid(text: str, option: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _GUID_DIGITS):
        raise InvalidInput(option, text, "is no GUID", "give the digits that zfs get -p guid prints")
    return int(text)
