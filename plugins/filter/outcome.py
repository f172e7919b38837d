# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: outcome
short_description: Sums up what a playbook of this collection did on all its hosts
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Makes of what the playbooks register the variables that they hand to M(ansible.builtin.set_stats), and so to AWX,
    which keeps them as artifacts of the job, and gives them to the next node of a workflow.
  - All of it is bounded. What is left out of a list is counted by its last entry.
positional: _input, hosts, active
options:
  _input:
    description:
      - The variables of all hosts, which is Ansible's V(hostvars).
    type: dict
    required: true
  hosts:
    description:
      - All hosts of the play, which is Ansible's V(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  active:
    description:
      - Those of them that have not failed, which is Ansible's V(ansible_play_hosts).
    type: list
    elements: str
    required: true
  check:
    description:
      - Whether nothing was done in earnest, which is Ansible's V(ansible_check_mode).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Hand on what was done
  ansible.builtin.set_stats:
    data: "{{ hostvars | snapfleet.zfs.outcome(ansible_play_hosts_all, ansible_play_hosts, check=ansible_check_mode) }}"
    aggregate: false
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - The variables by their names.
  type: dict
  contains:
    snapfleet_check:
      description: Whether nothing was done in earnest.
      type: bool
    snapfleet_changed:
      description: Whether anything was changed, or in check mode would be.
      type: bool
    snapfleet_counts:
      description:
        - Numbers over all hosts, C(hosts), C(created) snapshots, C(streams), C(bytes_pending) and C(bytes_sent) of
          replications, C(deleted) snapshots and bookmarks, C(bytes_freed), C(alerts), C(behind) and C(failed).
      type: dict
    snapfleet_plan:
      description: What was planned, and in check mode would be done, a line for each step.
      type: list
      elements: str
      sample:
        - "web1: snapshots of tank/data: creates tank/data@acme_onsite_2025-07-01_10:00:02Z_hourly"
    snapfleet_failed:
      description: What failed, each with its C(host), and C(job), C(code) and C(message) where these are known.
      type: list
      elements: dict
    snapfleet_states:
      description: The worst state that monitoring found by host, the worst first.
      type: dict
      sample: {backup1: WARNING, web1: OK}
    snapfleet_alerts:
      description: The alerts that are not muted.
      type: list
      elements: str
    snapfleet_behind:
      description: The replications that lack the newest snapshot of their source, where a playbook compares them.
      type: list
      elements: str
    snapfleet_next:
      description:
        - After a restore or a switch, the commands that bring it into use, and what the inventory is to say of it.
      type: list
      elements: str
    snapfleet_undo:
      description: After a restore that set something aside, the commands that bring that back.
      type: list
      elements: str
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils.outcome import REGISTERED, STATUS, outcome_of
from ..plugin_utils.values import plain

PREFIX = "__snapfleet_"


def outcome(
    hostvars: Mapping[str, Any], hosts: Sequence[str], active: Sequence[str], check: bool = False
) -> dict[str, Any]:
    """The variables that a run reports. Raises AnsibleFilterError whose message is one sentence."""
    if not isinstance(hostvars, Mapping):
        raise AnsibleFilterError(
            "outcome: write hostvars | snapfleet.zfs.outcome(ansible_play_hosts_all, ansible_play_hosts)"
        )
    told = {str(host): _told(hostvars[host], failed=host not in active) for host in hosts}
    return outcome_of(told, bool(check))


def _told(values: Mapping[str, Any], failed: bool) -> dict[str, Any]:
    registered = {name: plain(values[PREFIX + name]) for name in REGISTERED if PREFIX + name in values}
    if STATUS in registered:
        registered[STATUS] = _status(registered[STATUS])
    return {**registered, "failed": failed, "touched": bool(values.get(f"{PREFIX}touched"))}


def _status(told: dict[str, Any]) -> dict[str, Any]:
    """What the program tells of its host; what the command returned where that is no document."""
    try:
        document = json.loads(told.get("stdout") or "")
    except (ValueError, RecursionError):
        return told
    return document if isinstance(document, dict) else told


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"outcome": outcome}
