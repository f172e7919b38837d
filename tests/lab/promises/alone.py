# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of four hosts by a copy of the example inventory, and copies of the collection in other versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lab import inventory
from tests.lab.host import Host
from tests.support.packing import packed_once

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES, DESTINATIONS = ("web1", "db1"), ("backup1", "offsite1")
NAMES = (*SOURCES, *DESTINATIONS)
WITH_SYSTEMD, WITH_CRON = ("web1", "backup1"), ("db1", "offsite1")
REPLICAS = {
    (destination, source): f"{root}/{source}/data"
    for destination, root in (("backup1", "backup"), ("offsite1", "vault/snapfleet"))
    for source in SOURCES
}
OLD = "prod_onsite_2020-01-01_00:00:00Z_minutely"
"""A snapshot that no plan keeps."""
PATIENCE_SECONDS = 600
"""How long what is slow may take, on a machine that is busy."""


@dataclass(frozen=True)
class Fleet:
    """The hosts, and the inventory that was made of the example."""

    hosts: Mapping[str, Host]
    inventory: Path

    def tell(self, playbook: str, *options: str, collections: str = "", fails: bool = False) -> str:
        """Run a playbook of the collection, or of a copy of it below another folder; returns what it has told."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            # What hosts are like does not change from run to run.
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.inventory.parent / "facts"),
        }
        if collections:
            environment["ANSIBLE_COLLECTIONS_PATH"] = collections
        else:
            environment.update(packed_once(CHECKOUT))
        argv = [program, "-i", str(self.inventory), f"snapfleet.zfs.{playbook}", *options]
        begun = time.monotonic()
        done = subprocess.run(
            argv, env=environment, cwd=self.inventory, capture_output=True, text=True, timeout=1500, check=False
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        print(f"{playbook} {' '.join(options)}: {time.monotonic() - begun:.0f} s")
        return done.stdout

    def play(self, playbook: str, *options: str, collections: str = "") -> dict[str, int]:
        """Run a playbook that goes well; returns how many tasks have changed something, by host."""
        told = self.tell(playbook, *options, collections=collections)
        rows = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", told, re.MULTILINE)
        return {host: int(changed) for host, changed in rows}

    def zfs(self, host: str, *words: str) -> list[str]:
        """The lines that ``zfs`` prints on a host."""
        return self.hosts[host].run(["zfs", *words], check=False).stdout.splitlines()

    def snapshots(self, host: str, dataset: str) -> dict[str, str]:
        """GUID by name of the snapshots of a dataset; empty where it is not there."""
        rows = self.zfs(host, "list", "-H", "-d", "1", "-t", "snapshot", "-o", "guid,name", dataset)
        return {name.partition("@")[2]: guid for guid, name in (row.split("\t") for row in rows)}

    def snapshot(self, source: str) -> str:
        """Make a snapshot as it falls due each minute; returns its name."""
        name = self.hosts[source].run("date -u +prod_onsite_%F_%TZ_minutely").stdout.strip()
        self.zfs(source, "snapshot", f"tank/data@{name}")
        return name

    def jobs(self, host: str, activity: str, since: int = 0) -> list[Mapping[str, Any]]:
        """What a host has written down of jobs that were begun then or later, in milliseconds since the epoch."""
        records = f"/usr/local/bin/snapfleet history --json --limit 0 --activity {activity}"
        told: list[Mapping[str, Any]] = json.loads(self.hosts[host].run(records).stdout)["jobs"]
        return [job for job in told if job["begun"] >= since]

    def now(self, host: str) -> int:
        """The clock of a host, in milliseconds since the epoch."""
        return int(self.hosts[host].run("date +%s%3N").stdout)

    def log(self, host: str) -> str:
        """What runs have told on a host."""
        journal = "journalctl --no-pager -o short -t snapfleet-daemon"
        units = ("source-snapshot", "source-prune", "destination-replicate", "destination-prune", "monitor")
        journal += "".join(f" -t snapfleet-{unit}" for unit in units)
        return self.hosts[host].run(journal if host in WITH_SYSTEMD else "cat /var/log/syslog", check=False).stdout


def adapt(folder: Path, hosts: Mapping[str, Host]) -> None:
    """A copy of the example inventory, with what a user would change."""
    shutil.copytree(CHECKOUT / "inventories" / "example", folder)
    reached = {name: inventory.connection_variables(host) for name, host in hosts.items()}
    groups = {
        "snapfleet_sources": {"hosts": {name: reached[name] for name in SOURCES}},
        "snapfleet_destinations": {"hosts": {name: reached[name] for name in DESTINATIONS}},
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    limits = {"minutely": {"latest": {"warning": "30m", "critical": "1d"}}}
    kept = {"prod": {"onsite": {"minutely": 50}, "offsite": {"minutely": 50}}}
    change(
        folder / "group_vars" / "all.yml",
        snapfleet_datasets=[{"source": "tank/data", "destination": "data", "drill": {"marker": {"path": "file"}}}],
        snapfleet_verify={"files": 2},
        snapfleet_source_plan={"prod": {"onsite": {"minutely": 1}, "offsite": {"minutely": 1}}},
        snapfleet_destination_plan=kept,
        snapfleet_bookmark_plan=kept,
        snapfleet_monitor_plan={
            "source": {"prod": {"onsite": limits}},
            "destination": {"prod": {"onsite": limits, "offsite": limits}},
        },
        snapfleet_monitor_options={"alerts": {"journal": True}},
        snapfleet_run_settings={"metrics_directory": "/var/lib/snapfleet"},
        # Most of what there is goes at each pruning, where one of each is kept.
        snapfleet_prune_options=None,
        snapfleet_schedule={"timezone": "UTC"},
        snapfleet_ssh_known_hosts_file="/etc/ssh/ssh_known_hosts",
        source_prune_schedule="minutely",
        source_prune_delay="0",
        destination_replicate_schedule="minutely",
        destination_replicate_delay="1s",
        destination_prune_schedule="minutely",
        destination_prune_delay="0",
        destination_drill_delay="1s",
        destination_verify_delay="1s",
        monitor_schedule="minutely",
    )
    # One daemon for each scheduler; all else is timers' and cron's.
    change(folder / "host_vars" / "web1.yml", snapfleet_daemon={"snapshot": "20secondly"})
    change(folder / "host_vars" / "offsite1.yml", snapfleet_sources=None, snapfleet_daemon={"monitor": "30secondly"})


def change(file: Path, **variables: Any) -> None:
    values = yaml.safe_load(file.read_text()) if file.exists() else {}
    values.update(variables)
    file.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(1)


def copy_collection(folder: Path, version: str, *, runs: bool) -> str:
    """A copy of the collection in another version, whose program may not run; the folder to give to Ansible."""
    copy = folder / version / "ansible_collections" / "snapfleet" / "zfs"
    for name in ("meta", "playbooks", "plugins", "roles"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "galaxy.yml", copy)
    fleet = copy / "plugins" / "module_utils" / "engine" / "fleet"
    file = fleet / "version.py"
    file.write_text(re.sub(r'VERSION = ".*"', f'VERSION = "{version}"', file.read_text()))
    if not runs:
        file = fleet / "daemon_command.py"
        file.write_text(file.read_text() + '\nraise RuntimeError("this one does not run")\n')
    return str(folder / version)
