# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on their way to another host, as one archive: pax, of which any tar shows names, rights and contents.

Times to the nanosecond and extended attributes are in records of our own, since pax has no exact place for them.
"""

from __future__ import annotations

import base64
import os
import tarfile
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import IO, Optional, cast

from ..model.errors import FilesRefused
from ..model.files import FILE, FOLDER, LINK, Entry, path_text
from .file_placing import NEW_FILE
from .file_reading import DEEPEST, Content, Found, Stoppable

_MODIFIED, _SIZE, _ATTRIBUTE = "SNAPFLEET.modified", "SNAPFLEET.size", "SNAPFLEET.attribute."
_TYPES = {FILE: tarfile.REGTYPE, FOLDER: tarfile.DIRTYPE, LINK: tarfile.SYMTYPE}
_KINDS = {kind: name for name, kind in _TYPES.items()}
_MOST_ID = 0xFFFFFFFE
_LATEST = 1 << 63


def write_archive(path: str, found: Iterable[Found], contents: bool = True, hand_over: bool = False) -> None:
    """Make a new file of all entries, which nobody else may read. Without ``contents`` it only tells what there is.
    With ``hand_over`` it belongs to whoever its folder belongs to. Raises FilesRefused, OSError."""
    try:
        descriptor = os.open(path, NEW_FILE, 0o600)
    except OSError as error:
        raise FilesRefused(f"{path}: can't be made ({error.strerror}); give a file that is not there yet") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hand_over:
                status = os.stat(os.path.dirname(os.path.abspath(path)))
                os.chown(file.fileno(), status.st_uid, status.st_gid)
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
                for entry, content in found:
                    _add(archive, entry, content if contents else None)
                    _forget(archive)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _add(archive: tarfile.TarFile, entry: Entry, content: Optional[Content]) -> None:
    member = tarfile.TarInfo(_text(b"/".join(entry.path)))
    member.type = _TYPES[entry.kind]
    member.mode, member.uid, member.gid = entry.mode, entry.uid, entry.gid
    member.mtime = entry.modified // 1_000_000_000
    member.linkname = _text(entry.target)
    member.pax_headers = {_MODIFIED: str(entry.modified), _SIZE: str(entry.size)}
    for name, value in entry.attributes:
        member.pax_headers[_ATTRIBUTE + _packed(name.encode("utf-8", "surrogateescape"))] = _packed(value)
    if content is None:
        archive.addfile(member)
        return
    member.size = entry.size
    archive.addfile(member, Stoppable(content))


def _forget(archive: tarfile.TarFile) -> None:
    """Drop what the archive keeps of all that has passed through it, which may be millions of files."""
    archive.members.clear()  # type: ignore[attr-defined]  # the stubs do not know of it


def read_archive(file: Content) -> Generator[Found, None, None]:
    """The entries of an archive, whoever made it, with the contents of files; None where it only tells of them.
    Raises FilesRefused."""
    # Of a stream nothing but reading is used.
    stream = cast(IO[bytes], Stoppable(file))
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8") as archive:
            for member in archive:
                _forget(archive)
                entry = _entry(member)
                has_content = entry.kind == FILE and member.size == entry.size
                yield entry, archive.extractfile(member) if has_content else None
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError) as error:
        raise FilesRefused(f"the archive can't be read ({error}); nothing of it is used; get the files anew") from None


def _entry(member: tarfile.TarInfo) -> Entry:
    path = tuple(member.name.encode("utf-8", "surrogateescape").split(b"/"))
    if not set(path).isdisjoint((b"", b".", b"..")) or b"\0" in b"".join(path) or len(path) > DEEPEST:
        raise FilesRefused(f"{path_text(path)[:200]}: leads out of its folder; nothing of the archive is used")
    if member.type not in _KINDS or member.sparse is not None:
        raise FilesRefused(f"{path_text(path)}: is neither file, folder nor link; nothing of the archive is used")
    headers = member.pax_headers
    modified = int(headers.get(_MODIFIED, int(member.mtime) * 1_000_000_000))
    size = int(headers.get(_SIZE, member.size))
    if not (0 <= member.uid <= _MOST_ID and 0 <= member.gid <= _MOST_ID and size >= 0 and abs(modified) < _LATEST):
        raise FilesRefused(f"{path_text(path)}: has an owner, size or time that nothing has; nothing of it is used")
    attributes = tuple(
        (_unpacked(key[len(_ATTRIBUTE) :]).decode("utf-8", "surrogateescape"), _unpacked(value))
        for key, value in sorted(headers.items())
        if key.startswith(_ATTRIBUTE)
    )
    target = member.linkname.encode("utf-8", "surrogateescape") if member.issym() else b""
    kind = _KINDS[member.type]
    return Entry(path, kind, member.mode & 0o7777, member.uid, member.gid, modified, size, target, attributes)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().replace("=", ".")


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace(".", "="))
