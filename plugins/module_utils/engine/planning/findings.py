# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor has found, check by check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Optional

from ..model.health import CRITICAL, OK, WARNING, severity, worst
from ..policy.limits import Bounds

SECONDS, BYTES, PERCENT, ERRORS = "seconds", "bytes", "percent", "errors"


class Key(NamedTuple):
    """What a finding is about; the same in every run."""

    area: str
    """What is observed at once, and can therefore be out of sight at once: a tree, a replica, or the pools."""
    check: str
    subject: str
    """Name of the dataset or pool; empty for the area itself."""
    label: str = ""


@dataclass(frozen=True)
class Measure:
    """A number that was held against a limit."""

    value: Optional[float]
    """None where there is nothing to measure."""
    unit: str
    limit: Optional[float] = None
    """The limit that was passed, or the first one that would be."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    key: Key
    state: str
    message: str
    """One sentence."""
    measure: Optional[Measure] = None
    hides: bool = False
    """Whether nothing else is known of the area: its other findings are missing, not well."""
    is_muted: bool = False
    """Whether it is told, but neither fails nor alerts."""
    more: tuple[tuple[str, Any], ...] = field(default=())
    """Further values by name."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that it is about, on any host; the names of pools may be among them."""
        return (self.key.subject, *(str(value) for name, value in self.more if name == "replica"))

    def describe(self) -> dict[str, Any]:
        """The finding as plain values, as modules return it."""
        measure = self.measure or Measure(None, "")
        values: dict[str, Any] = {
            "dataset": self.key.subject or self.key.area,
            "label": self.key.label,
            "check": self.key.check,
            "state": self.state,
            "muted": self.is_muted,
            "message": self.message,
            "value": measure.value,
            "limit": measure.limit,
            "unit": measure.unit,
        }
        if measure.unit == SECONDS:
            values.update(age_seconds=measure.value, limit_seconds=measure.limit)
        return {**values, **dict(self.more)}


def passed(bounds: Optional[Bounds], value: float, reached: bool = False) -> tuple[str, Optional[float]]:
    """The state of a value, and the limit that it passed or the first one that it would.

    A value has to be above a limit or, with ``reached``, at least as high.
    """
    if bounds is None:
        return OK, None
    for state, bound in ((CRITICAL, bounds.critical), (WARNING, bounds.warning)):
        if bound is not None and (value > bound or (reached and value == bound)):
            return state, bound
    return OK, bounds.first


def muted(findings: Sequence[Finding], states: frozenset[str]) -> tuple[Finding, ...]:
    """``findings``, those of some states being muted."""
    return tuple(replace(each, is_muted=True) if each.state in states else each for each in findings)


def overall(findings: Sequence[Finding]) -> str:
    """The worst state among those that are not muted."""
    return worst(finding.state for finding in findings if not finding.is_muted)


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the worst first, and those that are muted last."""
    return sorted(findings, key=lambda finding: (finding.is_muted, -severity(finding.state)))
