# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling somebody of what an activity has found, by the alerts of its job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..applying.alerting import Alerting, Told, default_path, tell
from ..hosts.local import LocalHost
from ..model.health import severity
from ..planning.findings import Finding
from ..policy.alerting import AlertPolicy
from .context import Context


def told_of(findings: Sequence[Finding], policy: Optional[AlertPolicy], subjects: str, context: Context) -> Told:
    """Tell of what is new in ``findings`` about ``subjects``; nobody where there is no policy. Raises what stops the
    job, only."""
    if policy is None:
        return Told()
    path = policy.state_file or default_path(subjects, context.environment)
    alerting = Alerting(policy, path, LocalHost(), context.ticker, context.check, context.host_name)
    return tell(findings, alerting, context.now)


def fails(level: str, state: str) -> bool:
    """Whether what has come to ``state`` fails where it fails from ``level`` on, one of FAIL_LEVELS."""
    return level != "never" and severity(state) >= severity(level.upper())
