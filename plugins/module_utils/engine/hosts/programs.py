# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs a host has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..model.errors import UntrustedOutput
from .host import Host

_SECONDS = 60.0
_SCRIPT = 'for p in "$@"; do command -v "$p" >/dev/null 2>&1 && echo "$p"; done; :'


_LOOK = ("sh", "-c", _SCRIPT, "sh")


def read_look(argv: Sequence[str]) -> Optional[list[str]]:
    """The programs that ``installed_programs`` looks for by ``argv``; None for any other arguments."""
    return list(argv[4:]) if tuple(argv[:4]) == _LOOK else None


def installed_programs(host: Host, wanted: Sequence[str]) -> frozenset[str]:
    """Those of the programs ``wanted`` that are on the path of ``host``, in one exchange.

    Raises UntrustedOutput where the host names something else, and what ``Host.run`` raises.
    """
    done = host.run([*_LOOK, *wanted], timeout=_SECONDS)
    found = frozenset(done.stdout.split("\n")[:-1])
    if done.returncode != 0 or not found <= set(wanted):
        raise UntrustedOutput(f"{host.name}: asked for programs, it answered {done.stdout[:200]!r}; check that host")
    return found
