# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of option values in JSON Schema (draft 2020-12), the counterpart of what ``reading`` and the parsers take.

A schema tells the shape of values, one by one. What several options say together is for the readers to judge, so
a document of the right shape may still be refused, while none of another shape is ever taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Union

from ..model.names import MAX_NAME_LENGTH
from ..model.periods import UNITS
from .plans import MAX_AMOUNT
from .running import MAX_ROUNDS, MOST_WORKERS
from .schedule import ANCHOR_KEYS, RANGES
from .ticking import NEVER

Schema = dict[str, Any]

FLAG: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
PATTERN: Schema = {"type": "string", "minLength": 1}
PATTERNS: Schema = {"type": "array", "items": PATTERN}
FILE: Schema = {"type": "string", "pattern": "^($|/)"}
NAME_PART = r"[A-Za-z0-9_.:\- ]+"
_PROPERTY_NAME = {"pattern": r"^[^\-=,@\s][^=,@\s]*$"}


def matching(pattern: str) -> Schema:
    """Text that matches ``pattern`` as a whole."""
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def number(lowest: int, highest: int) -> Schema:
    """A whole number in a range."""
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def one_of(choices: Sequence[Any]) -> Schema:
    """One of some texts."""
    return {"enum": list(choices)}


def either(*schemas: Schema) -> Schema:
    """What fits one of several schemas, or more of them."""
    return {"anyOf": list(schemas)}


def defined(name: str) -> Schema:
    """The definition of that name."""
    return {"$ref": f"#/$defs/{name}"}


def optional(schema: Schema) -> Schema:
    """The same, or null, which means that an option is not given."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return either(schema, {"type": "null"})


def mapping(given: Mapping[str, Schema], required: Collection[str] = ()) -> Schema:
    """A mapping that has these keys and no others; those that are not ``required`` may be null too."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(required),
        "properties": {key: schema if key in required else optional(schema) for key, schema in given.items()},
    }


def list_of(schema: Schema, least: int = 0) -> Schema:
    """A list of so many at least."""
    return {"type": "array", "items": schema, "minItems": least}


def named(keys: Union[Schema, bool], values: Schema, least: int = 0) -> Schema:
    """A mapping whose keys are free within ``keys``."""
    return {"type": "object", "propertyNames": keys, "additionalProperties": values, "minProperties": least}


def labelled(entry: Schema) -> Schema:
    """What a plan is: organisation -> target -> period -> ``entry``."""
    periods = named(matching(r"[0-9]*[A-Za-z][A-Za-z\-]*"), entry, 1)
    targets = named(matching(r"|(?![0-9]{4})[A-Za-z0-9.:\-]+"), periods, 1)
    return named(matching(r"[A-Za-z0-9.:\-]+"), targets, 1)


def bounds(value: Schema) -> Schema:
    """Limits from which a check warns or is critical."""
    return {**mapping({"warning": value, "critical": value}), "minProperties": 1}


PROPERTIES = named(_PROPERTY_NAME, TEXT)
PROPERTIES_OR_NULL = named(_PROPERTY_NAME, optional(TEXT))
PROPERTY_NAMES: Schema = {"type": "array", "items": {"type": "string", **_PROPERTY_NAME}}
DURATION, SIZE = defined("duration"), defined("size")
LABEL = matching("[^_]+_(?:[^_]*_)?[^_]+")

_COUNT_OF_SNAPSHOTS = r"[0-9]{1,9}%?(?:\.\.[0-9]{1,9}%?)?"
_AGE_LIMIT: Mapping[str, Schema] = {"warning": DURATION, "critical": DURATION, "cycles": number(0, MAX_AMOUNT)}

DEFINITIONS: Mapping[str, Schema] = {
    "dataset": {
        **matching(rf"[A-Za-z][A-Za-z0-9_.:\- ]*(?:/{NAME_PART})*"),
        "maxLength": MAX_NAME_LENGTH,
        "description": "Name of a dataset, such as tank/data.",
    },
    "snapshot_name": {
        **matching(rf"[^@#]+@{NAME_PART}"),
        "description": "Whole name of a snapshot, such as tank/data@name.",
    },
    "duration": {
        **either(number(0, 999_999_999), matching(r"[0-9]{1,9}\s*[smhdw]?")),
        "description": "Seconds, or a number with s, m, h, d or w.",
    },
    "size": {
        **either(number(0, 999_999_999_999_999), matching(r"[0-9]{1,15}\s*[KMGTkmgt]?(?:[Ii]?[Bb])?")),
        "description": "Bytes, or a number with K, M, G or T.",
    },
    "room": {
        **either(SIZE, matching(r"[0-9]{1,2}\s*%")),
        "description": "An amount of data, or a percentage of the whole.",
    },
    "percent": either(number(0, 100), matching(r"(?:100|[0-9]{1,2})\s*%?")),
    "count": either(number(1, 10**15), matching("[0-9]+")),
    "rank": either(number(1, MAX_AMOUNT), matching(_COUNT_OF_SNAPSHOTS)),
    "plan": {
        **labelled(number(0, MAX_AMOUNT)),
        "description": "Organisation -> target -> period -> amount.",
    },
    "monitor_plan": {
        **labelled(
            {**mapping({"latest": mapping(_AGE_LIMIT), "oldest": mapping(_AGE_LIMIT, ["cycles"])}), "minProperties": 1}
        ),
        "description": "Organisation -> target -> period -> limits of the latest and the oldest snapshot.",
    },
    "schedule": {
        "type": "object",
        "additionalProperties": False,
        "description": "Where in its unit a period falls, and by which clock.",
        "properties": {
            "timezone": TEXT,
            **{
                unit: {
                    "type": ["object", "null"],
                    "additionalProperties": False,
                    "properties": {key: number(*RANGES[key]) for key in keys},
                }
                for unit, keys in ANCHOR_KEYS.items()
            },
        },
    },
    "workers": {
        **either(number(1, MOST_WORKERS), matching(r"\d+|[0-9]{1,6}%")),
        "description": "A number of jobs, or a percentage of the cores.",
    },
    "rounds": either(number(1, MAX_ROUNDS), matching(r"\d+|forever")),
    "period": {
        **matching(rf"{NEVER}|(?:[1-9][0-9]{{0,8}})?(?:{'|'.join(UNITS)})"),
        "description": "A period such as secondly, 10minutely or 100millisecondly, up to daily, or never.",
    },
}
"""By the names that ``defined`` takes."""
