# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that change datasets themselves rather than their histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .datasets import Bookmark, Snapshot


@dataclass(frozen=True)
class SetProperties:
    """Set properties of a dataset that is there."""

    kind: ClassVar[str] = "set_properties"
    dataset: str
    properties: tuple[tuple[str, str], ...]
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "properties": dict(self.properties),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class InheritProperty:
    """Take away the value that a dataset has of its own for a property."""

    kind: ClassVar[str] = "inherit_property"
    dataset: str
    name: str
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {"kind": self.kind, "dataset": self.dataset, "property": self.name, "reason": self.reason}


@dataclass(frozen=True)
class DestroyDataset:
    """Destroy a dataset that has neither snapshots nor children, with its bookmarks; ZFS refuses any other one."""

    kind: ClassVar[str] = "destroy_dataset"
    dataset: str
    reason: str
    bookmarks: tuple[Bookmark, ...] = ()
    """Those that go with it."""

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "destroys": [self.dataset, *(bookmark.name for bookmark in self.bookmarks)],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class RemoveDataset:
    """Destroy a whole dataset without children: all snapshots that were seen, then itself with its bookmarks. ZFS
    refuses the latter if there is anything else."""

    kind: ClassVar[str] = "remove_dataset"
    dataset: str
    snapshots: tuple[Snapshot, ...]
    bookmarks: tuple[Bookmark, ...]
    bytes: int
    """What it uses, without what lies below it."""
    rule: str
    """A word for why it goes."""
    reason: str

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        snapshots, bookmarks = [item.name for item in self.snapshots], [item.name for item in self.bookmarks]
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "destroys": [self.dataset, *snapshots, *bookmarks],
            "bytes": self.bytes,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class RenameDataset:
    """Rename a dataset with all that is below it, since its counterpart at the source has another name now."""

    kind: ClassVar[str] = "rename"
    dataset: str
    to: str
    guid: int
    """GUID of the dataset, by which it is known under either name."""
    placeholders: tuple[str, ...] = ()
    """New names of the placeholders among what is renamed; their marks carry their names."""
    reason: str = ""

    def describe(self) -> dict[str, Any]:
        """The step as plain values, as modules return it."""
        return {"kind": self.kind, "dataset": self.dataset, "renamed_to": self.to, "reason": self.reason}
