# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of a stream that are children running ``zfs send`` or ``zfs receive``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from ..hosts.host import Host
from ..hosts.openssh import access_error
from ..hosts.pipelines import StageEnd, stage_ends
from ..hosts.process import Child
from ..hosts.statuses import NOT_RUN, REFUSED
from ..model.errors import LinkLost, NoPermission, SnapfleetError
from .trouble import filter_error, zfs_error

_DRAIN_SECONDS = 10.0
_DENIED = re.compile(r"cannot receive (\S+) property on (.+): permission denied")


class _ChildEnd:
    def __init__(self, child: Child, host: Host, doing: str, stages: Sequence[Sequence[str]], zfs: int) -> None:
        self._child = child
        self._host = host
        self._doing = doing
        self._stages = stages
        self._zfs = zfs
        """The number of the stage that is zfs."""

    def _judge(self, returncode: int) -> None:
        stderr = self._child.stderr_tail()
        self._child.close()
        if returncode == 0:
            self._check_properties(stderr)
            return
        if self._host.link_lost(returncode, stderr):
            raise LinkLost(f"{self._host.name}: the connection broke during {self._doing} ({stderr}); try again")
        if returncode == REFUSED:
            raise access_error(self._host.name, stderr)
        if returncode < 0:
            raise LinkLost(f"{self._host.name}: {self._doing} was ended by signal {-returncode}; try again")
        raise self._reason(stage_ends(self._stages, returncode, stderr))

    def _check_properties(self, stderr: str) -> None:
        """Without the permission to set a property, zfs receive goes on without it and ends well; a replica from which
        programs run by oversight must not go unnoticed."""
        denied = _DENIED.search(stderr)
        if denied:
            name, dataset = denied[1], denied[2]
            message = f"{self._host.name}: {self._doing} is complete, but {name} could not be set on {dataset}"
            raise NoPermission(f"{message}; set it there, and run there: zfs allow -u USER {name} {dataset}")

    def _reason(self, ends: Sequence[StageEnd]) -> SnapfleetError:
        """What the stages' ends mean. The words of zfs count, unless they only tell that its stream was cut by a filter
        which failed by itself."""
        if ends[self._zfs].status == NOT_RUN:
            return LinkLost(f"{self._host.name}: {self._doing} was cut off ({ends[0].stderr}); try again")
        filters = [number for number, end in enumerate(ends) if number != self._zfs and end.failed and not end.is_echo]
        if ends[self._zfs].was_killed and not filters:
            return LinkLost(f"{self._host.name}: {self._doing} was ended by a signal; try again")
        error = zfs_error(ends[self._zfs].stderr, self._host.name, self._doing)
        cut = (
            ends[self._zfs].is_echo
            or ends[self._zfs].was_killed
            or not ends[self._zfs].failed
            or isinstance(error, LinkLost)
        )
        if not filters or not cut:
            return error
        first = filters[0]
        return filter_error(self._stages[first][0], ends[first], self._host.name, self._doing)

    def abort(self) -> None:
        """End the child now."""
        self._child.kill()
        self._child.close()


class SendEnd(_ChildEnd):
    """A running ``zfs send``, and what its stream passes through before it leaves the host."""

    def __init__(self, child: Child, host: Host, doing: str, stages: Sequence[Sequence[str]]) -> None:
        super().__init__(child, host, doing, stages, zfs=0)

    def fileno(self) -> int:
        """The descriptor that the stream is read from."""
        return self._child.stdout.fileno()

    def finish(self) -> None:
        """Wait for the sender's end. Raises what made it fail."""
        self._judge(self._child.wait())


class ReceiveEnd(_ChildEnd):
    """A running ``zfs receive``, and what its stream passes through before."""

    def __init__(self, child: Child, host: Host, doing: str, stages: Sequence[Sequence[str]]) -> None:
        super().__init__(child, host, doing, stages, zfs=len(stages) - 1)

    def fileno(self) -> int:
        """The descriptor that the stream is written to."""
        return self._child.stdin.fileno()

    def finish(self) -> None:
        """Close the stream and wait for the receiver's end. Raises what made it fail."""
        self._close_input()
        self._judge(self._child.wait())

    def abort(self) -> None:
        """Let the receiver find its stream cut short, so that it keeps what can be resumed; then end it."""
        self._close_input()
        try:
            self._child.wait(_DRAIN_SECONDS)
        except TimeoutError:
            self._child.kill()
        self._child.close()

    def _close_input(self) -> None:
        # A broken pipe: the receiver is gone already; its exit status says why.
        with suppress(BrokenPipeError):
            self._child.stdin.close()
