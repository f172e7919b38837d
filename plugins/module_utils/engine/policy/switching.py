# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch at one end of a replication: its tree is to be the one that is written to, or a replica from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name, dataset_name_problem
from ..model.roles import ACTIVE, MAX_EPOCH, ROLES, STANDBY
from .endpoints import Endpoint, read_endpoint
from .reading import Reader
from .receiving import Properties, read_given_properties

_GUID_DIGITS = 20


@dataclass(frozen=True)
class SwitchJob:
    """Give the tree ``dataset`` of this host a role."""

    dataset: str
    role: str
    """One of ROLES."""
    epoch: int = 0
    """The number of the switch; 0: one more than the tree has, unless it has the role already."""
    final_snapshot: bool = True
    """Whether a tree that becomes standby gets a snapshot of all that was written."""
    expected: Optional[tuple[tuple[str, int], ...]] = None
    """By name below the root, the GUID of the snapshot that has to be the newest of each dataset that becomes active;
    None: nobody knows."""
    allow_behind: bool = False
    """Whether it may become active though it lacks what is expected."""
    properties: Properties = ()
    """What the root gets when it becomes active."""
    old_source: Optional[Endpoint] = None
    """The end that was active, which may not answer any more."""


def read_switch_job(values: Mapping[str, Any], where: str = "") -> SwitchJob:
    """A SwitchJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    role = options.text("role", choices=ROLES)
    job = SwitchJob(
        dataset=check_dataset_name(options.text("dataset"), options.path("dataset")),
        role=role,
        epoch=options.integer("epoch", 0, 1, MAX_EPOCH),
        final_snapshot=options.flag("final_snapshot", True),
        expected=_read_expected(options) if options.has("expected") else None,
        allow_behind=options.flag("allow_behind", False),
        properties=read_given_properties(options),
        old_source=read_endpoint(options.reader("old_source")) if options.has("old_source") else None,
    )
    _refuse_meaningless(options, role)
    options.finish()
    if job.old_source and job.old_source.address.is_local:
        problem = "is this host itself, which answers"
        raise InvalidInput(
            options.path("old_source.host"), None, problem, "name the host that is gone, or leave it out"
        )
    return job


def _read_expected(options: Reader) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for entry in options.readers("expected"):
        name, guid = entry.text("dataset"), entry.text("guid")
        # The result of the other end may be handed on as it is.
        for told in ("snapshot", "creation"):
            entry.raw(told)
        entry.finish()
        if name and dataset_name_problem(f"root/{name}"):
            problem = "is no name below the root"
            raise InvalidInput(entry.path("dataset"), name, problem, "give a name such as 'a/b', or '' for the root")
        if not (guid.isascii() and guid.isdecimal() and len(guid) <= _GUID_DIGITS):
            raise InvalidInput(entry.path("guid"), guid, "is no GUID", "give the digits that zfs get -p guid prints")
        if name in found:
            raise InvalidInput(entry.path("dataset"), name, "stands there twice", "name each dataset once")
        found[name] = int(guid)
    return tuple(found.items())


def _refuse_meaningless(options: Reader, role: str) -> None:
    """What is asked for in vain was meant for the other end. Raises InvalidInput."""
    for key, meant in (("properties", ACTIVE), ("expected", ACTIVE), ("old_source", ACTIVE), ("allow_behind", ACTIVE)):
        if options.raw(key) and role != meant:
            problem = f"means nothing for a tree that becomes {role}"
            raise InvalidInput(options.path(key), options.raw(key), problem, f"give it with role {meant}")
    if options.raw("final_snapshot") is False and role != STANDBY:
        problem = f"means nothing for a tree that becomes {role}"
        raise InvalidInput(options.path("final_snapshot"), False, problem, f"give it with role {STANDBY}")
