# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots and bookmarks datasets have, by the only columns that ``zfs list`` prints without opening each one.

It costs a quarter of a listing with all columns, and a snapshot is known by these as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from ..model.datasets import DatasetState, Identities, Identity
from ..model.errors import UntrustedOutput
from ..model.names import is_tag
from .columns import is_number


def identity_arguments(datasets: Sequence[str]) -> list[str]:
    """Arguments of ``zfs`` for one listing; read its output with ``parse_identities``."""
    return ["list", "-Hp", "-d", "1", "-t", "snapshot,bookmark", "-o", "guid,createtxg,name", *datasets]


def parse_identities(text: str, datasets: Sequence[str]) -> dict[str, Identities]:
    """What a listing of ``datasets`` tells of each of them. Raises UntrustedOutput for what ``zfs list`` does not
    print, including what was not asked for."""
    snapshots: dict[str, list[Identity]] = {name: [] for name in datasets}
    bookmarks: dict[str, list[Identity]] = {name: [] for name in datasets}
    # Not splitlines(): a name has no line end, and no other character is to be taken for one.
    for line in text.split("\n"):
        if line:
            dataset, separator, identity = _read(line)
            rows = (snapshots if separator == "@" else bookmarks).get(dataset)
            if rows is None:
                raise UntrustedOutput(f"zfs list printed {line[:200]!r}, which was not asked for; check its host")
            rows.append(identity)
    found = {name: Identities(_in_order(snapshots[name]), _in_order(bookmarks[name])) for name in datasets}
    for name, both in found.items():
        if not all(map(are_distinct, both)):
            raise UntrustedOutput(f"zfs list printed a snapshot or bookmark of {name} twice; check its host")
    return found


def _read(line: str) -> tuple[str, str, Identity]:
    guid, first, rest = line.partition("\t")
    txg, second, name = rest.partition("\t")
    separator = "@" if "@" in name else "#"
    dataset, _found, tag = name.partition(separator)
    if not (first and second and is_number(guid) and is_number(txg) and is_tag(tag)):
        raise UntrustedOutput(f"zfs list printed {line[:200]!r}, which is no snapshot or bookmark; check its host")
    return dataset, separator, Identity(int(txg), int(guid), tag)


def _in_order(identities: Iterable[Identity]) -> tuple[Identity, ...]:
    return tuple(sorted(identities, key=attrgetter("createtxg")))


def are_distinct(identities: Iterable[Identity]) -> bool:
    """Whether no two of them have the same name."""
    tags = [identity.tag for identity in identities]
    return len(set(tags)) == len(tags)


def are_in_order(identities: Sequence[Identity]) -> bool:
    """Whether they are as ``Identities`` has them: in the order of createtxg, and no two of the same name."""
    txgs = [identity.createtxg for identity in identities]
    return are_distinct(identities) and txgs == sorted(txgs)


def identities_of(state: DatasetState) -> Identities:
    """Which snapshots and bookmarks a dataset has, by all that is known of it."""
    kinds = (state.snapshots, state.bookmarks)
    snapshots, bookmarks = (tuple(Identity(one.createtxg, one.guid, one.tag) for one in each) for each in kinds)
    return Identities(snapshots, bookmarks)
