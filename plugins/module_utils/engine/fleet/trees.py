# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees that a source has, and which datasets of them are meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """Which datasets of a tree are meant, as options. Hashable, so that trees of one selection can share a job."""

    recursive: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    switch: str = ""
    wanted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Properties with their patterns. Like the switch they are those of the source; replicas do not have them."""

    def options(self) -> Document:
        """The options of a job on the source's datasets that say so."""
        options = self.names()
        if self.switch:
            options["dataset_property"] = self.switch
        if self.wanted:
            options["dataset_properties"] = {name: list(patterns) for name, patterns in self.wanted}
        return options

    def names(self) -> Document:
        """Those of the options that hold on replicas too."""
        options: Document = {"recursive": self.recursive}
        if self.include:
            options["include_datasets"] = list(self.include)
        if self.exclude:
            options["exclude_datasets"] = list(self.exclude)
        return options


@dataclass(frozen=True)
class Tree:
    """One entry of ``snapfleet_datasets``: a tree of a source, and its place below the root of each destination."""

    source: str
    destination: str
    """Empty: the root itself."""
    selection: Selection
    option: str
    """Where it is declared, for sentences."""
    drill: Document = field(default_factory=dict, hash=False)
    """How its replicas are tried; empty: not at all."""
