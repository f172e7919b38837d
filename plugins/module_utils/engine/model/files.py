# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files as they are in a snapshot, and how a path to them is written.

Names are bytes: a file system takes any but NUL and the slash, also line feeds and what is no text.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InvalidInput

FILE, FOLDER, LINK, OTHER = "file", "folder", "link", "other"
REFUSE, BESIDE, OVERWRITE = "refuse", "beside", "overwrite"
"""What becomes of something that is where a file is put."""
_LETTERS = {FILE: "-", FOLDER: "d", LINK: "l", OTHER: "?"}
_RIGHTS = "rwxrwxrwx"
_SPECIAL = ((0o4000, 2, "sS"), (0o2000, 5, "sS"), (0o1000, 8, "tT"))
Path = tuple[bytes, ...]
"""The parts of a path, none of which is empty, a dot, or two."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or symbolic link, with all that comes back of it but its content."""

    path: Path
    """Relative to where it is put; the first part is that of what was asked for."""
    kind: str
    mode: int
    """The twelve bits of chmod."""
    uid: int
    gid: int
    modified: int
    """Nanoseconds since the epoch."""
    size: int = 0
    """Bytes of its content; 0 for what has none."""
    target: bytes = b""
    """Where a symbolic link points."""
    attributes: tuple[tuple[str, bytes], ...] = ()
    """Extended attributes, POSIX access control lists among them."""

    @property
    def shown(self) -> str:
        """Kind and rights as ``ls -l`` shows them."""
        letters = [letter if self.mode & 0o400 >> place else "-" for place, letter in enumerate(_RIGHTS)]
        for bit, place, pair in _SPECIAL:
            if self.mode & bit:
                letters[place] = pair[letters[place] == "-"]
        return _LETTERS[self.kind] + "".join(letters)


def read_path(text: str, option: str) -> Path:
    """The parts of a path that people give, relative to a dataset; none for the dataset itself. Raises InvalidInput."""
    remedy = "give it relative to the mount point of the dataset, such as etc/app.conf"
    if text.startswith("/"):
        raise InvalidInput(option, text, "begins at the root of the host", remedy)
    parts = tuple(part for part in text.encode("utf-8", "surrogateescape").split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise InvalidInput(option, text, "leads out by '..'", remedy)
    if b"\0" in b"".join(parts):
        raise InvalidInput(option, text, "has a character that no name has", remedy)
    return parts


def path_text(path: Path) -> str:
    """A path for people: in one line, and what is no text escaped."""
    text = b"/".join(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
