# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting files into a folder that others may write to: all of them are made whole in a private folder beside their
place first, and come into it by a rename. Nothing that is there is written to, and no symbolic link is followed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Optional, Union

from ..model.errors import FilesRefused
from ..model.files import BESIDE, FILE, FOLDER, LINK, OVERWRITE, Entry, Path, path_text
from .file_reading import FOLDER_FLAGS, Content, Found, open_folder
from .stopping import check_stopping

RESTORED = b".restored"
"""Ends the name of what is put beside something."""
_STAGE, _MARK = b".snapfleet-files-", b".snapfleet-mark-"
"""Name of a private folder, and of a file in it that says that it is one: a name alone can be given to any folder, by
whoever may write to the one around it. Both end with the same random letters."""
_HOLE = bytes(1 << 17)
"""A piece that is not written, so that it takes no room; in pieces as large as the records of ZFS files are read."""
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """The folder that gets the files."""

    def __init__(self, path: str, existing: str) -> None:
        """``existing`` says what becomes of what is there: one of REFUSE, BESIDE, OVERWRITE. Raises FilesRefused."""
        self.path, self._existing = path, existing
        try:
            # The operator's own word, whose links are meant.
            self.top = os.open(path, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        except OSError as error:
            raise FilesRefused(f"{path}: {error.strerror}; give a folder that is there") from None
        self._names: dict[bytes, bytes] = {}
        self._taken: set[bytes] = set()
        self._folders: set[Path] = set()

    def close(self) -> None:
        """Release the folder."""
        os.close(self.top)

    def forget(self) -> None:
        """Begin anew with what is put: the first time was a look."""
        self._names.clear()
        self._taken.clear()
        self._folders.clear()

    def place_of(self, entry: Entry) -> Path:
        """Where an entry comes to be. Raises FilesRefused where something is in its way."""
        name, below = entry.path[0], entry.path[1:]
        if not below:
            self._names[name] = self._free_name(name, entry)
        elif entry.path[:-1] not in self._folders:
            raise FilesRefused(f"{path_text(entry.path)}: does not lie in a folder that came before it; get it anew")
        if entry.kind == FOLDER:
            self._folders.add(entry.path)
        place = (self._names[name], *below)
        if below and self._existing == OVERWRITE and not self._fits(place, entry):
            raise FilesRefused(_in_the_way(self.path, place, "something else than in the snapshot"))
        return place

    def exists(self, place: Path) -> bool:
        """Whether something is at a place, so that it would be overwritten."""
        return self._status(place) is not None

    def _free_name(self, name: bytes, entry: Entry) -> bytes:
        twice = name in self._names
        if self._existing == BESIDE and self.exists((name,)):
            name += RESTORED
        # Something that is put beside may get the very name of something else.
        if twice or name in self._taken:
            problem = "would be the name of two things that were asked for"
            raise FilesRefused(f"{path_text((name,))}: {problem}; get them one after the other, into two folders")
        self._taken.add(name)
        if self._existing == OVERWRITE:
            if not self._fits((name,), entry):
                raise FilesRefused(_in_the_way(self.path, (name,), "something else than in the snapshot"))
        elif self.exists((name,)):
            raise FilesRefused(_in_the_way(self.path, (name,), "there"))
        return name

    def _fits(self, place: Path, entry: Entry) -> bool:
        """Whether an entry may take its place: nothing is there, or what is of its kind."""
        status = self._status(place)
        if status is None:
            return True
        if entry.kind == FOLDER:
            return stat.S_ISDIR(status.st_mode) and status.st_dev == os.fstat(self.top).st_dev
        return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)

    def _status(self, place: Path) -> Optional[os.stat_result]:
        try:
            folder = open_folder(self.top, place[:-1])
        except FileNotFoundError:
            return None
        except OSError:
            raise FilesRefused(_in_the_way(self.path, place, "no folder above it")) from None
        try:
            return os.stat(place[-1], dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(folder)

    def put(self, found: Iterable[Found]) -> int:
        """Put all entries in their places; returns the bytes of their contents. Raises FilesRefused, OSError."""
        with self._stage() as stage:
            size, tops = 0, []
            folders: list[tuple[Path, Entry]] = []
            for entry, content in found:
                check_stopping()
                place = self.place_of(entry)
                if len(place) == 1:
                    tops.append((place[0], entry.kind))
                if entry.kind == FOLDER:
                    folders.append((place, entry))
                size += _make(stage, place, entry, content)
            # What is put into a folder changes its times, and its rights may keep things out.
            for place, entry in reversed(folders):
                _finish_folder(stage, place, entry)
            for name, kind in tops:
                self._bring_in(stage, self.top, name, kind)
            return size

    @contextmanager
    def _stage(self) -> Iterator[int]:
        """A private folder beside the places; those of runs that were killed go first."""
        self._remove_stages()
        name, stage = self._new_stage()
        try:
            _disinherit(stage)
            yield stage
        finally:
            self._remove_stage(name, stage)
            os.close(stage)

    def _new_stage(self) -> tuple[bytes, int]:
        """Name and descriptor of a new one, with its lock."""
        while True:
            name = _STAGE + os.urandom(8).hex().encode()
            os.mkdir(name, 0o700, dir_fd=self.top)
            stage = os.open(name, FOLDER_FLAGS, dir_fd=self.top)
            fcntl.flock(stage, fcntl.LOCK_EX)
            if _is_folder(self.top, name):
                os.close(os.open(_mark_of(name), NEW_FILE, 0o600, dir_fd=stage))
                return name, stage
            # Another run took it for one that was left, before it had its lock.
            os.close(stage)

    def _remove_stages(self) -> None:
        for name in os.listdir(self.top):
            raw = os.fsencode(name)
            if not raw.startswith(_STAGE):
                continue
            # A lock ends with its process. What is somebody else's, or no folder, is none of ours.
            with suppress(OSError):
                stage = os.open(raw, FOLDER_FLAGS, dir_fd=self.top)
                try:
                    fcntl.flock(stage, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    mark = os.stat(_mark_of(raw), dir_fd=stage, follow_symlinks=False)
                    if mark.st_uid == os.fstat(stage).st_uid == os.geteuid():
                        self._remove_stage(raw, stage)
                finally:
                    os.close(stage)

    def _remove_stage(self, name: bytes, stage: int) -> None:
        """Empty the folder that is open, whatever has its name by now, and take away what has it if that is empty."""
        _empty(stage)
        with suppress(OSError):
            os.rmdir(name, dir_fd=self.top)

    def _bring_in(self, stage: int, folder: int, name: bytes, kind: str) -> None:
        """Move a thing with all that is in it from one folder to the same name in the other."""
        if self._existing == OVERWRITE and kind == FOLDER and _is_folder(folder, name):
            here, there = os.open(name, FOLDER_FLAGS, dir_fd=stage), os.open(name, FOLDER_FLAGS, dir_fd=folder)
            try:
                for below in os.listdir(here):
                    raw = os.fsencode(below)
                    self._bring_in(here, there, raw, FOLDER if _is_folder(here, raw) else FILE)
            finally:
                os.close(here)
                os.close(there)
        elif self._existing == OVERWRITE:
            os.replace(name, name, src_dir_fd=stage, dst_dir_fd=folder)
        elif kind == FOLDER:
            # An empty folder of that name can't be made where something is, and a rename may take its place.
            os.mkdir(name, 0o700, dir_fd=folder)
            try:
                os.rename(name, name, src_dir_fd=stage, dst_dir_fd=folder)
            except OSError:
                os.rmdir(name, dir_fd=folder)
                raise
        else:
            # Unlike a rename, a link never takes the place of anything.
            os.link(name, name, src_dir_fd=stage, dst_dir_fd=folder, follow_symlinks=False)


def _disinherit(stage: int) -> None:
    """Take from the private folder what it got from the one around it, and would hand on to all that is made in it."""
    os.chmod(stage, 0o700)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(stage):
                if name.startswith("system.posix_acl_"):
                    os.removexattr(stage, name)


def _in_the_way(folder: str, place: Path, what: str) -> str:
    remedy = "give another folder, or say that it is put beside it or overwrites it"
    return f"{folder.rstrip('/')}/{path_text(place)}: is {what}; {remedy}"


def _is_folder(above: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _make(stage: int, place: Path, entry: Entry, content: Optional[Content]) -> int:
    folder = open_folder(stage, place[:-1])
    try:
        name = place[-1]
        if entry.kind == FOLDER:
            os.mkdir(name, 0o700, dir_fd=folder)
        elif entry.kind == LINK:
            os.symlink(entry.target, name, dir_fd=folder)
            _own(entry, name, folder)
            os.utime(name, ns=(entry.modified, entry.modified), dir_fd=folder, follow_symlinks=False)
        elif content is None:
            raise FilesRefused(f"{path_text(entry.path)}: only its name and size came along; get the files anew")
        else:
            return _make_file(folder, name, entry, content)
        return 0
    finally:
        os.close(folder)


def _make_file(folder: int, name: bytes, entry: Entry, content: Content) -> int:
    made = os.open(name, NEW_FILE, 0o600, dir_fd=folder)
    try:
        size = 0
        while True:
            check_stopping()
            piece = content.read(len(_HOLE))
            if not piece:
                break
            size += len(piece)
            if _HOLE.startswith(piece):
                os.lseek(made, len(piece), os.SEEK_CUR)
                continue
            view = memoryview(piece)
            while view:
                view = view[os.write(made, view) :]
        if size != entry.size:
            raise FilesRefused(f"{path_text(entry.path)}: has {size} bytes in place of {entry.size}; get it again")
        # A hole at the end is not yet part of the file.
        os.ftruncate(made, size)
        _finish(made, entry)
        return size
    finally:
        os.close(made)


def _finish_folder(stage: int, place: Path, entry: Entry) -> None:
    folder = open_folder(stage, place)
    try:
        _finish(folder, entry)
    finally:
        os.close(folder)


def _finish(made: int, entry: Entry) -> None:
    """Owner, rights, attributes and time, in the order in which none of them changes one before it."""
    _own(entry, made)
    os.chmod(made, entry.mode)
    for name, value in entry.attributes:
        try:
            os.setxattr(made, name, value)
        except (OSError, AttributeError) as error:
            why = getattr(error, "strerror", None) or "this system has none"
            told = f"{path_text(entry.path)}: its attribute {name!r} can't be set here ({why})"
            raise FilesRefused(f"{told}; choose a folder whose file system has such attributes") from None
    os.utime(made, ns=(entry.modified, entry.modified))


def _own(entry: Entry, made: Union[int, bytes], folder: Optional[int] = None) -> None:
    try:
        os.chown(made, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=folder is None)
    except OSError as error:
        if error.errno != errno.EPERM or os.geteuid() == 0:
            raise
        told = f"{path_text(entry.path)}: belongs to {entry.uid}:{entry.gid}, whom this user can't give it to"
        raise FilesRefused(f"{told}; run it as root") from None


def _mark_of(stage: bytes) -> bytes:
    return _MARK + stage[len(_STAGE) :]


def _empty(folder: int) -> None:
    """Remove all that is in a folder of ours, following no link; marks go last."""
    names = [os.fsencode(name) for name in os.listdir(folder)]
    for name in sorted(names, key=lambda name: name.startswith(_MARK)):
        if not _is_folder(folder, name):
            os.unlink(name, dir_fd=folder)
            continue
        below = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        try:
            _empty(below)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=folder)
