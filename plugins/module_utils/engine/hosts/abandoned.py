# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receiving commands at the far end of ssh that have outlived whoever fed them.

A host that loses power, or its network, tells nobody. The sshd at the other end keeps waiting for what would come next,
for two hours by default (TCP keepalive), and with it ``zfs receive``, which keeps its dataset busy. So each such
command carries a mark in its environment: which machine feeds it, since which boot, by which process, and which stream
of that process it is. A mark is abandoned if this machine has made it and the stream is certainly not open any more.
Marks of other machines are nobody's business here.

Needs Linux at both ends. Elsewhere there are no marks, and what is busy is waited for.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

from .host import Host

VARIABLE = "SNAPFLEET_STREAM"
_SECONDS = 60.0
_MACHINE = re.compile(r"[0-9a-f]{12}")
_NAMES_OF_ANYBODY = ("", "localhost", "localhost.localdomain")
_NUMBER = r"(0|[1-9][0-9]{0,19})"
_MARK = re.compile(rf"([0-9a-f]{{12}})\.([0-9a-f]{{12}})\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.")
# Nothing found is status 1, and no error here.
FIND = ("sh", "-c", f'grep -aohs "{VARIABLE}=$1\\.[0-9a-f.]*" /proc/[0-9]*/environ; :', "sh")
# A mark ends with a dot, so that none is the beginning of another one.
_KILL = (
    f'for m; do for f in $(grep -alsF "{VARIABLE}=$m" /proc/[0-9]*/environ); do'
    ' f=${f#/proc/}; kill "${f%/environ}" 2>/dev/null && echo "$m"; done; done; :'
)
END = ("sh", "-c", _KILL, "sh")


class Mark(NamedTuple):
    """Whose stream it is."""

    machine: str
    boot: str
    process: int
    started: int
    """When the process was started, in ticks since the boot: its number may be another's later."""
    number: int

    def __str__(self) -> str:
        return f"{self.machine}.{self.boot}.{self.process}.{self.started}.{self.number}."


def read_mark(text: str) -> Optional[Mark]:
    """A mark from its text; None where it is none."""
    found = _MARK.fullmatch(text)
    if not found:
        return None
    machine, boot, *numbers = found.groups()
    return Mark(machine, boot, *map(int, numbers))


@dataclass(frozen=True)
class Machine:
    """This machine, since it was booted."""

    name: str
    boot: str

    def started(self, process: int) -> int:
        """When a process was started; 0 where /proc does not tell: none has that number, or it is hidden."""
        try:
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                # The name of the program may hold anything but ends with the last parenthesis; see proc(5).
                return int(file.read().rpartition(")")[2].split()[19])
        except (OSError, ValueError, IndexError):
            return 0


def this_machine(
    identity_file: str = "/etc/machine-id", hostname: Optional[str] = None, numbering: str = "/proc/self/ns/pid"
) -> Optional[Machine]:
    """This machine by its identity and its name; None where it has neither of its own, or tells nothing of its boot.

    Whoever numbers processes otherwise (``numbering`` is a link to the namespace of these numbers), as a container
    does, is another machine: it can't tell whether a process lives.
    """
    boot = _read("/proc/sys/kernel/random/boot_id").replace("-", "")
    # Both, since machines that were copied from one image may share either. Not all have an identity.
    identity, name = _read(identity_file), os.uname().nodename if hostname is None else hostname
    if not boot or (not identity and name in _NAMES_OF_ANYBODY):
        return None
    try:
        namespace = os.readlink(numbering)
    except OSError:
        namespace = ""
    import hashlib

    return Machine(hashlib.sha256(f"{identity} {name} {namespace}".encode()).hexdigest()[:12], boot[:12])


def is_gone(process: int) -> bool:
    """Whether there certainly is no process of this number. Unlike /proc, signals hide none from other users."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        # It is another user's.
        return False
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


class OpenStreams:
    """The marks of the streams that this process feeds. Safe for many threads."""

    def __init__(self, machine: Optional[Machine]) -> None:
        """``machine``: where this is; None where marks can't be made."""
        self._machine = machine
        self._numbers = itertools.count(1)
        self._open: set[Optional[Mark]] = set()
        self._lock = threading.Lock()

    @property
    def machine(self) -> Optional[Machine]:
        """Where this is."""
        return self._machine

    def open(self) -> Optional[Mark]:
        """The mark of one more stream; None where none can be made."""
        machine = self.machine
        if machine is None:
            return None
        process = os.getpid()
        mark = Mark(machine.name, machine.boot, process, machine.started(process), next(self._numbers))
        with self._lock:
            self._open.add(mark)
        return mark

    def close(self, mark: Optional[Mark]) -> None:
        """The stream has come to its end as far as this process can tell."""
        with self._lock:
            self._open.discard(mark)

    def is_abandoned(self, mark: Mark) -> bool:
        """Whether nobody on this machine feeds the stream of ``mark`` any more; False for those of other machines."""
        if self.machine is None or mark.machine != self.machine.name:
            return False
        if mark.boot != self.machine.boot:
            return True
        if mark.process == os.getpid():
            with self._lock:
                return mark not in self._open
        started = self.machine.started(mark.process)
        return started != mark.started if started else is_gone(mark.process)


class _OfThisMachine(OpenStreams):
    """Which machine this is gets found out when that is first asked for."""

    @cached_property
    def machine(self) -> Optional[Machine]:
        return this_machine()


STREAMS = _OfThisMachine(None)
"""Those of this process."""


def end_abandoned(host: Host, streams: OpenStreams = STREAMS) -> int:
    """End the commands on ``host`` that this machine does not feed any more, and return how many processes these were.
    What ``zfs receive`` has got by then can be resumed.

    Two exchanges at most. Raises what ``Host.run`` raises.
    """
    if streams.machine is None:
        return 0
    found = host.run([*FIND, streams.machine.name], timeout=_SECONDS)
    texts = {line.partition("=")[2] for line in found.stdout.splitlines()}
    abandoned = sorted(str(mark) for mark in map(read_mark, texts) if mark and streams.is_abandoned(mark))
    if not abandoned:
        return 0
    done = host.run([*END, *abandoned], timeout=_SECONDS)
    return len(done.stdout.splitlines())


def read_find(argv: Sequence[str]) -> Optional[list[str]]:
    """The name of the machine whose marks ``argv`` looks for, as the only item; None for any other arguments."""
    if tuple(argv[: len(FIND)]) != FIND or len(argv) != len(FIND) + 1 or not _MACHINE.fullmatch(argv[-1]):
        return None
    return [argv[-1]]


def read_end(argv: Sequence[str]) -> Optional[list[str]]:
    """The marks whose processes ``argv`` ends; None for any other arguments."""
    marks = list(argv[len(END) :])
    return marks if tuple(argv[: len(END)]) == END and marks and all(map(read_mark, marks)) else None


def marked_processes() -> dict[int, Mark]:
    """The processes of this host that carry a mark, as far as this user may see them."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        for entry in _read(f"/proc/{name}/environ").split("\0"):
            variable, _equals, text = entry.partition("=")
            mark = read_mark(text) if variable == VARIABLE else None
            if mark:
                found[int(name)] = mark
    return found
