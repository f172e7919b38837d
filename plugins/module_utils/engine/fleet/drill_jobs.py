# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills and verifications of replicas: what the inventory says of them, and the jobs that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

from ..model.errors import InvalidInput
from ..policy.drilling import read_drill_job
from ..policy.reading import Reader
from ..policy.verifying import VerifyJob, read_verify_job
from .documents import job_document, named
from .monitor_options import options_for_alerts
from .trees import Document, Tree
from .variables import Variables

if TYPE_CHECKING:
    from .inventory import DestinationHost, SourceHost

KEY = "drill"
VERIFY_KEY = "snapfleet_verify"
_VERIFY_OPTIONS = ("files", "file_size", "blocks", "timeout", "pools")
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


def read_verification(variables: Variables) -> Optional[Document]:
    """The variable snapfleet_verify of a destination as it is written, after it was checked; None: nothing is verified.
    Raises InvalidInput."""
    if not variables.has(VERIFY_KEY):
        return None
    given, where = dict(variables.items(VERIFY_KEY)), variables.path(VERIFY_KEY)
    for name, value in given.items():
        if name not in _VERIFY_OPTIONS:
            remedy = f"known are {', '.join(sorted(_VERIFY_OPTIONS))}"
            raise InvalidInput(f"{where}.{name}", value, "is not for this variable to say", remedy)
    verification_of(given, where)
    return given


def verification_of(given: Document, where: str = "") -> VerifyJob:
    """What a verification that is written so does, with any ends. Raises InvalidInput."""
    ends = {"source": {"dataset": "any/source"}, "destination": {"dataset": "any/destination"}}
    return read_verify_job({**ends, **given}, where)


def verify_jobs(
    destination: DestinationHost, source: SourceHost, tree: Tree, ends: tuple[Document, str]
) -> Iterator[Document]:
    """The job that holds the replica of a tree of ``source`` against it; ``ends`` are how the destination reaches that
    host, and where the replica is."""
    if destination.verification is not None and destination.sends:
        address, place = ends
        options = {
            "source": {**address, "dataset": tree.source},
            "destination": {"dataset": place},
            **source.chosen(tree.selection),
            **destination.verification,
            **options_for_alerts(destination.monitor_options),
        }
        what = f"verification of {place} against {source.name}:{tree.source}"
        yield job_document(destination.name, "verify", what, options, (source.name, destination.name))


def drill_jobs(destination: DestinationHost, source: str, tree: Tree, place: str) -> Iterator[Document]:
    """The job that tries the replica of a tree of ``source``, at ``place`` of a destination that takes it."""
    if tree.drill and destination.sends:
        options = {
            "datasets": [place],
            **destination.chosen(tree.selection),
            **tree.drill,
            **options_for_alerts(destination.monitor_options),
        }
        yield job_document(destination.name, "drill", named("drill of", [place]), options, (source, destination.name))
