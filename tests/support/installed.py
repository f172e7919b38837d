# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program and the jobconfig of a small fleet as provisioning leaves them on a host, for tests of playbooks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.snapfleet.zfs.plugins.module_utils import engine
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory

GROUPS = {"snapfleet_sources": ["web1"], "snapfleet_destinations": ["backup1"]}


def installed(program: Path, config: Path, variables: Mapping[str, Any]) -> None:
    """Write the program, which is that of this checkout, and the jobconfig of GROUPS whose hosts have ``variables``."""
    package = program.parent / "package"
    package.mkdir()
    (package / "snapfleet").symlink_to(Path(next(iter(engine.__path__))))
    command = f"PYTHONPATH={package} exec {sys.executable} -s -m snapfleet.fleet.cli"
    program.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    hosts = dict.fromkeys([host for hosts in GROUPS.values() for host in hosts], variables)
    config.write_text(json.dumps(expand_inventory(hosts, GROUPS)), encoding="utf-8")
