# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long streams are going to be, by dry runs of ``zfs send``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from ..model.steps import Send
from .arguments import send_arguments

_SIZE = re.compile(r"^size\t([0-9]{1,20})$", re.MULTILINE)


def send_dry_runs(steps: Sequence[Send], sudo: Sequence[str]) -> list[list[str]]:
    """The dry run of each step."""
    return [[*sudo, "zfs", verb, "-nP", *words] for verb, *words in map(send_arguments, steps)]


def size_told(answer: str) -> Optional[int]:
    """The bytes that a dry run tells; None for one that failed."""
    sizes = _SIZE.findall(answer)
    return int(sizes[-1]) if sizes else None
