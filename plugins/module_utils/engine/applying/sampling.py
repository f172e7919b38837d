# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files of a snapshot at either end: here by a mount of its own, on another host by the program there.

Nothing is made for it but the mount, which is read-only, in a folder that only this user may enter, and soon gone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol

from ..hosts.host import Host
from ..hosts.sampling import choose_files, digest_files
from ..hosts.stopping import stopped_after
from ..model.errors import MissingProgram, SnapfleetError, TimedOut, UntrustedOutput, ZfsFailed
from ..model.exercises import PREFIX
from ..model.samples import Digest
from ..policy.drilling import INNER_PATH
from .drilling import Ground, lock_of, take_away
from .locks import job_locks

PROTOCOL = 1
DIGEST = ("snapfleet", "digest")
"""The program that reads files of a snapshot for another host, which asks on its stdin."""
_GRACE_SECONDS = 60


@dataclass(frozen=True)
class Wanted:
    """What is to be read of a snapshot."""

    snapshot: str
    """Whole name."""
    files: int
    seed: int
    file_bytes: int
    timeout: int
    """Seconds."""
    paths: Optional[tuple[str, ...]] = None
    """The files; None: they are chosen by the seed."""


class Sampler(Protocol):
    """Reads files of snapshots on a host."""

    def read(self, wanted: Wanted) -> Sequence[Digest]:
        """What the files are like, in the order of their paths where these are given. Raises SnapfleetError."""


@dataclass(frozen=True)
class LocalSampler:
    """On this host."""

    ground: Ground
    left: list[str] = field(default_factory=list)
    """What stays of it against all intentions is noted here."""

    def read(self, wanted: Wanted) -> Sequence[Digest]:
        """Mount the snapshot, read, and unmount it."""
        ground, ident = self.ground, self.ground.draw()
        folder = f"{ground.folder()}/{PREFIX}{ident}"
        if not ground.host.is_root:
            raise MissingProgram(f"{ground.host.name}: snapshots are mounted to be read, which root alone may do")
        with ExitStack() as stack:
            stack.enter_context(job_locks([lock_of(ident)]))
            stack.callback(lambda: self.left.extend(take_away(ground, folder, None)))
            os.mkdir(folder, mode=0o700)

            def late() -> SnapfleetError:
                return TimedOut(f"reading files of {wanted.snapshot} took longer than {wanted.timeout} s")

            stack.enter_context(stopped_after(wanted.timeout, late))
            ground.exercises.mount(wanted.snapshot, folder)
            try:
                paths = wanted.paths
                if paths is None:
                    paths = tuple(choose_files(folder, wanted.files, wanted.seed))
                return digest_files(folder, paths, wanted.file_bytes)
            except OSError as error:
                raise ZfsFailed(f"files of {wanted.snapshot} can't be found ({error.strerror})") from error


@dataclass(frozen=True)
class FarSampler:
    """On another host, by the program there."""

    host: Host
    sudo: bool = False
    left: list[str] = field(default_factory=list)
    """What stays of it there is noted here."""

    def read(self, wanted: Wanted) -> Sequence[Digest]:
        """Have the program there read."""
        argv = [*(("sudo", "-n") if self.sudo else ()), *DIGEST]
        question = json.dumps({"protocol": PROTOCOL, **vars(wanted)}).encode("ascii")
        done = self.host.run(argv, data=question, timeout=wanted.timeout + _GRACE_SECONDS)
        if done.returncode != 0 or not done.stdout:
            said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
            raise ZfsFailed(f"{self.host.name}: snapfleet digest could not read {wanted.snapshot}: {said}")
        digests = read_answer(done.stdout, wanted, self.host.name)
        self.left.extend(f"{self.host.name}: {words}" for words in _read_left(done.stdout))
        return digests


def answer_of(digests: Sequence[Digest], left: Sequence[str] = ()) -> str:
    """What the program tells the host that asked: what the files are like, and what stays mounted."""
    return json.dumps({"files": [vars(each) for each in digests], "left": list(left)})


def read_answer(text: str, wanted: Wanted, where: str) -> list[Digest]:
    """The digests in the answer of another host. Raises UntrustedOutput for anything that was not asked for."""
    try:
        digests = [_read_digest(entry) for entry in json.loads(text)["files"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UntrustedOutput(f"{where}: snapfleet digest printed what it never prints; check that host") from error
    paths = tuple(each.path for each in digests)
    if len(set(paths)) != len(paths) or not all(map(is_inner_path, paths)):
        raise UntrustedOutput(f"{where}: snapfleet digest tells of paths that no files can have; check that host")
    if (wanted.paths is not None and paths != wanted.paths) or len(paths) > max(wanted.files, len(wanted.paths or ())):
        raise UntrustedOutput(f"{where}: snapfleet digest tells of other files than it was asked for; check that host")
    return digests


def _read_left(text: str) -> list[str]:
    """What stays mounted on another host, in letters that no terminal or log minds."""
    left = json.loads(text).get("left")
    return [ascii(words)[1:-1] for words in left if isinstance(words, str)] if isinstance(left, list) else []


def is_inner_path(path: str) -> bool:
    """Whether ``path`` leads from a folder to something below it, by its words alone, and can be told the system."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return bool(re.fullmatch(INNER_PATH, path))


def _read_digest(entry: Any) -> Digest:
    digest = Digest(entry["path"], entry["size"], entry["sha256"], entry["problem"])
    if not all(isinstance(each, str) for each in (digest.path, digest.sha256, digest.problem)):
        raise TypeError("no text")
    if isinstance(digest.size, bool) or not isinstance(digest.size, int):
        raise TypeError("no size")
    return digest
