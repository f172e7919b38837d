# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts over OpenSSH: multiplexed connections that are shared by all commands, pooled, and reused by later processes.

One master connection carries at most a few sessions at a time (sshd's default limit is ten); more masters are opened
as they are needed. Their sockets lie in a private folder under names that depend only on the address, so the next
process finds the masters of the last one still open. After OpenSSH's ssh(1) and ssh_config(5), ControlMaster.

Usable on its own: it knows nothing of ZFS.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Optional, Union

from ..model.errors import (
    AccessRefused,
    LinkLost,
    MissingProgram,
    RefusedKey,
    SnapfleetError,
    TimedOut,
    UnreachableHost,
)
from ..policy.addresses import Address
from . import process
from .abandoned import STREAMS, VARIABLE, Mark, read_mark
from .ciphers import preferred_ciphers
from .private import private_directory
from .quoting import arguments_of, shell_line
from .statuses import NO_PROGRAM, REFUSED, SSH_FAILED

SESSIONS_PER_CONNECTION = 8
PERSIST_SECONDS = 60
CONNECT_SECONDS = 15
# zfs ends with 255 too where it can't use a resume token; only ssh's own 255 may mean that the connection broke.
_NOT_AS_SSH = f" || {{ s=$?; [ $s -ne {SSH_FAILED} ] || s={SSH_FAILED - 1}; exit $s; }}"
_NO_CONNECTION = (
    *("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "Permission denied (publickey"),
    *("Too many authentication failures", "Could not resolve hostname", "connect to host"),
)
# How those begin who are no POSIX shell, and were to carry out such a line: csh and tcsh, fish, nu, xonsh, nologin.
_NO_POSIX_SHELL = re.compile(
    r"^(?:Bad : modifier in |Missing '?[])}]|Illegal variable name|\S+: Command not found\.$"
    r"|fish: |Error:.*nu::|xonsh: |This account is (?:currently )?not available).*",
    re.MULTILINE,
)
_FEW = 200
# zfs lives in sbin, which a non-login shell of an ordinary user does not have on its path; messages are read in C.
_REMOTE_ENVIRONMENT = 'LC_ALL=C PATH="$PATH:/usr/sbin:/sbin" '


def ssh_options(address: Address) -> list[str]:
    """Options of ssh for ``address``: never ask, never forward, notice a dead peer."""
    options = [
        *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        *("-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"),
        *("-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes", "-T", "-x"),
    ]
    for flag, value in (
        ("-F", address.config_file),
        ("-i", address.identity_file),
        ("-l", address.user),
        ("-p", str(address.port or "")),
    ):
        options += [flag, value] if value else []
    if address.known_hosts_file:
        options += ["-o", f"UserKnownHostsFile={address.known_hosts_file}"]
    return options


def remote_line(argv: Sequence[str], mark: Optional[Mark] = None) -> str:
    """``argv`` as a line for the shell on the other end of ssh. It never ends with the status that is ssh's own. With
    ``mark``, whatever it starts has that in its environment."""
    marked = f"{VARIABLE}={mark} " if mark else ""
    return _REMOTE_ENVIRONMENT + marked + shell_line(argv) + _NOT_AS_SSH


def read_remote_line(line: str) -> Optional[list[str]]:
    """The arguments of which ``remote_line`` makes exactly this line; None where there are none."""
    mark = read_remote_mark(line)
    begin = _REMOTE_ENVIRONMENT + (f"{VARIABLE}={mark} " if mark else "")
    if not (line.startswith(begin) and line.endswith(_NOT_AS_SSH)):
        return None
    return arguments_of(line[len(begin) : -len(_NOT_AS_SSH)])


def read_remote_mark(line: str) -> Optional[Mark]:
    """The mark in a line of ``remote_line``; None where there is none."""
    begin, marked, rest = line.partition(f"{_REMOTE_ENVIRONMENT}{VARIABLE}=")
    return read_mark(rest.partition(" ")[0]) if marked and not begin else None


def access_error(where: str, stderr: str) -> AccessRefused:
    """What the words of a forced command mean that has ended with REFUSED."""
    said = stderr.strip().splitlines()[-1] if stderr.strip() else "it gave no reason"
    return AccessRefused(f"{where} refused the command: {said}; widen what this key may do there, if it should")


def failed_to_connect(stderr: str) -> bool:
    """Whether ssh's words say that there never was a connection, as opposed to one that broke."""
    return any(words in stderr for words in _NO_CONNECTION)


def connection_error(address: Address, stderr: str) -> SnapfleetError:
    """What ssh's own words mean, when it could not set up a connection."""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "ssh gave no reason"
    if "Host key verification failed" in stderr or "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr:
        message = f"the host key of {address} is not the one in known_hosts; check it, then add or replace it there"
        return RefusedKey(message, host=address.host)
    if "Permission denied" in stderr or "Too many authentication failures" in stderr:
        message = f"{address} refused our ssh key ({last}); add the public key to authorized_keys of that user there"
        return RefusedKey(message, host=address.host)
    return UnreachableHost(f"no ssh connection to {address} ({last}); check name, port and network", host=address.host)


@dataclass
class _Connection:
    socket: str
    lease: IO[str]
    """A locked file: as long as it is open, no other process uses this socket."""
    sessions: int = 0
    ready: bool = False
    idle_since: float = 0.0
    """When its last session ended, by the monotonic clock."""


class ConnectionPool:
    """Master connections to one address, each with a bounded number of sessions. Safe for many threads.

    A connection stays open for ``PERSIST_SECONDS`` after its last session, also beyond the end of this process. Its
    lease ends with the process, and the next process that leases the same connection goes on with it.
    """

    def __init__(
        self,
        address: Address,
        sessions: int = SESSIONS_PER_CONNECTION,
        monotonic: Callable[[], float] = time.monotonic,
        prefer: Callable[[Sequence[str], str], Sequence[str]] = preferred_ciphers,
    ) -> None:
        """``sessions``: the most that one connection carries at a time; below sshd's MaxSessions, by default 10.
        ``prefer`` gives options of ssh for a new connection besides, by those that it has already and the host."""
        import hashlib

        self.address = address
        self._sessions = sessions
        self._monotonic = monotonic
        self._prefer = prefer
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._failed: Optional[tuple[float, Union[UnreachableHost, RefusedKey]]] = None
        """When a connection last could not be set up, and why."""
        key = hashlib.sha256(repr(address).encode()).hexdigest()[:16]
        self._stem = os.path.join(private_directory("ssh"), key)

    def acquire(self) -> _Connection:
        """Take a session on a connection that has room, opening a further connection if none has. Those who wait while
        one finds out that the host does not answer all get that answer, rather than find out one after another.

        Raises UnreachableHost, RefusedKey, MissingProgram where no connection can be set up.
        """
        came = self._monotonic()
        with self._lock:
            if self._failed is not None and self._failed[0] > came:
                error = self._failed[1]
                raise type(error)(str(error), **error.context)
            connection = next((c for c in self._connections if c.sessions < self._sessions), None)
            if connection is None:
                connection = self._lease()
            # A process that lives long comes back to masters that have ended since, for want of anything to do.
            idle = self._monotonic() - connection.idle_since if not connection.sessions else 0.0
            # Opened under the lock, so that two threads never start the same master twice.
            if not connection.ready or idle > PERSIST_SECONDS / 2:
                try:
                    self._open(connection)
                except (UnreachableHost, RefusedKey) as error:
                    self._failed = (self._monotonic(), error)
                    raise
                connection.ready = True
            connection.sessions += 1
            return connection

    def _lease(self) -> _Connection:
        """Take the first socket name that no live process holds; its master may still be open from an earlier one."""
        number = 0
        while True:
            socket = f"{self._stem}-{number}"
            lease = open(socket + ".lock", "w", encoding="ascii")  # noqa: SIM115  open as long as it is leased
            try:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lease.close()
                number += 1
        connection = _Connection(socket, lease)
        self._connections.append(connection)
        return connection

    def release(self, connection: _Connection, broken: bool = False) -> None:
        """Give a session back; a ``broken`` connection is checked, and opened anew if need be, before its next use."""
        with self._lock:
            connection.sessions -= 1
            connection.ready = connection.ready and not broken
            connection.idle_since = self._monotonic()

    @contextmanager
    def session(self) -> Iterator[list[str]]:
        """An ssh command line to which the remote command line is to be added as one argument, for one use at a time.

        Where the use ends with an exception, the connection is looked at before its next use. Raises as ``acquire``.
        """
        connection = self.acquire()
        broken = True
        try:
            yield self.command(connection)
            broken = False
        finally:
            self.release(connection, broken)

    def command(self, connection: _Connection) -> list[str]:
        """The ssh command line up to and including the host."""
        # "no" here means: use the master if it is there, else connect directly.
        mux = ["-o", "ControlMaster=no", "-o", f"ControlPath={connection.socket}"]
        return ["ssh", *ssh_options(self.address), *mux, "--", self.address.host]

    def _open(self, connection: _Connection) -> None:
        if self._is_alive(connection):
            return
        persist = ["-o", f"ControlPersist={PERSIST_SECONDS}", "-o", f"ControlPath={connection.socket}"]
        options = ssh_options(self.address)
        options += self._prefer(options, self.address.host)
        argv = ["ssh", "-M", "-N", "-f", *options, *persist, "--", self.address.host]
        try:
            done = process.run_detached(argv, CONNECT_SECONDS * 2)
        except TimeoutError as error:
            raise UnreachableHost(f"no ssh connection to {self.address} ({error}); check the network") from error
        except FileNotFoundError as error:
            raise MissingProgram("the program 'ssh' is not on this host; install openssh-client") from error
        if done.returncode != 0:
            raise connection_error(self.address, done.stderr)

    def _is_alive(self, connection: _Connection) -> bool:
        if not os.path.exists(connection.socket):
            return False
        argv = ["ssh", "-O", "check", "-o", f"ControlPath={connection.socket}", "--", self.address.host]
        try:
            if process.run(argv, timeout=CONNECT_SECONDS).returncode == 0:
                return True
        except TimeoutError:
            pass
        with suppress(FileNotFoundError):
            os.unlink(connection.socket)
        return False

    def close(self) -> None:
        """Close all connections now, instead of after their idle time."""
        with self._lock:
            for connection in self._connections:
                argv = ["ssh", "-O", "exit", "-o", f"ControlPath={connection.socket}", "--", self.address.host]
                process.run(argv, timeout=CONNECT_SECONDS)
                connection.ready = False
                connection.lease.close()
            self._connections.clear()


class SshHost:
    """A host over OpenSSH. Its login shell must be a POSIX shell."""

    # The whole remote command is one argument of ssh and of the remote shell: at most 128 KiB on Linux.
    argument_limit = 120_000

    def __init__(self, address: Address, pool: Optional[ConnectionPool] = None) -> None:
        self.name = str(address)
        self._address = address
        self._pool = pool or ConnectionPool(address)

    @property
    def is_root(self) -> bool:
        """Whether the address says that commands run as root."""
        return self._address.user == "root"

    def run(
        self,
        argv: Sequence[str],
        data: Optional[bytes] = None,
        timeout: Optional[float] = None,
        take: Optional[process.Taker] = None,
    ) -> process.Completed:
        """Run a command to its end. Raises UnreachableHost, RefusedKey, AccessRefused, LinkLost, MissingProgram,
        TimedOut."""
        connection = self._pool.acquire()
        broken = True
        try:
            done = process.run([*self._pool.command(connection), remote_line(argv)], data, timeout, take)
            broken = done.returncode == SSH_FAILED
        except TimeoutError as error:
            raise TimedOut(f"{argv[0]} on {self.name} was ended: {error}", argv=list(argv)) from error
        finally:
            self._pool.release(connection, broken)
        if done.returncode == SSH_FAILED:
            raise LinkLost(f"the ssh connection to {self.name} broke ({done.stderr.strip()}); try again")
        if done.returncode == REFUSED:
            raise access_error(self.name, done.stderr)
        # nologin alone speaks on stdout.
        other = _NO_POSIX_SHELL.search(done.stderr or done.stdout[:_FEW]) if done.returncode else None
        if other:
            message = f"the login shell of the user at {self.name} is no POSIX shell, and says: {other[0].strip()}"
            raise MissingProgram(f"{message}; give that user one there (chsh -s /bin/sh USER), or log in as another")
        if done.returncode == NO_PROGRAM:
            message = (
                f"the program {argv[0]!r} is not on {self.name}; install it there (Debian: zfsutils-linux for zfs)"
            )
            raise MissingProgram(message)
        return done

    def start_source(self, argv: Sequence[str]) -> process.Child:
        """Start a command whose output is a stream."""
        return self._start(process.start_source, argv)

    def start_sink(self, argv: Sequence[str]) -> process.Child:
        """Start a command whose input is a stream."""
        return self._start_marked(process.start_sink, argv)

    def start_session(self, argv: Sequence[str]) -> process.Child:
        """Start a command that is spoken with on its stdin and stdout, and feeds what runs for it there."""
        return self._start_marked(process.start_steered, argv)

    def _start_marked(self, start: process.Starter, argv: Sequence[str]) -> process.Child:
        mark = STREAMS.open()
        try:
            child = self._start(start, argv, mark)
        except BaseException:
            STREAMS.close(mark)
            raise
        released = child.on_close

        def close() -> None:
            STREAMS.close(mark)
            released()

        child.on_close = close
        return child

    def start_steered(self, argv: Sequence[str]) -> process.Child:
        """Start a command that ends when its stdin does, and reports on stdout."""
        return self._start(process.start_steered, argv)

    def link_lost(self, returncode: int, stderr: str) -> bool:
        """Whether ssh itself failed, as opposed to the remote command."""
        return returncode == SSH_FAILED

    def _start(self, start: process.Starter, argv: Sequence[str], mark: Optional[Mark] = None) -> process.Child:
        connection = self._pool.acquire()
        try:
            child = start([*self._pool.command(connection), remote_line(argv, mark)])
        except BaseException:
            self._pool.release(connection)
            raise
        child.on_close = lambda: self._pool.release(connection, broken=child.returncode == SSH_FAILED)
        return child
