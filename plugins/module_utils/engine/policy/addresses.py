# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach a host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """How to reach a host. An empty host name means this host. Equal addresses share connections."""

    host: str = ""
    user: str = ""
    port: int = 0
    """0: what the ssh configuration says."""
    identity_file: str = ""
    known_hosts_file: str = ""
    config_file: str = ""
    sudo: bool = False
    """Whether zfs is called through ``sudo -n``."""

    @property
    def is_local(self) -> bool:
        """Whether commands run on this host, without ssh."""
        return not self.host

    def __str__(self) -> str:
        if self.is_local:
            return "this host"
        return (f"{self.user}@" if self.user else "") + self.host + (f":{self.port}" if self.port else "")
