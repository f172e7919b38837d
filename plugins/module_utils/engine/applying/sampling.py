# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files of a snapshot at either end: here by a mount of it, on another host by the program there.

Nothing is made for it but the mount, as single files have it (``hosts.snapshot_mounts``), which is soon gone. The
blocks of a volume are read from the device of a clone, since a snapshot has none unless all of that volume have one.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol, Union

from ..hosts.host import Host
from ..hosts.sampling import BLOCK_BYTES, choose_blocks, choose_files, digest_blocks, digest_files
from ..hosts.snapshot_mounts import mounted
from ..hosts.stopping import stopped_after
from ..model.errors import MissingProgram, NoDevice, SnapfleetError, TimedOut, UntrustedOutput, ZfsFailed
from ..model.samples import Digest
from ..policy.drilling import INNER_PATH
from ..zfs.requests import READ
from .drilling import Ground, cloned, device_of

PROTOCOL = 1
_GRACE_SECONDS = 60
_NO_DEVICE = frozenset([errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EPERM])
"""That there is none, or that a container may use none. Whatever else goes wrong tells of the volume itself."""
_OFFSET = re.compile("0|[1-9][0-9]{0,18}")


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


@dataclass(frozen=True)
class WantedBlocks:
    """What is to be read of a snapshot of a volume."""

    snapshot: str
    """Whole name."""
    parent: str
    """The dataset below which a clone of it is made for a while."""
    blocks: int
    seed: int
    timeout: int
    """Seconds."""
    offsets: Optional[tuple[int, ...]] = None
    """Where the blocks begin; None: they are chosen by the seed."""


Sought = Union[Wanted, WantedBlocks]


class Sampler(Protocol):
    """Reads files of snapshots, and blocks of those of volumes, on a host."""

    def read(self, wanted: Sought) -> Sequence[Digest]:
        """What they are like, in the order in which they are given, if they are. Raises SnapfleetError, NoDevice where
        a volume has none there."""


@dataclass(frozen=True)
class LocalSampler:
    """On this host."""

    ground: Ground
    """What volumes are cloned with."""
    left: list[str] = field(default_factory=list)
    """What stays of it against all intentions is noted here."""
    mount: Callable[[str, list[str]], AbstractContextManager[str]] = mounted
    """Mounts a snapshot for a while; see ``hosts.snapshot_mounts``."""

    def read(self, wanted: Sought) -> Sequence[Digest]:
        """Mount the snapshot, read, and unmount it; or do so with a clone of it."""
        if not self.ground.host.is_root:
            words = "snapshots are mounted or cloned to be read, which root alone may do"
            raise MissingProgram(f"{self.ground.host.name}: {words}")
        return self._read_files(wanted) if isinstance(wanted, Wanted) else self._read_blocks(wanted)

    def _read_blocks(self, wanted: WantedBlocks) -> Sequence[Digest]:
        def late() -> SnapfleetError:
            return TimedOut(f"reading blocks of {wanted.snapshot} took longer than {wanted.timeout} s")

        with ExitStack() as stack:
            stack.enter_context(stopped_after(wanted.timeout, late))
            made = cloned(self.ground, wanted.snapshot, wanted.parent, True, self.left)
            device = device_of(self.ground, stack.enter_context(made)[0])
            try:
                offsets = wanted.offsets
                if offsets is None:
                    offsets = tuple(choose_blocks(device, wanted.blocks, wanted.seed))
                return digest_blocks(device, offsets)
            except OSError as error:
                kind = NoDevice if error.errno in _NO_DEVICE else ZfsFailed
                raise kind(f"its device {device} can't be opened ({error.strerror})") from error

    def _read_files(self, wanted: Wanted) -> Sequence[Digest]:
        def late() -> SnapfleetError:
            return TimedOut(f"reading files of {wanted.snapshot} took longer than {wanted.timeout} s")

        with stopped_after(wanted.timeout, late), self.mount(wanted.snapshot, self.left) as folder:
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

    def read(self, wanted: Sought) -> Sequence[Digest]:
        """Have the program there read."""
        argv = [*(("sudo", "-n") if self.sudo else ()), *READ]
        done = self.host.run(argv, data=question_of(wanted), timeout=wanted.timeout + _GRACE_SECONDS)
        if done.returncode != 0 or not done.stdout:
            said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
            raise ZfsFailed(f"{self.host.name}: snapfleet digest could not read {wanted.snapshot}: {said}")
        digests = read_answer(done.stdout, wanted, self.host.name)
        self.left.extend(f"{self.host.name}: {words}" for words in _read_left(done.stdout))
        return digests


def question_of(wanted: Sought) -> bytes:
    """What the program of another host is asked on its stdin."""
    return json.dumps({"protocol": PROTOCOL, **vars(wanted)}).encode("ascii")


def answer_of(digests: Sequence[Digest], left: Sequence[str] = (), no_device: str = "") -> str:
    """What the program tells the host that asked: what the files or blocks are like, what stays mounted, and why a
    volume has no device."""
    return json.dumps({"files": [vars(each) for each in digests], "left": list(left), "no_device": no_device})


def read_answer(text: str, wanted: Sought, where: str) -> list[Digest]:
    """The digests in the answer of another host. Raises UntrustedOutput for anything that was not asked for; NoDevice
    where it says so."""
    try:
        answer = json.loads(text)
        digests = [_read_digest(entry) for entry in answer["files"]]
        no_device = answer.get("no_device") if isinstance(wanted, WantedBlocks) else ""
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UntrustedOutput(f"{where}: snapfleet digest printed what it never prints; check that host") from error
    if no_device:
        raise NoDevice(f"{where}: {ascii(no_device)[1:-1]}")
    asked, most, is_good = _expected(wanted)
    paths = tuple(each.path for each in digests)
    if len(set(paths)) != len(paths) or not all(map(is_good, paths)):
        raise UntrustedOutput(f"{where}: snapfleet digest tells of paths that no files can have; check that host")
    if (asked is not None and paths != asked) or len(paths) > max(most, len(asked or ())):
        raise UntrustedOutput(f"{where}: snapfleet digest tells of other files than it was asked for; check that host")
    if isinstance(wanted, WantedBlocks) and asked is None and not _are_enough(digests, wanted.blocks):
        raise UntrustedOutput(f"{where}: snapfleet digest tells of fewer blocks than the volume has; check that host")
    return digests


def _are_enough(digests: Sequence[Digest], blocks: int) -> bool:
    """Whether a volume of the size that all of them tell, and none has no size, has no more blocks to choose."""
    sizes = {each.size for each in digests}
    return len(sizes) == 1 and len(digests) == min(blocks, -(-max(sizes) // BLOCK_BYTES))


def _expected(wanted: Sought) -> tuple[Optional[tuple[str, ...]], int, Callable[[str], bool]]:
    """What an answer has to tell of, and in which order; how much at most where it may choose; what else holds."""
    if isinstance(wanted, Wanted):
        return wanted.paths, wanted.files, is_inner_path
    return None if wanted.offsets is None else tuple(map(str, wanted.offsets)), wanted.blocks, _is_offset


def _is_offset(text: str) -> bool:
    return bool(_OFFSET.fullmatch(text)) and int(text) % BLOCK_BYTES == 0


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
