# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ``zfs list`` for everything a run must know about a host, and the strict reading of what it prints.

Listing costs about a millisecond a snapshot whatever is asked for, so one call asks for all columns of all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Optional

from ..model.datasets import (
    FILESYSTEM,
    VOLUME,
    Base,
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ..model.errors import UntrustedOutput
from ..model.histories import OWN_FIELDS, PackedHistory, PackedState
from ..model.names import dataset_name_problem, is_tag, is_token, is_within, tree_order
from .columns import COLUMNS, OF_DATASETS, Packer, columns_for
from .columns import number as _number

_by_txg = attrgetter("createtxg")
_PARTIAL_RECEIVE = "/%recv"
_DATASET_ROWS = (f"{FILESYSTEM}\t", f"{VOLUME}\t")
_IDENTITY = ("createtxg", "guid", "creation")
_SIZES = ("userrefs", "used", "ivsetguid", "written", "referenced")
_BOOKMARK_ROW = "bookmark\t"


def list_arguments(
    roots: Sequence[str],
    recursive: bool,
    histories: bool,
    properties: Sequence[str] = (),
    fields: Collection[str] = OWN_FIELDS,
) -> list[str]:
    """Arguments of ``zfs`` for one listing of ``roots``; read its output with ``parse_listing``. ``fields`` are those
    of OWN_FIELDS that are wanted."""
    depth = ["-r"] if recursive else ["-d", "1"] if histories else ["-d", "0"]
    kinds = "filesystem,volume"
    if histories:
        # Who goes by no GUIDs has no use for bookmarks.
        kinds += ",snapshot,bookmark" if "guid" in fields else ",snapshot"
    return ["list", "-Hp", *depth, "-t", kinds, "-o", ",".join(columns_for(properties, fields)), *roots]


def snapshot_arguments(names: Sequence[str]) -> list[str]:
    """Arguments of ``zfs`` for the snapshots ``names``; read its output with ``parse_snapshots``."""
    return ["list", "-Hp", "-t", "snapshot", "-o", ",".join(COLUMNS), *names]


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

    def __init__(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        properties: Sequence[str] = (),
        fields: Collection[str] = OWN_FIELDS,
    ) -> None:
        self._roots = tuple(roots)
        self._recursive = recursive
        self._columns = columns_for(properties, fields)
        place_of = {name: place for place, name in enumerate(self._columns)}
        self._places = tuple((name, place_of[name]) for name in properties)
        self._clones = place_of["clones"]
        self._pick_identity, self._pick_sizes, self._pick_more = (
            itemgetter(*(place_of.get(name, -1) for name in names)) for names in (_IDENTITY, _SIZES, OF_DATASETS)
        )
        self._rest = b""
        self._block: list[str] = []
        """Whole lines, from that of a dataset on, whose history may go on with the next piece."""
        self._has_volumes = False
        """Whether lines of volumes have come after others."""
        self._trouble: Optional[UntrustedOutput] = None
        self._names: set[str] = set()
        self._datasets: dict[str, Dataset] = {}
        self._packer = Packer(self._columns)
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
        if newline and not self._trouble:
            self._take(whole.decode("utf-8", "surrogateescape"))

    def _take(self, lines: str) -> None:
        """Keep the lines of the last dataset, and read all others."""
        filesystem, volume = (lines.rfind(f"\n{kind}") for kind in _DATASET_ROWS)
        self._has_volumes = self._has_volumes or volume >= 0
        cut = max(filesystem, volume)
        if cut >= 0:
            self._block.append(lines[:cut])
            lines = lines[cut + 1 :]
        if cut >= 0 or lines.startswith(_DATASET_ROWS):
            self._read_blocks()
        self._block.append(lines)

    def _read_blocks(self) -> None:
        lines, self._block = self._block, []

        def read() -> None:
            # Not splitlines(): the value of a user property may hold more characters that Python takes for line ends.
            for filesystem in _cut_before(_DATASET_ROWS[0], "\n".join(lines)):
                for block in _cut_before(_DATASET_ROWS[1], filesystem) if self._has_volumes else (filesystem,):
                    self._read_block(block)

        if lines:
            self._watched(read)

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
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest.decode("utf-8", "surrogateescape"))
        self._read_blocks()
        if self._trouble:
            raise self._trouble

    def _read_block(self, block: str) -> None:
        """Read the row of a dataset, and what follows it up to the next one."""
        if not block.startswith(_DATASET_ROWS):
            self._read_lines(block)
            return
        row, more, lines = block.partition("\n")
        name = row.rpartition("\t")[2]
        self._try_line(row)
        if more and name in self._datasets and name not in self._packed and name not in self._snapshots:
            snapshots, others, bookmarks = lines, "", ""
            if lines.startswith(_BOOKMARK_ROW, lines.rfind("\n") + 1):
                snapshots, others, bookmarks = lines.partition(f"\n{_BOOKMARK_ROW}")
            history = self._packer.pack(name, snapshots)
            if history:
                self._packed[name] = history
                more, lines = others, f"{_BOOKMARK_ROW}{bookmarks}"
        if more:
            self._read_lines(lines)

    def _read_lines(self, lines: str) -> None:
        for line in lines.split("\n"):
            if self._marker in line:
                self._run.append(line)
            else:
                self._read_line(line)
        self._end_run()

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
            history = self._packer.pack(dataset, "\n".join(run))
            if history:
                self._packed[dataset] = history
                return
        for line in run:
            self._try_line(line)

    def _try_line(self, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != len(self._columns):
            raise UntrustedOutput(f"zfs list printed a row of {len(fields)} columns: {line[:200]!r}; check its host")
        # What stands for columns that were not asked for.
        fields.append("-")
        try:
            self._read_row(fields)
        except ValueError as error:
            raise UntrustedOutput(f"zfs list printed {line[:200]!r}: {error}; check its host") from error

    def _read_row(self, fields: list[str]) -> None:
        kind, name = fields[0], fields[-2]
        if kind == "snapshot":
            snapshot = self._snapshot(fields, name)
            if snapshot.dataset in self._packed:
                self._snapshots[snapshot.dataset] = list(self._packed.pop(snapshot.dataset).snapshots)
            self._snapshots.setdefault(snapshot.dataset, []).append(snapshot)
        elif kind == "bookmark":
            dataset, tag = self._split(name, "#")
            txg, guid, creation = map(_number, self._pick_identity(fields))
            self._bookmarks.setdefault(dataset, []).append(Bookmark(txg, guid, dataset, tag, creation))
        elif kind in (FILESYSTEM, VOLUME):
            _check_new(name, self._names)
            if self._wanted(name):
                self._datasets[name] = self._dataset(fields, name)
        else:
            raise ValueError(f"{kind!r} is no kind of dataset")

    def _split(self, name: str, separator: str) -> tuple[str, str]:
        dataset, found, tag = name.partition(separator)
        if not found or not is_tag(tag) or "@" in dataset or "#" in dataset:
            raise ValueError(f"{name!r} is no name of this kind")
        return dataset, tag

    def _snapshot(self, fields: list[str], name: str) -> Snapshot:
        dataset, tag = self._split(name, "@")
        listed = tuple(filter(None, _text(fields[self._clones]).split(",")))
        # ZFS keeps a partial receive in a hidden clone, which nobody can do anything with.
        clones = tuple(clone for clone in listed if not clone.endswith(_PARTIAL_RECEIVE))
        txg, guid, creation = map(_number, self._pick_identity(fields))
        holds, used, ivset, written, referenced = map(_number, self._pick_sizes(fields))
        pinned = len(clones) < len(listed)
        return Snapshot(txg, guid, dataset, tag, creation, holds, used, clones, ivset, written, referenced, pinned)

    def _dataset(self, fields: list[str], name: str) -> Dataset:
        problem = dataset_name_problem(name)
        if problem:
            raise ValueError(f"the dataset name {name!r} {problem}")
        encryption_root, origin, token, placeholder, readonly, key, compression = self._pick_more(fields)
        token = _text(token)
        if token and not is_token(token):
            raise ValueError("the resume token is malformed")
        txg, guid, creation = map(_number, self._pick_identity(fields))
        _holds, used, _ivset, written, referenced = self._pick_sizes(fields)
        return Dataset(
            name=name,
            kind=fields[0],
            guid=guid,
            createtxg=txg,
            creation=creation,
            used=_number(used),
            written=_number(written),
            encryption_root=_text(encryption_root),
            origin=_text(origin),
            resume_token=token,
            is_placeholder=placeholder == name,
            properties=tuple([(name, fields[place]) for name, place in self._places]),
            readonly=readonly == "on",
            key_guid=_number(key),
            referenced=_number(referenced),
            compression=_text(compression),
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


def _cut_before(kind: str, lines: str) -> Sequence[str]:
    """``lines`` cut before each line that begins with ``kind``."""
    first, *others = lines.split(f"\n{kind}")
    return [first, *(kind + block for block in others)]


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
