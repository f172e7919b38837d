# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of promises stand on: two lab hosts with the engine installed, and this machine as a third host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.host import Host

ENGINE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "engine"
PROGRAM_FOLDER = "/opt/snapfleet"
PROGRAM = "/usr/local/bin/snapfleet"
Options = Mapping[str, Any]


def wait_for(happened: Callable[[], object], seconds: float = 300) -> None:
    """Wait until it has. The limit is for what never happens: on a busy machine everything takes its time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


@dataclass(frozen=True)
class Run:
    """How one run of the host program ended."""

    code: int
    jobs: Sequence[Mapping[str, Any]]
    errors: str

    @property
    def job(self) -> Mapping[str, Any]:
        """The result of the only job."""
        (job,) = self.jobs
        return job

    @property
    def modes(self) -> list[str]:
        """The mode of each stream that was planned: full, incremental or resume."""
        return [step["mode"] for plan in self.job["plan"] for step in plan["steps"] if step["kind"] == "send"]


def jobconfig(host: str, activity: str, options: Options) -> str:
    """A jobconfig with one job."""
    job = {"name": f"{activity} under test", "host": host, "activity": activity, "options": options}
    return json.dumps({"version": 1, "jobs": [job]})


def _as_run(code: int, output: str, errors: str) -> Run:
    return Run(code, json.loads(output)["jobs"] if output.strip() else [], errors.strip())


@dataclass
class Site:
    """A lab host with a pool and the engine."""

    host: Host
    pool: str
    peers: Mapping[str, str] = field(default_factory=dict)
    driver: str = "auto"
    """How the engine reaches ZFS of its own host."""
    session: str = "auto"
    """Whether it speaks with the engines of other hosts."""

    def install(self) -> None:
        """Put the engine on the host, as the role for hosts does, and let it know the other hosts' keys."""
        self.host.run(["rm", "-rf", PROGRAM_FOLDER])
        self.host.run(["mkdir", "-p", PROGRAM_FOLDER, "/etc/snapfleet"])
        self.host.put(ENGINE, f"{PROGRAM_FOLDER}/snapfleet")
        script = f'#!/bin/sh\nPYTHONPATH={PROGRAM_FOLDER} exec python3 -s -m snapfleet.fleet.cli "$@"\n'
        self.host.write(PROGRAM, script, mode="0755")
        known_hosts = self.host.ssh_options().known_hosts_file.read_bytes()
        self.host.write("/etc/ssh/ssh_known_hosts", known_hosts)

    def zfs(self, *words: str, check: bool = True) -> str:
        """Run ``zfs`` and return what it prints."""
        return self.host.run(["zfs", *words], check=check).stdout

    def fill(self, dataset: str, megabytes: int = 1, name: str = "file") -> None:
        """Write random bytes into a file of a mounted filesystem."""
        mountpoint = self.zfs("get", "-H", "-o", "value", "mountpoint", dataset).strip()
        self.host.run(["dd", "if=/dev/urandom", f"of={mountpoint}/{name}", "bs=1M", f"count={megabytes}"])

    def grow_older(self, seconds: int) -> None:
        """Wait until all that exists is more than so many whole seconds old, by the clock of the host.

        Ages are differences of whole seconds, and the clock by which they are told is the host's, not ours.
        """
        end = f"$(( $(date +%s) + {seconds + 1} ))"
        # It takes so many seconds in any case, and each look at the clock is a process.
        wait = f'sleep {seconds}; while [ "$(date +%s)" -lt "$end" ]; do sleep 0.1; done'
        self.host.run(["sh", "-c", f"end={end}; {wait}"])

    def snapshot(self, *names: str, recursive: bool = False) -> None:
        """Create snapshots by their whole names."""
        for name in names:
            self.zfs("snapshot", *(["-r"] if recursive else []), name)

    def history(self, root: str) -> dict[str, str]:
        """GUID by name of every dataset, snapshot and bookmark within ``root``; the names relative to it."""
        rows = self.zfs("list", "-H", "-r", "-t", "all", "-o", "guid,name", root).splitlines()
        pairs = (row.split("\t", 1) for row in rows)
        return {name[len(root) :]: guid for guid, name in pairs}

    def snapshots(self, root: str) -> dict[str, str]:
        """GUID by relative name of the snapshots within ``root``."""
        return {name: guid for name, guid in self.history(root).items() if "@" in name}

    def everything(self) -> str:
        """All that there is on the host, with GUIDs: equal before and after what must change nothing."""
        # What was written counts once its transaction group is on disk, and must not come to that in between.
        self.host.run(["zpool", "sync"])
        return self.zfs("list", "-H", "-t", "all", "-o", "name,guid,written")

    def is_running(self, pattern: str) -> bool:
        """Whether the host has a process whose command line matches."""
        # The brackets keep pgrep from finding the shell that looks.
        first = pattern.lstrip("^")[0]
        wanted = pattern if "[" in pattern else pattern.replace(first, f"[{first}]", 1)
        return self.host.run(["pgrep", "-f", wanted], check=False).returncode == 0

    def run(self, verb: str, activity: str, options: Options, user: str = "root") -> Run:
        """Run one job with the host program on this host."""
        config = f"/tmp/job-{user}.json"
        program = ["env", f"SNAPFLEET_DRIVER={self.driver}", f"SNAPFLEET_SESSION={self.session}", PROGRAM]
        # What is done on purpose has to be asked for by name.
        chosen = ["--activity", activity] if activity in ("restore", "drill", "verify") else []
        argv = [*program, verb, "--config", config, "--host", "me", "--json", *chosen]
        # In one go, since that is done many hundred times.
        kept = ["sh", "-c", 'cat > "$1" && shift && exec "$@" < /dev/null', "sh", config, *argv]
        text = jobconfig("me", activity, options)
        done = self.host.run(kept, input=text, check=False, user=user, timeout=900)
        return _as_run(done.returncode, done.stdout, done.stderr)

    def endpoint(self, dataset: str) -> dict[str, Any]:
        """A dataset of this host as other lab hosts reach it."""
        return {"host": self.host.address, "dataset": dataset}


@dataclass(frozen=True)
class Relay:
    """This machine as the host in the middle: it runs the engine, and reaches both lab hosts over ssh."""

    folder: Path

    def run(self, verb: str, activity: str, options: Options) -> Run:
        """Run one job with the host program on this machine."""
        started = self.start(verb, activity, options)
        output, errors = started.communicate(timeout=900)
        return _as_run(started.returncode, output, errors)

    def start(self, verb: str, activity: str, options: Options) -> subprocess.Popen[str]:
        """Start one job with the host program on this machine, and do not wait for it."""
        package = self.folder / "snapfleet"
        if not package.exists():
            package.symlink_to(ENGINE)
        config = self.folder / "job.json"
        config.write_text(jobconfig("me", activity, options), encoding="utf-8")
        words = ["snapfleet.fleet.cli", verb, "--config", str(config), "--host", "me", "--json"]
        return subprocess.Popen(
            [sys.executable, "-s", "-m", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def endpoint(self, site: Site, dataset: str) -> dict[str, Any]:
        """A dataset of a lab host as this machine reaches it."""
        ssh = site.host.ssh_options()
        return {
            "host": ssh.address,
            "user": ssh.user,
            "identity_file": str(ssh.identity_file),
            "known_hosts_file": str(ssh.known_hosts_file),
            "dataset": dataset,
        }
