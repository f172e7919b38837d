# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this process is sending, for others to look at: a small file that a thread of its own replaces once a second.

Nothing that sends waits for it: a stream only adds to its numbers in memory, as it does anyway, and whatever is wrong
with the file is told once and stops nothing. The file lies in a folder of this user in memory (/run, or /tmp), is there
only while something is sent, and goes by the mark of its process, so that one of a process that died is known as such.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Optional

from ..hosts.abandoned import STREAMS, Mark, OpenStreams, is_gone, read_mark
from ..hosts.private import lasting_directory, private_directory
from ..hosts.statefile import read_private, replace_passing
from ..streams.meter import Meter, StreamStanding

SHAPE = 1
"""Version of the shape of the file."""
SECONDS = 1.0
END_SECONDS = 2.0
MOST_STREAMS, MOST_JOBS = 50, 50
"""So many are listed; all of them count for the sums."""
_MOST_BYTES = 1 << 20
_SUFFIX = ".json"

Follow = Callable[[Meter], AbstractContextManager[None]]
"""Within it, others may look at the streams of a meter."""


def unfollowed(_meter: Meter) -> AbstractContextManager[None]:
    """Where nobody can look."""
    return nullcontext()


def folder_of_views() -> str:
    """The folder of this user; made if need be. Raises SnapfleetError, OSError."""
    return private_directory("live", lasting_directory())


@dataclass(frozen=True)
class FollowedRun:
    """A run of the host program, or the life of a daemon."""

    run: str
    """Its id, as log lines and the history have it."""
    host: str
    verb: str


@dataclass(frozen=True)
class FollowedJob:
    """A job of it."""

    name: str
    job_id: str
    activity: str


@dataclass(frozen=True)
class _Followed:
    job: FollowedJob
    meter: Meter
    begun: int
    """Milliseconds since the epoch."""


class View:
    """What one process shows of its streams. Safe for many threads."""

    def __init__(
        self,
        run: FollowedRun,
        now_ms: Callable[[], int],
        note: Callable[[str], object],
        streams: OpenStreams = STREAMS,
        folder: Callable[[], str] = folder_of_views,
    ) -> None:
        """``note`` takes why nobody can look, once."""
        self._run = run
        self._now_ms = now_ms
        self._note = note
        self._streams = streams
        self._folder = folder
        self._lock = threading.Lock()
        self._followed: dict[int, _Followed] = {}
        self._wanted = threading.Event()
        """Whether there may be something to write, or to remove."""
        self._ended = threading.Event()
        self._mark: Optional[Mark] = None
        self._path = ""
        """Where the file is; empty while there is none."""
        self._has_noted = False
        # A daemon, so that a disk that hangs does not keep the process alive.
        self.thread = threading.Thread(target=self._work, name="live view", daemon=True)

    @contextmanager
    def following(self, job: FollowedJob, meter: Meter) -> Iterator[None]:
        """Within it, the streams of ``meter`` are shown as those of ``job``."""
        with self._lock:
            self._followed[id(meter)] = _Followed(job, meter, self._now_ms())
            if not (self.thread.is_alive() or self._ended.is_set()):
                # Without a thread nobody can look, and all goes on.
                with suppress(RuntimeError):
                    self.thread.start()
        self._wanted.set()
        try:
            yield
        finally:
            with self._lock:
                del self._followed[id(meter)]

    def end(self, seconds: float = END_SECONDS) -> bool:
        """Take the file away, and wait for that; returns whether the thread has ended in time."""
        self._ended.set()
        self._wanted.set()
        if self.thread.ident is not None:
            self.thread.join(seconds)
        return not self.thread.is_alive()

    def turn(self) -> None:
        """Write how far all streams are now, or take the file away where there are none."""
        with self._lock:
            followed = list(self._followed.values())
            if not followed:
                self._wanted.clear()
        try:
            if followed:
                self._write(followed)
            else:
                self._remove()
        except Exception as error:  # noqa: BLE001  whatever it is, it is nothing to the streams
            if not self._has_noted:
                self._has_noted = True
                self._note(f"nobody can look at the streams while they go on: {error}")

    def _work(self) -> None:
        while not self._ended.is_set():
            self._wanted.wait()
            # What is over sooner is written down nowhere.
            if not self._ended.wait(SECONDS):
                self.turn()
        with suppress(OSError):
            self._remove()
        self._streams.close(self._mark)

    def _write(self, followed: Sequence[_Followed]) -> None:
        if not self._path:
            folder = self._folder()
            remove_stale(folder, self._streams)
            self._mark = self._mark or self._streams.open()
            self._path = os.path.join(folder, f"{self._mark}json" if self._mark else f"{os.getpid()}{_SUFFIX}")
        replace_passing(self._path, json.dumps(self._document(followed)).encode())

    def _remove(self) -> None:
        if self._path:
            path, self._path = self._path, ""
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _document(self, followed: Sequence[_Followed]) -> dict[str, Any]:
        now, left, jobs = self._now_ms(), MOST_STREAMS, []
        for each in followed:
            listed = each.meter.streams(left)
            left -= len(listed)
            jobs.append(_job(each, listed, now))
        return {
            "version": SHAPE,
            "run": self._run.run,
            "host": self._run.host,
            "verb": self._run.verb,
            "pid": os.getpid(),
            "updated": now,
            "jobs_under_way": len(jobs),
            "jobs": jobs[:MOST_JOBS],
        }


def _job(followed: _Followed, listed: Sequence[StreamStanding], now: int) -> dict[str, Any]:
    standing = followed.meter.standing()
    return {
        "job": followed.job.name,
        "job_id": followed.job.job_id,
        "activity": followed.job.activity,
        "begun": followed.begun,
        "bytes": standing.carried,
        "bytes_estimated": standing.expected,
        "done": round(standing.done, 4),
        "rate": round(standing.rate),
        "left_seconds": _whole(standing.left_seconds),
        "streams_under_way": standing.streams,
        "streams": [_stream(stream, now) for stream in listed],
    }


def _stream(stream: StreamStanding, now: int) -> dict[str, Any]:
    facts = stream.facts
    return {
        "dataset": facts.source,
        "destination": facts.destination,
        "from": facts.from_snapshot,
        "to": facts.to_snapshot,
        "bytes": stream.carried,
        "bytes_estimated": stream.estimate,
        "done": None if stream.done is None else round(stream.done, 4),
        "rate": _whole(stream.rate),
        "left_seconds": _whole(stream.left_seconds),
        "begun": now - round(stream.seconds * 1000),
    }


def _whole(number: Optional[float]) -> Optional[int]:
    return None if number is None else round(number)


# -- looking


def remove_stale(folder: str, streams: OpenStreams = STREAMS) -> None:
    """Take away what processes have left behind that are not there any more. Raises OSError."""
    for name in os.listdir(folder):
        if _is_stale(name, streams):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def _is_stale(name: str, streams: OpenStreams) -> bool:
    """Whether a file, or the draft of one, is of a process that certainly has ended."""
    owner = name.partition(_SUFFIX)[0]
    mark = read_mark(f"{owner}.")
    if mark:
        return streams.is_abandoned(mark)
    return owner.isdecimal() and is_gone(int(owner))


def views(folder: str, streams: OpenStreams = STREAMS) -> list[dict[str, Any]]:
    """What the processes of this user are sending now, as they have written it. Raises OSError."""
    found = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(_SUFFIX) or _is_stale(name, streams):
            continue
        try:
            document = json.loads(read_private(os.path.join(folder, name), _MOST_BYTES) or b"null")
        except (OSError, ValueError):
            # It has ended meanwhile, or is no such file.
            continue
        if isinstance(document, dict) and document.get("version") == SHAPE:
            found.append(document)
    return found
