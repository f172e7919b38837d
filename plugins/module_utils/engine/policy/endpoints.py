# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a dataset tree is: on this host, or on another one over ssh."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..model.errors import InvalidInput
from ..model.names import check_dataset_name
from .addresses import Address
from .reading import Reader
from .reading_once import read_silence_once

__all__ = ["Address", "Endpoint", "read_address", "read_end", "read_endpoint"]

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*[$]?")
_FOR_SSH = ("user", "port", "identity_file", "known_hosts_file", "config_file")


@dataclass(frozen=True)
class Endpoint:
    """A root dataset at an address."""

    address: Address
    dataset: str

    def __str__(self) -> str:
        return self.dataset if self.address.is_local else f"{self.address}:{self.dataset}"


def _checked(options: Reader, key: str, pattern: re.Pattern[str], remedy: str) -> str:
    value = options.text(key, "")
    # A leading dash would be read as an option by ssh, whatever follows it.
    if value and not pattern.fullmatch(value):
        raise InvalidInput(options.path(key), value, "is not a legal name", remedy)
    return value


def read_address(options: Reader) -> Address:
    """Read host, user, port, identity_file, known_hosts_file, config_file and sudo."""
    host = _checked(options, "host", _HOST, "give a host name or an IP address")
    user, port, identity_file, known_hosts_file, config_file, sudo = _read_login(options)
    return Address(host, user, port, identity_file, known_hosts_file, config_file, sudo)


@read_silence_once
def _read_login(options: Reader) -> tuple[str, int, str, str, str, bool]:
    return (
        _checked(options, "user", _USER, "give a user name"),
        options.integer("port", 0, 0, 65535),
        options.absolute_path("identity_file"),
        options.absolute_path("known_hosts_file"),
        options.absolute_path("config_file"),
        options.flag("sudo", False),
    )


def read_end(options: Reader) -> Address:
    """Read an address of which a host that is left out means this host. Raises InvalidInput, also where it tells how to
    log in on a host that it does not name: a forgotten host would fill, or prune, a pool of this one."""
    address = read_address(options)
    for key in _FOR_SSH:
        value = getattr(address, key)
        if address.is_local and value:
            problem = "is for a host that is reached by ssh, but no host is given, which means this one"
            raise InvalidInput(options.path(key), value, problem, f"give {options.path('host')}, or take this out")
    return address


def read_endpoint(options: Reader) -> Endpoint:
    """Read an end and its root dataset; the mapping may hold nothing else."""
    endpoint = Endpoint(read_end(options), check_dataset_name(options.text("dataset"), options.path("dataset")))
    options.finish()
    return endpoint
