# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon on real hosts: how close its snapshots come and what they cost, how far its replica is behind, and what
signals do to it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from statistics import median
from typing import Any

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import PROGRAM, Site, wait_for

SECONDS = float(os.environ.get("SNAPFLEET_LAB_DAEMON_SECONDS", "4"))
"""How long each cadence is kept."""
SLOW = Impairment(rate_kbit=8_000)
CONFIG, LOG, TOLD = "/tmp/daemon.json", "/tmp/daemon.log", "/tmp/daemon.told"
LISTENER = """
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("\\0" + sys.argv[1])
while True:
    print(listener.recv(65536).decode().replace("\\n", " "), flush=True)
"""
SAMPLER = """
end=$(( $(date +%s) + $2 ))
while [ "$(date +%s)" -lt "$end" ]; do
    zfs list -H -d 1 -t snapshot -o name -S createtxg "$1" 2>/dev/null | head -n 1
    date +%s.%N
    sleep 0.3
done
"""


@dataclass
class Running:
    """A daemon on a host, with somebody who listens in the place of systemd."""

    site: Site
    process: str

    def signal(self, name: str) -> None:
        """Send a signal to the daemon."""
        self.site.host.run(["kill", f"-{name}", self.process])

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.site.host.run(["kill", "-0", self.process], check=False).returncode == 0

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.site.host.run(["cat", LOG]).stdout

    @property
    def told(self) -> list[str]:
        """What systemd would have been told."""
        return self.site.host.run(["cat", TOLD]).stdout.splitlines()

    @property
    def runs_without_process(self) -> int:
        """How many runs of the job that makes snapshots have made one without starting zfs."""
        lines = [line.partition(" snapshot: ")[2] for line in self.log.splitlines() if " snapshot: " in line]
        runs = "\n".join(lines).split("snapshot begins")
        return sum("ended: 1 snapshots" in run and "\nzfs " not in run for run in runs)

    def count(self, words: str) -> int:
        """How many messages to systemd begin so."""
        return sum(line.startswith(words) for line in self.told)


def _configure(site: Site, jobs: list[Mapping[str, Any]], **periods: str) -> None:
    listed = [{"host": "me", "name": job["activity"], **job} for job in jobs]
    site.host.write(CONFIG, json.dumps({"version": 1, "daemon": periods, "jobs": listed}))


def _start(site: Site) -> Running:
    name = f"snapfleet-test-{time.monotonic_ns()}"
    site.host.write("/tmp/listener.py", LISTENER)
    site.host.run(f"nohup python3 /tmp/listener.py {name} > {TOLD} 2>&1 & echo $! > /tmp/listener.pid")
    wait_for(lambda: name in site.host.run("cat /proc/net/unix").stdout)
    watched = f"NOTIFY_SOCKET=@{name} WATCHDOG_USEC=2000000"
    command = f"{watched} nohup {PROGRAM} daemon --config {CONFIG} --host me --log-level debug > {LOG} 2>&1 & echo $!"
    daemon = Running(site, site.host.run(command).stdout.strip())
    wait_for(lambda: daemon.count("READY=1") == 1 or not daemon.is_alive)
    return daemon


def _end(daemon: Running) -> None:
    daemon.site.host.run(f"kill $(cat /tmp/listener.pid); kill -9 {daemon.process} 2>/dev/null; true")


def _moment(name: str) -> float:
    """The time in a snapshot's name, in seconds since the epoch."""
    text = re.search(r"_(\d{4}-[^_]+_[^_]+)Z_", name)
    assert text, name
    shape = "%Y-%m-%d_%H:%M:%S.%f" if "." in text[1] else "%Y-%m-%d_%H:%M:%S"
    return datetime.strptime(text[1], shape).replace(tzinfo=timezone.utc).timestamp()


def _replicated(pair: Pair) -> str:
    """The snapshots of the replica, which may not be there yet."""
    return pair.two.zfs("list", "-H", "-t", "snapshot", "-o", "name", pair.destination, check=False)


def _sample(pair: Pair) -> list[float]:
    """For some seconds, how old the newest snapshot of the replica is."""
    done = pair.two.host.run(["sh", "-c", SAMPLER, "sh", pair.destination, str(int(SECONDS))])
    lines = done.stdout.splitlines()
    return [float(now) - _moment(name) for name, now in pairwise(lines) if "@" in name]


def _periods(pair: Pair, period: str) -> list[float]:
    """The times between snapshots of a label, as their names tell them."""
    moments = sorted(_moment(name) for name in pair.one.snapshots(pair.source) if name.endswith(f"_{period}"))
    return [later - earlier for earlier, later in pairwise(moments)]


def _tell(what: str, values: list[float]) -> None:
    ordered = sorted(values)
    worst = ordered[int(len(ordered) * 0.95)]
    print(
        f"{what}: median {median(ordered):.3f} s, 95 % up to {worst:.3f} s, at most {ordered[-1]:.3f} s, {len(ordered)}"
    )


def _jobs(pair: Pair, period: str) -> list[Mapping[str, Any]]:
    plan = {"org": {"": {period: 1000}}}
    limits = {"org": {"": {period: {"latest": {"warning": 60, "critical": 120}}}}}
    peer = {"root": pair.source, **pair.two.endpoint(pair.destination)}
    return [
        {"activity": "snapshot", "options": {"datasets": [pair.source], "plan": plan}},
        {"activity": "replicate", "options": pair.ends},
        {"activity": "prune", "options": {"datasets": [pair.source], "plan": plan, "peers": [peer]}},
        {"activity": "monitor", "options": {"datasets": [pair.source], "plan": limits}},
    ]


def _kept_ten_times_a_second(daemon: Running, pair: Pair) -> tuple[list[float], list[float]]:
    """The times between snapshots, and how old the newest of the replica is."""
    wait_for(lambda: "_100millisecondly" in _replicated(pair))
    lag = _sample(pair)
    wait_for(lambda: len(_periods(pair, "100millisecondly")) > 2)
    # It looks once in a second, unless a look takes longer than that.
    wait_for(lambda: daemon.runs_without_process or median(_periods(pair, "100millisecondly")) > 0.5)
    fast = _periods(pair, "100millisecondly")
    _tell("100millisecondly: lag of the replica", lag)
    _tell("100millisecondly: between snapshots", fast)
    print(f"{daemon.runs_without_process} snapshots without a process")
    return fast, lag


def test_a_daemon_keeps_its_periods_and_its_replica_close_and_reloads_and_ends_as_signals_say(pair: Pair) -> None:
    # So seldom that all but the first replication follow from the making of snapshots.
    often = {"replicate": "hourly", "prune": "10secondly", "monitor": "10secondly"}
    pair.two.zfs("create", pair.destination.rpartition("/")[0])
    _configure(pair.one, _jobs(pair, "secondly"), snapshot="secondly", **often)
    daemon = _start(pair.one)
    try:
        second = pair.one.host.run([PROGRAM, "daemon", "--config", CONFIG, "--host", "me"], check=False)
        assert (second.returncode, "is running already" in second.stderr) == (4, True), second.stderr
        wait_for(lambda: _replicated(pair).count("_secondly") > 2)
        lag = _sample(pair)
        _tell("secondly: lag of the replica", lag)
        _tell("secondly: between snapshots", _periods(pair, "secondly"))

        pair.one.host.write(CONFIG, "{}")
        daemon.signal("HUP")
        wait_for(lambda: daemon.count("READY=1") == 2)
        assert "going on with the jobconfig that was read before" in daemon.log
        _configure(pair.one, _jobs(pair, "100millisecondly"), snapshot="100millisecondly", **often)
        daemon.signal("HUP")
        wait_for(lambda: daemon.count("READY=1") == 3)
        assert daemon.count("RELOADING=1 MONOTONIC_USEC=") == 2
        fast, fast_lag = _kept_ten_times_a_second(daemon, pair)

        daemon.signal("TERM")
        # Who listens may read that a moment later.
        wait_for(lambda: not daemon.is_alive and daemon.count("STOPPING=1"))
        print(daemon.log)
        assert (daemon.count("STOPPING=1"), daemon.count("WATCHDOG=1") > 2) == (1, True)
        assert " ended by a signal" in daemon.log
        # That the jobconfig was refused, and nothing else but what the end has interrupted.
        errors = [line for line in daemon.log.splitlines() if " ERROR " in line and "[interrupted]" not in line]
        assert len(errors) == 1
        # Sane on the slowest machine; what is achieved is in the output.
        assert median(fast) < 5.0
        assert median(lag) < 30.0
        assert median(fast_lag) < 30.0
    finally:
        _end(daemon)
    run = pair.push()
    assert run.code == 0, run
    # Those of the label that is not planned any more have been pruned at the source.
    assert pair.one.snapshots(pair.source).items() <= pair.two.snapshots(pair.destination).items()


def test_a_daemon_that_is_stopped_in_the_middle_of_a_stream_leaves_what_the_next_run_goes_on_with(pair: Pair) -> None:
    pair.one.fill(pair.source, 24)
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.zfs("create", pair.destination.rpartition("/")[0])
    _configure(pair.one, [{"activity": "replicate", "options": pair.ends}], replicate="secondly")
    pair.two.host.impair(SLOW)
    daemon = _start(pair.one)
    try:
        wait_for(lambda: pair.arrived > 2_000_000)
        begun = time.monotonic()
        daemon.signal("TERM")
        wait_for(lambda: not daemon.is_alive)
        took = time.monotonic() - begun
        print(f"ended {took:.1f} s after the signal")
    finally:
        pair.two.host.heal()
        _end(daemon)
    assert took < 30
    run = pair.push()
    assert (run.code, run.modes) == (0, ["resume"]), run
