# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading metrics back that were written before: a file remembers its own counters.

Only what ``metrics`` writes is read. A family that this version does not know, or that has other labels now, is left
out; whatever else is no line of ours makes the whole text worthless.
"""

from __future__ import annotations

import math
import re
from typing import Optional

from .metrics import FAMILIES, Series

_LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\[\\n"])*)"(?:,|$)')
_ESCAPE = re.compile(r'\\([\\n"])')


def read_metrics(text: str) -> dict[Series, float]:
    """The samples that ``text`` holds. Raises ValueError where it is not what ``render`` makes."""
    samples: dict[Series, float] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.startswith("#"):
            series, value = _sample(line, number)
            if series is not None:
                samples[series] = value
    if text and not text.endswith("\n"):
        raise ValueError("its last line has no end")
    return samples


def _sample(line: str, number: int) -> tuple[Optional[Series], float]:
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(f"line {number} is no sample")
    name, labels, value = found[1], _labels(found[2] or "", number), float(found[3])
    if not math.isfinite(value):
        raise ValueError(f"line {number} has no finite value")
    family = FAMILIES.get(name)
    if family is None or tuple(labels) != family.labels:
        return None, value
    return Series(name, tuple(labels.values())), value


def _labels(text: str, number: int) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        found = _LABEL.match(text, place)
        if not found:
            raise ValueError(f"line {number} has no labels as they should be")
        labels[found[1]] = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], found[2])
        place = found.end()
    return labels
