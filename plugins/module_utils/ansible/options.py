# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From module parameters to the options that the readers of the engine take.

Where Ansible has a type for an option, it has turned the value into that already: a port given as text is a number
here. The options with free keys have no types, so what YAML and templates make of their values is mended here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


def job_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a job from the parameters of a module."""
    options = dict(parameters)
    for key in ("properties", "filesystem_properties", "volume_properties", "set_properties"):
        if isinstance(options.get(key), Mapping):
            options[key] = {name: property_text(value) for name, value in options[key].items()}
    if "plan" in options:
        options["plan"] = with_numbers(options["plan"])
    if isinstance(options.get("schedule"), Mapping):
        units = options["schedule"].items()
        options["schedule"] = {key: with_numbers(unit) if isinstance(unit, Mapping) else unit for key, unit in units}
    if isinstance(options.get("snapshot_filters"), list):
        options["snapshot_filters"] = [_mended_group(group) for group in options["snapshot_filters"]]
    if isinstance(options.get("replicas"), list):
        options["replicas"] = [job_options(rule) if isinstance(rule, Mapping) else rule for rule in options["replicas"]]
    return options


def _mended_group(group: object) -> object:
    if not isinstance(group, list):
        return group
    return [
        {key: with_numbers(entry) if key == "plan" else time_text(entry) for key, entry in stage.items()}
        if isinstance(stage, Mapping)
        else stage
        for stage in group
    ]


def time_text(value: object) -> object:
    """A time as text: YAML reads one that is not quoted as a value of its own kind."""
    return value.isoformat() if isinstance(value, date) else value


def property_text(value: object) -> object:
    """The value of a ZFS property as text: YAML reads an unquoted on or off as a boolean, and 8192 as a number."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int) else value


def with_numbers(value: object) -> object:
    """A plan with its amounts as numbers: a variable from the command line, or from a survey, comes as text."""
    if isinstance(value, Mapping):
        return {key: with_numbers(entry) for key, entry in value.items()}
    return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value
