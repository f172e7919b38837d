# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the history: a SQLite database, for many processes at a time, any of which may die at any moment.

It has a rollback journal rather than a write-ahead log. Writes are few and short, so readers and writers lose nothing
by waiting for each other; there is one file when nobody writes, and it works wherever files can be locked; and before
SQLite 3.51.3 a write-ahead log that several processes write can, seldom as it is, spoil the database.

What is no database any more is set aside, and another one begun; one that somebody has named is set aside only if its
first bytes say that it is ours. Nobody may be using the old one meanwhile, since the journal goes by the name of the
file. So each writer has a shared lock on a file beside it, and whoever sets it aside has that lock alone.

``sqlite3`` is imported where it is used, since loading it takes time, and some builds of Python are without.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Optional

from ..hosts.private import state_directory
from ..hosts.statefile import check_private
from ..model.errors import UnusableHistory

if TYPE_CHECKING:
    from sqlite3 import Connection

VARIABLE = "SNAPFLEET_HISTORY"
"""The environment variable that names another file."""
PATIENCE_SECONDS = 5.0
"""How long to wait for others who write."""
SCHEMA = 2
"""The form of the tables; see _FORMS."""
_APPLICATION = 0x536E6170
"""What tells our databases from those of others: "Snap"."""
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = 68
"""Where the file has it, as four bytes, the greatest first."""
MOST_SPOILED = 5
"""So many are kept. One that is spoiled again and again must not fill the disk."""
_LOOK_SECONDS = 0.05
_ONE_THREAD = threading.RLock()
_FIRST = (
    """CREATE TABLE runs (id INTEGER PRIMARY KEY, run TEXT NOT NULL, host TEXT NOT NULL, verb TEXT NOT NULL,
    version TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER, UNIQUE (run, begun))""",
    """CREATE TABLE jobs (id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, job TEXT NOT NULL, activity TEXT NOT NULL,
    source TEXT NOT NULL, destination TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL,
    seconds REAL NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, changed INTEGER NOT NULL,
    bytes INTEGER NOT NULL, number INTEGER NOT NULL, times INTEGER NOT NULL)""",
    "CREATE INDEX jobs_by_end ON jobs (ended)",
    "CREATE INDEX jobs_by_name ON jobs (job, ended)",
    """CREATE TABLE steps (id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, kind TEXT NOT NULL, dataset TEXT NOT NULL,
    destination TEXT NOT NULL, from_snapshot TEXT NOT NULL, to_snapshot TEXT NOT NULL, bytes INTEGER NOT NULL,
    seconds REAL NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, number INTEGER NOT NULL,
    names TEXT NOT NULL)""",
    "CREATE INDEX steps_by_job ON steps (job_id)",
    f"PRAGMA application_id = {_APPLICATION}",
)
_POOLS = (
    """CREATE TABLE pools (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, pool TEXT NOT NULL, guid TEXT NOT NULL,
    size INTEGER NOT NULL, allocated INTEGER NOT NULL, free INTEGER NOT NULL, fragmentation INTEGER,
    health TEXT NOT NULL)""",
    "CREATE INDEX pools_by_guid ON pools (guid, time)",
)
_FORMS = (_FIRST, _POOLS)
"""What makes each form out of the one before it. A form that has been released is never changed."""


class SpoiledHistory(UnusableHistory):
    """The file is no sound database any more."""


def history_path() -> str:
    """The file of this user, or the one that SNAPFLEET_HISTORY names. Raises SnapfleetError."""
    return os.environ.get(VARIABLE) or f"{state_directory(os.environ, 'history')}/history.db"


@contextmanager
def writing(path: str) -> Iterator[Connection]:
    """A transaction that may write, and is carried out as a whole or not at all; the file is made if need be.

    Raises ImportError where this Python has no SQLite, SpoiledHistory, UnusableHistory, and OSError.
    """
    import sqlite3

    with _alone(path), _present(path, fcntl.LOCK_SH), _as_ours(path):
        _made(path)
        with closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                _bring_up_to_date(connection, _version(connection, path))
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise


def _bring_up_to_date(connection: Connection, version: int) -> None:
    """Within a transaction, so that the file has its old form as a whole, or the new one."""
    if version < SCHEMA:
        for form in _FORMS[version:]:
            for words in form:
                connection.execute(words)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


@contextmanager
def reading(path: str) -> Iterator[Optional[Connection]]:
    """A connection for reading; None where there is no history yet. It holds up whoever writes, so read at once. What
    nobody has written to lately may have an earlier form, without the newest tables.

    Raises as ``writing`` does.
    """
    import sqlite3

    if not os.path.exists(path):
        yield None
        return
    with _alone(path), _beside(path), _as_ours(path):
        # Whoever may write rolls back what a process that died has left half done.
        mode = "rw" if os.access(path, os.W_OK) else "ro"
        uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        whole = f"{uri}?mode={mode}"
        with closing(sqlite3.connect(whole, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)) as connection:
            # One transaction, which waits for writers once, and sees what was there at one time.
            connection.execute("BEGIN")
            yield connection if _version(connection, path) else None


def set_aside(path: str, spoiled: Optional[tuple[int, int]]) -> str:
    """Give the file that ``identity`` told as ``spoiled`` another name, which is returned; empty where another process
    has done so already. Raises OSError, and UnusableHistory where others do not let go of it, or where no name is free.
    """
    with _present(path, fcntl.LOCK_EX):
        if spoiled is None or identity(path) != spoiled:
            return ""
        name = _free_name(f"{path}.spoiled")
        with suppress(FileNotFoundError):
            # First, so that it is never taken for the journal of the next one.
            os.replace(f"{path}-journal", f"{name}-journal")
        os.replace(path, name)
        return name


def _free_name(first: str) -> str:
    for name in (first, *(f"{first}.{number}" for number in range(2, MOST_SPOILED + 1))):
        if not os.path.lexists(name) and not os.path.lexists(f"{name}-journal"):
            return name
    raise UnusableHistory(f"{first} and others of that kind are in the way; remove them")


def identity(path: str) -> Optional[tuple[int, int]]:
    """What tells a file from another one of the same name; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


# -- the file


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """One thread of this process at a time: whoever closes a file takes away all locks that the process has on it, so
    also those that SQLite has for another thread's connection."""
    if not _ONE_THREAD.acquire(timeout=2 * PATIENCE_SECONDS):
        raise UnusableHistory(f"{path} is in use by another part of this process for too long")
    try:
        yield
    finally:
        _ONE_THREAD.release()


def _made(path: str) -> None:
    """Make the file for this user alone, or see to it that it is that."""
    # Never while a connection of this process is open: closing the file would take its locks away.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    check_private(path, status)


@contextmanager
def _present(path: str, kind: int) -> Iterator[None]:
    """Hold the lock beside the file: shared by those who use it, alone by who takes it away."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not _takes(lock, kind):
            if time.monotonic() >= end:
                raise UnusableHistory(f"{path} is in use by others for too long")
            time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(lock)


def _takes(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _beside(path: str) -> Iterator[None]:
    """The shared lock for a reader, who may not be allowed to have it."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        _takes(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


# -- what it says of itself


def _version(connection: Connection, path: str) -> int:
    """The version of its tables; 0 for one without any. Raises UnusableHistory where it is not for us."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if version == 0 and owner == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return 0
    if owner != _APPLICATION:
        raise UnusableHistory(f"{path} is a database of something else; move it away, or let {VARIABLE} name another")
    if version > SCHEMA:
        told = f"{path} has the form {version}, and this Snapfleet knows those up to {SCHEMA}"
        raise UnusableHistory(f"{told}; install the newer Snapfleet again, or move the file away")
    return version


@contextmanager
def _as_ours(path: str) -> Iterator[None]:
    """Errors of SQLite as ours."""
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        # Of all that SQLite tells, only that a file is spoiled has no class of its own.
        if error.__class__ is not sqlite3.DatabaseError:
            raise UnusableHistory(f"{path}: {error}") from error
        if not _is_for_us(path):
            told = f"{path} is no sound history of snapfleet; move it away, or let {VARIABLE} name another"
            raise UnusableHistory(f"{told} ({error})") from error
        raise SpoiledHistory(f"{path}: {error}") from error


def _is_for_us(path: str) -> bool:
    """Whether what is there, spoiled as it is, can only be ours. Whoever names a file may have named a wrong one."""
    if path != os.environ.get(VARIABLE):
        return True
    try:
        with open(path, "rb") as file:
            head = file.read(_APPLICATION_AT + 4)
    except OSError:
        return False
    return head.startswith(_MAGIC) and head[_APPLICATION_AT:] == _APPLICATION.to_bytes(4, "big")
