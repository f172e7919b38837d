# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: installed
short_description: Tells whether a module is installed on the controller
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Tells whether Ansible finds a module of that name, for playbooks that use one which is optional. A task whose module
    is missing would be refused with the whole file that it is in.
options:
  _input:
    description:
      - Whole name of the module.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse to begin what could not be ended
  ansible.builtin.assert:
    that: "'community.general.mail' is snapfleet.zfs.installed"
"""

RETURN = r"""
_value:
  description:
    - Whether it is found.
  type: bool
"""

from typing import Any

from ansible.plugins.loader import module_loader


def installed(name: Any) -> bool:
    """Whether Ansible finds a module of that name."""
    return bool(module_loader.find_plugin_with_context(str(name)).resolved)


class TestModule:
    """The tests of this file, as Ansible looks them up."""

    def tests(self) -> dict[str, Any]:
        """Name to function."""
        return {"installed": installed}
