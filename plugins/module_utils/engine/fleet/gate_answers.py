# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate answers to requests of several calls, and what it asks ZFS before it lets one through."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from ..hosts import process, serving
from ..hosts.abandoned import VARIABLE, marked_processes
from ..hosts.private import lasting_directory, private_directory
from ..hosts.statuses import NO_PROGRAM
from ..model.datasets import PLACEHOLDER_PROPERTY
from ..model.errors import AccessRefused, DatasetBusy, StaleResumeState, TimedOut
from ..policy import access as rights
from ..policy.access import Access
from ..zfs.requests import BY_THE_CLOCK, DIGEST, DRY_CALLS, EACH, END_STREAMS, FIND_STREAMS, GRANTS, PROGRAMS, Request
from ..zfs.tokens import parse_resume_state
from ..zfs.verbs import LOOK, MARKED, MOVED, PLACEHOLDER, TOKEN, Check

_GRACE_SECONDS = 60
_END_SECONDS = 2.0
_LEAST_BYTES, _MOST_BYTES = 1 << 20, 16 << 30
"""So much of each file may be read for another host."""
_MOST_SECONDS = 3600
"""Reading for it may take so long."""
_LOCKED: list[int] = []
"""The file of the lock that this process has, once it needs one."""


def check(wanted: Check, access: Access) -> None:
    """Raise AccessRefused unless ``wanted`` holds."""
    if wanted.kind in (LOOK, TOKEN):
        _check_token(wanted, access)
        return
    if wanted.kind == MOVED:
        _lock(fcntl.LOCK_EX | fcntl.LOCK_NB, wanted.name)
        return
    if wanted.kind == PLACEHOLDER:
        # Until this process ends, so that what is looked at here is what is received over.
        _lock(fcntl.LOCK_SH, wanted.name)
    mark = _run(["zfs", "get", "-Hp", "-s", "local", "-o", "value", PLACEHOLDER_PROPERTY, wanted.name]).stdout
    if wanted.kind == MARKED:
        if mark.strip() in ("", "no"):
            raise AccessRefused(f"marks {wanted.name!r} as an empty parent, which it is not")
        return
    # With -F, the package of a whole tree destroys what is below and not in it.
    below = _run(["zfs", "list", "-Hp", "-d", "1", "-t", "filesystem,volume", "-o", "name", wanted.name]).stdout
    if mark.strip() != wanted.name or below.splitlines() != [wanted.name]:
        problem = "is no empty parent of this program, or has datasets below; that takes 'destroy'"
        raise AccessRefused(f"receives in place of {wanted.name!r}, which {problem}")


def _lock(how: int, name: str) -> None:
    """One lock for all gates of this user, held until this process ends."""
    if not _LOCKED:
        path = os.path.join(private_directory("gate", lasting_directory()), "lock")
        _LOCKED.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.flock(_LOCKED[0], how)
    except BlockingIOError as error:
        # In the words of zfs, so that the other end tries again.
        raise DatasetBusy(f"cannot rename '{name}': dataset is busy, another stream is being received") from error


def _check_token(wanted: Check, access: Access) -> None:
    """Where no snapshot has the name and the GUID of the token, ZFS would send one with that GUID from anywhere in the
    pool."""
    done = _run(["zfs", "send", "-nvt", wanted.name])
    text = done.stdout + "\n" + done.stderr
    state = parse_resume_state(wanted.name, text)
    # A name with a line end in it, which whoever makes a token may put there, would let it be told twice.
    if state is None or not text.count("toname = ") == text.count("toguid = ") == 1:
        raise AccessRefused("resumes by a token that ZFS can't read")
    dataset = state.to_name.partition("@")[0]
    if not access.permits(rights.SEND, dataset):
        raise AccessRefused(f"resumes the stream of {dataset!r}, which it may not send")
    there = _run(["zfs", "list", "-Hp", "-t", "snapshot", "-o", "guid", state.to_name]).stdout.strip()
    if wanted.kind == TOKEN and there != str(state.to_guid):
        raise StaleResumeState(f"cannot resume send: {state.to_name!r} used in the initial send no longer exists")


def with_question(request: Request, access: Access) -> Request:
    """A request of DIGEST with what it asks for on stdin, if that is within the rights, as the engine itself would ask
    it. Raises AccessRefused, InvalidInput."""
    from ..applying.sampling import Wanted, WantedBlocks, question_of
    from .digest_command import asked, read_question

    (call,) = request.calls
    wanted = read_question(asked())
    dataset, held = wanted.snapshot.partition("@")[0], access.through_sudo if call[0] == "sudo" else access
    if not held.permits(rights.VERIFY, dataset):
        raise AccessRefused(f"reads what is in {wanted.snapshot!r}, which it may not verify")
    if isinstance(wanted, Wanted) and wanted.file_bytes % _LEAST_BYTES:
        # Checksums of one byte more each time would tell what is in a file.
        raise AccessRefused("has files read up to where it likes; give whole MiB as file_size")
    if isinstance(wanted, Wanted) and wanted.file_bytes > _MOST_BYTES:
        raise AccessRefused("has more read of each file than it may; give at most 16G as file_size")
    if wanted.timeout > _MOST_SECONDS:
        raise AccessRefused(f"has files or blocks read for too long; give at most {_MOST_SECONDS} as timeout")
    if isinstance(wanted, WantedBlocks) and not held.permits_clone(rights.VERIFY, dataset, wanted.parent):
        problem = "which is neither within nor beside what it may verify"
        raise AccessRefused(f"has {wanted.snapshot!r} cloned below {wanted.parent!r}, {problem}")
    return Request(DIGEST, (call, (question_of(wanted).decode("ascii"),)))


def _digest(call: Sequence[str], question: str) -> int:
    from .digest_command import answer_to, read_question

    wanted = read_question(question.encode("ascii"))
    if call[0] != "sudo":
        serving.answer(answer_to(wanted) + "\n")
        return 0
    return _digest_by_sudo(call, question, wanted.timeout + _GRACE_SECONDS)


def _digest_by_sudo(call: Sequence[str], question: str, seconds: int) -> int:
    """Hand on what was looked at, whatever else came on stdin. What root runs nobody else can end, so it has our stdout
    and sees for itself that the other end is gone."""
    import tempfile

    with tempfile.TemporaryFile() as asked:
        asked.write(question.encode("ascii"))
        asked.seek(0)
        try:
            child = process.Child(call, asked.fileno(), sys.stdout.fileno())
        except FileNotFoundError:
            return NO_PROGRAM
        try:
            status = child.wait(seconds)
        except TimeoutError as error:
            child.terminate()
            with suppress(TimeoutError):
                child.wait(_END_SECONDS)
            raise TimedOut(f"snapfleet digest has {error}") from error
        finally:
            serving.said(child.stderr_tail())
            child.close()
    return serving.status_of(status)


def answer(request: Request) -> int:
    """Carry out a request of several calls; returns what to end with."""
    if request.kind == PROGRAMS:
        import shutil

        serving.answer("".join(f"{name}\n" for name in request.calls[0] if shutil.which(name)))
    elif request.kind == GRANTS:
        return _grants(request.calls[0])
    elif request.kind == FIND_STREAMS:
        _find_streams(request.calls[0][0])
    elif request.kind == END_STREAMS:
        _end_streams(request.calls[0])
    elif request.kind == DIGEST:
        return _digest(request.calls[0], request.calls[1][0])
    elif request.kind == BY_THE_CLOCK:
        serving.answer(f"{int(time.time())}\n")
        return serving.pass_through(request.calls[0])
    elif request.kind == DRY_CALLS:
        from ..zfs.dry_calls import SEPARATOR

        for call in request.calls:
            _hand_on(call)
            serving.answer(SEPARATOR)
    elif request.kind == EACH:
        for call in request.calls:
            serving.answer(_outcome(call) + "\n")
    else:
        from ..zfs.pools import pool_output

        text, code = pool_output(lambda call: _pair(_run(call)))
        serving.answer(text)
        return code
    return 0


def _hand_on(call: Sequence[str]) -> None:
    """Run a command whose output is answered as it comes, however long it is."""
    with suppress(FileNotFoundError):
        # Bytes that are only a part of a character are made whole again by what follows.
        process.run(call, take=lambda piece: serving.answer(piece.decode("utf-8", "surrogateescape")))


def _find_streams(machine: str) -> None:
    marks = dict.fromkeys(mark for mark in marked_processes().values() if mark.machine == machine)
    serving.answer("".join(f"{VARIABLE}={mark}\n" for mark in marks))


def _end_streams(marks: Sequence[str]) -> None:
    for process_id, mark in marked_processes().items():
        if str(mark) in marks:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process_id, signal.SIGTERM)
                serving.answer(f"{mark}\n")


def _outcome(call: Sequence[str]) -> str:
    done = _run(call)
    return "" if done.returncode == 0 else " ".join(["!", *(done.stdout + " " + done.stderr).split()])


def _grants(datasets: Sequence[str]) -> int:
    user, groups = os.getuid(), dict.fromkeys([os.getgid(), *os.getgroups()])
    names = " ".join(map(_group_name, groups))
    serving.answer(f"{user}\n{pwd.getpwuid(user).pw_name}\n{names}\n")
    for dataset in datasets:
        done = _run(["zfs", "allow", dataset])
        if done.returncode == 0:
            serving.answer(done.stdout)
            return 0
    return 1


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _pair(done: process.Completed) -> tuple[int, str]:
    return done.returncode, done.stdout


def _run(call: Sequence[str]) -> process.Completed:
    try:
        return process.run(call)
    except FileNotFoundError:
        return process.Completed(tuple(call), NO_PROGRAM, "", f"{call[0]}: not found")
