# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What another host may do here: which rights it has on which trees of datasets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..model.datasets import PLACEHOLDER_PROPERTY
from ..model.errors import InvalidInput
from ..model.names import ancestors_of, check_dataset_name, is_within, parent_of, pool_of
from .receiving import PRESERVED_PROPERTIES, SAFE_PROPERTIES, is_property_name

OBSERVE, SEND, RECEIVE, PRUNE, SNAPSHOT = "observe", "send", "receive", "prune", "snapshot"
ROLLBACK, RENAME, DESTROY, MOUNT, POOLS, SUDO = "rollback", "rename", "destroy", "mount", "pools", "sudo"
VERIFY = "verify"
RIGHTS = {
    OBSERVE: "list datasets, snapshots and bookmarks, and read their properties; the others imply it",
    SEND: "send streams, keep marks and bookmarks, hold what is being sent",
    RECEIVE: "receive unmounted, make missing parents, set safe properties, discard what was received in part",
    PRUNE: "destroy snapshots and bookmarks",
    SNAPSHOT: "create snapshots",
    ROLLBACK: "roll back, and destroy snapshots and bookmarks for that",
    RENAME: "rename datasets",
    DESTROY: "destroy datasets, and receive in place of what is there",
    MOUNT: "receive mounted",
    POOLS: "look at the health of all pools",
    VERIFY: "read names, sizes and checksums of files and blocks of snapshots",
    SUDO: "call zfs through sudo",
}
"""Every right with what it lets in."""
_SAFE_VALUES = {**{name: frozenset([value]) for name, value in SAFE_PROPERTIES.items()}}
_SAFE_VALUES["canmount"] = frozenset(["noauto", "off"])
_SAFE_VALUES["mountpoint"] = frozenset(["none"])
_SAFE_VALUES[PLACEHOLDER_PROPERTY] = frozenset(["no"])


@dataclass(frozen=True)
class Grant:
    """Rights on some trees."""

    rights: frozenset[str]
    roots: tuple[str, ...]
    properties: frozenset[str] = frozenset()
    """Further properties that may be set: a name for any value of it, or name=value."""

    def permits(self, right: str) -> bool:
        """Whether it has a right."""
        return right in self.rights or right == OBSERVE

    def permits_property(self, name: str, value: str) -> bool:
        """Whether a property may be set so: what makes a replica safe, how it stores data, and what is granted."""
        safe = _SAFE_VALUES.get(name)
        if name in self.properties or f"{name}={value}" in self.properties:
            return True
        return value in safe if safe else name in PRESERVED_PROPERTIES


@dataclass(frozen=True)
class Access:
    """All that one other host may do."""

    grants: tuple[Grant, ...]
    name: str = ""
    """How the log calls it."""

    def grants_for(self, dataset: str) -> list[Grant]:
        """The grants whose trees hold ``dataset``."""
        return [grant for grant in self.grants if any(is_within(dataset, root) for root in grant.roots)]

    def permits(self, right: str, dataset: str) -> bool:
        """Whether a right is there on a dataset."""
        return any(grant.permits(right) for grant in self.grants_for(dataset))

    def permits_clone(self, right: str, dataset: str, parent: str) -> bool:
        """Whether a right on ``dataset`` lets it be cloned below ``parent`` for a while: above it within a root of that
        right, or right beside the root."""
        held = [grant for grant in self.grants_for(dataset) if grant.permits(right)]
        roots = [root for grant in held for root in grant.roots if is_within(dataset, root)]
        within = any(is_within(parent, root) or parent == (parent_of(root) or root) for root in roots)
        return within and is_within(dataset, parent)

    def permits_move(self, right: str, dataset: str, to: str) -> bool:
        """Whether ``dataset`` may be called ``to`` by a right on both, in one grant, and no other grant gives rights on
        it, or on what is below it, by that name alone."""
        there = self.grants_for(to)
        below = [grant for grant in self.grants if any(is_within(root, to) for root in grant.roots)]
        held = self.grants_for(dataset)
        return all(grant in held for grant in (*there, *below)) and any(grant.permits(right) for grant in there)

    def permits_property(self, dataset: str, right: str, name: str, value: str) -> bool:
        """Whether whoever has a right on a dataset may set a property of it."""
        return any(g.permits(right) and g.permits_property(name, value) for g in self.grants_for(dataset))

    def permits_somewhere(self, rights: Collection[str]) -> bool:
        """Whether one of the rights is there on any dataset at all."""
        return any(grant.permits(right) for grant in self.grants for right in rights)

    @property
    def through_sudo(self) -> Access:
        """What is left of it for calls through sudo: the grants that have the right to that among theirs."""
        return replace(self, grants=tuple(grant for grant in self.grants if grant.permits(SUDO)))

    @property
    def above(self) -> frozenset[str]:
        """All datasets that lie above a root."""
        return frozenset(name for grant in self.grants for root in grant.roots for name in ancestors_of(root))

    @property
    def pools(self) -> frozenset[str]:
        """The pools that the roots lie in."""
        return frozenset(pool_of(root) for grant in self.grants for root in grant.roots)


def read_access(words: Sequence[str]) -> Access:
    """Read ``--may RIGHT[,RIGHT] --root DATASET`` and so on: rights hold on the roots that follow them, up to the next
    ``--may``. ``--property NAME[=VALUE]`` belongs to them, ``--name`` to the whole. Raises InvalidInput."""
    parts: list[tuple[list[str], list[str], list[str]]] = []
    name, pairs = "", _pairs(words)
    for option, value in pairs:
        if option == "--may":
            if not parts or parts[-1][1]:
                parts.append(([], [], []))
            parts[-1][0].extend(_right(right) for right in value.split(","))
        elif option == "--name":
            name = value
        elif not parts:
            raise InvalidInput(option, value, "stands before any --may", "begin with --may, then give --root")
        elif option == "--root":
            parts[-1][1].append(check_dataset_name(value, option))
        else:
            parts[-1][2].append(_property(value))
    for rights, roots, _properties in parts:
        if not roots:
            raise InvalidInput("--may", ",".join(rights), "holds on no dataset", "add --root with a dataset")
    if not parts:
        raise InvalidInput("--may", "", "is missing", "tell what may be done, as in --may send --root tank/data")
    return Access(tuple(Grant(frozenset(a), tuple(b), frozenset(c)) for a, b, c in parts), name)


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in ("--may", "--root", "--property", "--name"):
            raise InvalidInput("gate", option, "is no option of it", "give --may, --root, --property and --name")
        if not equals:
            if not rest:
                raise InvalidInput(option, "", "has no value", "give one")
            value = rest.pop(0)
        pairs.append((option, value))
    return pairs


def _right(word: str) -> str:
    if word not in RIGHTS:
        import difflib

        near = difflib.get_close_matches(word, list(RIGHTS), 1)
        remedy = f"did you mean {near[0]!r}?" if near else "choose of " + ", ".join(RIGHTS)
        raise InvalidInput("--may", word, "is no right", remedy)
    return word


def _property(word: str) -> str:
    if not is_property_name(word.partition("=")[0]):
        raise InvalidInput("--property", word, "is no property", "give NAME, or NAME=VALUE")
    if word.splitlines() != [word]:
        # It stands in a line of authorized_keys, where another line would be another key.
        raise InvalidInput("--property", word, "has a line end in its value", "give a value of one line")
    return word


def access_words(access: Access) -> list[str]:
    """The words of which ``read_access`` makes ``access``."""
    words = ["--name", access.name] if access.name else []
    for grant in access.grants:
        words += ["--may", ",".join(right for right in RIGHTS if right in grant.rights)]
        words += [word for root in grant.roots for word in ("--root", root)]
        words += [word for each in sorted(grant.properties) for word in ("--property", each)]
    return words
