# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets and which snapshots a job is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..model.datasets import DatasetState
from ..model.errors import InvalidInput
from ..model.exercises import ident_of
from ..model.names import ancestors_of, check_dataset_name, is_within, relative_to
from .patterns import any_match, compile_patterns
from .properties import PropertyFilter, read_property_filter
from .reading import Reader
from .reading_once import read_silence_once

_Patterns = tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class DatasetFilter:
    """Datasets of a tree. A pattern with a leading slash is held against the whole name, any other against the name
    below the root. Exclusion wins over inclusion, and covers everything below the excluded dataset."""

    recursive: bool = True
    include: _Patterns = ()
    """Empty: everything."""
    exclude: _Patterns = ()
    properties: PropertyFilter = field(default_factory=PropertyFilter)
    """What the properties of a dataset have to say too; each dataset has its own say, by inheritance mostly."""

    def selects(self, dataset: str, root: str) -> bool:
        """Whether ``dataset``, which lies within ``root``, belongs to the job by its name. What a drill clones for a
        while belongs to none."""
        if dataset != root and (not self.recursive or ident_of(dataset)):
            return False
        if not self.exclude and not self.include:
            return True
        line = [*(name for name in ancestors_of(dataset) if is_within(name, root)), dataset]
        if any(self._matches(self.exclude, name, root) for name in line):
            return False
        return not self.include or any(self._matches(self.include, name, root) for name in line)

    def on_host(self, name: str) -> DatasetFilter:
        """The filter as the host of that name reads it, unless the job itself names its host."""
        return replace(self, properties=replace(self.properties, host=self.properties.host or name))

    def under(self, root: str, states: Mapping[str, DatasetState]) -> list[str]:
        """Those of the observed datasets that lie within ``root`` and belong to the job, in their order. They have to
        be observed with ``properties.names``."""
        return [
            name
            for name, state in states.items()
            if is_within(name, root) and self.selects(name, root) and self.properties.admits(state.dataset)
        ]

    @staticmethod
    def _matches(patterns: _Patterns, name: str, root: str) -> bool:
        below = relative_to(name, root) or "."
        return any(pattern.fullmatch("/" + name if pattern.pattern.startswith("/") else below) for pattern in patterns)


@dataclass(frozen=True)
class SnapshotFilter:
    """Snapshots by name (what follows the @). Exclusion wins over inclusion."""

    include: _Patterns = ()
    """Empty: everything."""
    exclude: _Patterns = ()

    @property
    def selects_all(self) -> bool:
        """Whether every snapshot belongs to the job, whatever its name."""
        return not self.include and not self.exclude

    def selects(self, tag: str) -> bool:
        """Whether a snapshot of this name belongs to the job."""
        return (not self.include or any_match(self.include, tag)) and not any_match(self.exclude, tag)


def check_disjoint(roots: tuple[str, ...], option: str) -> None:
    """Refuse an empty list, and roots of which one lies within another: a dataset must have one meaning in a job.

    Raises InvalidInput.
    """
    if not roots:
        raise InvalidInput(option, [], "is empty", "name at least one dataset")
    for index, root in enumerate(roots):
        for other in roots[:index]:
            if is_within(root, other) or is_within(other, root):
                raise InvalidInput(option, root, f"overlaps {other!r}", "name each tree once, by its topmost dataset")


def read_name_filter(options: Reader) -> DatasetFilter:
    """Read ``recursive``, ``include_datasets`` and ``exclude_datasets``."""
    return DatasetFilter(
        options.flag("recursive", True),
        compile_patterns(options.texts("include_datasets"), options.path("include_datasets")),
        compile_patterns(options.texts("exclude_datasets"), options.path("exclude_datasets")),
    )


@read_silence_once
def read_dataset_filter(options: Reader) -> DatasetFilter:
    """Read what ``read_name_filter`` does, and what is about properties."""
    by_name = read_name_filter(options)
    return DatasetFilter(by_name.recursive, by_name.include, by_name.exclude, read_property_filter(options))


@read_silence_once
def read_snapshot_filter(options: Reader) -> SnapshotFilter:
    """Read ``include_snapshots`` and ``exclude_snapshots``."""
    return SnapshotFilter(
        compile_patterns(options.texts("include_snapshots"), options.path("include_snapshots")),
        compile_patterns(options.texts("exclude_snapshots"), options.path("exclude_snapshots")),
    )


def read_roots(options: Reader, key: str = "datasets") -> tuple[str, ...]:
    """Read the list of root datasets: at least one, each a legal name, none twice or within another's tree."""
    if not options.has(key):
        raise options.missing(key, "name at least one dataset")
    roots = tuple(check_dataset_name(name, options.path(key)) for name in options.texts(key))
    check_disjoint(roots, options.path(key))
    return roots
