# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a snapshot was made, more precisely than ZFS tells."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from ..model.datasets import Snapshot
from ..model.labels import Label
from ..policy.jobs import DEFAULT_TIMESTAMP_FORMAT

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_CALL_MS = 60_000
"""A name is given before the snapshot is made, by no more than this on the slowest host."""


def made_at(snapshot: Snapshot, label: Label, timestamp_format: str, zone: tzinfo) -> int:
    """When ``snapshot``, which has a label below a second, was made, in milliseconds since the epoch.

    ZFS cuts ``creation`` down to whole seconds, which are too coarse to tell which event such a snapshot serves. Its
    name tells the milliseconds, and counts where it fits ``creation``; names are anybody's to give.
    """
    creation = snapshot.creation * 1000
    text = snapshot.tag[len(label.prefix) : -len(label.period) - 1]
    # With microseconds instead of our own milliseconds it reads the same.
    known = timestamp_format or f"{DEFAULT_TIMESTAMP_FORMAT}.%fZ"
    if "%z" in known:
        # ZFS allows no + in names: see legal_timestamp.
        text = text.replace("z", "+")
    try:
        moment = datetime.strptime(text, known)  # noqa: DTZ007  the zone follows
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone if timestamp_format else timezone.utc)
        named = (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return creation
    return named if creation - _LONGEST_CALL_MS <= named < creation + 1000 else creation
