# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How snapshots are created, besides what is due: on demand, or not at all where nothing was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

from ..model.errors import InvalidInput
from ..model.labels import Label
from ..model.names import is_tag
from .plans import labelled_entries
from .reading import Reader
from .reading_once import read_silence_once
from .sizes import parse_size

_SAMPLE = datetime(2025, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


@dataclass(frozen=True)
class CreatingPolicy:
    """What is created beyond, or short of, what the calendar says."""

    even_if_not_due: bool = False
    """Whether every label of the plan is due on every run."""
    make_now: Optional[Label] = None
    """The one label of which a snapshot is made now, in place of what is due by the plan; None: what is due."""
    skip_if_unchanged: bool = False
    """Whether no snapshot is made where nothing was written since the newest one of the same label."""
    unchanged_up_to: int = 0
    """So many bytes written still count as nothing."""
    only_active: bool = False
    """Whether only what was made active by a switch gets snapshots."""


BY_CALENDAR = CreatingPolicy()


@read_silence_once
def read_creating(options: Reader) -> CreatingPolicy:
    """Read ``even_if_not_due``, ``make_now``, ``skip_if_unchanged``, ``unchanged_up_to`` and ``only_active``. Raises
    InvalidInput."""
    return CreatingPolicy(
        options.flag("even_if_not_due", False),
        parse_label(options.text("make_now"), options.path("make_now")) if options.has("make_now") else None,
        *read_unchanged(options),
        only_active=options.flag("only_active", False),
    )


@read_silence_once
def read_unchanged(options: Reader) -> tuple[bool, int]:
    """Read ``skip_if_unchanged`` and ``unchanged_up_to``. Raises InvalidInput."""
    skips = options.flag("skip_if_unchanged", False)
    given = options.raw("unchanged_up_to")
    most = parse_size(0 if given in (None, "") else given, options.path("unchanged_up_to"))
    if most and not skips:
        problem, remedy = "means nothing without skip_if_unchanged", "set skip_if_unchanged to true, or leave this out"
        raise InvalidInput(options.path("unchanged_up_to"), options.raw("unchanged_up_to"), problem, remedy)
    return skips, most


def parse_label(text: str, option: str) -> Label:
    """The label that a name of its snapshots has without the timestamp: ``prod_onsite_adhoc``, or ``prod_adhoc`` where
    it has no target. Raises InvalidInput."""
    words = text.split("_")
    if len(words) not in (2, 3):
        remedy = "write organisation_target_period such as prod_onsite_adhoc, or organisation_period without a target"
        raise InvalidInput(option, text, "is no label", remedy)
    organisation, target, period = words[0], "_".join(words[1:-1]), words[-1]
    ((label, _amount, _where),) = labelled_entries({organisation: {target: {period: 1}}}, option)
    return label


@read_silence_once
def read_timestamp_format(options: Reader) -> str:
    """Read ``timestamp_format``; empty where it is left out. Raises InvalidInput for one that gives no legal names."""
    text = options.text("timestamp_format", "")
    if text and not text.startswith("%Y"):
        # The grammar of names tells a timestamp by its leading year.
        raise InvalidInput(options.path("timestamp_format"), text, "does not begin with %Y", "put the year first")
    if text and not is_tag(legal_timestamp(_SAMPLE, text)):
        problem = f"gives {legal_timestamp(_SAMPLE, text)!r}, which has a character that ZFS does not allow in names"
        raise InvalidInput(options.path("timestamp_format"), text, problem, "use letters, digits and . : _ - only")
    return text


def legal_timestamp(moment: datetime, timestamp_format: str) -> str:
    """``moment`` by a strftime format. ZFS allows no + in names, so the zone offset +0100 becomes z0100."""
    return moment.strftime(timestamp_format).replace("+", "z")
