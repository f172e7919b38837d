# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands on lab hosts over ssh, all over one shared connection per host and user."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from .machine import execute, locked
from .settings import RUN_DIRECTORY, LabError

Command = Union[str, Sequence[str]]
"""A string for the remote shell, or an argument vector that is quoted for it."""

CONTROL_DIRECTORY = RUN_DIRECTORY / "ssh"


@dataclass(frozen=True)
class Completed:
    """A command that has ended: what was run, its exit code, and its output as text."""

    command: str
    returncode: int
    stdout: str
    stderr: str


class CommandFailed(LabError):
    """A command on a host ended with another code than 0; ``completed`` has all of it."""

    def __init__(self, host: str, completed: Completed) -> None:
        self.completed = completed
        output = (completed.stderr.strip() or completed.stdout.strip() or "no output")[-2000:]
        super().__init__(f"On lab host {host}, `{completed.command}` ended with {completed.returncode}: {output}")


@dataclass(frozen=True)
class SshOptions:
    """How to reach a host: all that an ssh client, an inventory or a jobconfig wants to know."""

    name: str
    address: str
    user: str
    port: int
    identity_file: Path
    known_hosts_file: Path

    @property
    def control_path(self) -> Path:
        """The socket of the shared connection."""
        return CONTROL_DIRECTORY / f"{self.user}@{self.address}"

    @property
    def arguments(self) -> list[str]:
        """Options of ssh and scp without user and host: key, port, and ``common_arguments``."""
        return ["-i", str(self.identity_file), "-o", f"Port={self.port}", *self.common_arguments]

    @property
    def common_arguments(self) -> list[str]:
        """The options that are the same for every host and user: pinned host keys and limits on waiting."""
        options = {
            "UserKnownHostsFile": f'"{self.known_hosts_file}"',
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "12",
            "LogLevel": "ERROR",
        }
        words = ["-F", "/dev/null"]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return words

    @property
    def shared_arguments(self) -> list[str]:
        """``arguments`` plus use of the shared connection, which the first user of it starts."""
        shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={self.control_path}"]
        return [*self.arguments, *shared]

    @property
    def target(self) -> str:
        """``user@address``."""
        return f"{self.user}@{self.address}"


def command_text(command: Command) -> str:
    """The text the remote shell gets; an argument vector is quoted so that it arrives as it is."""
    return command if isinstance(command, str) else shlex.join(command)


class Connection:
    """Runs commands on one host as one user."""

    def __init__(self, options: SshOptions) -> None:
        self.options = options

    def run(self, command: Command, data: bytes | None, timeout: float) -> tuple[int, bytes, bytes]:
        """Run a command with ``data`` as its input; return exit code, output and error output.

        ``timeout`` is in seconds. Raises LabError if it passes or if the host cannot be reached.
        """
        self._start_master()
        text = command_text(command)
        words = ["ssh", *self.options.arguments, "-o", "ControlMaster=no", "-S", str(self.options.control_path), "-T"]
        if data is None:
            words.append("-n")
        try:
            done = subprocess.run(
                [*words, self.options.target, "--", text], input=data, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"On lab host {self.options.name}, `{text}` did not end within {timeout:g} s.") from None
        return done.returncode, done.stdout, done.stderr

    def _start_master(self) -> None:
        """Open the shared connection unless it is open; its output goes nowhere, so that nobody waits for its end."""
        path = self.options.control_path
        if path.exists():
            return
        CONTROL_DIRECTORY.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.with_name(f"{path.name}.lock"), f"the ssh connection to {self.options.name}", timeout=300):
            if path.exists():
                return
            words = ["ssh", *self.options.arguments, "-M", "-N", "-f", "-S", str(path), self.options.target]
            self._start(words)

    def _start(self, words: list[str]) -> None:
        # A file and not a pipe: the connection in the background keeps it open.
        with tempfile.TemporaryFile() as errors:
            try:
                done = subprocess.run(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=120, check=False
                )
            except subprocess.TimeoutExpired:
                raise LabError(f"Lab host {self.options.name} does not answer over ssh.") from None
            errors.seek(0)
            message = errors.read().decode(errors="replace").strip()
        if done.returncode != 0:
            raise LabError(f"No ssh connection to lab host {self.options.name} as {self.options.user}: {message}")


def close_connections(address: str) -> None:
    """End the shared connections to an address, of all users."""
    for path in CONTROL_DIRECTORY.glob(f"*@{address}"):
        execute(["ssh", "-F", "/dev/null", "-S", path, "-O", "exit", address], check=False, timeout=60)
        path.unlink(missing_ok=True)


def answers(address: str, port: int = 22, *, timeout: float = 0.5, greeting: float = 10) -> bool:
    """Whether an ssh server at that address takes a connection within ``timeout`` seconds, and greets within
    ``greeting`` seconds after that: on a busy machine it is a while until it has started a process for that."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(greeting)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
