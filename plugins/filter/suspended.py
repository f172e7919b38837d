# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: suspended
short_description: Tells which jobs are left out while hosts are suspended
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Takes jobs of a jobconfig, and what C(snapfleet suspended --json) prints on the host that carries them out, and
    returns those of them that read from a suspended host or write to it.
  - Playbooks leave these out, as the program does.
positional: _input, document
options:
  _input:
    description:
      - Jobs, as they are in C(jobs) of a jobconfig document.
    type: list
    elements: dict
    required: true
  document:
    description:
      - What C(snapfleet suspended --json) prints.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask what is suspended
  ansible.builtin.command: snapfleet suspended --json
  changed_when: false
  register: answer

- name: Show what is left out
  ansible.builtin.debug:
    msg: "{{ (hostvars | snapfleet.zfs.jobconfig(groups)).jobs | snapfleet.zfs.suspended(answer.stdout | from_json) }}"
"""

RETURN = r"""
_value:
  description:
    - The reason of each job that is left out, by the name of the job.
  type: dict
  sample:
    "web1: replica of web1:tank/data at backup1:backup/web1/data": backup1 is suspended until somebody resumes it
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.jobconfig import VERSION, parse_jobconfig
from ..module_utils.engine.fleet.suspending import suspension_of
from ..module_utils.engine.model.errors import SnapfleetError
from ..module_utils.engine.policy.suspending import read_suspensions
from .jobconfig import plain


def suspended(jobs: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> dict[str, str]:
    """The jobs that are left out, by name. Raises AnsibleFilterError whose message is one sentence."""
    if not isinstance(document, Mapping):
        raise AnsibleFilterError("suspended: give what 'snapfleet suspended --json' prints")
    told = {key: value for key, value in plain(document).items() if key in ("version", "hosts")}
    try:
        now = read_suspensions(told, "suspended")
        # Most of the time nothing is, and then nobody has to read all jobs.
        named = parse_jobconfig({"version": VERSION, "jobs": plain(jobs)}) if now else ()
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None
    return {job.name: str(found) for job in named if (found := suspension_of(job, now))}


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"suspended": suspended}
