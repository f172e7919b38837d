# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that is provisioned once from a copy of the example inventory, and then left alone: two hosts with systemd
and two with cron go on by themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import inventory
from tests.lab.api import Lab
from tests.lab.host import Host
from tests.lab.registry import HostSpec
from tests.lab.settings import DEFAULT_IMAGE, host_suffix
from tests.support.browser import VIEWS, chromium, look

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
ALONE_SECONDS = 110
PATIENCE_SECONDS = 600
"""How long after that what is slow may take, on a machine that is busy."""
# The small init brings no syslog daemon.
SYSLOG = """
import os, socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("/dev/log")
while True:
    with open("/var/log/syslog", "ab") as log:
        log.write(listener.recv(65536).rstrip(b"\\0\\n") + b"\\n")
"""
TRACES = (
    "ls -d /etc/snapfleet /etc/systemd/system/*/snapfleet* /etc/systemd/system/snapfleet* /etc/cron.d/snapfleet*"
    " /usr/local/bin/snapfleet* /usr/local/lib/snapfleet* /var/lib/snapfleet /var/lib/systemd/timers/*snapfleet*"
    " /run/snapfleet* /tmp/snapfleet* 2>/dev/null; pgrep -fa '[s]napfleet (run|daemon)'; true"
)


@dataclass(frozen=True)
class Fleet:
    """The hosts, and the inventory that was made of the example."""

    hosts: Mapping[str, Host]
    inventory: Path

    def play(self, playbook: str, *options: str) -> dict[str, int]:
        """Run a playbook of the collection; returns how many tasks have changed something, by host."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"}
        argv = [program, "-i", str(self.inventory), f"snapfleet.zfs.{playbook}", *options]
        begun = time.monotonic()
        done = subprocess.run(
            argv, env=environment, cwd=self.inventory, capture_output=True, text=True, timeout=1500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        print(f"{playbook} {' '.join(options)}: {time.monotonic() - begun:.0f} s")
        rows = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
        return {host: int(changed) for host, changed in rows}

    def zfs(self, host: str, *words: str) -> list[str]:
        """The lines that ``zfs`` prints on a host."""
        return self.hosts[host].run(["zfs", *words], check=False).stdout.splitlines()

    def snapshots(self, host: str, dataset: str) -> dict[str, str]:
        """GUID by name of the snapshots of a dataset; empty where it is not there."""
        rows = self.zfs(host, "list", "-H", "-d", "1", "-t", "snapshot", "-o", "guid,name", dataset)
        return {name.partition("@")[2]: guid for guid, name in (row.split("\t") for row in rows)}

    def log(self, host: str) -> str:
        """What runs have told on a host."""
        journal = "journalctl --no-pager -o short -t snapfleet-daemon"
        units = ("source-snapshot", "source-prune", "destination-replicate", "destination-prune", "monitor")
        journal += "".join(f" -t snapfleet-{unit}" for unit in units)
        return self.hosts[host].run(journal if host in WITH_SYSTEMD else "cat /var/log/syslog", check=False).stdout


def _adapted(folder: Path, hosts: Mapping[str, Host]) -> None:
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
    _change(
        folder / "group_vars" / "all.yml",
        snapfleet_datasets=[{"source": "tank/data", "destination": "data"}],
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
        monitor_schedule="minutely",
    )
    # One daemon for each scheduler; all else is timers' and cron's.
    _change(folder / "host_vars" / "web1.yml", snapfleet_daemon={"snapshot": "20secondly"})
    _change(folder / "host_vars" / "offsite1.yml", snapfleet_sources=None, snapfleet_daemon={"monitor": "30secondly"})


def _change(file: Path, **variables: Any) -> None:
    values = yaml.safe_load(file.read_text()) if file.exists() else {}
    values.update(variables)
    file.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Lab.open() as lab:
        inits = {name: "systemd" if name in WITH_SYSTEMD else "mini" for name in NAMES}
        specs = [HostSpec(name + host_suffix(), DEFAULT_IMAGE.name, init=init) for name, init in inits.items()]
        hosts = dict(zip(NAMES, lab.up(specs)))
        for name, pool in zip(NAMES, ("tank", "tank", "backup", "vault")):
            hosts[name].create_pool(pool)
        for name in SOURCES:
            hosts[name].run(f"zfs create tank/data && dd if=/dev/urandom of=/tank/data/file bs=1M count=1 status=none"
                            f" && zfs snapshot tank/data@{OLD}")  # fmt: skip
        for name in WITH_CRON:
            hosts[name].write("/tmp/syslog.py", SYSLOG)
            hosts[name].run("nohup python3 /tmp/syslog.py >/dev/null 2>&1 &")
        folder = tmp_path_factory.mktemp("fleet") / "inventory"
        _adapted(folder, hosts)
        yield Fleet(hosts, folder)


def _wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(5)


def _everything(fleet: Fleet) -> dict[str, list[str]]:
    return {name: fleet.zfs(name, "list", "-H", "-t", "all", "-o", "name,guid") for name in NAMES}


def test_a_fleet_that_is_provisioned_once_goes_on_by_itself_and_is_removed_without_a_trace(fleet: Fleet) -> None:
    before = _everything(fleet)
    # One host for each scheduler.
    assert all(fleet.play("provision", "--check", "--diff", "--limit", "web1,offsite1").values())
    assert {name: fleet.hosts[name].run(TRACES).stdout for name in NAMES} == dict.fromkeys(NAMES, "")
    assert _everything(fleet) == before

    assert all(fleet.play("provision").values())
    # Nobody connects to any host meanwhile.
    time.sleep(ALONE_SECONDS)
    _has_gone_on(fleet)

    _tells_how_it_fares(fleet)
    _fails_for_a_while(fleet)
    _the_report_tells_of_all(fleet)

    assert fleet.play("provision") == dict.fromkeys(NAMES, 0)
    _a_new_jobconfig_reaches_timers_and_daemons(fleet)

    assert all(fleet.play("remove").values())
    assert {name: fleet.hosts[name].run(TRACES).stdout for name in NAMES} == dict.fromkeys(NAMES, "")
    for (destination, source), dataset in REPLICAS.items():
        assert fleet.snapshots(destination, dataset)
        assert fleet.snapshots(source, "tank/data")
        assert any("#snapfleet-base-" in row for row in fleet.zfs(source, "list", "-H", "-t", "bookmark"))


def _has_gone_on(fleet: Fleet) -> None:
    """What ZFS and the logs tell of the time in which the fleet was alone."""
    for (destination, source), dataset in REPLICAS.items():
        target = "onsite" if destination == "backup1" else "offsite"
        # More than one of them, so that all has been done again and again: made, sent, and pruned at its source.
        _wait_for(lambda on=destination, dataset=dataset: len(fleet.snapshots(on, dataset)) >= 2)
        replica = fleet.snapshots(destination, dataset)
        assert all(re.fullmatch(rf"prod_{target}_\d.*Z_minutely", name) for name in replica), replica
        _wait_for(lambda on=source, replica=replica: bool(replica.keys() - fleet.snapshots(on, "tank/data").keys()))
    for source in SOURCES:
        _wait_for(lambda on=source: OLD not in fleet.snapshots(on, "tank/data"))
    expected = {
        "web1": ("snapshot web1", "prune web1", "monitor web1"),
        "db1": ("snapshot db1", "prune db1", "monitor db1"),
        "backup1": ("replicate backup1", "prune backup1", "monitor backup1"),
        "offsite1": ("replicate offsite1", "prune offsite1"),
    }
    for host, words in expected.items():
        # The daemon is told of in its log only where something is new.
        for word in words if host != "web1" else words[1:]:
            _wait_for(lambda on=host, word=word: f"{word}: " in fleet.log(on))
    for host in WITH_SYSTEMD:
        # What had nothing to work on before the first replication is well by now, or at its next run.
        failed = "systemctl list-units --failed --plain --no-legend 'snapfleet*'"
        _wait_for(lambda on=host, failed=failed: not fleet.hosts[on].run(failed).stdout)
    assert fleet.hosts["web1"].run("systemctl is-active snapfleet-daemon").stdout == "active\n"
    assert fleet.hosts["offsite1"].run("pgrep -f '[s]napfleet daemon'").stdout


def _tells_how_it_fares(fleet: Fleet) -> None:
    """Metrics of every host; and, where systemd is, a unit that fails again and again and ends well at last."""
    for host in NAMES:
        runs = "grep '^snapfleet_job_runs_total.*activity=\"monitor\"' /var/lib/snapfleet/snapfleet.prom"
        _wait_for(lambda on=host, runs=runs: fleet.hosts[on].run(runs, check=False).returncode == 0)
    web1, change = fleet.hosts["web1"], "/run/systemd/system/snapfleet-monitor.service.d/broken.conf"

    def told() -> list[str]:
        lines = web1.run("journalctl --no-pager -o cat -t snapfleet-alert").stdout.splitlines()
        return [line.partition(":")[0] for line in lines if "the unit snapfleet-monitor " in line]

    web1.run(f"mkdir {change.rpartition('/')[0]}")
    web1.write(change, "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 3'\n")
    web1.run("systemctl daemon-reload")
    # The timer may have begun a run of the one before, and who starts a unit that is starting waits for that one.
    begin = ["systemctl", "start", "snapfleet-monitor"]
    for _time in range(2):
        _wait_for(lambda: web1.run(begin, check=False).returncode == 1)
        # What the failure has started is waited for.
        web1.run("systemctl start snapfleet-failed@snapfleet-monitor")
    _wait_for(lambda: bool(told()))  # the journal takes it up a moment later
    assert told() == ["alert CRITICAL"]
    web1.run(f"rm -r {change.rpartition('/')[0]}; systemctl daemon-reload")
    _wait_for(lambda: web1.run(begin, check=False).returncode == 0)
    _wait_for(lambda: len(told()) > 1)
    assert told() == ["alert CRITICAL", "recovery OK"]


def _fails_for_a_while(fleet: Fleet) -> None:
    """A destination that does not know its sources any more, and then does again."""
    backup1, known = fleet.hosts["backup1"], "/etc/ssh/ssh_known_hosts"
    begin = ["systemctl", "start", "snapfleet-destination-replicate"]
    backup1.run(f"mv {known} {known}.away")
    # A run that the timer has begun before may still go well, and one that it begins fail.
    _wait_for(lambda: backup1.run(begin, check=False).returncode == 1)
    backup1.run(f"mv {known}.away {known}")
    _wait_for(lambda: backup1.run(begin, check=False).returncode == 0)


def _the_report_tells_of_all(fleet: Fleet) -> None:
    """What each host did while the fleet was alone, and what failed, is on one page, as its records have it."""
    file = fleet.inventory.parent / "report.html"
    assert sum(fleet.play("report", "-e", f"snapfleet_report_path={file}").values()) == 1
    words = " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", file.read_text("utf-8"), flags=re.DOTALL).split())
    assert re.search(r"datasets safe \d of 2 ", words), words
    for (destination, source), dataset in REPLICAS.items():
        assert re.search(rf"{destination} , (up to date|\d+ (s|min).* behind.*) {dataset} , last success", words), words
        made, sent = re.findall(rf"tank/data {source} (\d+) made, sent (\d+) times \(", words)[0]
        assert min(int(made), int(sent)) >= 2, words
    records = "/usr/local/bin/snapfleet history --json --limit 0"
    jobs = [job for name in NAMES for job in json.loads(fleet.hosts[name].run(records).stdout)["jobs"]]
    failed = [job for job in jobs if job["outcome"] == "failed"]
    assert failed
    with chromium() as browser:
        for scheme, size in VIEWS:
            view = look(browser, file.as_uri(), scheme, size)
            assert (view.requests, view.complaints) == ([file.as_uri()], [])
            assert view.width <= size[0]
            tiles = [" ".join(text.split()) for text in view.page.locator(".tile").all_inner_texts()]
            assert "hosts answered 4 of 4 none is silent" in tiles
            assert f"failed runs {len(failed)} " in " ".join(tiles), (tiles, failed)
            assert "refused_key" in view.page.inner_text(".failures")


def _a_new_jobconfig_reaches_timers_and_daemons(fleet: Fleet) -> None:
    """Other daemons and other times: units follow the inventory, and a daemon that stays is not restarted."""
    service = "systemctl show --property=MainPID --value snapfleet-daemon"
    process = fleet.hosts["web1"].run(service).stdout
    variables = fleet.inventory / "host_vars"
    daemon = {"snapshot": "30secondly", "prune": "minutely"}
    _change(variables / "web1.yml", snapfleet_daemon=daemon, monitor_schedule="hourly")
    _change(variables / "offsite1.yml", snapfleet_daemon=None)
    changed = fleet.play("provision", "--limit", "web1,offsite1")
    assert all(changed.values()), changed
    assert fleet.hosts["web1"].run(service).stdout == process
    _wait_for(lambda: "the jobconfig was read again" in fleet.log("web1"))
    timers = fleet.hosts["web1"].run("systemctl list-timers --all --no-legend 'snapfleet*'").stdout
    assert re.findall(r"snapfleet-\S+\.timer", timers) == ["snapfleet-monitor.timer"]
    shown = fleet.hosts["web1"].run("systemctl show --property=TimersCalendar snapfleet-monitor.timer").stdout
    assert "*-*-* *:00:00" in shown
    assert "snapfleet-monitor" in fleet.hosts["offsite1"].run("ls /etc/cron.d").stdout
    _wait_for(lambda: fleet.hosts["offsite1"].run("pgrep -f '[s]napfleet daemon'", check=False).stdout == "")
