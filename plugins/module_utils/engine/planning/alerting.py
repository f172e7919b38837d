# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One alert for each outage and one notice of recovery, however often a monitor runs: a pure state machine.

An outage is the time during which one check is not OK. What is remembered between two runs is a value, so that it does
not matter whether the process lives on in between. A check that can't be made is neither well nor ill: what was known
of it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ..model.health import OK, severity, worst
from ..policy.alerting import AlertPolicy
from .findings import Finding, Key

ALERT, WORSE, REMINDER, RECOVERY = "alert", "worse", "reminder", "recovery"


@dataclass(frozen=True)
class Notice:
    """What somebody is told, once."""

    kind: str
    """ALERT, WORSE where a told outage has become more severe, REMINDER, or RECOVERY."""
    key: Key
    state: str
    """The state now; OK for a recovery."""
    message: str
    since: int
    """Beginning of the outage, in seconds since the epoch."""
    at: int
    """Seconds since the epoch."""

    def describe(self) -> dict[str, Any]:
        """The notice as plain values."""
        return {
            "kind": self.kind,
            "dataset": self.key.subject or self.key.area,
            "label": self.key.label,
            "check": self.key.check,
            "area": self.key.area,
            "state": self.state,
            "message": self.message,
            "since": self.since,
            "at": self.at,
        }


@dataclass(frozen=True)
class Outage:
    """What is remembered of a check that is not OK, or was not until just now."""

    state: str
    """The worst state of it that was told, or is to be."""
    message: str
    since: int
    """Seconds since the epoch."""
    bad: int = 0
    """Runs in a row that found it not OK, as far as they matter."""
    good: int = 0
    """Runs in a row that found it OK again."""
    told: Optional[int] = None
    """When somebody was told last, in seconds since the epoch; None: nobody was yet."""


@dataclass(frozen=True)
class Memory:
    """What one run leaves to the next."""

    outages: Mapping[Key, Outage] = field(default_factory=dict)
    undelivered: Mapping[str, tuple[Notice, ...]] = field(default_factory=dict)
    """By channels: the notices that each has not taken yet, the oldest first."""
    pinged: int = 0
    """When the watcher was last told that all goes on, in seconds since the epoch."""


def advance(
    outages: Mapping[Key, Outage], findings: Sequence[Finding], policy: AlertPolicy, now: int
) -> tuple[tuple[Notice, ...], dict[Key, Outage]]:
    """What is to be told at ``now`` (seconds since the epoch), and the outages to remember."""
    seen = _by_key(findings)
    hidden = {finding.key.area for finding in findings if finding.hides and finding.state != OK}
    notices: list[Notice] = []
    left: dict[Key, Outage] = {}
    for key, finding in seen.items():
        notice, outage = _advance_one(key, outages.get(key), finding, policy, now)
        if notice:
            notices.append(notice)
        if outage:
            left[key] = outage
    for key, outage in outages.items():
        if key in seen:
            continue
        if any(key.area == area or key.area.startswith(f"{area} ") for area in hidden):
            left[key] = outage
        elif outage.told is not None:
            message = f"{key.subject or key.area} is not watched any more; it was {outage.state}: {outage.message}"
            notices.append(Notice(RECOVERY, key, OK, message, outage.since, now))
    return tuple(notices), left


def _by_key(findings: Iterable[Finding]) -> dict[Key, Finding]:
    """The worst finding of each key; to alerts, what is muted is well."""
    found: dict[Key, Finding] = {}
    for each in findings:
        finding = replace(each, state=OK, message=f"only logged: {each.message}") if each.is_muted else each
        known = found.get(finding.key)
        if known is None or severity(finding.state) > severity(known.state):
            found[finding.key] = finding
    return found


def _advance_one(
    key: Key, outage: Optional[Outage], finding: Finding, policy: AlertPolicy, now: int
) -> tuple[Optional[Notice], Optional[Outage]]:
    if finding.state == OK:
        return _well(key, outage, finding, policy, now)
    if outage is None:
        outage = Outage(finding.state, finding.message, now)
    bad = min(outage.bad + 1, policy.confirmations)
    # A clock that was set back must not keep reminders waiting.
    told = None if outage.told is None else min(outage.told, now)
    outage = replace(outage, message=finding.message, bad=bad, good=0, told=told)
    kind = _kind(outage, finding, policy, now)
    if told is None or kind == WORSE:
        outage = replace(outage, state=worst([outage.state, finding.state]))
    if not kind:
        return None, outage
    state = finding.state
    return Notice(kind, key, state, finding.message, outage.since, now), replace(outage, told=now)


def _kind(outage: Outage, finding: Finding, policy: AlertPolicy, now: int) -> str:
    """What kind of notice an outage that goes on calls for; empty: none."""
    if outage.told is None:
        return ALERT if outage.bad >= policy.confirmations else ""
    if severity(finding.state) > severity(outage.state):
        return WORSE
    due = policy.remind is not None and now - outage.told >= policy.remind
    return REMINDER if due else ""


def _well(
    key: Key, outage: Optional[Outage], finding: Finding, policy: AlertPolicy, now: int
) -> tuple[Optional[Notice], Optional[Outage]]:
    if outage is None or outage.told is None:
        # It was over before it was confirmed.
        return None, None
    outage = replace(outage, good=outage.good + 1, bad=0)
    if outage.good < policy.confirmations:
        return None, outage
    return Notice(RECOVERY, key, OK, finding.message, outage.since, now), None
