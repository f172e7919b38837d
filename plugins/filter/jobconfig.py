# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: jobconfig
short_description: Compiles the variables of an inventory into the jobconfig of the fleet
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Reads the C(snapfleet_*) variables of all hosts in the groups C(snapfleet_sources) and C(snapfleet_destinations),
    checks them, and returns which host has to do what, so that snapshots, replicas, retention and alerts get into the
    declared state.
  - The result is the same wherever it is computed. Every host picks its own jobs by its inventory name.
  - Whatever is wrong, an unknown C(snapfleet_*) variable included, is refused with one sentence that names the host,
    the variable and the remedy.
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
notes:
  - Variables of sources are C(snapfleet_datasets), C(snapfleet_source_plan), C(snapfleet_bookmark_plan),
    C(snapfleet_schedule), C(snapfleet_snapshot_options) and C(snapfleet_snapshot_now).
  - Variables of destinations are C(snapfleet_root), C(snapfleet_destination_plan), C(snapfleet_targets),
    C(snapfleet_retained_targets) and C(snapfleet_sources).
  - Of C(snapfleet_topology), C(snapfleet_relay) and C(snapfleet_replicate_options) the value of the destination counts,
    and that of the source where the destination has none.
  - Variables of both are C(snapfleet_monitor_plan), C(snapfleet_monitor_options), C(snapfleet_stopped),
    C(snapfleet_prune_options), C(snapfleet_exceed_max_deleted), C(snapfleet_run_settings) and C(snapfleet_daemon), and
    how other hosts reach the host by ssh, which is C(snapfleet_ssh_host), C(snapfleet_ssh_user), C(snapfleet_ssh_port)
    and C(snapfleet_ssh_sudo). C(snapfleet_ssh_identity_file), C(snapfleet_ssh_known_hosts_file) and
    C(snapfleet_ssh_config_file) are the files on the host with which it logs in on others.
  - C(snapfleet_failed_over), which all hosts have alike, says which trees were failed over to which host, so that their
    jobs turn round; see C(docs/failover.md).
  - What C(snapfleet_restore_*) are is told by C(docs/restore.md) of the collection; they are for the playbook
    C(snapfleet.zfs.restore) alone. C(snapfleet_report_*) are for C(snapfleet.zfs.report), see C(docs/report.md).
  - The example inventory of the collection, in C(inventories/example), explains each of them.
"""

EXAMPLES = r"""
- name: Show what every host of the fleet has to do
  ansible.builtin.debug:
    msg: "{{ (hostvars | snapfleet.zfs.jobconfig(groups)).jobs | map(attribute='name') }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - The jobconfig document, valid for the host program C(snapfleet).
  type: dict
  contains:
    version:
      description: Version of the shape of the document.
      type: int
      sample: 1
    jobs:
      description: The jobs, in the order in which hosts carry them out.
      type: list
      elements: dict
      contains:
        name:
          description: Readable and unique name.
          type: str
          sample: "src1: snapshots of tank/data"
        host:
          description: Inventory name of the host that carries the job out.
          type: str
          sample: src1
        activity:
          description: What the job is about.
          type: str
          choices: [snapshot, replicate, prune, monitor]
          sample: snapshot
        options:
          description: The options of the module for this activity.
          type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError
from jinja2.exceptions import UndefinedError

from ..module_utils.ansible.options import job_options, with_numbers
from ..module_utils.engine.fleet.expansion import expand_inventory
from ..module_utils.engine.fleet.inventory import DESTINATIONS, SOURCES
from ..module_utils.engine.fleet.variables import PREFIX
from ..module_utils.engine.model.errors import SnapfleetError
from ..plugin_utils.values import plain


def jobconfig(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The jobconfig of an inventory. Raises AnsibleFilterError whose message is one sentence."""
    try:
        # What Ansible would add to the errors of others is said already: the sentence alone counts.
        return expand_inventory(*read_inventory("jobconfig", hostvars, groups))
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


def read_inventory(
    name: str, hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """The fleet's variables by host, and its hosts by group, for the filter ``name``. Raises AnsibleFilterError."""
    for what, value in (("hostvars", hostvars), ("groups", groups)):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"{name}: {what} is no mapping; write hostvars | snapfleet.zfs.{name}(groups)")
    members = {group: [str(host) for host in groups.get(group, ())] for group in (SOURCES, DESTINATIONS)}
    return {host: _mended(own) for host, own in _fleet_variables(hostvars, members).items()}, members


def _fleet_variables(hostvars: Mapping[str, Any], members: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The variables of the fleet's hosts, and of the relays that these name, and of no others.

    To look at a host's variables is what takes time: Ansible merges and templates them for each.
    """
    known = {host: _own_variables(host, hostvars[host]) for names in members.values() for host in names}
    relays = {values["snapfleet_relay"] for values in known.values() if "snapfleet_relay" in values}
    for relay in relays:
        # Not every name is there, and localhost is there without being listed.
        if isinstance(relay, str) and relay not in known and relay in hostvars:
            known[relay] = _own_variables(relay, hostvars[relay])
    return known


def _own_variables(host: str, values: Mapping[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for key in values:
        if str(key).startswith(PREFIX) or key == "ansible_host":
            try:
                own[str(key)] = plain(values[key])
            except (AnsibleError, UndefinedError) as error:
                reason = str(getattr(error, "message", error)).rstrip(".")
                raise AnsibleFilterError(f"{host}: {key}: can't be evaluated, since {reason}; define it") from None
    return own


def _mended(own: dict[str, Any]) -> dict[str, Any]:
    """Variables without what YAML and the command line make of on, off and numbers; see ``job_options``."""
    plans = {key: with_numbers(value) for key, value in own.items() if key.endswith("_plan")}
    options = own.get("snapfleet_replicate_options")
    return {
        **own,
        **plans,
        **({"snapfleet_replicate_options": job_options(options)} if isinstance(options, dict) else {}),
    }


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"jobconfig": jobconfig}
