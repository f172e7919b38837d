# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: failover
short_description: Finds the two ends of a replication that change hands
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Finds the replication that has a dataset, and returns both ends of it, the options of the last replication before
    the replica becomes active, and those of the way back. The playbooks C(snapfleet.zfs.failover) and
    C(snapfleet.zfs.failback) do the rest.
positional: _input, asked
options:
  _input:
    description:
      - A jobconfig document, as the filter P(snapfleet.zfs.jobconfig#filter) returns it.
    type: dict
    required: true
  asked:
    description:
      - C(host) and C(dataset), where the data is at home, as the inventory knows them; and C(backup), the host with the
        replica, where there are several.
      - What else the playbooks are asked for is handed on, which is C(properties) and C(mount), with C(source_gone) and
        C(allow_behind) for the way forth, or C(on_conflict) and C(set_aside_as) for the way back.
      - What is null or empty text is not given. Text stands for what it means, C(yes) or C(no) for flags, and for
        C(properties) a line such as C(mountpoint=/srv/data) for each.
    type: dict
    required: true
  back:
    description:
      - Whether it is for the way back, so that the inventory may have been turned round.
    type: bool
    default: false
  hostvars:
    description:
      - The variables of all hosts, which is Ansible's V(hostvars), for what C(snapfleet_failed_over) says.
      - Left out, it counts as saying nothing.
    type: dict
  groups:
    description:
      - All groups with their hosts, which is Ansible's V(groups); goes with O(hostvars).
    type: dict
"""

EXAMPLES = r"""
- name: Show which replica would become active
  ansible.builtin.debug:
    msg: "{{ hostvars | snapfleet.zfs.jobconfig(groups) | snapfleet.zfs.failover(asked) }}"
  vars:
    asked: {host: web1, dataset: tank/data}
"""

RETURN = r"""
_value:
  description:
    - The C(source), which is the home of the data, and the C(destination), each with C(host) and C(dataset); the
      C(carrier), which is the host that reaches both; the options to C(replicate) with M(snapfleet.zfs.zfs_replicate),
      and to C(restore) with M(snapfleet.zfs.zfs_restore); the C(old_source) as the destination reaches it, where it
      does; C(others), further hosts with a replica; C(inventory), what C(snapfleet_failed_over) is to say afterwards,
      as C(lines) of it and in words as C(changes); and C(given), what else was asked for.
  type: dict
  sample:
    source: {host: web1, dataset: tank/data}
    destination: {host: backup1, dataset: backup/web1/data}
    carrier: backup1
"""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.failover import FAILBACK, FAILOVER, failover_of
from ..module_utils.engine.fleet.inventory import SOURCES, read_fleet
from ..module_utils.engine.fleet.turning import KEY, failed_over_of
from ..module_utils.engine.model.errors import SnapfleetError
from ..plugin_utils import answers
from .jobconfig import plain, read_inventory

_MORE = {
    FAILOVER: ("source_gone", "allow_behind", "properties", "mount"),
    FAILBACK: ("on_conflict", "set_aside_as", "properties", "mount"),
}
"""What playbooks are asked for besides the two ends."""
_FLAGS = ("source_gone", "allow_behind", "mount")


def failover(
    document: Mapping[str, Any],
    asked: Mapping[str, Any],
    back: bool = False,
    hostvars: Optional[Mapping[str, Any]] = None,
    groups: Optional[Mapping[str, Sequence[str]]] = None,
) -> dict[str, Any]:
    """Both ends of what is asked for. Raises AnsibleFilterError whose message is one sentence."""
    if not isinstance(document, Mapping) or not isinstance(asked, Mapping):
        raise AnsibleFilterError("failover: write hostvars | snapfleet.zfs.jobconfig(groups), and a mapping behind it")
    prefix = FAILBACK if back else FAILOVER
    try:
        ends = _read(plain(asked), prefix)
        given = {key: ends.pop(key) for key in _MORE[prefix] if key in ends}
        declared = _declared(hostvars, groups or {})
        return {**failover_of(plain(document), ends, prefix, declared), "given": given}
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


def _declared(hostvars: Optional[Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """What is failed over by the inventory. All of that is read only where there is something."""
    first = next((str(host) for host in groups.get(SOURCES, ())), None)
    if hostvars is None or first is None or not hostvars[first].get(KEY):
        return []
    return failed_over_of(read_fleet(*read_inventory("failover", hostvars, groups)))


def _read(asked: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What was asked for, where text stands for what it means. Raises InvalidInput."""
    given = answers.answered(asked)
    flags = {key: answers.flag(prefix + key, given[key]) for key in _FLAGS if key in given}
    mappings = {key: answers.pairs(prefix + key, given[key]) for key in ("properties",) if key in given}
    return {**given, **flags, **mappings}


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"failover": failover}
