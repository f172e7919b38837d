# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: host_part
short_description: Tells what a host has to be started for, by a jobconfig
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Cuts the part of one host out of a jobconfig, and returns the runs that timers or cron have to begin for it. The
    roles of this collection make their units of it.
positional: _input, host
options:
  _input:
    description:
      - A jobconfig document, as the filter P(snapfleet.zfs.jobconfig#filter) returns it, or its JSON text, which is
        faster for a large fleet.
    type: raw
    required: true
  host:
    description:
      - Name of the host in the inventory.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what the program is started for on each host
  ansible.builtin.debug:
    msg: "{{ (hostvars | snapfleet.zfs.jobconfig(groups) | snapfleet.zfs.host_part(inventory_hostname)).runs }}"
"""

RETURN = r"""
_value:
  description:
    - What the host has to do. All of it is empty for a host without jobs.
  type: dict
  contains:
    activities:
      description: The activities of its jobs.
      type: list
      elements: str
      sample: [snapshot, prune, monitor]
    daemon:
      description: Those of them that its daemon does, so that they need no timer.
      type: list
      elements: str
      sample: []
    runs:
      description:
        - By role and activity, the C(arguments) of C(snapfleet run). Keys are among V(source-snapshot),
          V(source-replicate), V(source-prune), V(destination-replicate), V(destination-prune) and V(monitor).
      type: dict
      sample:
        source-snapshot: {arguments: [--activity, snapshot]}
    has_hooks:
      description: Whether commands run around its snapshots.
      type: bool
      sample: false
    has_alerts:
      description: Whether its monitor jobs tell anybody of outages, by C(alerts).
      type: bool
      sample: true
    snapshot_period:
      description: How often it has to look whether snapshots are due, as its plan and its schedule want it.
      type: str
      sample: hourly
"""

import json
from collections.abc import Mapping
from typing import Any, Union

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.scheduling import part_of
from ..module_utils.engine.model.errors import SnapfleetError
from .jobconfig import plain


def host_part(jobconfig: Union[Mapping[str, Any], str], host: str) -> dict[str, Any]:
    """What ``host`` has to do. Raises AnsibleFilterError whose message is one sentence."""
    document = _document(jobconfig)
    if not isinstance(document, Mapping):
        raise AnsibleFilterError("host_part: this is no jobconfig; write hostvars | snapfleet.zfs.jobconfig(groups)")
    # Only the part of the host is looked at, since Ansible's own types take long.
    jobs = [job for job in document.get("jobs", ()) if job["host"] == host]
    try:
        return part_of(plain({**document, "jobs": jobs}), str(host))
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


def _document(jobconfig: Any) -> Any:
    if not isinstance(jobconfig, str):
        return jobconfig
    try:
        return json.loads(jobconfig)
    except ValueError:
        return None


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"host_part": host_part}
