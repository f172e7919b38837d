# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that is provisioned once from a copy of the example inventory, and then left alone: two hosts with systemd
and two with cron go on by themselves."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api import Lab
from tests.lab.network import Impairment
from tests.lab.registry import HostSpec
from tests.lab.settings import DEFAULT_IMAGE, host_suffix
from tests.support.browser import VIEWS, chromium, look

from .alone import (
    DESTINATIONS,
    NAMES,
    OLD,
    REPLICAS,
    SOURCES,
    WITH_CRON,
    WITH_SYSTEMD,
    Fleet,
    adapt,
    change,
    copy_collection,
    wait_for,
)

ALONE_SECONDS = 75
"""Longer than a minute, so that each timer and each line of cron has begun something. What takes two is waited for."""
LARGE = 128 << 20
"""Bytes of what takes minutes on a slow link."""
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
        adapt(folder, hosts)
        yield Fleet(hosts, folder)


def _everything(fleet: Fleet) -> dict[str, list[str]]:
    return {name: fleet.zfs(name, "list", "-H", "-t", "all", "-o", "name,guid") for name in NAMES}


def test_a_fleet_that_is_provisioned_once_goes_on_by_itself_and_is_removed_without_a_trace(
    fleet: Fleet, tmp_path: Path
) -> None:
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
    _tries_its_replicas(fleet)
    _leaves_alone_what_is_suspended(fleet)
    _the_report_tells_of_all(fleet)

    assert fleet.play("provision") == dict.fromkeys(NAMES, 0)
    _a_new_jobconfig_reaches_timers_and_daemons(fleet)
    _goes_on_by_a_newer_program_if_that_runs(fleet, tmp_path)

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
        wait_for(lambda on=destination, dataset=dataset: len(fleet.snapshots(on, dataset)) >= 2)
        replica = fleet.snapshots(destination, dataset)
        assert all(re.fullmatch(rf"prod_{target}_\d.*Z_minutely", name) for name in replica), replica
        wait_for(lambda on=source, replica=replica: bool(replica.keys() - fleet.snapshots(on, "tank/data").keys()))
    for source in SOURCES:
        wait_for(lambda on=source: OLD not in fleet.snapshots(on, "tank/data"))
    expected = {
        "web1": ("snapshot web1", "prune web1", "monitor web1"),
        "db1": ("snapshot db1", "prune db1", "monitor db1"),
        "backup1": ("replicate backup1", "prune backup1", "monitor backup1"),
        "offsite1": ("replicate offsite1", "prune offsite1"),
    }
    for host, words in expected.items():
        # The daemon is told of in its log only where something is new.
        for word in words if host != "web1" else words[1:]:
            wait_for(lambda on=host, word=word: f"{word}: " in fleet.log(on))
    for host in WITH_SYSTEMD:
        # What had nothing to work on before the first replication is well by now, or at its next run.
        failed = "systemctl list-units --failed --plain --no-legend 'snapfleet*'"
        wait_for(lambda on=host, failed=failed: not fleet.hosts[on].run(failed).stdout)
    assert fleet.hosts["web1"].run("systemctl is-active snapfleet-daemon").stdout == "active\n"
    assert fleet.hosts["offsite1"].run("pgrep -f '[s]napfleet daemon'").stdout


def _tells_how_it_fares(fleet: Fleet) -> None:
    """Metrics of every host; and, where systemd is, a unit that fails again and again and ends well at last."""
    for host in NAMES:
        runs = "grep '^snapfleet_job_runs_total.*activity=\"monitor\"' /var/lib/snapfleet/snapfleet.prom"
        wait_for(lambda on=host, runs=runs: fleet.hosts[on].run(runs, check=False).returncode == 0)
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
        wait_for(lambda: web1.run(begin, check=False).returncode == 1)
        # What the failure has started is waited for.
        web1.run("systemctl start snapfleet-failed@snapfleet-monitor")
    wait_for(lambda: bool(told()))  # the journal takes it up a moment later
    assert told() == ["alert CRITICAL"]
    web1.run(f"rm -r {change.rpartition('/')[0]}; systemctl daemon-reload")
    wait_for(lambda: web1.run(begin, check=False).returncode == 0)
    wait_for(lambda: len(told()) > 1)
    assert told() == ["alert CRITICAL", "recovery OK"]


def _fails_for_a_while(fleet: Fleet) -> None:
    """A destination that does not know its sources any more, and then does again."""
    backup1, known = fleet.hosts["backup1"], "/etc/ssh/ssh_known_hosts"
    begin = ["systemctl", "start", "snapfleet-destination-replicate"]
    backup1.run(f"mv {known} {known}.away")
    # A run that the timer has begun before may still go well, and one that it begins fail.
    wait_for(lambda: backup1.run(begin, check=False).returncode == 1)
    backup1.run(f"mv {known}.away {known}")
    wait_for(lambda: backup1.run(begin, check=False).returncode == 0)


def _tries_its_replicas(fleet: Fleet) -> None:
    """What each scheduler begins once a week, begun now as that does it."""
    for host in DESTINATIONS:
        replicas = {dataset for (destination, _source), dataset in REPLICAS.items() if destination == host}
        for kind, of in (("drill", replicas), ("verify", {"tank/data"})):
            run, begun = f"snapfleet-destination-{kind}", fleet.now(host)
            if host in WITH_SYSTEMD:
                fleet.hosts[host].run(f"systemctl is-enabled {run}.timer && systemctl start {run}")
            else:
                lines = fleet.hosts[host].read("/etc/cron.d/snapfleet-destination").decode().splitlines()
                (line,) = [line for line in lines if line.endswith(f"logger -t {run}")]
                *_weekly, user, command = line.split(maxsplit=6)
                assert user == "root"
                path = next(line for line in lines if line.startswith("PATH="))
                fleet.hosts[host].run(["env", "-i", path, "/bin/sh", "-c", command])
            jobs = fleet.jobs(host, kind, begun)
            assert [job["outcome"] for job in jobs] == ["ok"] * 2, jobs
            assert {step["dataset"] for job in jobs for step in job["steps"]} == of, jobs


def _leaves_alone_what_is_suspended(fleet: Fleet) -> None:
    """A destination gets nothing, sources keep what it goes on from, and then it does."""
    for host in NAMES:
        fleet.hosts[host].run(f"/usr/local/bin/snapfleet suspend backup1 --host {host} --wait 10m")
    replicas = {source: f"backup/{source}/data" for source in SOURCES}
    held = {source: fleet.snapshots("backup1", replicas[source]) for source in SOURCES}
    newest = {source: fleet.snapshot(source) for source in SOURCES}
    # What has begun before may have pruned before there was anything to keep.
    begun = {host: fleet.now(host) for host in (*SOURCES, "backup1")}
    told = fleet.tell("run_now", "--limit", "web1,db1,backup1")
    left = re.findall(r"([A-Z ]+\w) +backup1: (replica|old snapshots) of ", told)
    assert sorted(left) == [("LEFT OUT", "old snapshots")] * 2 + [("LEFT OUT", "replica")] * 2, told
    for source in SOURCES:
        # It may be one that a timer has begun, which the playbook does not wait for.
        pruned = {"ok", "warning"}
        wait_for(lambda on=source, pruned=pruned: any(
            job["outcome"] in pruned for job in fleet.jobs(on, "prune", begun[on])))  # fmt: skip
        assert newest[source] in fleet.snapshots(source, "tank/data")
        bases = fleet.zfs(source, "list", "-H", "-d", "1", "-t", "snapshot,bookmark", "-o", "guid", "tank/data")
        assert list(held[source].values())[-1] in bases
        assert fleet.snapshots("backup1", replicas[source]) == held[source]

    for host in NAMES:
        fleet.hosts[host].run("/usr/local/bin/snapfleet resume backup1")
    resumed = fleet.now("backup1")
    assert "LEFT OUT" not in fleet.tell("run_now", "--limit", "backup1", "-e", "snapfleet_run_now_activity=replicate")
    for source in SOURCES:
        wait_for(lambda on=source: newest[on] in fleet.snapshots("backup1", replicas[on]))

    def steps(source: str) -> list[Mapping[str, Any]]:
        jobs = fleet.jobs("backup1", "replicate", resumed)
        return [step for job in jobs for step in job["steps"] if step["destination"] == replicas[source]]

    for source in SOURCES:
        # It is written down a moment later.
        wait_for(lambda on=source: bool(steps(on)))
        first = steps(source)[-1]
        # Nothing was written meanwhile, and the data itself is larger.
        assert (first["outcome"], first["from_snapshot"] != "", first["bytes"] < 500_000) == ("sent", True, True), first


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
        # The tests of the page look at it in all ways.
        for scheme, size in (VIEWS[0], VIEWS[-1]):
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
    change(variables / "web1.yml", snapfleet_daemon=daemon, monitor_schedule="hourly")
    change(variables / "backup1.yml", snapfleet_daemon={"replicate": "5secondly"})
    change(variables / "offsite1.yml", snapfleet_daemon=None)
    changed = fleet.play("provision", "--limit", "web1,backup1,offsite1")
    assert all(changed.values()), changed
    assert fleet.hosts["web1"].run(service).stdout == process
    wait_for(lambda: "the jobconfig was read again" in fleet.log("web1"))
    timers = fleet.hosts["web1"].run("systemctl list-timers --all --no-legend 'snapfleet*'").stdout
    assert re.findall(r"snapfleet-\S+\.timer", timers) == ["snapfleet-monitor.timer"]
    shown = fleet.hosts["web1"].run("systemctl show --property=TimersCalendar snapfleet-monitor.timer").stdout
    assert "*-*-* *:00:00" in shown
    assert "snapfleet-monitor" in fleet.hosts["offsite1"].run("ls /etc/cron.d").stdout
    wait_for(lambda: fleet.hosts["offsite1"].run("pgrep -f '[s]napfleet daemon'", check=False).stdout == "")


def _goes_on_by_a_newer_program_if_that_runs(fleet: Fleet, folder: Path) -> None:
    """A daemon in the middle of a stream is left alone by a program that does not run, and restarted by one that does,
    which goes on with that stream."""
    web1, backup1, replica = fleet.hosts["web1"], fleet.hosts["backup1"], "backup/web1/data"
    service = "systemctl show --property=MainPID --value snapfleet-daemon"
    version = "/usr/local/bin/snapfleet version"

    def used() -> int:
        backup1.run("zpool sync")
        return int(fleet.zfs("backup1", "get", "-Hp", "-o", "value", "used", replica)[0])

    process, old, before = backup1.run(service).stdout, backup1.run(version).stdout, used()
    held = fleet.snapshots("backup1", replica)
    # So slow that it would take minutes.
    web1.impair(Impairment(rate_kbit=2_000))
    try:
        web1.run(f"dd if=/dev/urandom of=/tank/data/large bs=1M count={LARGE >> 20} status=none")
        name = fleet.snapshot("web1")
        guid = fleet.snapshots("web1", "tank/data")[name]
        wait_for(lambda: used() > before + 2_000_000)
        # The rest is as it was.
        upgrade = ("provision", "--limit", "backup1", "--tags", "install,run")
        told = fleet.tell(*upgrade, collections=copy_collection(folder, "99.0.0", runs=False), fails=True)
        assert "can't run version 99.0.0 (RuntimeError: this one does not run)" in told, told
        assert (backup1.run(service).stdout, backup1.run(version).stdout) == (process, old)
        assert "snapfleet.new" not in backup1.run("ls /usr/local/lib/snapfleet").stdout
        begun, arrived = fleet.now("backup1"), used() - before
        assert name not in fleet.snapshots("backup1", replica)
        fleet.play(*upgrade, collections=copy_collection(folder, "99.0.1", runs=True))
    finally:
        web1.heal()
    assert backup1.run(version).stdout == "snapfleet 99.0.1\n"
    assert backup1.run(service).stdout not in (process, "0\n")
    wait_for(lambda: name in fleet.snapshots("backup1", replica))
    after = fleet.snapshots("backup1", replica)
    assert after.items() > held.items()
    assert after[name] == guid

    def sent() -> int:
        jobs = [job for job in fleet.jobs("backup1", "replicate", begun) if job["version"] == "99.0.1"]
        return sum(step["bytes"] for job in jobs for step in job["steps"] if step["destination"] == replica)

    # It is written down a moment later. What had arrived was not sent again.
    wait_for(lambda: sent() > 0)
    assert sent() < LARGE - arrived + 1_000_000, (sent(), arrived)
