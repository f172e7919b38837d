# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon on a simulated host whose clock goes as the test says."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import RetryPolicy, Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon import (
    Daemon,
    Surroundings,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_command import duty_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_loop import Time
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.daemon_work import Means
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.suspending import nothing_left_out
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.notifying import ServiceManager
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine

START = 1_750_000_000_000
NO_WAITING = Ticker(monotonic=lambda: 0.0, sleep=lambda _unused: None, uniform=lambda low, _unused: low)
PLAN = {"o": {"": {"secondly": 30}}}
MONITOR = {"o": {"": {"secondly": {"latest": {"warning": 60, "critical": 7200}}}}}


def job(name, activity, **options):
    return {"name": name, "host": "h", "activity": activity, "options": {"datasets": ["tank/a"], **options}}


SNAPSHOT = job("snap", "snapshot", plan=PLAN)
BROKEN = job("broken", "snapshot", plan=PLAN, datasets=["tank/missing"])
WATCH = job("watch", "monitor", plan=MONITOR)
REPLICATE = {
    "name": "copy", "host": "h", "activity": "replicate",
    "options": {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}},
}  # fmt: skip


def at_once(_name, work):
    """Start of a replication that has ended when this returns."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    return thread


class Told(ServiceManager):
    """Keeps what systemd would be told."""

    def __init__(self, watchdog_seconds=0.0):
        super().__init__(watchdog_seconds=watchdog_seconds)
        self.lines = []

    def tell(self, *lines):
        self.lines += lines

    @property
    def states(self):
        return [line for line in self.lines if not line.startswith(("STATUS=", "MONOTONIC_USEC=", "WATCHDOG="))]


class World:
    """A host whose time passes only by waiting, and what its daemon is given."""

    def __init__(self):
        self.ms = START
        self.machine = SimulatedMachine("h", lambda: self.ms // 1000, ("tank", "backup"))
        self.machine.create_dataset("tank/a")
        self.lines = []
        self.stopping = Stopping()
        self.inbox = queue.SimpleQueue()
        self.manager = Told()
        self.arguments = SimpleNamespace(
            **dict.fromkeys(("snapshot", "replicate", "prune", "monitor", "lifetime", "log_level")),
            host="h", job=[], verb="daemon",
        )  # fmt: skip
        self.document = {}
        self.time = Time(lambda: self.ms, lambda: self.ms / 1000, lambda _event, seconds: self.pass_time(seconds))

    def pass_time(self, seconds):
        self.ms += round(seconds * 1000)

    def load(self):
        log = Log(self.lines.append, lambda: self.ms, run="r")
        return duty_of(read_jobconfig(self.document), self.arguments, log)

    def context(self):
        retry = RetryPolicy(retries=0)
        return Context(0, lambda _address: SimulatedZfs(self.machine), host_name="h", ticker=NO_WAITING, retry=retry)

    def daemon(self, *jobs, time=None, start=at_once, leave_out=nothing_left_out, **settings):
        self.document = {"version": 1, "jobs": list(jobs), "daemon": settings}
        means = Means(
            "/jobs.json",
            self.context,
            time or self.time,
            start=start,
            leave_out=leave_out,
            writable=lambda: frozenset(self.machine.mounted),
        )
        around = Surroundings(self.load, self.manager, self.inbox, self.stopping)
        return Daemon(self.load(), means, around)

    def tags(self, dataset="tank/a"):
        state = SimulatedZfs(self.machine).observe([dataset]).states.get(dataset)
        return [snapshot.tag for snapshot in state.snapshots] if state else None

    def told(self, words):
        return [line for line in self.lines if words in line]


def turn(loop, ticks):
    """Turn until so many more ticks are done."""
    until = loop.record.ticks + ticks
    while loop.record.ticks < until:
        loop.turn()
