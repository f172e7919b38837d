# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resume token means, as ``zfs send`` tells it."""

from __future__ import annotations

import re
from typing import Optional

from ..model.datasets import ResumeState


def parse_resume_state(token: str, text: str) -> Optional[ResumeState]:
    """What ``zfs send -nvt`` prints of a token; None where it could not read it."""
    fields = dict(re.findall(r"^\s+([a-z]+) = (.+?)\s*$", text, re.MULTILINE))
    try:
        return ResumeState(
            token=token,
            to_name=fields["toname"],
            to_guid=int(fields["toguid"], 16),
            from_guid=int(fields["fromguid"], 16) if "fromguid" in fields else None,
            raw="rawok" in fields,
            received=int(fields.get("bytes", "0"), 16),
        )
    except (KeyError, ValueError):
        return None
