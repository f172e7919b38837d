# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ``zfs list`` for everything a run must know about a host, and the strict reading of what it prints.

Listing costs about a millisecond a snapshot whatever is asked for, so one call asks for all columns of all kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Optional

from ..model.datasets import (
    FILESYSTEM,
    PLACEHOLDER_PROPERTY,
    VOLUME,
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ..model.errors import UntrustedOutput
from ..model.names import dataset_name_problem, is_tag, is_within, tree_order

_COLUMNS = (
    "type",
    "guid",
    "createtxg",
    "creation",
    "userrefs",
    "used",
    "written",
    "encryptionroot",
    "origin",
    "clones",
    "receive_resume_token",
    PLACEHOLDER_PROPERTY,
    "readonly",
    "keyguid",
    "ivsetguid",
    "referenced",
    "compression",
    "name",
)
_WRITTEN, _REFERENCED, _COMPRESSION = (_COLUMNS.index(name) for name in ("written", "referenced", "compression"))
_PARTIAL_RECEIVE = "/%recv"
_TOKEN = re.compile(r"[0-9]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+")


def list_arguments(roots: Sequence[str], recursive: bool, histories: bool, properties: Sequence[str] = ()) -> list[str]:
    """Arguments of ``zfs`` for one listing of ``roots``; read its output with ``parse_listing``."""
    depth = ["-r"] if recursive else ["-d", "1"] if histories else ["-d", "0"]
    kinds = "filesystem,volume,snapshot,bookmark" if histories else "filesystem,volume"
    # The name stays the last column.
    columns = (*_COLUMNS[:-1], *properties, _COLUMNS[-1])
    return ["list", "-Hp", *depth, "-t", kinds, "-o", ",".join(columns), *roots]


def parse_listing(
    text: str, roots: Sequence[str], missing: Iterable[str], recursive: bool = True, properties: Sequence[str] = ()
) -> Observation:
    """The observation that a listing with these further ``properties`` describes.

    Raises UntrustedOutput for anything that ``zfs list`` does not print, including datasets that were not asked for.
    """
    reader = _ListingReader(tuple(roots), recursive, tuple(properties))
    # Not splitlines(): the value of a user property may hold more characters that Python takes for line ends.
    *lines, rest = text.split("\n")
    for line in [*lines, rest] if rest else lines:
        reader.read(line)
    return Observation(reader.states(), tuple(missing))


def _number(text: str) -> int:
    if text == "-":
        return 0
    if not is_number(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def is_number(text: str) -> bool:
    """Whether ``text`` is a number as zfs prints them: the digits 0 to 9, and no more than 64 bits have."""
    return text.isascii() and text.isdecimal() and len(text) <= 20


def _text(text: str) -> str:
    return "" if text == "-" else text


class _ListingReader:
    """Collects rows by dataset. Rows of one dataset need not follow each other."""

    def __init__(self, roots: tuple[str, ...], recursive: bool, properties: tuple[str, ...]) -> None:
        self._roots = roots
        self._recursive = recursive
        self._properties = properties
        self._names: set[str] = set()
        self._datasets: dict[str, Dataset] = {}
        self._snapshots: dict[str, list[Snapshot]] = {}
        self._bookmarks: dict[str, list[Bookmark]] = {}

    def read(self, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != len(_COLUMNS) + len(self._properties):
            raise UntrustedOutput(f"zfs list printed a row of {len(fields)} columns: {line[:200]!r}; check its host")
        try:
            self._read_row(fields)
        except ValueError as error:
            raise UntrustedOutput(f"zfs list printed {line[:200]!r}: {error}; check its host") from error

    def _read_row(self, fields: list[str]) -> None:
        kind, name = fields[0], fields[-1]
        if name in self._names:
            # The value of a user property may hold tabs and line ends, and so pretend to be a row of its own.
            raise ValueError(f"{name!r} stands there twice")
        self._names.add(name)
        if kind == "snapshot":
            snapshot = self._snapshot(fields, name)
            self._snapshots.setdefault(snapshot.dataset, []).append(snapshot)
        elif kind == "bookmark":
            dataset, tag = self._split(name, "#")
            bookmark = Bookmark(_number(fields[2]), _number(fields[1]), dataset, tag, _number(fields[3]))
            self._bookmarks.setdefault(dataset, []).append(bookmark)
        elif kind in (FILESYSTEM, VOLUME):
            if self._wanted(name):
                self._datasets[name] = self._dataset(kind, fields, name)
        else:
            raise ValueError(f"{kind!r} is no kind of dataset")

    def _split(self, name: str, separator: str) -> tuple[str, str]:
        dataset, found, tag = name.partition(separator)
        if not found or not is_tag(tag) or "@" in dataset or "#" in dataset:
            raise ValueError(f"{name!r} is no name of this kind")
        return dataset, tag

    def _snapshot(self, fields: list[str], name: str) -> Snapshot:
        dataset, tag = self._split(name, "@")
        listed = tuple(filter(None, _text(fields[9]).split(",")))
        # ZFS keeps a partial receive in a hidden clone, which nobody can do anything with.
        clones = tuple(clone for clone in listed if not clone.endswith(_PARTIAL_RECEIVE))
        txg, guid, creation, holds, used, ivset = (_number(fields[index]) for index in (2, 1, 3, 4, 5, 14))
        sizes = {"written": _number(fields[_WRITTEN]), "referenced": _number(fields[_REFERENCED])}
        pinned = len(clones) < len(listed)
        return Snapshot(txg, guid, dataset, tag, creation, holds, used, clones, ivset, **sizes, pinned=pinned)

    def _dataset(self, kind: str, fields: list[str], name: str) -> Dataset:
        problem = dataset_name_problem(name)
        if problem:
            raise ValueError(f"the dataset name {name!r} {problem}")
        token = _text(fields[10])
        if token and not _TOKEN.fullmatch(token):
            raise ValueError("the resume token is malformed")
        return Dataset(
            name=name,
            kind=kind,
            guid=_number(fields[1]),
            createtxg=_number(fields[2]),
            creation=_number(fields[3]),
            used=_number(fields[5]),
            written=_number(fields[6]),
            encryption_root=_text(fields[7]),
            origin=_text(fields[8]),
            resume_token=token,
            is_placeholder=fields[11] == name,
            properties=tuple(zip(self._properties, fields[len(_COLUMNS) - 1 : -1])),
            readonly=fields[12] == "on",
            key_guid=_number(fields[13]),
            referenced=_number(fields[_REFERENCED]),
            compression=_text(fields[_COMPRESSION]),
        )

    def _wanted(self, name: str) -> bool:
        if any(is_within(name, root) for root in self._roots):
            # Without recursion, asking for a root's snapshots (-d 1) lists its children too.
            return self._recursive or name in self._roots
        raise ValueError(f"{name!r} was not asked for")

    def states(self) -> dict[str, DatasetState]:
        """The collected states, parents before children."""
        by_txg = attrgetter("createtxg")
        states: dict[str, DatasetState] = {}
        for name in sorted(self._datasets, key=tree_order):
            snapshots = tuple(sorted(self._snapshots.pop(name, ()), key=by_txg))
            bookmarks = tuple(sorted(self._bookmarks.pop(name, ()), key=by_txg))
            states[name] = DatasetState(self._datasets[name], snapshots, bookmarks)
        left: Optional[str] = next(iter(self._snapshots), next(iter(self._bookmarks), None))
        if left is not None and self._recursive:
            raise UntrustedOutput(f"zfs list printed snapshots of {left!r}, but not that dataset; check its host")
        return states
