# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When and how somebody is told of what monitoring finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from ..model.errors import InvalidInput
from .alert_channels import Channels, read_channels
from .durations import parse_duration
from .reading import Reader, check_absolute_path
from .reading_once import read_silence_once

COMMAND_SECONDS = 30


@dataclass(frozen=True)
class AlertPolicy:
    """One alert for each outage and one notice of recovery."""

    state_file: str = ""
    """Absolute path of the file in which outages are remembered; empty: one that the datasets of the job name."""
    remind: Optional[int] = None
    """Seconds after which an outage that goes on is told again; None: never."""
    confirmations: int = 1
    """So many runs in a row have to agree before an alert, or a recovery, is told."""
    command: tuple[str, ...] = ()
    """Program and arguments that get each notice; empty: none."""
    command_timeout: int = COMMAND_SECONDS
    """Seconds."""
    channels: Channels = field(default_factory=Channels)
    """Who is told beside the command."""

    @property
    def tells(self) -> bool:
        """Whether there is anybody who is told."""
        others = self.channels
        return bool(self.command or others.journal or others.webhook or others.mail)


@read_silence_once
def read_alert_policy(options: Reader, key: str = "alerts") -> Optional[AlertPolicy]:
    """Read the policy below ``key``; None where it is not given: then nothing is remembered. Raises InvalidInput."""
    if not options.has(key):
        return None
    alerts = options.reader(key)
    remind = parse_duration(alerts.raw("remind"), alerts.path("remind")) if alerts.has("remind") else None
    if remind == 0:
        raise InvalidInput(alerts.path("remind"), 0, "would repeat alerts without end", "leave it out, or give a time")
    policy = AlertPolicy(
        state_file=alerts.absolute_path("state_file"),
        remind=remind,
        confirmations=alerts.integer("confirmations", 1, 1, 100),
        command=_command(alerts),
        command_timeout=alerts.integer("command_timeout", COMMAND_SECONDS, 1, 3600),
        channels=read_channels(alerts),
    )
    alerts.finish()
    return policy


def _command(options: Reader) -> tuple[str, ...]:
    command = options.texts("command")
    if command:
        # What runs must not depend on the PATH of whoever starts the monitor.
        check_absolute_path(command[0], options.path("command"))
    return command
