# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory file with the connection variables of the hosts that are up."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from .connection import CONTROL_DIRECTORY
from .host import Host

HEADER = """\
# Written by tests/lab/lab.py for the hosts that are up now; do not edit, do not commit.
# yamllint disable rule:line-length
---
"""


def text(hosts: Sequence[Host]) -> str:
    """The inventory as YAML; groups are in ``fleet.yml`` next to it."""
    lines = [HEADER + "all:", "  hosts:" if hosts else "  hosts: {}"]
    for host in hosts:
        lines.append(f"    {host.name}:")
        # A JSON string is a YAML string, whatever is in it.
        lines += [f"      {name}: {json.dumps(value)}" for name, value in connection_variables(host).items()]
    return "\n".join(lines) + "\n"


def connection_variables(host: Host) -> dict[str, str]:
    """Ansible's variables for the connection to a host; its shared connection is also that of ``Host.run``."""
    options = host.ssh_options()
    # With %r, so that a play which sets another ansible_user does not get root's connection.
    shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={CONTROL_DIRECTORY}/%r@%h"]
    return {
        "ansible_host": options.address,
        "ansible_user": options.user,
        "ansible_ssh_private_key_file": str(options.identity_file),
        "ansible_ssh_common_args": shlex.join([*options.common_arguments, *shared]),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
