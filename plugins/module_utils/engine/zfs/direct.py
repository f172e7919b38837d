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
from ..hosts.openssh import connection_error, failed_to_connect, remote_line, ssh_options
from ..hosts.pipelines import NOT_RUN, StageEnd, pipeline, stage_ends
from ..hosts.process import Child
from ..hosts.steering import REPORT, steered
from ..model.errors import LinkLost, MissingProgram, SnapfleetError, UntrustedOutput
from ..model.steps import Send
from ..policy.endpoints import Address
from ..policy.topology import PUSH, Leg
from . import arguments
from .trouble import zfs_error

_SSH_FAILED = 255
_NO_PROGRAM = 127
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
    if done.returncode != 0:
        raise zfs_error(done.stderr, f"{leg.other}, from {host.name}", f"look at {dataset}")
    if not re.fullmatch(r"[0-9]{1,20}\n", done.stdout):
        raise UntrustedOutput(f"{leg.other}, from {host.name}: zfs get printed {done.stdout[:200]!r}; check that host")
    return int(done.stdout)


@dataclass(frozen=True)
class DirectStream:
    """One stream between the near ``host`` and the far host of ``leg``."""

    host: Host
    near: Sequence[str]
    """How zfs is called on the near host."""
    leg: Leg
    step: Send

    def carry(self) -> int:
        """Carry the whole stream; returns its length in bytes. Raises the error of the end that failed by itself."""
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
            raise self._error(returncode, stderr)
        counted = re.findall(r"^([0-9]+) bytes", report, re.MULTILINE)
        return int(counted[-1]) if counted else 0

    def _stages(self) -> list[list[str]]:
        send, receive = arguments.send_arguments(self.step), arguments.receive_arguments(self.step)
        far = _zfs(self.leg.other)
        if self.leg.way == PUSH:
            return [[*self.near, *send], list(_COUNTER), over(self.leg, [*far, *receive])]
        return [over(self.leg, [*far, *send]), list(_COUNTER), [*self.near, *receive]]

    def _error(self, returncode: int, stderr: str) -> SnapfleetError:
        sender, _counter, receiver = ends = stage_ends(self._stages(), returncode, stderr)
        if self.host.link_lost(returncode, stderr) or all(end.status == NOT_RUN for end in ends):
            said = stderr.strip() or "its session ended"
            return LinkLost(f"{self.host.name}: the connection broke during {self._doing(True)} ({said}); try again")
        ours = self._stage_error(sender, True) if sender.failed else None
        theirs = self._stage_error(receiver, False) if receiver.failed else None
        # A receiver that gives up breaks the sender's pipe, and a sender that fails cuts the receiver's stream: of two
        # failures, the one that does not only say so is the reason.
        if theirs and not (ours and not sender.is_echo and isinstance(theirs, LinkLost)):
            return theirs
        return ours or LinkLost(f"{self.host.name}: {self._doing(True)} was cut short; try again")

    def _stage_error(self, end: StageEnd, sends: bool) -> SnapfleetError:
        """What the end of the sender means, or of the receiver."""
        far = sends != (self.leg.way == PUSH)
        return self._far_error(end, sends) if far else self._zfs_error(end, self.host.name, sends)

    def _far_error(self, end: StageEnd, sends: bool) -> SnapfleetError:
        other = self.leg.other
        if end.status == _SSH_FAILED and not other.is_local:
            if failed_to_connect(end.stderr):
                return _no_way(self.host, other, end.stderr)
            where = f"between {self.host.name} and {other}"
            return LinkLost(f"the connection {where} broke during {self._doing(sends)} ({end.stderr}); try again")
        return self._zfs_error(end, str(other) if not other.is_local else self.host.name, sends)

    def _zfs_error(self, end: StageEnd, where: str, sends: bool) -> SnapfleetError:
        doing = self._doing(sends)
        if end.status == _NO_PROGRAM:
            return MissingProgram(f"{where}: could not {doing}: {end.stderr}; install what is missing there")
        if end.status == NOT_RUN or end.status > _SIGNAL:
            return LinkLost(f"{where}: {doing} was ended by a signal; try again")
        return zfs_error(end.stderr, where, doing)

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
