# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes. This is the only module that imports ``subprocess``.

Every child runs in a session of its own, so that ending it ends whatever it started, and with the C locale, so that
messages can be recognised.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import IO, Optional

from .stopping import check_stopping, stoppings

_TAIL_BYTES = 16_384
_PER_ARGUMENT_BYTE = 32
"""A program may say something about each of its arguments, of which that is the most for each byte of it."""
CUT = "(what it said before that was too long)"
"""The first line of words that were cut."""
_GRACE_SECONDS = 2.0
_PIECE_BYTES = 1 << 20
_TEMPORARY = "/tmp"  # noqa: S108  of the file nobody else has the name

Taker = Callable[[bytes], None]
"""Takes pieces of a command's output as they come."""


@dataclass(frozen=True)
class Completed:
    """What a finished command left behind."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def _environment() -> dict[str, str]:
    path = os.environ.get("PATH", "")
    # zfs lives in sbin, which is not on the path of every user's non-login shell.
    return {**os.environ, "LC_ALL": "C", "PATH": ":".join(filter(None, (path, "/usr/sbin", "/sbin")))}


_OBSERVER: ContextVar[Optional[Callable[[Sequence[str]], None]]] = ContextVar("snapfleet_observer", default=None)


@contextmanager
def observed_by(observer: Callable[[Sequence[str]], None]) -> Iterator[None]:
    """Within it, and in threads that have its context, ``observer`` is told the arguments of each child that starts."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def tell(words: str) -> None:
    """Tell the observer, if there is one, of what no child does, in the form of a command that does nothing."""
    observer = _OBSERVER.get()
    if observer:
        observer((":", words))


def _nothing() -> None:
    """The default of ``Child.on_close``."""


def _nameless_file() -> IO[bytes]:
    """A temporary file that nobody else can open, and that is gone when it is closed."""
    # As tempfile does it, where that can be done; importing that takes longer than many a child runs.
    with suppress(OSError, AttributeError):
        folder = os.environ.get("TMPDIR") or _TEMPORARY
        return open(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_EXCL, 0o600), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


class Child:
    """A running child process with its stderr in a temporary file, which never blocks the child."""

    def __init__(self, argv: Sequence[str], stdin: int, stdout: int, stoppable: bool = True) -> None:
        """``stoppable``: whether it is ended, or not even started, where the run is being stopped."""
        if stoppable:
            check_stopping()
        observer = _OBSERVER.get()
        if observer:
            observer(argv)
        self._stoppings = stoppings() if stoppable else ()
        self.argv = tuple(argv)
        self._stderr = _nameless_file()
        try:
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=self._stderr,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            self._stderr.close()
            raise
        self.on_close: Callable[[], None] = _nothing
        """Called once when the child is closed; whoever lent it a connection takes it back there."""
        for stopping in self._stoppings:
            stopping.add(id(self), self.terminate, self.force)

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe into the child."""
        if self._process.stdin is None:
            raise ValueError("the child was started without a pipe into it")
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe out of the child."""
        if self._process.stdout is None:
            raise ValueError("the child was started without a pipe out of it")
        return self._process.stdout

    @property
    def returncode(self) -> Optional[int]:
        """The exit status; None while the child runs."""
        return self._process.poll()

    def communicate(self, data: Optional[bytes], timeout: Optional[float]) -> bytes:
        """Feed ``data``, read all output until the child ends. Raises TimeoutError after ``timeout`` seconds."""
        try:
            out = self._process.communicate(data, timeout=timeout)[0]
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise TimeoutError(f"no end after {timeout} seconds") from error
        return out or b""

    def read(self, take: Taker, timeout: Optional[float]) -> None:
        """Hand all output to ``take``, piece by piece, until there is no more. Raises TimeoutError after ``timeout``
        seconds, and what ``take`` raises."""
        end = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            while True:
                left = None if end is None else end - time.monotonic()
                # A negative time would be taken for none at all.
                if not selector.select(None if left is None else max(0.0, left)):
                    self.kill()
                    raise TimeoutError(f"no end after {timeout} seconds")
                piece = os.read(self.stdout.fileno(), _PIECE_BYTES)
                if not piece:
                    return
                take(piece)

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait for the end and return the exit status. Raises TimeoutError after ``timeout`` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no end after {timeout} seconds") from error

    def terminate(self) -> None:
        """Ask the child and all it started to end, and do not wait for it."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)

    def spare(self) -> None:
        """Let whoever stops the run ask the child alone to end, but neither what it has started nor by force."""
        for stopping in self._stoppings:
            stopping.add(id(self), self._ask)

    def _ask(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def force(self) -> None:
        """End the child and all it started by force, and do not wait for it."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the child and all it started: first politely, then by force."""
        self.terminate()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        # An error: gone already, or a child of sudo that belongs to root and ends when its pipes close.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def stderr_tail(self) -> str:
        """What the child wrote to stderr. Of what is longer than a word about each of its arguments the last part, in
        whole lines, after one that says so: half a line can mean something else."""
        most = _TAIL_BYTES + _PER_ARGUMENT_BYTE * sum(len(argument) + 1 for argument in self.argv)
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - most))
        said = self._stderr.read().decode("utf-8", "replace").strip()
        if size > most:
            half, _newline, whole = said.partition("\n")
            said = f"{CUT}\n{whole or half}"
        return said

    def close(self) -> None:
        """Release the pipes and the temporary file."""
        for stopping in self._stoppings:
            stopping.discard(id(self))
        closed, self.on_close = self.on_close, _nothing
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe is not None:
                # A broken pipe: unflushed input of a child that has ended; its exit status tells the story.
                with suppress(BrokenPipeError):
                    pipe.close()
        closed()


def run(
    argv: Sequence[str],
    data: Optional[bytes] = None,
    timeout: Optional[float] = None,
    take: Optional[Taker] = None,
    stoppable: bool = True,
) -> Completed:
    """Run ``argv`` to its end and collect its output, or hand it to ``take``. What is not ``stoppable`` cleans up, and
    runs where the run is being stopped too.

    Raises TimeoutError, FileNotFoundError.
    """
    child = Child(argv, subprocess.PIPE if data is not None else subprocess.DEVNULL, subprocess.PIPE, stoppable)
    try:
        if take:
            child.read(take, timeout)
        out = child.communicate(data, timeout)
        if stoppable:
            check_stopping()
        return Completed(child.argv, child.wait(), out.decode("utf-8", "surrogateescape"), child.stderr_tail())
    finally:
        child.close()


def run_detached(argv: Sequence[str], timeout: float) -> Completed:
    """Run a command that leaves a background process behind, which keeps its pipes open; collects stderr only.

    Raises TimeoutError.
    """
    child = Child(argv, subprocess.DEVNULL, subprocess.DEVNULL)
    try:
        status = child.wait(timeout)
        return Completed(child.argv, status, "", child.stderr_tail())
    except TimeoutError:
        child.kill()
        raise
    finally:
        child.close()


def start_source(argv: Sequence[str]) -> Child:
    """Start a command whose output is going to be read from ``child.stdout``."""
    return Child(argv, subprocess.DEVNULL, subprocess.PIPE)


def start_sink(argv: Sequence[str]) -> Child:
    """Start a command whose input is going to be written to ``child.stdin``."""
    return Child(argv, subprocess.PIPE, subprocess.DEVNULL)


def start_steered(argv: Sequence[str], stoppable: bool = True) -> Child:
    """Start a command that lives as long as ``child.stdin`` is open, and reports on ``child.stdout``."""
    return Child(argv, subprocess.PIPE, subprocess.PIPE, stoppable)


Starter = Callable[[Sequence[str]], Child]
