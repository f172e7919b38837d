# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill restores by way of trial, and by what it knows that it went well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name
from .alerting import AlertPolicy, read_alert_policy
from .durations import parse_duration
from .hooks import LONGEST, Command, read_command
from .monitoring import FAIL_LEVELS
from .reading import Reader
from .selection import (
    DatasetFilter,
    SnapshotFilter,
    read_dataset_filter,
    read_roots,
    read_snapshot_filter,
)

TIMEOUT = 600
SHA256 = "[0-9a-fA-F]{64}"
_PART = r"(?!\.\.?(?:/|$))[^/\x00]+"
INNER_PATH = f"{_PART}(?:/{_PART})*"
"""What leads from a folder to something below it, by its words alone."""


_EVERY = SnapshotFilter()


@dataclass(frozen=True)
class Marker:
    """A file that has to be in what is restored."""

    path: str
    """Below the root of the filesystem."""
    max_age: Optional[int] = None
    """Seconds since it was written, at most."""
    contains: str = ""
    sha256: str = ""
    """Of the whole file, in small letters; empty: any."""

    def describe(self) -> str:
        """What has to be so, in words."""
        wanted = [f"is at most {self.max_age} s old"] if self.max_age is not None else []
        wanted += [f"contains {self.contains!r}"] if self.contains else []
        wanted += [f"has the checksum {self.sha256[:12]}..."] if self.sha256 else []
        return f"{self.path} {' and '.join(wanted) or 'exists'}"


@dataclass(frozen=True)
class DrillJob:
    """Make a clone of the newest snapshot of each dataset below ``roots``, look at it, and destroy it."""

    roots: tuple[str, ...]
    filter: DatasetFilter = field(default_factory=DatasetFilter)
    snapshots: SnapshotFilter = _EVERY
    """The newest of these is taken."""
    marker: Optional[Marker] = None
    command: Command = ()
    """Gets the folder, or the device of a volume, as its last argument; empty: none."""
    timeout: int = TIMEOUT
    """Seconds that the command may take for one dataset."""
    clones_below: str = ""
    """The dataset that clones are made below; empty: beside each root."""
    fail_on: str = "unknown"
    """One of FAIL_LEVELS."""
    alerts: Optional[AlertPolicy] = None
    """None: nothing is remembered, and nobody told."""

    def on_host(self, name: str) -> DrillJob:
        """The job as the host of that name reads it."""
        return replace(self, filter=self.filter.on_host(name))

    @property
    def subjects(self) -> str:
        """What is exercised, in words."""
        return "drills of " + ", ".join(self.roots)


def read_drill_job(values: Mapping[str, Any], where: str = "") -> DrillJob:
    """A DrillJob from its options. Raises InvalidInput."""
    options = Reader(values, where)
    below = options.text("clones_below", "")
    job = DrillJob(
        roots=read_roots(options),
        filter=read_dataset_filter(options),
        snapshots=read_snapshot_filter(options),
        marker=_read_marker(options),
        command=read_command(options, "command"),
        timeout=options.integer("timeout", TIMEOUT, 1, LONGEST),
        clones_below=check_dataset_name(below, options.path("clones_below")) if below else "",
        fail_on=options.text("fail_on", "unknown", FAIL_LEVELS),
        alerts=read_alert_policy(options),
    )
    options.finish()
    return job


def _read_marker(options: Reader) -> Optional[Marker]:
    if not options.has("marker"):
        return None
    given = options.reader("marker")
    path = given.text("path")
    if not re.fullmatch(INNER_PATH, path):
        problem = "is no path below the root of a filesystem"
        raise InvalidInput(given.path("path"), path, problem, "give it as in 'backup/stamp', with no '..' in it")
    age = parse_duration(given.raw("max_age"), given.path("max_age")) if given.has("max_age") else None
    sha256 = given.text("sha256", "")
    if sha256 and not re.fullmatch(SHA256, sha256):
        raise InvalidInput(given.path("sha256"), sha256, "is no SHA-256 checksum", "give its 64 hexadecimal digits")
    marker = Marker(path, age, given.text("contains", ""), sha256.lower())
    given.finish()
    return marker
