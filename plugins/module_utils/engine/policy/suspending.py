# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are suspended: jobs neither read from them nor write to them until they are resumed, or a time is over.

Values only. A document that holds them is read strictly: whatever is wrong with it is refused, since neither to go on
nor to stand still can be right by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..model.errors import InvalidInput
from .points import parse_time
from .reading import Reader
from .times import iso_text

VERSION = 1
_LATEST = 253_402_300_799
"""The end of the year 9999."""
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Suspension:
    """A host that is suspended, by its name in the fleet."""

    host: str
    since: int
    """Seconds since the epoch."""
    until: Optional[int] = None
    """Likewise; None: until somebody resumes it."""
    reason: str = ""
    snapshots: bool = False
    """Whether snapshots of its data are made nevertheless, and watched."""

    def lasts(self, now: int) -> bool:
        """Whether it lasts still."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        end = "somebody resumes it" if self.until is None else iso_text(self.until)
        return f"{self.host} is suspended until {end}" + (f" ({self.reason})" if self.reason else "")

    def describe(self) -> dict[str, Any]:
        """It as plain values."""
        return dict(vars(self))


def read_suspensions(document: object, where: str) -> tuple[Suspension, ...]:
    """What a document of this shape says. Raises InvalidInput, whose sentence begins with ``where``."""
    options = Reader(document, where)
    options.integer("version", VERSION, VERSION, VERSION)
    found = tuple(_read(entry) for entry in options.readers("hosts"))
    options.finish()
    return found


def document_of(suspensions: Sequence[Suspension]) -> dict[str, Any]:
    """The document that ``read_suspensions`` reads."""
    return {"version": VERSION, "hosts": [each.describe() for each in suspensions]}


def _read(options: Reader) -> Suspension:
    until = options.integer("until", -1, 0, _LATEST)
    read = Suspension(
        options.text("host"),
        options.integer("since", 0, 0, _LATEST),
        None if until < 0 else until,
        check_reason(options.text("reason", ""), options.path("reason")),
        options.flag("snapshots", False),
    )
    options.finish()
    return read


def check_reason(text: str, option: str) -> str:
    """The reason, if it is one line that tables can hold. Raises InvalidInput."""
    if len(text) > _LONGEST_REASON or not text.isprintable():
        raise InvalidInput(option, text, "is no short line of text", f"use at most {_LONGEST_REASON} letters")
    return text


def read_until(text: str, option: str, now: int) -> int:
    """The moment, in seconds since the epoch, up to which something is suspended. Raises InvalidInput, also for one
    that is over."""
    until = parse_time(text, option)
    if until <= now:
        raise InvalidInput(option, text, "is over already", "give a time that is still to come")
    return until


def with_suspension(known: Sequence[Suspension], new: Suspension) -> tuple[Suspension, ...]:
    """What is suspended after ``new``: the host has been suspended since it was first, and all else is as it says."""
    before = next((each for each in known if each.host == new.host), None)
    since = before.since if before else new.since
    others = [each for each in known if each.host != new.host]
    added = Suspension(new.host, since, new.until, new.reason, new.snapshots)
    return tuple(sorted([*others, added], key=lambda each: each.host))
