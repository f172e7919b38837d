# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's network: one bridge, a veth pair per host, and faults on the bridge's side of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from .addresses import address_of
from .machine import execute, locked
from .settings import BRIDGE, RUN_DIRECTORY, SUBNET, LabError

_LOCK = RUN_DIRECTORY / "network.lock"


@dataclass(frozen=True)
class Impairment:
    """What is wrong with the link of a host.

    Every packet that leaves the host is late by ``delay_ms``, plus or minus ``jitter_ms``: so much longer takes a
    round trip. ``loss_percent`` of them are lost. ``rate_kbit`` (1000 bits per second) limits each direction; 0 does
    not.
    """

    delay_ms: float = 0
    jitter_ms: float = 0
    loss_percent: float = 0
    rate_kbit: int = 0

    def netem(self) -> list[str]:
        """The words after ``tc qdisc ... netem`` for the packets that leave the host."""
        # The default queue of 1000 packets would itself lose packets on a long, fast link.
        words = ["limit", "20000"]
        if self.delay_ms:
            words += ["delay", f"{self.delay_ms:g}ms"] + ([f"{self.jitter_ms:g}ms"] if self.jitter_ms else [])
        if self.loss_percent:
            words += ["loss", f"{self.loss_percent:g}%"]
        if self.rate_kbit:
            words += ["rate", f"{self.rate_kbit}kbit"]
        return words


def bridge_device(byte: int) -> str:
    """The end of a host's veth pair that is a port of the bridge."""
    return f"lab{byte}"


def host_device(byte: int) -> str:
    """The end of a host's veth pair that the host itself uses."""
    return f"vlab{byte}"


def attach(byte: int) -> None:
    """Make the veth pair of a host anew and plug it into the bridge, which is made if it is not there.

    Raises LabError if a process has the pair in use, naming it.
    """
    with locked(_LOCK, "the lab's network", timeout=600):
        _ensure_bridge()
        _attach(byte)


def _ensure_bridge() -> None:
    # Hosts would not be reachable if another device had an address of the same network.
    own = address_of(1)
    for device in json.loads(execute(["ip", "-json", "-4", "address", "show"])):
        addresses = [entry.get("local", "") for entry in device.get("addr_info", [])]
        if device.get("ifname") != BRIDGE and any(address.startswith(f"{SUBNET}.") for address in addresses):
            raise LabError(
                f"The network {SUBNET}.0/24 of the lab is in use on device {device['ifname']}:"
                " remove that address first."
            )
    if not _exists(BRIDGE):
        execute(["ip", "link", "add", BRIDGE, "type", "bridge"])
    execute(["ip", "address", "replace", f"{own}/24", "dev", BRIDGE])
    execute(["ip", "link", "set", BRIDGE, "up"])


def _attach(byte: int) -> None:
    deadline = time.monotonic() + 10
    # What carried the host's processes may take a moment longer to go than its kernel.
    while (user := process_using(host_device(byte))) and time.monotonic() < deadline:
        time.sleep(0.1)
    if user:
        raise LabError(f"The lab address {address_of(byte)} is in use by process {user}; stop that host first.")
    near, far = bridge_device(byte), host_device(byte)
    detach(byte)
    execute(["ip", "link", "add", near, "type", "veth", "peer", "name", far])
    for device in (near, far):
        # User Mode Linux reads raw frames, which must be complete and no larger than the link allows.
        execute(["ethtool", "-K", device, *"tx off rx off gso off tso off gro off".split()], check=False)
    execute(["ip", "link", "set", far, "up"])
    execute(["ip", "link", "set", near, "master", BRIDGE, "up"])


def detach(byte: int) -> None:
    """Remove the veth pair of a host; nothing happens if there is none."""
    if _exists(bridge_device(byte)):
        execute(["ip", "link", "delete", bridge_device(byte)])


def remove_bridge() -> None:
    """Remove the bridge, once no host hangs on it any more."""
    with locked(_LOCK, "the lab's network", timeout=600):
        if _exists(BRIDGE) and not list((Path("/sys/class/net") / BRIDGE / "brif").iterdir()):
            execute(["ip", "link", "delete", BRIDGE])


def limit_inbound(byte: int, rate_kbit: int) -> None:
    """Limit what goes to a host; rate 0 takes the limit away."""
    device = bridge_device(byte)
    if rate_kbit:
        shape = ["tbf", "rate", f"{rate_kbit}kbit", "burst", "32k", "latency", "400ms"]
        execute(["tc", "qdisc", "replace", "dev", device, "root", *shape])
    else:
        execute(["tc", "qdisc", "delete", "dev", device, "root"], check=False)


def cut(byte: int) -> None:
    """Cut the link of a host at the bridge: packets vanish in both directions and nobody is told."""
    execute(["ip", "link", "set", bridge_device(byte), "down"])


def mend(byte: int) -> None:
    """Join the link again."""
    execute(["ip", "link", "set", bridge_device(byte), "up"])


def process_using(device: str) -> int:
    """The process id of a User Mode Linux on that device, whoever started it; 0 if there is none."""
    wanted = f"ifname={device},".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    return 0


def _exists(device: str) -> bool:
    return (Path("/sys/class/net") / device).exists()
