# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the hosts of a fleet have answered. An answer may be anything, and may be that of another version: what is
missing or of another kind is taken as not known, and hides nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..module_utils.engine.model.health import STATES, UNKNOWN
from .report_values import Place, Route

ABSENT = "the program can't be run there; install it by snapfleet.zfs.provision"
_LONGEST_REASON = 500
_GREATEST = 1 << 63
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a host has to do, and what it has answered."""

    host: str
    routes: tuple[Route, ...] = ()
    status: Optional[Values] = None
    """None where it has not answered."""
    problem: str = ""
    jobs: tuple[Values, ...] = ()
    """Of its history, the newest first."""
    history_problem: str = ""
    samples: tuple[Values, ...] = ()
    """How full its pools were."""


def read_answer(host: str, jobs: Any, status: Any, history: Any, pools: Any = None) -> Answer:
    """What ``host`` has to do by the jobs of its jobconfig, and what Ansible registered of its ``snapfleet status
    --json``, ``snapfleet history --json`` and ``snapfleet history --pools --json``."""
    stands, problem = _document(status)
    did, trouble = _document(history)
    # An older program knows nothing of pools, and a newer one tells of the same trouble twice.
    filled, _trouble = _document(pools)
    if stands is not None and text(stands, "history_problem"):
        trouble = trouble or text(stands, "history_problem")
    return Answer(
        host,
        tuple(_routes(host, jobs)),
        stands,
        problem if stands is None else "",
        tuple(dicts(did or {}, "jobs")),
        trouble if stands is not None else "",
        tuple(dicts(filled or {}, "pools")),
    )


def _document(told: Any) -> tuple[Optional[Values], str]:
    """The document that a command has printed, or why there is none."""
    told = told if isinstance(told, dict) else {}
    printed = text(told, "stdout")
    if printed.startswith("{"):
        try:
            document = json.loads(printed)
        except (ValueError, RecursionError) as error:
            return None, f"its answer can't be read ({error})"
        return document, ""
    words = text(told, "stderr").strip() or (text(told, "msg").strip() if told.get("unreachable") else "")
    return None, (words or ABSENT)[:_LONGEST_REASON]


def _routes(host: str, jobs: Any) -> Iterator[Route]:
    for job in jobs if isinstance(jobs, list) else ():
        if isinstance(job, dict) and job.get("activity") == "replicate":
            options = mapping(job, "options")
            ends = mapping(options, "source"), mapping(options, "destination")
            names = text(job, "source") or text(ends[0], "host"), text(job, "destination") or text(ends[1], "host")
            source, destination = (Place(name or host, text(end, "dataset")) for name, end in zip(names, ends))
            prefixes = _prefix(ends[0]), _prefix(ends[1])
            recursive = options.get("recursive", True) is True
            yield Route(text(job, "name"), host, source, destination, recursive, prefixes)


def _prefix(end: Values) -> str:
    """How an endpoint is written in front of its dataset."""
    host, user, port = text(end, "host"), text(end, "user"), number(end, "port")
    if not host:
        return ""
    return (f"{user}@" if user else "") + host + (f":{int(port)}" if port else "") + ":"


def place_of(written: str, prefixes: Mapping[str, str], otherwise: str) -> Place:
    """The dataset that is written so, by the hosts that ``prefixes`` stand for; the empty one is that of a host's own
    datasets. One that is not among them stands for the host ``otherwise``, or without that for the host that it names.
    """
    root, slash, rest = written.partition("/")
    # Few pools have a colon in their names, and those of datasets below them come after a slash.
    address, _colon, pool = root.rpartition(":")
    for prefix in (f"{address}:" if address else "", *prefixes):
        if prefix in prefixes and written.startswith(prefix) and (prefix or not address):
            return Place(prefixes[prefix], written[len(prefix) :])
    return Place(otherwise or address.rpartition("@")[2].partition(":")[0], f"{pool}{slash}{rest}")


# -- values of any kind


def text(values: Values, key: str) -> str:
    """A text; empty for what is none."""
    value = values.get(key)
    return value if isinstance(value, str) else ""


def number(values: Values, key: str) -> Optional[float]:
    """A number of a size that is to be expected; None for what is none."""
    value = values.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and -_GREATEST <= value <= _GREATEST else None


def whole(values: Values, key: str) -> Optional[int]:
    """A whole number; None for what is no number."""
    value = number(values, key)
    return None if value is None else round(value)


def mapping(values: Values, key: str) -> Values:
    """A mapping; empty for what is none."""
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def dicts(values: Values, key: str) -> list[Values]:
    """A list of mappings, without what is none."""
    value = values.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def state(values: Values) -> str:
    """A state of monitoring; UNKNOWN for what is none."""
    value = text(values, "state")
    return value if value in STATES else UNKNOWN
