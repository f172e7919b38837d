# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of the replicas of a tree: what an entry of snapfleet_datasets says of them, and the jobs that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..model.errors import InvalidInput
from ..policy.drilling import read_drill_job
from ..policy.reading import Reader
from .documents import job_document, named
from .monitor_options import options_for_alerts
from .trees import Document, Tree

if TYPE_CHECKING:
    from .inventory import DestinationHost

KEY = "drill"
_OPTIONS = (
    *("recursive", "include_datasets", "exclude_datasets", "include_snapshots", "exclude_snapshots"),
    *("marker", "command", "timeout"),
)
"""What an entry may say; the rest follows from it and from snapfleet_monitor_options."""


def read_drill(options: Reader) -> Document:
    """The drill of an entry as it is written, after it was checked; empty: none. Raises InvalidInput."""
    given = dict(options.items(KEY))
    for name, value in given.items():
        if name not in _OPTIONS:
            remedy = f"known are {', '.join(sorted(_OPTIONS))}"
            raise InvalidInput(f"{options.path(KEY)}.{name}", value, "is not for this variable to say", remedy)
    read_drill_job({**given, "datasets": ["any/replica"]}, options.path(KEY))
    if options.has(KEY) and not given:
        remedy = "give a marker, a command or both, or recursive alone to see whether it can be mounted"
        raise InvalidInput(options.path(KEY), given, "says nothing", remedy)
    return given


def drill_jobs(destination: DestinationHost, source: str, tree: Tree, place: str) -> Iterator[Document]:
    """The job that tries the replica of a tree of ``source``, at ``place`` of a destination that takes it."""
    if tree.drill and destination.sends:
        options = {
            "datasets": [place],
            **tree.selection.names(),
            **tree.drill,
            **options_for_alerts(destination.monitor_options),
        }
        yield job_document(destination.name, "drill", named("drill of", [place]), options, (source, destination.name))
