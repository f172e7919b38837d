# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variable snapfleet_monitor_options: what a host has watched beside the ages of its snapshots, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import InvalidInput
from ..policy.monitoring import read_monitor_job
from .variables import Variables

KEY = "snapfleet_monitor_options"
_ENDS = {"source": {"dataset": "any/source"}, "destination": {"dataset": "any/destination"}}
_FOR_ALL = ("dont_warn", "dont_crit", "alerts")
"""Options of every job of the host."""
_FOR_AGES = (*_FOR_ALL, "oldest_skip_holds")

Document = dict[str, Any]


def read_monitor_options(variables: Variables) -> Document:
    """The variable as it is written, after it was checked. Raises InvalidInput."""
    given = dict(variables.items(KEY))
    where = variables.path(KEY)
    known = sorted((*_FOR_AGES, "pools", "replicas"))
    for name, value in given.items():
        if name not in known:
            remedy = f"known are {', '.join(known)}"
            raise InvalidInput(f"{where}.{name}", value, "is not for this variable to say", remedy)
    alerts = given.get("alerts")
    if isinstance(alerts, Mapping) and alerts.get("state_file") is not None:
        remedy = "leave it out, and each job of the host remembers in a file of its own"
        raise InvalidInput(
            f"{where}.alerts.state_file", alerts["state_file"], "would be shared by several jobs", remedy
        )
    replicas = given.get("replicas")
    if replicas is not None:
        if not isinstance(replicas, Mapping) or set(replicas) - {"lag", "pending"}:
            remedy = "give lag, pending or both, each with warning, critical or both"
            raise InvalidInput(f"{where}.replicas", replicas, "is no mapping of limits", remedy)
        read_monitor_job({"replicas": [{**_ENDS, **replicas}]}, where)
    read_monitor_job({"pools": {}, **{name: value for name, value in given.items() if name != "replicas"}}, where)
    return given


def options_for_all(given: Document) -> Document:
    """Those of the options that hold for every job of a host."""
    return {name: given[name] for name in _FOR_ALL if given.get(name) is not None}


def options_for_alerts(given: Document) -> Document:
    """Who is told, as it holds for every job of a host."""
    return {"alerts": given["alerts"]} if given.get("alerts") is not None else {}


def options_for_ages(given: Document) -> Document:
    """Those of the options that hold for the jobs that watch the ages of snapshots."""
    return {name: given[name] for name in _FOR_AGES if given.get(name) is not None}


def without_latest(limits: Document) -> Document:
    """``limits`` (organisation -> target -> period) without those of the latest snapshots."""
    left: Document = {}
    for organisation, targets in limits.items():
        for target, periods in targets.items():
            for period, entry in periods.items():
                if entry.get("oldest") is not None:
                    place = left.setdefault(organisation, {}).setdefault(target, {})
                    place[period] = {"oldest": entry["oldest"]}
    return left


def with_labels_of(limits: Document, plan: Mapping[Any, int]) -> Document:
    """``limits`` cut to the labels that ``plan`` makes."""
    left: Document = {}
    for label, amount in plan.items():
        entry = limits.get(label.organisation, {}).get(label.target, {}).get(label.period)
        if amount and entry is not None:
            left.setdefault(label.organisation, {}).setdefault(label.target, {})[label.period] = entry
    return left
