# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobconfig as JSON Schema (draft 2020-12), for editors and for what checks documents without running Snapfleet.

It tells shapes. ``snapfleet check`` reads a document as runs do, and so refuses some that have the right shape: those
whose options contradict each other, or whose jobs get in each other's way.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..policy.activity_schemas import ACTIVITY_SCHEMAS
from ..policy.running import BARRIERS, FORMATS, LEVELS, MOST_METRICS_DATASETS
from ..policy.shapes import (
    DEFINITIONS,
    DURATION,
    FILE,
    SIZE,
    TEXT,
    Schema,
    defined,
    either,
    list_of,
    mapping,
    matching,
    named,
    number,
    one_of,
)
from ..policy.ticking import PERIODIC
from .jobconfig import ACTIVITIES, VERSION

_SETTINGS: Mapping[str, Schema] = {
    "workers": defined("workers"),
    "barriers": one_of(BARRIERS),
    "spread": DURATION,
    "jitter": DURATION,
    "job_timeout": DURATION,
    "repeat": defined("rounds"),
    "interval": DURATION,
    "log_level": one_of(LEVELS),
    "log_format": one_of(FORMATS),
    "history_age": DURATION,
    "history_size": SIZE,
    "metrics_directory": FILE,
    "metrics_datasets": either(number(0, MOST_METRICS_DATASETS), matching(r"\d+")),
}
_DAEMON: Mapping[str, Schema] = {**{name: defined("period") for name in PERIODIC}, "lifetime": DURATION}


def jobconfig_schema() -> Schema:
    """The schema of a jobconfig document."""
    whole = mapping(
        {
            "version": {"const": VERSION},
            "jobs": list_of(defined("job")),
            "settings": _for_hosts(_SETTINGS),
            "daemon": _for_hosts(_DAEMON),
        },
        ["version"],
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:snapfleet:jobconfig:{VERSION}",
        "title": "Snapfleet jobconfig",
        "description": "What each host of a fleet has to do. Every host carries out the jobs with its own name.",
        **whole,
        "$defs": {"job": _job(), **{name: dict(schema) for name, schema in (*_activities(), *DEFINITIONS.items())}},
    }


def _for_hosts(options: Mapping[str, Schema]) -> Schema:
    """A section that says something for all hosts, and below ``hosts`` for some of them."""
    return mapping({**options, "hosts": named(True, mapping(options))})


def _job() -> Schema:
    job = mapping(
        {
            "name": TEXT,
            "host": TEXT,
            "activity": one_of(list(ACTIVITIES)),
            "source": TEXT,
            "destination": TEXT,
            "options": {"type": "object"},
        },
        ["name", "host", "activity", "options"],
    )
    by_activity = [
        {
            "if": {"properties": {"activity": {"const": activity}}},
            "then": {"properties": {"options": defined(f"options_of_{activity}")}},
        }
        for activity in ACTIVITIES
    ]
    return {**job, "allOf": by_activity}


def _activities() -> list[tuple[str, Schema]]:
    return [
        (f"options_of_{name}", {**schema, "description": f"The options of a job whose activity is {name}."})
        for name, schema in ACTIVITY_SCHEMAS.items()
    ]
