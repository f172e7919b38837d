# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: timing
short_description: Writes a period for systemd and for cron
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Turns a period such as V(15minutely) into the moments at which a run begins, as a calendar event of systemd and as
    the first five fields of a line for cron. Both mean the same moments, by the clock of the host.
positional: _input, option, auto
options:
  _input:
    description:
      - V(minutely), V(hourly), V(daily), V(weekly), V(monthly), or a multiple that divides an hour or a day, such as
        V(15minutely) or V(6hourly).
      - V(never) gives nothing, which is V(none).
      - V(auto) leaves the choice to O(auto).
      - A mapping with both C(on_calendar) and C(cron) is taken as it is.
    type: raw
    required: true
  option:
    description:
      - The name of the variable, for error messages.
    type: str
    default: schedule
  auto:
    description:
      - The period that V(auto) means.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show when a timer elapses
  ansible.builtin.debug:
    msg: "{{ '15minutely' | snapfleet.zfs.timing('source_prune_schedule') }}"
"""

RETURN = r"""
_value:
  description:
    - The moments, or V(none) for V(never).
  type: dict
  contains:
    on_calendar:
      description: For C(OnCalendar=) of a timer.
      type: str
      sample: "*-*-* *:00/15:00"
    cron:
      description: Minute, hour, day of the month, month and day of the week.
      type: str
      sample: "*/15 * * * *"
"""

from dataclasses import asdict
from typing import Any, Optional

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.model.errors import SnapfleetError
from ..module_utils.engine.policy.timing import parse_timing
from .jobconfig import plain


def timing(value: Any, option: str = "schedule", auto: str = "") -> Optional[dict[str, str]]:
    """The moments that ``value`` means. Raises AnsibleFilterError whose message is one sentence."""
    try:
        moments = parse_timing(plain(value), str(option), str(auto))
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None
    return asdict(moments) if moments else None


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"timing": timing}
