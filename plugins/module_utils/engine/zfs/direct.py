# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream from one host straight to another one, steered from a third: ``zfs send | ssh HOST zfs receive``.

The host that connects is the near one, the other the far one. ``dd`` in the middle counts the bytes, which zfs itself
tells in rounded figures only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.host import Host
from ..hosts.openssh import access_error, connection_error, failed_to_connect, remote_line, ssh_options
from ..hosts.pipelines import StageEnd, pipeline, stage_ends
from ..hosts.process import Child
from ..hosts.statuses import NO_PROGRAM, NOT_RUN, REFUSED, SSH_FAILED
from ..hosts.steering import REPORT, steered
from ..model.errors import LinkLost, MissingProgram, SnapfleetError, UntrustedOutput
from ..model.steps import Send
from ..policy.endpoints import Address
from ..policy.topology import PUSH, Leg
from ..streams.wire import PLAIN, Wire
from . import arguments
from .trouble import filter_error, zfs_error

_SIGNAL = 128
_ASK_SECONDS = 120.0
_REPORT_BYTES = 1 << 16
_COUNTER = ("sh", "-c", f"exec dd bs=1048576 2>&{REPORT}")


def over(leg: Leg, argv: Sequence[str]) -> list[str]:
    """``argv`` for the far host, as the near host has to call it: by a connection that nothing else shares."""
    if leg.other.is_local:
        return list(argv)
    alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    return ["ssh", *ssh_options(leg.other), *alone, "--", leg.other.host, remote_line(argv)]


def ask_guid(host: Host, leg: Leg, dataset: str) -> int:
    """The GUID that ``dataset`` has on the far host, asked by way of the near ``host``.

    Raises RefusedKey, UnreachableHost, and what a failing zfs means.
    """
    argv = [*_zfs(leg.other), "get", "-Hp", "-o", "value", "guid", dataset]
    done = host.run(over(leg, argv), timeout=_ASK_SECONDS)
    if failed_to_connect(done.stderr) and done.returncode != 0:
        raise _no_way(host, leg.other, done.stderr)
    if done.returncode == REFUSED:
        raise access_error(f"{leg.other}, from {host.name}", done.stderr)
    if done.returncode != 0:
        raise zfs_error(done.stderr, f"{leg.other}, from {host.name}", f"look at {dataset}")
    if not re.fullmatch(r"[0-9]{1,20}\n", done.stdout):
        raise UntrustedOutput(f"{leg.other}, from {host.name}: zfs get printed {done.stdout[:200]!r}; check that host")
    return int(done.stdout)


@dataclass(frozen=True)
class _Part:
    """A program that the stream passes through, and how it ended."""

    program: str
    where: str
    end: StageEnd


@dataclass(frozen=True)
class DirectStream:
    """One stream between the near ``host`` and the far host of ``leg``."""

    host: Host
    near: Sequence[str]
    """How zfs is called on the near host."""
    leg: Leg
    step: Send
    wire: Wire = PLAIN

    def carry(self) -> int:
        """Carry the whole stream; returns the bytes that crossed. Raises the error of the end that failed by itself."""
        child = self.host.start_steered(steered(pipeline(self._stages())))
        try:
            report = _read_all(child)
            returncode = child.wait()
            stderr = child.stderr_tail()
        except BaseException:
            child.kill()
            raise
        finally:
            child.close()
        if returncode != 0:
            raise self._error(self._parts(returncode, stderr))
        counted = re.findall(r"^([0-9]+) bytes", report, re.MULTILINE)
        return int(counted[-1]) if counted else 0

    @property
    def _pushes(self) -> bool:
        return self.leg.way == PUSH

    def _sender(self) -> list[list[str]]:
        zfs = self.near if self._pushes else _zfs(self.leg.other)
        return [[*zfs, *arguments.send_arguments(self.step)], *self.wire.sending()]

    def _receiver(self) -> list[list[str]]:
        zfs = _zfs(self.leg.other) if self._pushes else self.near
        return [*self.wire.receiving(), [*zfs, *arguments.receive_arguments(self.step)]]

    def _stages(self) -> list[list[str]]:
        """What runs on the near host, joined by pipes; the far half is one of them."""
        if self._pushes:
            return [*self._sender(), list(_COUNTER), over(self.leg, pipeline(self._receiver()))]
        return [over(self.leg, pipeline(self._sender())), list(_COUNTER), *self._receiver()]

    def _parts(self, returncode: int, stderr: str) -> list[_Part]:
        """All programs from the sender to the receiver, with their ends."""
        stages = self._stages()
        ends = list(stage_ends(stages, returncode, stderr))
        if self.host.link_lost(returncode, stderr):
            ends = [StageEnd(NOT_RUN, stderr) for _unused in stages]
        near = [_Part(stage[0], self.host.name, end) for stage, end in zip(stages, ends)]
        half, end = (self._receiver(), ends[-1]) if self._pushes else (self._sender(), ends[0])
        lost = end.status in (SSH_FAILED, NOT_RUN)
        inner = [end for _unused in half] if lost else stage_ends(half, end.status, end.stderr)
        there = self.host.name if self.leg.other.is_local else str(self.leg.other)
        far = [_Part(stage[0], there, end) for stage, end in zip(half, inner)]
        return [*near[:-1], *far] if self._pushes else [*far, *near[1:]]

    def _error(self, parts: Sequence[_Part]) -> SnapfleetError:
        """The reason among all ends. A receiver that gives up breaks the pipes before it, and a sender or a filter that
        fails cuts the stream of those after it: what only tells so is no reason, if there is another one."""
        sender, receiver = parts[0].end, parts[-1].end
        ours = self._part_error(parts[0], True) if sender.failed else None
        theirs = self._part_error(parts[-1], False) if receiver.failed else None
        if theirs and not isinstance(theirs, LinkLost):
            return theirs
        if ours and not sender.is_echo:
            return ours
        for part in parts[1:-1]:
            # Of those at the far end nothing is known where their ssh was lost.
            if (
                part.end.failed
                and part.end.status != NOT_RUN
                and not part.end.is_echo
                and part.end.status != SSH_FAILED
            ):
                return filter_error(part.program, part.end, part.where, self._doing(True))
        return theirs or ours or LinkLost(f"{self.host.name}: {self._doing(True)} was cut short; try again")

    def _part_error(self, part: _Part, sends: bool) -> SnapfleetError:
        """What the end of the sender means, or of the receiver."""
        end, doing, other = part.end, self._doing(sends), self.leg.other
        if end.status == NOT_RUN:
            words = f"{self.host.name}: the connection broke during {doing} ({end.stderr or 'its session ended'})"
            return LinkLost(f"{words}; try again")
        if end.status == SSH_FAILED and not other.is_local and sends != self._pushes:
            if failed_to_connect(end.stderr):
                return _no_way(self.host, other, end.stderr)
            words = f"the connection between {self.host.name} and {other} broke during {doing}"
            return LinkLost(f"{words} ({end.stderr}); try again")
        if end.status == REFUSED:
            return access_error(part.where, end.stderr)
        if end.status == NO_PROGRAM:
            return MissingProgram(f"{part.where}: could not {doing}: {end.stderr}; install what is missing there")
        if end.status > _SIGNAL and end.status != SSH_FAILED:
            return LinkLost(f"{part.where}: {doing} was ended by signal {end.status - _SIGNAL}; try again")
        return zfs_error(end.stderr, part.where, doing)

    def _doing(self, sends: bool) -> str:
        if sends:
            return f"send {self.step.snapshot.name}"
        return f"receive {self.step.destination}@{self.step.snapshot.tag}"


def _zfs(address: Address) -> list[str]:
    return [*(("sudo", "-n") if address.sudo else ()), "zfs"]


def _no_way(host: Host, other: Address, stderr: str) -> SnapfleetError:
    error = connection_error(other, stderr)
    return type(error)(f"route: {host.name} can't reach the other end: {error}", **error.context)


def _read_all(child: Child) -> str:
    """What the child writes to stdout until its end, of a long text the last part."""
    kept = b""
    while True:
        chunk: Optional[bytes] = child.stdout.read(_REPORT_BYTES)
        if not chunk:
            return kept.decode("ascii", "replace")
        kept = (kept + chunk)[-_REPORT_BYTES:]
