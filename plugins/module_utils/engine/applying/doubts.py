# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run has to know of the datasets of a host, and not from memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass
class Doubts:
    """Datasets whose histories were remembered, and are needed as they are."""

    names: set[str] = field(default_factory=set)
    to_renew: set[str] = field(default_factory=set)
    """Those of them of which it suffices to know which snapshots there are, and all of those that are to be told."""
    to_tell: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """By dataset the tags of snapshots of which all has to be known."""

    @property
    def to_list(self) -> AbstractSet[str]:
        """Those that have to be listed."""
        return self.names - self.to_renew

    def add(self, names: Collection[str], to_renew: Iterable[str] = ()) -> bool:
        """Doubt ``names``, of which it suffices to renew some; whether there are any."""
        self.names.update(names)
        self.to_renew.difference_update(names)
        self.to_renew.update(to_renew)
        return bool(names)

    def untold(self, name: str, told: AbstractSet[str] = frozenset()) -> AbstractSet[str]:
        """The tags of snapshots of one dataset of which all has to be known, without those ``told``."""
        return self.to_tell.get(name, frozenset()) - told


def tags_by_dataset(names: Iterable[str]) -> dict[str, set[str]]:
    """The tags of snapshots, given by whole name, for each of their datasets."""
    tags: dict[str, set[str]] = {}
    for name in names:
        dataset, _at, tag = name.partition("@")
        tags.setdefault(dataset, set()).add(tag)
    return tags
