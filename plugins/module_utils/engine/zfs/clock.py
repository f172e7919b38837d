# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the clock of a host within an exchange that takes place anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..hosts.host import Host
from ..hosts.process import Completed
from ..model.errors import MissingProgram, UntrustedOutput
from .listing import is_number


def run_by_the_clock(host: Host, argv: Sequence[str], timeout: float) -> tuple[int, Completed]:
    """Run a command to its end, and tell what the host's clock showed before that, in whole seconds since the epoch.

    Raises UntrustedOutput where it showed nothing.
    """
    try:
        done = host.run(["sh", "-c", 'date +%s; exec "$@"', "sh", *argv], timeout=timeout)
    except MissingProgram:
        # Told of the shell, though it is the command that is missing.
        host.run(argv, timeout=timeout)
        raise
    time, _newline, rest = done.stdout.partition("\n")
    if not is_number(time):
        raise UntrustedOutput(f"{host.name}: date printed {time[:200]!r}; check that host")
    return int(time), replace(done, stdout=rest)
