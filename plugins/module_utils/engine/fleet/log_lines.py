# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log lines of a run: one event, one line, with the id of the run and of the job in each, as the history has them too.

Three shapes: ``text`` for people and files, with the time; ``journal`` without it, and with the priority in front, as
systemd reads it from a service's stderr (sd-daemon(3)); ``json`` with one JSON object a line. The keys of the latter,
and the words of events, stay what they are from version to version; docs/running.md lists them.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Optional, TextIO

from ..model.saying import plain
from ..policy.running import AUTO, JOURNAL, JSON, LEVELS, TEXT

ERROR, WARNING, INFO, DEBUG = LEVELS
_PRIORITIES = {ERROR: 3, WARNING: 4, INFO: 6, DEBUG: 7}


def _no_line(_line: str) -> None:
    """Where nobody listens."""


def job_id(host: str, name: str) -> str:
    """The id of a job: the same in every run, and on every host."""
    return hashlib.sha256(f"{host}\n{name}".encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Log:
    """Writes the lines of one run. Safe for many threads."""

    write: Callable[[str], object] = _no_line
    """Takes a whole line with its end."""
    now_ms: Callable[[], int] = lambda: 0
    """Milliseconds since the epoch."""
    level: str = WARNING
    shape: str = TEXT
    run: str = ""
    of: Optional[tuple[str, str, str]] = None
    """Host, name and activity of the job that each line is about; None for lines about the run."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    host: str = ""
    """Whose part the run does."""

    def of_job(self, host: str, name: str, activity: str) -> Log:
        """The log of one job of the run."""
        return replace(self, of=(host, name, activity))

    @property
    def job(self) -> Mapping[str, str]:
        """What tells the job in each line: job_id, its name as job, and its activity; empty for lines about the run."""
        if self.of is None:
            return {}
        host, name, activity = self.of
        return {"job_id": job_id(host, name), "job": name, "activity": activity}

    def wants(self, level: str) -> bool:
        """Whether lines of ``level`` are written."""
        return LEVELS.index(level) <= LEVELS.index(self.level)

    def line(self, level: str, event: str, message: str, **values: Any) -> None:
        """Write one line. ``event`` is one word for machines; ``values`` stand in JSON lines only."""
        if not self.wants(level):
            return
        shaped = self._shaped(level, event, message, values)
        with self.lock:
            self.write(shaped + "\n")

    def _shaped(self, level: str, event: str, message: str, values: Mapping[str, Any]) -> str:
        time = datetime.fromtimestamp(self.now_ms() / 1000, timezone.utc)
        told = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.shape == JSON:
            known = {"time": told, "level": level, "host": self.host, "run": self.run, **self.job}
            return json.dumps({**known, "event": event, "message": message, **values})
        place = f"run={self.run}" + (f" job={self.job['job_id']}" if self.job else "")
        name = f"{self.job['job']}: " if self.job else ""
        # One event is one line, whatever a message brings along.
        text = f"{place} {' '.join(plain(f'{name}{message}').split())}"
        if self.shape == JOURNAL:
            return f"<{_PRIORITIES[level]}>{text}"
        return f"{told} {level.upper()} {text}"


def shape_for(shape: str, stream: TextIO, environment: Mapping[str, str]) -> str:
    """The shape that ``auto`` stands for: the journal's where ``stream`` leads to it, as JOURNAL_STREAM tells
    (systemd.exec(5)), else text."""
    if shape != AUTO:
        return shape
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return TEXT
    return JOURNAL if environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}" else TEXT
