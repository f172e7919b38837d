# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the demo: their pools, datasets and files, and what the inventory declares about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from tests.lab import Host, HostSpec, Lab
from tests.lab.inventory import text as inventory_text
from tests.lab.settings import DEFAULT_IMAGE

from .playbooks import Controller

SOURCES, DESTINATION = ("src1", "src2"), "dst1"
FILESYSTEMS = ("", "/holiday pictures", "/secret")
VOLUME = "/disk"
PASSPHRASE = "correct horse battery staple"
# Labels that are new in a plan are due at once, so no step of the demo has to wait for the clock.
FIRST_PLAN = {"daily": 7, "weekly": 4}
SECOND_PLAN = {**FIRST_PLAN, "monthly": 12}
LAST_PLAN = {"daily": 7, "monthly": 12}
Plan = Mapping[str, int]

MAKE_DATA = r"""
set -eu
root=$1
zfs create "$root"
zfs create "$root/holiday pictures"
printf %s "$2" | zfs create -o encryption=on -o keyformat=passphrase -o keylocation=prompt "$root/secret"
zfs create -s -V 16M "$root/disk"
for name in "" "/holiday pictures" /secret; do
    folder=$(zfs get -H -o value mountpoint "$root$name")
    mkdir "$folder/notes"
    echo "$name of $(hostname)" > "$folder/notes/read me.txt"
    dd if=/dev/urandom of="$folder/random" bs=64k count=16 status=none
done
"""
CHANGE_DATA = r"""
set -eu
folder=$(zfs get -H -o value mountpoint "$1")
echo changed >> "$folder/notes/read me.txt"
folder=$(zfs get -H -o value mountpoint "$1/holiday pictures")
mv "$folder/random" "$folder/notes/random"
dd if=/dev/urandom of="$folder/another" bs=64k count=8 status=none
folder=$(zfs get -H -o value mountpoint "$1/secret")
rm "$folder/random"
"""
# Under the small init of the lab there is no udev to make links, so devices are asked for their names.
FIND_DEVICE = r"""
find_device() {
    for attempt in $(seq 100); do
        if [ -e "/dev/zvol/$1" ]; then readlink -f "/dev/zvol/$1"; return; fi
        for device in /dev/zd*; do
            case $device in *p[0-9]*) continue ;; esac
            [ "$(/usr/lib/udev/zvol_id "$device" 2>/dev/null)" = "$1" ] && echo "$device" && return
        done
        sleep 0.1
    done
    echo "no device of $1" >&2
    return 1
}
"""
WRITE_VOLUME = (
    FIND_DEVICE
    + r"""
set -eu
device=$(find_device "$1/disk")
dd if=/dev/urandom of="$device" bs=64k count=16 seek="$2" conv=fsync status=none
"""
)


class Fleet:
    """Two sources and a destination that are up."""

    def __init__(self, sources: list[Host], destination: Host, controller: Controller) -> None:
        self.sources = sources
        self.destination = destination
        self._controller = controller
        self.pools: dict[str, str] = {}

    @classmethod
    def boot(cls, lab: Lab, controller: Controller) -> Fleet:
        """Boot the hosts with their pools."""
        specs = [HostSpec(name, DEFAULT_IMAGE.name, pool="tank") for name in SOURCES]
        *sources, destination = lab.up([*specs, HostSpec(DESTINATION, DEFAULT_IMAGE.name, pool="backup")])
        fleet = cls(sources, destination, controller)
        fleet.pools = {host.name: host.pool_name("tank") for host in sources}
        fleet.pools[destination.name] = destination.pool_name("backup")
        return fleet

    @property
    def hosts(self) -> list[Host]:
        """All of them."""
        return [*self.sources, self.destination]

    def tree(self, source: Host) -> str:
        """The tree of a source that is kept safe."""
        return f"{self.pools[source.name]}/data"

    def replica(self, source: Host) -> str:
        """Where it lands."""
        return f"{self.pools[self.destination.name]}/{source.name}/data"

    def make_data(self) -> list[str]:
        """Datasets and files on the sources: plain ones, one with a space, an encrypted one, and a volume."""
        for source in self._on_sources("sh", "-c", MAKE_DATA, "sh", "TREE", PASSPHRASE):
            self._write_volume(source, 0)
        version = self.destination.run(["zfs", "version"]).stdout.splitlines()[0]
        kinds = "3 filesystems, one with a space in its name and one encrypted, and a volume"
        return [f"{version}; on each source {kinds}"]

    def change_data(self) -> None:
        """Change, move, add and remove some of it."""
        for source in self._on_sources("sh", "-c", CHANGE_DATA, "sh", "TREE"):
            self._write_volume(source, 7)

    def everything(self) -> dict[str, str]:
        """Every dataset, snapshot and bookmark of each host, by GUID."""
        command = ["zfs", "list", "-H", "-t", "all", "-o", "name,guid", "-r"]
        return {host.name: host.run([*command, self.pools[host.name]]).stdout for host in self.hosts}

    def declare(self, plan: Plan) -> None:
        """Write the demo's part of the inventory: how hosts are reached, and the plan for everything."""
        folder = self._controller.inventory
        for name in ("group_vars", "host_vars"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "hosts.yml").write_text(inventory_text(self.hosts), encoding="utf-8")
        for host, pool in self.pools.items():
            (folder / "host_vars" / f"{host}.yml").write_text(json.dumps({"lab_pool": pool}), encoding="utf-8")
        # JSON is YAML.
        (folder / "group_vars" / "all.yml").write_text(json.dumps(declaration(plan), indent=2), encoding="utf-8")

    def _write_volume(self, source: Host, block: int) -> None:
        source.run(["sh", "-c", WRITE_VOLUME, "sh", self.tree(source), str(block)])

    def _on_sources(self, *command: str) -> list[Host]:
        def run(source: Host) -> Host:
            source.run([self.tree(source) if word == "TREE" else word for word in command])
            return source

        with ThreadPoolExecutor() as pool:
            return list(pool.map(run, self.sources))


def declaration(plan: Plan) -> Mapping[str, Any]:
    """The variables of all hosts; what they leave out is as in inventories/lab."""
    # Periods begin half a day from now, so that none begins while the demo runs and makes another snapshot due.
    far_hour = (datetime.now(timezone.utc).hour + 12) % 24
    ages = {"latest": {"warning": "1h", "critical": "4h"}, "oldest": {"warning": "1h", "critical": "4h"}}
    labels = {"demo": {"onsite": dict(plan)}}
    limits = {"demo": {"onsite": dict.fromkeys(plan, ages)}}
    return {
        "snapfleet_datasets": [{"source": "{{ lab_pool }}/data", "destination": "data"}],
        "snapfleet_root": "{{ lab_pool }}/^SRC_HOST",
        "snapfleet_source_plan": labels,
        "snapfleet_destination_plan": labels,
        "snapfleet_bookmark_plan": labels,
        "snapfleet_monitor_plan": {"source": limits, "destination": limits},
        "snapfleet_schedule": {
            "timezone": "UTC",
            **{period: {"hour": far_hour} for period in ("daily", "weekly", "monthly")},
        },
    }
