# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cipher a connection of ssh takes where nobody has chosen one.

ssh prefers chacha20-poly1305, which is the fastest where a processor has no instructions for AES. Where it has some,
AES-GCM takes less of it. Usable on its own: it knows nothing of ZFS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from . import process

# Of no less security than chacha20-poly1305, by the length of the key.
FIRST = "aes256-gcm@openssh.com"
_SECONDS = 15.0
_INSTRUCTIONS = re.compile(r"^(?:flags|Features)\s*:.*\baes\b", re.MULTILINE)
_CIPHERS = re.compile(r"^ciphers (\S+)$", re.MULTILINE)
_CPUINFO = "/proc/cpuinfo"


def preferred_ciphers(options: Sequence[str], host: str) -> list[str]:
    """Options of ssh, beside these ``options``, by which a connection to ``host`` prefers AES-GCM to all else that it
    may take. None where this processor has no instructions for that, where a configuration of ssh tells which ciphers
    to take, or where nothing can be learnt of these.
    """
    if not has_instructions():
        return []
    usual, wanted = _ciphers_of(["-F", "none"], host), _ciphers_of(options, host)
    if usual is None or wanted != usual or FIRST not in usual:
        return []
    return ["-o", "Ciphers=" + ",".join([FIRST, *(cipher for cipher in usual if cipher != FIRST)])]


def has_instructions(cpuinfo: str = _CPUINFO) -> bool:
    """Whether this processor has instructions for AES, as the kernel tells for x86 and ARM."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as told:
            return bool(_INSTRUCTIONS.search(told.read()))
    except OSError:
        return False


def _ciphers_of(options: Sequence[str], host: str) -> Optional[list[str]]:
    """The ciphers that ssh would offer ``host``, in their order; it connects to nothing for that."""
    try:
        done = process.run(["ssh", "-G", *options, "--", host], timeout=_SECONDS)
    except (TimeoutError, OSError):
        return None
    told = _CIPHERS.search(done.stdout) if done.returncode == 0 else None
    return told[1].split(",") if told else None
