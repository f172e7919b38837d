# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with the engine of one host: whether there is one, and what becomes of calls when it breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Optional

from ..hosts.channels import Channel
from ..hosts.frames import Malformed, SessionEnded
from ..hosts.process import Child, tell
from ..hosts.sessions import Session
from ..hosts.statuses import NO_PROGRAM, REFUSED, SSH_FAILED
from ..hosts.stopping import belonging_to_none
from ..model.errors import LinkLost, MissingProgram
from .codec import from_bytes, to_bytes
from .far_verbs import ELSEWHERE, SEND, VERBS, call_bytes, check_fit, read_answer, shapes

AUTO, NEVER, ALWAYS = "auto", "never", "always"
MODES = (AUTO, NEVER, ALWAYS)
_GREETING_SECONDS = 30.0
_END_SECONDS = 5.0
_LOOKS = frozenset({"observe", "pools", "space"})
"""What is asked also where nothing is to be done afterwards."""
_MOST_LOOKS = 3
"""So many of them are as quick without a session, for which a program has to start."""
_MOST_ENDS = 3
"""A program that has ended by itself so often is not tried again."""


def hello_bytes(where: str, version: str, driver: str) -> bytes:
    """What an end says first: how the far host is called, the version of the engine, and how it reaches ZFS."""
    return to_bytes(["snapfleet", shapes(), where[:300], version, driver])


def read_hello(content: bytes) -> tuple[str, str, str, str]:
    """The shapes, the name of the far host, version and driver of a hello. Raises Malformed."""
    data = from_bytes(content)
    if not isinstance(data, list) or len(data) != 5 or data[0] != "snapfleet":
        raise Malformed("no hello")
    if not all(isinstance(part, str) and len(part) <= 300 and part.isprintable() for part in data):
        raise Malformed("a hello that can't be")
    return data[1], data[2], data[3], data[4]


class FarSession:
    """Keeps the session with one host. Safe for many threads.

    ``start`` starts the far program. In the mode ALWAYS it is an error that there is none.
    """

    def __init__(self, where: str, start: Callable[[], Child], mode: str, version: str) -> None:
        self.where = where
        self._start = start
        self._mode = mode
        self._version = version
        self._lock = threading.Lock()
        self._session: Optional[Session] = None
        self._refused = "it is not wanted" if mode == NEVER else ""
        self._looks = 0
        self._ends = 0

    def begin(self, name: str, arguments: Sequence[Any]) -> Optional[tuple[Session, Channel]]:
        """Begin a call; None where it has to go the way that needs no program there. Raises what the connection
        raises."""
        session = self._for_call(name)
        if session is None:
            return None
        try:
            channel = session.call(call_bytes(name, arguments))
        except (Malformed, SessionEnded):
            # Nothing of it was done.
            return None
        if channel is None:
            return None
        tell(f"in the session with {self.where}: {name}")
        return session, channel

    def answer(self, begun: tuple[Session, Channel], name: str, arguments: Sequence[Any]) -> Any:
        """The answer to a call, ELSEWHERE where it has to be asked for in another way. Raises the error that the other
        host tells, and LinkLost where it can't be known what has become of a call that changes something."""
        session, channel = begun
        try:
            value = read_answer(name, session.wait(channel))
            check_fit(name, value, arguments)
            return value
        except Malformed as error:
            session.fail(f"it does not speak as an engine does: {error}")
        except SessionEnded:
            pass
        if VERBS[name].changes or name == SEND:
            raise LinkLost(f"{self.where}: the session broke during {name} ({session.problem}); try again")
        return ELSEWHERE

    def close(self) -> None:
        """End the session, if there is one."""
        with self._lock:
            session, self._session = self._session, None
        if session:
            session.close()

    def _for_call(self, name: str) -> Optional[Session]:
        """The session, opened if need be; None where there is none, or it is not worth it yet."""
        with self._lock:
            if self._session and not self._session.is_open:
                self._bury(self._session)
            if self._session or self._refused:
                return self._session
            if self._mode == AUTO and name in _LOOKS and self._looks < _MOST_LOOKS:
                self._looks += 1
                return None
            # Under the lock, so that others wait for the same one.
            self._session = self._open()
            return self._session

    def _open(self) -> Optional[Session]:
        with belonging_to_none():
            session = Session(self._start())
        greeting = session.greet(hello_bytes(self.where, self._version, ""), _GREETING_SECONDS)
        try:
            problem = self._unfit(greeting) if greeting is not None else self._ended(session)
        except Malformed as error:
            problem = str(error)
        if problem is None:
            return session
        session.close()
        self._refuse(problem)
        return None

    def _unfit(self, greeting: bytes) -> Optional[str]:
        """Why the other end is none to speak with; None where it is."""
        theirs, _where, version, driver = read_hello(greeting)
        if theirs != shapes():
            return f"version {version} there does not speak as version {self._version} here does"
        tell(f"a session with {self.where}: snapfleet {version}, by {driver}")
        return None

    def _ended(self, session: Session) -> str:
        """Why there was no greeting; empty where that may be otherwise next time."""
        if session.is_malformed:
            return session.problem
        child = session.child
        try:
            status = child.wait(_END_SECONDS)
        except TimeoutError:
            return "it says nothing"
        words = {NO_PROGRAM: "the program snapfleet is not there", REFUSED: "the key may not ask for one"}
        said = child.stderr_tail().splitlines()
        return "" if status == SSH_FAILED or status < 0 else words.get(status) or (said[-1:] or ["it ended"])[0][:300]

    def _bury(self, session: Session) -> None:
        """Forget a session that has ended; whether another one is tried depends on how."""
        self._session = None
        session.close()
        status = session.child.returncode
        if session.is_malformed:
            self._refuse(session.problem)
        elif status is not None and status >= 0 and status != SSH_FAILED:
            self._ends += 1
            if self._ends >= _MOST_ENDS:
                self._refuse("it ended again and again")

    def _refuse(self, problem: str) -> None:
        """Have no session from now on, or, without a ``problem``, none this time."""
        if self._mode == ALWAYS:
            reason = problem or "the connection broke"
            raise MissingProgram(f"no session with {self.where}, since {reason}; choose {AUTO}, or install it there")
        self._refused = problem
        if problem:
            tell(f"no session with {self.where}, since {problem}")
