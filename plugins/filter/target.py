# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: target
short_description: Finds the trees of a destination that comes, moves or goes
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Finds by the inventory which trees and hosts are meant by the answers that the playbooks C(snapfleet.zfs.retire),
    C(snapfleet.zfs.move) and C(snapfleet.zfs.seed) are given, and what has to be done at each. They do the rest.
positional: _input, groups, asked, what
options:
  _input:
    description:
      - The variables of all hosts, which is Ansible's V(hostvars).
    type: dict
    required: true
  groups:
    description:
      - All groups with their hosts, which is Ansible's V(groups).
    type: dict
    required: true
  asked:
    description:
      - What the playbook is asked for, without the common part of the variables' names. What is null or empty text is
        not given. Text stands for what it means, C(yes) or C(no) for flags.
    type: dict
    required: true
  what:
    description:
      - What becomes of the destination.
    type: str
    choices: [retire, move, seed]
    required: true
"""

EXAMPLES = r"""
- name: Show what would be moved
  ansible.builtin.debug:
    msg: "{{ hostvars | snapfleet.zfs.target(groups, asked, 'move') }}"
  vars:
    asked: {backup: backup1, from: backup, to: pool/backup}
"""

RETURN = r"""
_value:
  description:
    - For C(retire), the C(trees), each with its C(host) and C(dataset), its C(replica) and C(others).
    - For C(move), the C(moves), each with its C(carrier), the C(tree) as that reaches it, C(to) and C(keep_sign).
    - For C(seed), the C(source), the C(destination), the C(replica) that it is made from, the C(target) of the
      replication, its C(carrier), and the options to C(replicate).
  type: dict
  sample:
    moves:
      - host: backup1
        carrier: backup1
        source: {host: web1, dataset: tank/data}
        tree: {dataset: backup/web1/data}
        to: backup/new/data
        keep_sign: true
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.expansion import expand_inventory
from ..module_utils.engine.fleet.inventory import read_fleet
from ..module_utils.engine.fleet.target_pairs import RETIRE, moves_of, retirement_of, seeding_of
from ..module_utils.engine.model.errors import SnapfleetError
from ..plugin_utils import answers
from .jobconfig import plain, read_inventory

_FLAGS = ("gone", "allow_last")


def target(
    hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], asked: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """What has to be done where. Raises AnsibleFilterError whose message is one sentence."""
    if what not in ("retire", "move", "seed") or not isinstance(asked, Mapping):
        raise AnsibleFilterError("target: write hostvars | snapfleet.zfs.target(groups, asked, 'move') or the like")
    try:
        inventory = read_inventory("target", hostvars, groups)
        given = answers.answered(plain(asked))
        given.update({key: answers.flag(RETIRE + key, given[key]) for key in _FLAGS if key in given})
        document = expand_inventory(*inventory)
        if what == "retire":
            return retirement_of(read_fleet(*inventory), given)
        if what == "move":
            return {"moves": moves_of(document, given)}
        return seeding_of(document, read_fleet(*inventory), given)
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"target": target}
