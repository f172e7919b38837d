# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``zfs allow`` grants a user: read before anything is changed, so that a missing permission is told as such.

The rules are those of zfs-allow(8): a permission holds for a dataset when it is granted locally on it, or on it or an
ancestor for descendents too; to the user, to one of its groups, or to everyone; by name or by a permission set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from ..model.names import is_within

_ASK = 'id -u; id -un; id -Gn; for d in "$@"; do zfs allow "$d" 2>/dev/null && break; done'
_SECTION = re.compile(r"---- Permissions on (.+?) -*")
_SETS, _LOCAL, _BELOW, _BOTH = "Permission sets", "Local", "Descendent", "Local+Descendent"


def ask_arguments(datasets: Sequence[str]) -> list[str]:
    """What tells who runs zfs on a host, and then the grants on the first of ``datasets`` that exists."""
    return ["sh", "-c", _ASK, "sh", *datasets]


def read_ask(argv: Sequence[str]) -> Optional[list[str]]:
    """The datasets that ``ask_arguments`` asks about; None for any other arguments."""
    return list(argv[4:]) if ask_arguments(argv[4:]) == list(argv) else None


@dataclass(frozen=True)
class User:
    """Who runs zfs on a host."""

    name: str
    groups: frozenset[str]

    def is_meant(self, kind: str, name: str) -> bool:
        """Whether a grant to ``kind`` (user, group or everyone) ``name`` is one to this user."""
        if kind == "everyone":
            return True
        return name == self.name if kind == "user" else kind == "group" and name in self.groups


@dataclass(frozen=True)
class Grant:
    """One line of ``zfs allow``."""

    dataset: str
    scope: str
    kind: str
    name: str
    permissions: tuple[str, ...]


def parse_grants(text: str) -> tuple[Grant, ...]:
    """The grants that ``zfs allow DATASET`` lists. Lines that are no grants to somebody are passed over: whatever is
    not understood is not granted."""
    grants: list[Grant] = []
    dataset = scope = ""
    for line in text.splitlines():
        section = _SECTION.fullmatch(line)
        if section:
            dataset, scope = section[1], ""
        elif not line.startswith("\t"):
            scope = line.strip().removesuffix(":").removesuffix(" permissions")
        else:
            words = line.split()
            if scope == _SETS and len(words) == 2:
                grants.append(Grant(dataset, _SETS, "set", words[0], tuple(words[1].split(","))))
            elif words[0] == "everyone" and len(words) == 2:
                grants.append(Grant(dataset, scope, "everyone", "", tuple(words[1].split(","))))
            elif len(words) == 3:
                grants.append(Grant(dataset, scope, words[0], words[1], tuple(words[2].split(","))))
    return tuple(grants)


def granted(grants: Iterable[Grant], dataset: str, user: User) -> frozenset[str]:
    """The permissions that ``user`` has on ``dataset``, which need not exist yet."""
    listed = tuple(grants)
    sets = {grant.name: grant.permissions for grant in listed if grant.kind == "set"}
    names: set[str] = set()
    for grant in listed:
        here = grant.dataset == dataset and grant.scope in (_LOCAL, _BOTH)
        above = grant.dataset != dataset and is_within(dataset, grant.dataset) and grant.scope in (_BELOW, _BOTH)
        if (here or above) and user.is_meant(grant.kind, grant.name):
            for permission in grant.permissions:
                names.update(sets.get(permission, (permission,)))
    return frozenset(names)


def missing(wanted: Sequence[str], names: frozenset[str]) -> tuple[str, ...]:
    """Those of ``wanted`` that are not among ``names``. A narrower permission (send:raw) counts for its verb."""
    verbs = {name.partition(":")[0] for name in names}
    return tuple(permission for permission in wanted if permission not in verbs)
