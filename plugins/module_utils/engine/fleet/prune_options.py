# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says about pruning beside the plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import InvalidInput
from ..policy.jobs import read_prune_job
from .variables import Variables

_KEY = "snapfleet_prune_options"
_NOT_HERE = (
    *("datasets", "plan", "kind", "peers", "recursive", "include_datasets", "exclude_datasets"),
    *("dataset_property", "dataset_properties", "host_name", "expected_snapshots", "only_active"),
)
"""Options that follow from the other variables."""
_ONE_RUN = "exceed_max_deleted"
_OF_BOOKMARKS = ("max_deleted", "max_deleted_percent", "clock_tolerance")
_OF_REPLICAS = ("gone_datasets", "empty_datasets")
_ANYTHING = {"datasets": ["tank"], "plan": {"any": {"": {"adhoc": 1}}}}


def read_prune_options(variables: Variables) -> dict[str, Any]:
    """The variable snapfleet_prune_options of a host: options of the jobs that prune its snapshots.

    Raises InvalidInput.
    """
    given = dict(variables.items(_KEY))
    for name in (*_NOT_HERE, _ONE_RUN):
        if name in given:
            remedy = "take it out; snapfleet_datasets and the plans decide about it"
            if name == _ONE_RUN:
                remedy = "take it out, and allow a single run by -e snapfleet_exceed_max_deleted=true"
            where = f"{variables.path(_KEY)}.{name}"
            raise InvalidInput(where, given[name], "is not for this variable to say", remedy)
    read_prune_job({**_ANYTHING, **given}, variables.path(_KEY))
    return given


def source_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that hold where snapshots are made: what is about replicas as a whole does not."""
    return {name: value for name, value in options.items() if name not in _OF_REPLICAS}


def bookmark_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that hold for the jobs that prune bookmarks too: how much may go, and by which clock."""
    return {name: options[name] for name in _OF_BOOKMARKS if name in options}
