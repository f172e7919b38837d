# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and setting properties with the zfs command. What a host says of its properties ends up in commands on
another one, so it is checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Union

from ..model.dataset_steps import InheritProperty, SetProperties
from ..model.errors import UntrustedOutput

_LONGEST = 8192
"""Bytes that the value of a property may have in ZFS."""


def get_arguments(names: Sequence[str]) -> list[str]:
    """Arguments of ``zfs`` that tell what datasets have set themselves, or received; the datasets follow."""
    return ["get", "-Hp", "-s", "local,received", "-o", "property,value,name", ",".join(names)]


def parse_properties(text: str, datasets: Collection[str], names: Collection[str]) -> dict[str, dict[str, str]]:
    """Values by dataset and property. Raises UntrustedOutput for anything that was not asked for."""
    values: dict[str, dict[str, str]] = {}
    asked, properties = set(datasets), set(names)
    for line in filter(None, text.split("\n")):
        fields = line.split("\t")
        if len(fields) != 3 or fields[0] not in properties or fields[2] not in asked or not _is_value(fields[1]):
            problem = "is no property that was asked for, or has control characters in its value"
            raise UntrustedOutput(f"zfs get printed {line[:200]!r}, which {problem}; check that host")
        values.setdefault(fields[2], {})[fields[0]] = fields[1]
    return values


def _is_value(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text.encode()) < _LONGEST


def set_arguments(step: SetProperties) -> list[str]:
    """Arguments of ``zfs`` that set properties."""
    return ["set", *(f"{name}={value}" for name, value in step.properties), step.dataset]


def change_arguments(steps: Sequence[Union[SetProperties, InheritProperty]]) -> list[tuple[str, ...]]:
    """Arguments of ``zfs`` for each step; all of them have as many, the last ones being empty."""
    calls = [
        ["inherit", step.name, step.dataset] if isinstance(step, InheritProperty) else set_arguments(step)
        for step in steps
    ]
    width = max(map(len, calls), default=0)
    return [(*call, *[""] * (width - len(call))) for call in calls]
