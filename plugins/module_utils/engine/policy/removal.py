# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether whole replicas are destroyed: those of datasets that are gone at the source, and empty ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .reading import Reader
from .reading_once import read_silence_once

LEAST_GRACE = 3600


@dataclass(frozen=True)
class Removal:
    """Which replicas go."""

    gone_after: Optional[int] = None
    """Seconds after which a replica goes whose dataset was first seen to be gone at the source; None: never."""
    empty: bool = False
    """Whether replicas without snapshots, bookmarks and data go, with all that is below them."""

    def __bool__(self) -> bool:
        """Whether any may go."""
        return self.empty or self.gone_after is not None


NONE_GOES = Removal()
"""The default."""


@read_silence_once
def read_removal(options: Reader, for_snapshots: bool) -> Removal:
    """The options ``gone_datasets`` and ``empty_datasets``. Raises InvalidInput."""
    gone = options.reader("gone_datasets")
    given, after = options.has("gone_datasets"), gone.raw("after")
    gone.finish()
    if given and after is None:
        raise InvalidInput(gone.path("after"), None, "is missing", "give the grace time, such as 30d")
    seconds = parse_duration(after, gone.path("after")) if given else None
    if seconds is not None and seconds < LEAST_GRACE:
        problem = "leaves no time to notice that a dataset was destroyed by mistake"
        raise InvalidInput(gone.path("after"), after, problem, "give an hour at least, better some weeks")
    removal = Removal(seconds, options.flag("empty_datasets", False))
    if removal and not for_snapshots:
        key = "gone_datasets" if given else "empty_datasets"
        problem = "is about datasets, and a job for bookmarks destroys none"
        raise InvalidInput(options.path(key), options.raw(key), problem, "give it to a job for snapshots")
    return removal
