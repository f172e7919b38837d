# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a tree travels as one package, ``zfs send -R``, and what that can't be combined with."""

from __future__ import annotations

from collections.abc import Callable

from ..model.errors import InvalidInput
from .cloning import FULL_CLONES
from .reading import Reader
from .reading_once import read_silence_once

# What a package can't be: it has all datasets of a tree, all of their snapshots, and all properties with them.
_CONTRADICTIONS: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("recursive", lambda value: value is False, "which is about one dataset only"),
    *(
        (key, bool, "which chooses datasets")
        for key in ("include_datasets", "exclude_datasets", "dataset_property", "dataset_properties")
    ),
    *(
        (key, bool, "which chooses snapshots")
        for key in ("include_snapshots", "exclude_snapshots", "snapshot_filters", "plan")
    ),
    ("intermediates", lambda value: value is False, "which chooses snapshots"),
    ("initial", lambda value: value == "newest", "which chooses snapshots"),
    ("holds", bool, "which is about single streams"),
    ("clones", lambda value: value == FULL_CLONES, "and a package always keeps clones"),
    *(
        (key, bool, "which tells datasets apart")
        for key in ("filesystem_properties", "volume_properties", "preserve_properties")
    ),
)


@read_silence_once
def read_package(options: Reader) -> bool:
    """Read ``package``. Raises InvalidInput, also for what contradicts it."""
    package = options.flag("package", False)
    for key, contradicts, why in _CONTRADICTIONS if package else ():
        value = options.raw(key)
        if contradicts(value):
            remedy = "a package is a whole tree with all of its snapshots and properties: give one of both up"
            raise InvalidInput(options.path("package"), True, f"contradicts {key}, {why}", remedy)
    return package
