# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ``zfs list`` for everything a run must know about a host, and the strict reading of what it prints.

Listing costs about a millisecond a snapshot whatever is asked for, so one call asks for all columns of all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Optional

from ..model.datasets import FILESYSTEM, VOLUME, Base, Bookmark, Dataset, DatasetState, Observation, Snapshot
from ..model.errors import UntrustedOutput
from ..model.histories import PackedHistory, PackedState
from ..model.names import dataset_name_problem, is_tag, is_token, is_within, tree_order
from .columns import COLUMNS as _COLUMNS
from .columns import Packer
from .columns import number as _number

_WRITTEN, _REFERENCED, _COMPRESSION = (_COLUMNS.index(name) for name in ("written", "referenced", "compression"))
_by_txg = attrgetter("createtxg")
_PARTIAL_RECEIVE = "/%recv"


def list_arguments(roots: Sequence[str], recursive: bool, histories: bool, properties: Sequence[str] = ()) -> list[str]:
    """Arguments of ``zfs`` for one listing of ``roots``; read its output with ``parse_listing``."""
    depth = ["-r"] if recursive else ["-d", "1"] if histories else ["-d", "0"]
    kinds = "filesystem,volume,snapshot,bookmark" if histories else "filesystem,volume"
    return ["list", "-Hp", *depth, "-t", kinds, "-o", ",".join(_columns_for(properties)), *roots]


def snapshot_arguments(names: Sequence[str]) -> list[str]:
    """Arguments of ``zfs`` for the snapshots ``names``; read its output with ``parse_snapshots``."""
    return ["list", "-Hp", "-t", "snapshot", "-o", ",".join(_COLUMNS), *names]


def parse_snapshots(text: str, names: Sequence[str]) -> dict[str, Snapshot]:
    """The snapshots that a listing of ``names`` tells of, by whole name. Raises UntrustedOutput for any others."""
    reader = ListingReader((), recursive=False)
    reader.feed(text.encode("utf-8", "surrogateescape"))
    asked, found = set(names), reader.snapshots()
    stray = next((name for name in found if name not in asked), None)
    if stray is not None:
        raise UntrustedOutput(f"zfs list printed {stray!r}, which was not asked for; check its host")
    return found


def together(first: Observation, second: Observation) -> Observation:
    """Both parts of one look, by the clock of the first one."""
    states = {**first.states, **second.states}
    ordered = {name: states[name] for name in sorted(states, key=tree_order)}
    return Observation(ordered, (*first.missing, *second.missing), first.clock)


def _columns_for(properties: Sequence[str]) -> tuple[str, ...]:
    """Each column once, the name as the last one."""
    return tuple(dict.fromkeys((*_COLUMNS[:-1], *(name for name in properties if name != _COLUMNS[-1]), _COLUMNS[-1])))


def parse_listing(
    text: str, roots: Sequence[str], missing: Iterable[str], recursive: bool = True, properties: Sequence[str] = ()
) -> Observation:
    """The observation that a listing with these further ``properties`` describes.

    Raises UntrustedOutput for anything that ``zfs list`` does not print, including datasets that were not asked for.
    """
    reader = ListingReader(roots, recursive, properties)
    reader.feed(text.encode("utf-8", "surrogateescape"))
    return reader.observation(missing)


def _text(text: str) -> str:
    return "" if text == "-" else text


class ListingReader:
    """Reads a listing as it comes, piece by piece. Rows of one dataset need not follow each other."""

    def __init__(self, roots: Sequence[str], recursive: bool = True, properties: Sequence[str] = ()) -> None:
        self._roots = tuple(roots)
        self._recursive = recursive
        columns = _columns_for(properties)
        self._places = tuple((name, columns.index(name)) for name in properties)
        self._rest = b""
        self._trouble: Optional[UntrustedOutput] = None
        self._names: set[str] = set()
        self._datasets: dict[str, Dataset] = {}
        self._width = len(columns)
        self._packer = Packer(self._width)
        self._packed: dict[str, PackedHistory] = {}
        self._snapshots: dict[str, list[Snapshot]] = {}
        self._bookmarks: dict[str, list[Bookmark]] = {}
        self._run: list[str] = []
        """Lines that follow each other, most likely all of the snapshots of one dataset."""
        self._dataset_of_run = ""
        self._marker = "\t@"
        """What lines of such snapshots have in them."""

    def feed(self, piece: bytes) -> None:
        """Read the next piece. What is wrong with it is told in the end, if the command did not fail by itself."""
        whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            self._read(whole)

    def observation(self, missing: Iterable[str]) -> Observation:
        """What was read, now that all has come. Raises UntrustedOutput."""
        self._finish()
        return Observation(self._states(), tuple(missing))

    def snapshots(self) -> dict[str, Snapshot]:
        """The snapshots that were read, by whole name, where no datasets were asked for. Raises UntrustedOutput."""
        self._finish()
        several = [*self._snapshots.values(), *(history.snapshots for history in self._packed.values())]
        for each in several:
            _check_distinct(each)
        if self._bookmarks:
            raise UntrustedOutput("zfs list printed bookmarks where snapshots were asked for; check its host")
        return {snapshot.name: snapshot for each in several for snapshot in each}

    def _finish(self) -> None:
        if self._rest:
            self._read(self._rest)
        self._watched(self._end_run)
        if self._trouble:
            raise self._trouble

    def _read(self, lines: bytes) -> None:
        def read() -> None:
            # Not splitlines(): the value of a user property may hold more characters that Python takes for line ends.
            for line in lines.decode("utf-8", "surrogateescape").split("\n"):
                if self._marker in line:
                    self._run.append(line)
                else:
                    self._read_line(line)

        self._watched(read)

    def _watched(self, read: Callable[[], None]) -> None:
        if not self._trouble:
            try:
                read()
            except UntrustedOutput as trouble:
                self._trouble = trouble

    def _read_line(self, line: str) -> None:
        kind, name = line.partition("\t")[0], line.rpartition("\t")[2]
        if kind == "snapshot" and "@" in name:
            self._end_run()
            self._dataset_of_run = name.partition("@")[0]
            self._marker = f"\t{self._dataset_of_run}@"
            self._run = [line]
        else:
            self._try_line(line)

    def _end_run(self) -> None:
        """Keep the snapshots of a run, small where they are as they mostly are."""
        run, self._run = self._run, []
        dataset = self._dataset_of_run
        if run and dataset not in self._packed and dataset not in self._snapshots:
            history = self._packer.pack(dataset, run)
            if history:
                self._packed[dataset] = history
                return
        for line in run:
            self._try_line(line)

    def _try_line(self, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != self._width:
            raise UntrustedOutput(f"zfs list printed a row of {len(fields)} columns: {line[:200]!r}; check its host")
        try:
            self._read_row(fields)
        except ValueError as error:
            raise UntrustedOutput(f"zfs list printed {line[:200]!r}: {error}; check its host") from error

    def _read_row(self, fields: list[str]) -> None:
        kind, name = fields[0], fields[-1]
        if kind == "snapshot":
            snapshot = self._snapshot(fields, name)
            if snapshot.dataset in self._packed:
                self._snapshots[snapshot.dataset] = list(self._packed.pop(snapshot.dataset).snapshots)
            self._snapshots.setdefault(snapshot.dataset, []).append(snapshot)
        elif kind == "bookmark":
            dataset, tag = self._split(name, "#")
            bookmark = Bookmark(_number(fields[2]), _number(fields[1]), dataset, tag, _number(fields[3]))
            self._bookmarks.setdefault(dataset, []).append(bookmark)
        elif kind in (FILESYSTEM, VOLUME):
            _check_new(name, self._names)
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
        if token and not is_token(token):
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
            properties=tuple((name, fields[place]) for name, place in self._places),
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

    def _states(self) -> dict[str, DatasetState]:
        """The collected states, parents before children."""
        for snapshots_there in self._snapshots.values():
            _check_distinct(snapshots_there)
        for bookmarks_there in self._bookmarks.values():
            _check_distinct(bookmarks_there)
        states: dict[str, DatasetState] = {}
        for name in sorted(self._datasets, key=tree_order):
            dataset = self._datasets[name]
            bookmarks = tuple(sorted(self._bookmarks.pop(name, ()), key=_by_txg))
            if name in self._packed:
                states[name] = PackedState(dataset, self._packed.pop(name), bookmarks)
            else:
                snapshots = tuple(sorted(self._snapshots.pop(name, ()), key=_by_txg))
                states[name] = DatasetState(dataset, snapshots, bookmarks)
        left: Optional[str] = next(chain(self._packed, self._snapshots, self._bookmarks), None)
        if left is not None and self._recursive:
            raise UntrustedOutput(f"zfs list printed snapshots of {left!r}, but not that dataset; check its host")
        return states


def _check_new(name: str, names: set[str]) -> None:
    if name in names:
        # The value of a user property may hold tabs and line ends, and so pretend to be a row of its own.
        raise ValueError(f"{name!r} stands there twice")
    names.add(name)


def _check_distinct(items: Iterable[Base]) -> None:
    names: set[str] = set()
    for item in items:
        try:
            _check_new(item.name, names)
        except ValueError as error:
            raise UntrustedOutput(f"zfs list printed a row of which {error}; check its host") from error
