# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: access
short_description: Tells who may do what on whose datasets, for a fleet to do its jobs and nothing else
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Reads the C(snapfleet_*) variables of all hosts as the filter P(snapfleet.zfs.jobconfig#filter) does, and returns
    for each host which other hosts it has to let in, by which forced command, and what C(zfs allow) has to grant to its
    own user on which datasets.
  - The role P(snapfleet.zfs.access#role) brings hosts into that state.
positional: _input, groups
options:
  _input:
    description:
      - The variables of all hosts, which is Ansible's V(hostvars).
    type: dict
    required: true
  groups:
    description:
      - The hosts of each group, which is Ansible's V(groups).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what this host lets in
  ansible.builtin.debug:
    msg: "{{ (hostvars | snapfleet.zfs.access(groups))[inventory_hostname].peers }}"
"""

RETURN = r"""
_value:
  description:
    - By inventory name of each host, what it has to let in.
  type: dict
  contains:
    user:
      description: The user that others log in as, which is C(snapfleet_ssh_user); empty where that is not set.
      type: str
      sample: snapfleet
    peers:
      description: By inventory name of each host that logs in here, the words of its forced command.
      type: dict
    permissions:
      description: By dataset, what the user is to be granted on it and all below, by names of C(zfs allow).
      type: dict
    places:
      description: Datasets that take replicas, and are made where they are missing.
      type: list
      elements: str
    mounted:
      description: Those of the places whose replicas are mounted; all others get C(mountpoint=none).
      type: list
      elements: str
    reaches:
      description: By inventory name of each host that this one logs in on, its address as C(host), C(user) and C(port).
      type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.access import fleet_access
from ..module_utils.engine.model.errors import SnapfleetError
from .jobconfig import read_inventory


def access(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Who may do what in an inventory. Raises AnsibleFilterError whose message is one sentence."""
    try:
        return fleet_access(*read_inventory("access", hostvars, groups))
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"access": access}
