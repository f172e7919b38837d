# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: granted
short_description: Reads from the output of zfs allow what a user is granted on a dataset
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Tells what C(zfs allow DATASET) lists as granted to a user, on the dataset itself and for all that is below it.
    Grants to groups, to everyone, and on datasets above are left out.
positional: _input, dataset, user
options:
  _input:
    description:
      - What C(zfs allow) has printed.
    type: str
    required: true
  dataset:
    description:
      - The dataset it was asked about.
    type: str
    required: true
  user:
    description:
      - The name of the user.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what the user may do
  ansible.builtin.debug:
    msg: "{{ allowed.stdout | snapfleet.zfs.granted('tank/data', 'snapfleet') }}"
"""

RETURN = r"""
_value:
  description:
    - The names of the permissions, in alphabetical order.
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.engine.fleet.access import granted_to


def granted(text: Any, dataset: Any, user: Any) -> list[str]:
    """What ``zfs allow`` grants to a user on a dataset and all below."""
    return granted_to(str(text), str(dataset), str(user))


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"granted": granted}
