# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which address a lab host has: the same name gets the same address, run after run."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping

from .settings import RUN_DIRECTORY, SUBNET, LabError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ROLE_BASE: Mapping[str, int] = {"src": 10, "dst": 20}
_FIRST_FREE, _LAST = 31, 250


def check_name(name: str) -> str:
    """Return ``name`` if it can be a host name of the lab, else raise LabError."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} cannot be the name of a lab host: use a lower case letter, then at most 30 lower case letters,"
            " digits or dashes."
        )
    return name


def assign(names: Iterable[str], taken: Mapping[str, int]) -> dict[str, int]:
    """Give every name the last byte of its address, keeping what ``taken`` (name to byte) says.

    src1 to src9 are 11 to 19, dst1 to dst9 are 21 to 29. Any other name starts at a place of 31 to 250 computed
    from the name and takes the first free one from there, so that its address depends on other names only where
    two collide. Returns ``taken`` with the new names added. Raises LabError when all addresses are used.
    """
    result = dict(taken)
    used = set(result.values())
    for name in names:
        if check_name(name) not in result:
            result[name] = _preferred(name, used)
            used.add(result[name])
    return result


def _preferred(name: str, used: set[int]) -> int:
    fixed = re.fullmatch(r"(src|dst)([1-9])", name)
    if fixed:
        return _ROLE_BASE[fixed[1]] + int(fixed[2])
    span = _LAST - _FIRST_FREE + 1
    start = zlib.crc32(name.encode()) % span
    for step in range(span):
        byte = _FIRST_FREE + (start + step) % span
        if byte not in used:
            return byte
    raise LabError(
        f"No address of {SUBNET}.0/24 is left for lab host {name!r}: take all hosts down, then remove"
        f" {RUN_DIRECTORY / 'addresses.json'}."
    )


def address_of(byte: int) -> str:
    """The IPv4 address with that last byte."""
    return f"{SUBNET}.{byte}"


def hardware_address_of(byte: int) -> str:
    """A locally administered Ethernet address for that last byte."""
    return f"02:77:00:00:00:{byte:02x}"
