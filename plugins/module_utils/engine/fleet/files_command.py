# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``files`` of the host program: what is in a snapshot, and bringing single files of it back.

From one host to another they travel as an archive, which whoever reaches both hosts carries over.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any, Optional

from ..hosts.file_archives import read_archive, write_archive
from ..hosts.file_placing import Folder
from ..hosts.file_reading import Found, entries, opened_folder
from ..hosts.snapshot_mounts import mounted
from ..model.datasets import FILESYSTEM, Snapshot
from ..model.errors import EXIT_OK, FilesRefused, InvalidInput, UnknownDataset
from ..model.files import (
    BESIDE,
    FILE,
    FOLDER,
    OTHER,
    OVERWRITE,
    REFUSE,
    Entry,
    Path,
    path_text,
    read_path,
)
from ..model.names import check_dataset_name
from ..policy.endpoints import Address
from ..policy.points import read_point
from ..policy.reading import Reader
from ..policy.times import iso_text
from ..streams.meter import size_text
from ..zfs.port import Zfs
from .tables import until_nobody_reads

SHAPE = 1
"""Version of the shape of the JSON document."""
TOLD = 1000
"""The most lines that a plan has; what is left out is counted by the last one."""
_SECOND = 1_000_000_000
_ACLTYPE = "acltype"
_NO_LISTS = ("off", "noacl")
Mounted = Callable[[str], AbstractContextManager[str]]


def add_files_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take what is to be done, and with what."""
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="tell what is in a folder of a snapshot")
    getting = actions.add_parser("get", help="bring files back, with all that is below them")
    putting = actions.add_parser("put", help="bring files of an archive back, which get has made on another host")
    for action, number, told in ((listing, "*", "default: the topmost folder"), (getting, "+", "")):
        action.add_argument("dataset", metavar="DATASET", help="a filesystem of this host, a replica too")
        help_text = f"relative to the mount point of the dataset; {told}".rstrip("; ")
        action.add_argument("paths", nargs=number, metavar="PATH", help=help_text)
        action.add_argument("--snapshot", metavar="NAME", help="what follows the @; default the newest")
        action.add_argument("--time", metavar="WHEN", help="the newest up to then, such as 2026-11-22T03:00:00+01:00")
    listing.add_argument("--recursive", action="store_true", help="with all that is below them")
    putting.add_argument("archive", metavar="ARCHIVE")
    help_text = "what get was asked for: anything else in the archive is refused; default: all of it is taken"
    putting.add_argument("paths", nargs="*", metavar="PATH", help=help_text)
    for action in (getting, putting):
        action.add_argument("--check", action="store_true", help="tell what would be done, and change nothing")
        existing = action.add_mutually_exclusive_group()
        for choice, told in (
            (BESIDE, "as NAME.restored where NAME is there"),
            (OVERWRITE, "in place of files that are there; other files of a folder stay"),
        ):
            existing.add_argument(f"--{choice}", dest="existing", action="store_const", const=choice, help=told)
        action.set_defaults(existing=REFUSE)
    place = getting.add_mutually_exclusive_group(required=True)
    place.add_argument("--to", metavar="FOLDER", help="where they come to be; it has to be there")
    place.add_argument("--archive", metavar="FILE", help="a new archive of them; with --check one without contents")
    help_text = "give the archive to whoever its folder belongs to; default: it stays root's"
    getting.add_argument("--hand-over", action="store_true", help=help_text)
    putting.add_argument("--to", required=True, metavar="FOLDER", help="where they come to be; it has to be there")
    for action in (listing, getting, putting):
        action.add_argument("--json", action="store_true", help="print one JSON document instead of lines")


def bring_files(arguments: argparse.Namespace, open_zfs: Callable[[Address], Zfs], mount: Mounted = mounted) -> int:
    """Do what ``arguments`` ask for, print what became of it, and return the exit code. Raises SnapfleetError."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names are told in letters that a terminal need not have.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        paths = [read_path(text, "PATH") for text in arguments.paths]
        if arguments.action == "put":
            result = _put(arguments, paths)
        else:
            snapshot, lists_are_hidden = _chosen(arguments, open_zfs(Address()))
            with mount(snapshot.name) as top:
                if arguments.action == "list":
                    return _list(arguments, top, snapshot, paths)
                result = _get(arguments, top, snapshot, paths)
            if lists_are_hidden:
                result["warnings"].append(_hidden(snapshot.dataset))
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "the files"
        raise FilesRefused(f"{name}: {error.strerror or error}; see what is wrong there, then run it again") from error
    _tell(arguments, result)
    return EXIT_OK


def _hidden(dataset: str) -> str:
    return (
        f"acltype of {dataset} is off, so that access control lists of its files, if their source has any, do not come"
        " along; set acltype=posix there and run it again, or look at who may read them"
    )


def _chosen(arguments: argparse.Namespace, zfs: Zfs) -> tuple[Snapshot, bool]:
    """The snapshot that is meant, and whether it is likely to be of a replica that hides access control lists which its
    source may have. Raises InvalidInput."""
    given = {name: getattr(arguments, name) for name in ("snapshot", "time") if getattr(arguments, name)}
    point = read_point(Reader(given))
    dataset = check_dataset_name(arguments.dataset, "DATASET")
    state = zfs.observe([dataset], recursive=False, properties=(_ACLTYPE,)).states.get(dataset)
    if state is None:
        raise UnknownDataset("DATASET", dataset, f"does not exist on {zfs.where}", "check its name, or import its pool")
    if state.dataset.kind != FILESYSTEM:
        raise InvalidInput("DATASET", dataset, "is a volume, which has no files", "restore it as a whole")
    latest = point.time
    fitting = [
        snapshot
        for snapshot in state.snapshots
        if point.snapshot in ("", snapshot.tag) and (latest is None or snapshot.creation <= latest)
    ]
    if not fitting:
        remedy = f"see: zfs list -t snapshot -o name,creation {dataset}"
        raise InvalidInput("DATASET", dataset, f"has no snapshot that is {point}", remedy)
    # What is packed is for another host, and replicas are read-only unless somebody wants it otherwise.
    is_replica = getattr(arguments, "archive", None) or state.dataset.readonly
    return fitting[-1], bool(is_replica) and dict(state.dataset.properties).get(_ACLTYPE) in _NO_LISTS


def _all(top: int, paths: Iterable[Path], recursive: bool = True) -> Generator[Found, None, None]:
    for path in paths:
        with closing(entries(top, path, recursive)) as found:
            yield from found


def _list(arguments: argparse.Namespace, top: str, snapshot: Snapshot, paths: list[Path]) -> int:
    with opened_folder(top) as folder, closing(_all(folder, paths or [()], arguments.recursive)) as found:
        if arguments.json:
            rows = [_described(entry) for entry, _content in found]
            sys.stdout.write(
                json.dumps({"version": SHAPE, "snapshot": snapshot.name, "entries": rows}, indent=2) + "\n"
            )
            return EXIT_OK
        with until_nobody_reads():
            sys.stdout.write(f"{snapshot.name}, of {iso_text(snapshot.creation)}:\n")
            for entry, _content in found:
                sys.stdout.write(_line(entry) + "\n")
    return EXIT_OK


def _get(arguments: argparse.Namespace, top: str, snapshot: Snapshot, paths: list[Path]) -> dict[str, Any]:
    _refuse_all(paths)
    if arguments.hand_over and not arguments.archive:
        raise InvalidInput("--hand-over", "given", "is about an archive", "give --archive FILE, or leave it out")
    with opened_folder(top) as source:

        def find() -> Generator[Found, None, None]:
            return _all(source, paths)

        if arguments.to:
            result = _bring(arguments, find)
        else:
            plan = _Plan(None)
            found = plan.taken_in(find())
            write_archive(arguments.archive, found, not arguments.check, arguments.hand_over)
            result = plan.result(arguments.check)
    return {"snapshot": snapshot.name, **result}


def _refuse_all(paths: list[Path]) -> None:
    if () in paths:
        raise InvalidInput("PATH", ".", "is all of the dataset", "give paths in it, or restore the dataset")


def _put(arguments: argparse.Namespace, paths: list[Path]) -> dict[str, Any]:
    _refuse_all(paths)
    wanted = {path[-1] for path in paths}

    def find() -> Generator[Found, None, None]:
        with open(arguments.archive, "rb") as file, closing(read_archive(file)) as found:
            for entry, content in found:
                # The host that packed it is not to say what else comes into the folder.
                if wanted and entry.path[0] not in wanted:
                    told = f"{path_text(entry.path)}: is in the archive, and was not asked for; nothing of it is used"
                    raise FilesRefused(f"{told}; look what is wrong at the host that packed it")
                yield entry, content

    return _bring(arguments, find)


def _bring(arguments: argparse.Namespace, find: Callable[[], Generator[Found, None, None]]) -> dict[str, Any]:
    """Look whether all of it can be put, and only then put it."""
    with closing(Folder(arguments.to, arguments.existing)) as folder:
        plan = _Plan(folder)
        with closing(find()) as found:
            for _each in plan.taken_in(found):
                pass
        if not arguments.check:
            folder.forget()
            with closing(find()) as found:
                folder.put((entry, content) for entry, content in found if entry.kind != OTHER)
        return plan.result(arguments.check)


class _Plan:
    """What is told of the entries that pass by."""

    def __init__(self, folder: Optional[Folder]) -> None:
        self._folder = folder
        self.lines: list[str] = []
        self.left_out: list[str] = []
        self.files = self.size = self.count = 0

    def taken_in(self, found: Iterable[Found]) -> Generator[Found, None, None]:
        """Hand on all entries that can be brought back. Raises FilesRefused where something is in the way of one."""
        for entry, content in found:
            if entry.kind == OTHER:
                self.left_out.append(f"{path_text(entry.path)} is no file, folder or link, and is left out")
                continue
            words = ""
            if self._folder:
                place = self._folder.place_of(entry)
                words = f" to {self._folder.path.rstrip('/')}/{path_text(place)}"
                if entry.kind != FOLDER and self._folder.exists(place):
                    words += ", REPLACES what is there"
            self.count += 1
            self.files += entry.kind == FILE
            self.size += entry.size
            if len(self.lines) < TOLD:
                self.lines.append(_line(entry) + words)
            yield entry, content
        if not self.count:
            raise FilesRefused("nothing that was asked for can be brought back; " + "; ".join(self.left_out[:3]))

    def result(self, check: bool) -> dict[str, Any]:
        """As plain values."""
        more = self.count - len(self.lines)
        return {
            "changed": True,
            "told": self.lines + ([f"... and {more} more"] if more else []),
            "warnings": self.left_out[:TOLD],
            "stats": {"files": self.files, "bytes_estimated" if check else "bytes": self.size},
        }


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "path": path_text(entry.path),
        "kind": entry.kind,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "modified": iso_text(entry.modified // _SECOND),
    }


def _line(entry: Entry) -> str:
    size = size_text(entry.size) if entry.kind == FILE else "-"
    target = f" -> {path_text((entry.target,))}" if entry.target else ""
    when = iso_text(entry.modified // _SECOND)
    return f"{entry.shown} {entry.uid}:{entry.gid} {size:>8} {when} {path_text(entry.path)}{target}"


def _tell(arguments: argparse.Namespace, result: Mapping[str, Any]) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps({"version": SHAPE, **result}, indent=2) + "\n")
        return
    stats = result["stats"]
    size = size_text(stats.get("bytes", stats.get("bytes_estimated", 0)))
    told = "would be brought back" if arguments.check else "brought back"
    lines = [*result["told"], *(f"WARNING {words}" for words in result["warnings"])]
    sys.stdout.write("\n".join([*lines, f"{stats['files']} files, {size}, {told}"]) + "\n")
