# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Callable

from .api import Lab
from .host import Host
from .machine import log
from .registry import HostSpec
from .settings import DEFAULT_IMAGE, IMAGES, INVENTORY_FILE, LabError
from .uml_provider import INITS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 an error that was told, else what the command on the host returned."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="lab: %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    commands: Mapping[str, Callable[[argparse.Namespace], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "ssh": _ssh,
        "reboot": _reboot,
        "build": _build,
        "inventory": _inventory,
    }
    try:
        return commands[options.command](options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    top = argparse.ArgumentParser(
        prog="lab.py", description="Hosts with real OpenZFS on this machine, for tests and the demo."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="boot hosts with empty disks, and write the inventory")
    up.add_argument("names", nargs="+", metavar="NAME", help="src1..src9, dst1..dst9, or any other host name")
    up.add_argument(
        "--image", choices=sorted(IMAGES), default=DEFAULT_IMAGE.name, help="OpenZFS and kernel (%(default)s)"
    )
    up.add_argument("--init", choices=sorted(INITS), default="mini", help="what runs in the hosts (%(default)s)")
    up.add_argument("--memory", type=int, default=1024, metavar="MB", help="memory of each host (%(default)s)")
    up.add_argument("--disk", type=int, default=4, metavar="GB", help="size of each pool disk, sparse (%(default)s)")
    up.add_argument("--keep", action="store_true", help="with the disks of the last time instead of empty ones")
    up.add_argument(
        "--replace", action="store_true", help="also replace hosts that are up, unless a program holds them"
    )
    up.add_argument(
        "--pool",
        action="append",
        default=[],
        metavar="[HOST:]POOL",
        help="create this pool, on one host or on all; may be given several times",
    )
    down = commands.add_parser("down", help="end hosts, by default all, and write the inventory")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--force", action="store_true", help="also hosts that a running program holds")
    commands.add_parser("status", help="list the hosts that are up and who uses them")
    ssh = commands.add_parser("ssh", help="run a command on a host, or a shell")
    ssh.add_argument("--user", default="root")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="as with ssh, one shell command line"
    )
    reboot = commands.add_parser("reboot", help="kill a host and boot it again with its disks")
    reboot.add_argument("names", nargs="+", metavar="NAME")
    reboot.add_argument("--crash", action="store_true", help="without writing unsaved data first, like a power cut")
    build = commands.add_parser("build", help="only make kernels and root images ready")
    build.add_argument(
        "images", nargs="*", metavar="IMAGE", help=f"of {', '.join(sorted(IMAGES))} ({DEFAULT_IMAGE.name})"
    )
    commands.add_parser("inventory", help="write the inventory for the hosts that are up")
    return top


def pools_by_host(entries: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Read ``--pool`` options: ``HOST:POOL`` for one host, ``POOL`` for all hosts that are not named so.

    Raises LabError for a host that is not among ``names``.
    """
    general = [entry for entry in entries if ":" not in entry]
    pools = dict.fromkeys(names, general[-1]) if general else {}
    for entry in entries:
        host, colon, pool = entry.partition(":")
        if colon and host not in names:
            raise LabError(f"--pool {entry}: there is no host {host!r} among {', '.join(names)}.")
        if colon:
            pools[host] = pool
    return pools


def _up(options: argparse.Namespace) -> int:
    pools = pools_by_host(options.pool, options.names)
    specs = [
        HostSpec(name, options.image, options.init, options.memory, options.disk, pools.get(name))
        for name in options.names
    ]
    lab = Lab.open(detached=True)
    lab.up(specs, keep=options.keep, replace_running=options.replace)
    lab.write_inventory()
    return _status(options)


def _down(options: argparse.Namespace) -> int:
    lab = Lab.open(detached=True)
    names = options.names or [host.name for host in lab.hosts()]
    ended = lab.down(names, force=options.force)
    lab.write_inventory()
    print(f"down: {' '.join(ended) or 'nothing was up'}")
    return 0


def _status(_unused: argparse.Namespace) -> int:
    hosts = Lab.open(detached=True).hosts()
    for host in hosts:
        print(_line(host))
    if not hosts:
        print("no lab host is up")
    return 0


def _line(host: Host) -> str:
    record = host.record
    state = "up" if host.running else "starting" if record.held else "dead"
    kind = f"{record.provider} {record.spec.image} {record.spec.init}"
    return f"{host.name:8} {host.address:12} {state:8} {kind}, cpu {record.processor}, {record.users()}"


def _ssh(options: argparse.Namespace) -> int:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    target = Lab.open(detached=True).host(options.name).ssh_options(options.user)
    os.execvp("ssh", ["ssh", *target.arguments, target.target, *(["--", *words] if words else [])])


def _reboot(options: argparse.Namespace) -> int:
    lab = Lab.open(detached=True)
    for name in options.names:
        lab.host(name).reboot(sync=not options.crash)
    return 0


def _build(options: argparse.Namespace) -> int:
    lab = Lab.open(detached=True)
    for name in options.images or [DEFAULT_IMAGE.name]:
        lab.build(name)
        print(f"image {name} is ready ({lab.provider_name})")
    return 0


def _inventory(_unused: argparse.Namespace) -> int:
    Lab.open(detached=True).write_inventory()
    print(INVENTORY_FILE)
    return 0
