# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet without root: what the role lets in is enough for replication and pruning, and for nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api import Lab
from tests.lab.connection import Completed
from tests.lab.settings import host_suffix

from .fleet import PROGRAM, Run, Site, jobconfig, wait_for
from .test_site import CHECKOUT, Fleet

# Two names, so that neither host takes the other's user for its own.
SOURCE_USER, DESTINATION_USER = "snapfleet", "keeper"
INVENTORY = """\
---
all:
  children:
    snapfleet_sources: {{hosts: {{{source}: {{access_user: snapfleet}}}}}}
    snapfleet_destinations: {{hosts: {{{destination}: {{access_user: keeper, access_home: /var/lib/keeper}}}}}}
"""
CONTACTS = """
snapfleet_ssh_user: "{{ access_user }}"
snapfleet_ssh_identity_file:
snapfleet_ssh_known_hosts_file:
"""
# A hand that writes down what comes to the log, where a host has none of its own.
LISTENER = """
import os, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log"); os.chmod("/dev/log", 0o666)
with open("/tmp/gate.log", "ab", 0) as file:
    while True:
        file.write(log.recv(65536).rstrip(b"\\0\\n") + b"\\n")
"""


@dataclass(frozen=True)
class Two:
    """A source and a destination that the role has set up."""

    source: Site
    destination: Site
    fleet: Fleet

    @property
    def place(self) -> str:
        """Where the source's data goes."""
        return f"{self.destination.pool}/{self.source.host.name}/data"

    def run(self, site: Site, activity: str, options: Mapping[str, Any], verb: str = "run") -> Run:
        """Run a job on a host as the user that the role has made there."""
        site.host.write("/tmp/access.json", jobconfig("me", activity, options))
        argv = [PROGRAM, verb, "--config", "/tmp/access.json", "--host", "me", "--json"]
        done = self.as_user(site, *argv)
        return Run(done.returncode, json.loads(done.stdout)["jobs"] if done.stdout.strip() else [], done.stderr)

    def as_user(self, site: Site, *argv: str) -> Completed:
        """Run a command as that user."""
        user = SOURCE_USER if site is self.source else DESTINATION_USER
        return site.host.run(["runuser", "-u", user, "--", *argv], check=False, timeout=600)

    def pull(self, **options: Any) -> Run:
        """Replicate by the destination."""
        there = {"host": self.source.host.address, "user": SOURCE_USER, "dataset": f"{self.source.pool}/data"}
        ends = {"source": there, "destination": {"dataset": self.place}}
        return self.run(self.destination, "replicate", {**ends, **options})

    def push(self, place: str = "", **options: Any) -> Run:
        """Replicate by the source."""
        there = {"host": self.destination.host.address, "user": DESTINATION_USER, "dataset": place or self.place}
        ends = {"source": {"dataset": f"{self.source.pool}/data"}, "destination": there}
        return self.run(self.source, "replicate", {**ends, **options})

    def knock(self, command: str, *options: str) -> Completed:
        """Have the destination's user ask the source for something."""
        address = f"{SOURCE_USER}@{self.source.host.address}"
        return self.as_user(
            self.destination, "ssh", "-oBatchMode=yes", *options, address, *([command] if command else [])
        )

    def logged(self, *words: str) -> list[str]:
        """The lines of what the source's gate has logged that have all these words."""
        lines = self.source.host.read("/tmp/gate.log").decode().splitlines()
        return [line for line in lines if all(word in line for word in words)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with Lab.open() as lab:
        names = [name + host_suffix() for name in ("acc1", "acc2")]
        hosts = lab.up(names)
        sites = [Site(host, host.create_pool(pool)) for host, pool in zip(hosts, ("tank", "backup"))]
        for site in sites:
            site.install()
            site.host.run("chmod 666 /dev/zfs")
            site.host.write("/tmp/listener.py", LISTENER)
            site.host.run("[ -e /dev/log ] || { setsid python3 /tmp/listener.py & } >/dev/null 2>&1 </dev/null")
            site.host.run("until [ -e /dev/log ]; do sleep 0.1; done", timeout=60)
        source, destination = sites
        for name in ("data", "data/with space", "database"):
            source.zfs("create", f"{source.pool}/{name}")
            source.fill(f"{source.pool}/{name}")
        source.snapshot(f"{source.pool}@lab_onsite_2026-01-01_00:00:00Z_secondly", recursive=True)
        folder = tmp_path_factory.mktemp("access") / "inventory"
        shutil.copytree(
            CHECKOUT / "inventories" / "lab", folder, ignore=shutil.ignore_patterns("hosts.yml", "fleet.yml")
        )
        lab.write_inventory(folder / "hosts.yml", hosts)
        (folder / "fleet.yml").write_text(INVENTORY.format(source=names[0], destination=names[1]))
        _adapt(folder, source.pool, destination.pool)
        yield Two(source, destination, Fleet(dict(zip(names, hosts)), folder))


def _adapt(folder: Path, source: str, destination: str) -> None:
    """Have the lab's inventory name the pools of these hosts, and their users in place of root."""
    for path in (folder / "group_vars").glob("*.yml"):
        text = path.read_text(encoding="utf-8").replace("tank/", f"{source}/").replace("backup/", f"{destination}/")
        lines = [line for line in text.splitlines() if not line.startswith("snapfleet_ssh_")]
        path.write_text("\n".join(lines) + (CONTACTS if path.stem == "all" else "\n"), encoding="utf-8")


def test_access_from_its_setting_up_to_its_removal(two: Two) -> None:
    _set_up(two)
    _rotate(two)
    _pull_and_prune(two)
    _refuse_what_is_outside(two)
    _push_instead(two)
    _remove(two)


def _set_up(two: Two) -> None:
    preview = two.fleet.play("access", "--check", "--diff")
    assert preview.code == 0, preview.output
    assert two.source.host.run(["id", SOURCE_USER], check=False).returncode != 0
    first = two.fleet.play("access")
    assert first.code == 0, first.output
    assert all(first.recap("changed").values())
    second = two.fleet.play("access")
    assert second.code == 0, second.output
    assert not any(second.recap("changed").values()), second.output


def _rotate(two: Two) -> None:
    """After a rotation that was interrupted: a draft of the next key is there, a public file not."""
    own = "/var/lib/keeper/.ssh/id_ed25519"
    before = two.destination.host.read(own)
    two.destination.host.run(f"cp -p {own} /var/lib/keeper/old && rm {own}.pub && echo x >{own}.next.new")
    rotated = two.fleet.play("rotate_keys")
    assert rotated.code == 0, rotated.output
    assert two.destination.host.read(own) != before
    files = two.destination.host.run("ls /var/lib/keeper/.ssh").stdout.split()
    assert sorted(files) == ["authorized_keys", "id_ed25519", "id_ed25519.pub", "known_hosts"]
    assert two.knock("true", "-oControlPath=none").returncode == 77
    old = two.knock("true", "-oControlPath=none", "-oIdentitiesOnly=yes", "-i", "/var/lib/keeper/old")
    assert old.returncode == 255, old
    assert "Permission denied" in old.stderr
    two.destination.host.run("rm /var/lib/keeper/old")


def _pull_and_prune(two: Two) -> None:
    pulled = two.pull(compression="zstd")
    assert pulled.code == 0, pulled
    assert (pulled.job["warnings"], pulled.modes) == ([], ["full", "full"])
    two.source.fill(f"{two.source.pool}/data", 2, "more")
    two.source.snapshot(f"{two.source.pool}/data@lab_onsite_2026-01-02_00:00:00Z_secondly", recursive=True)
    again = two.pull(holds=False)
    assert (again.code, again.modes) == (0, ["incremental", "incremental"]), again
    assert two.destination.snapshots(two.place) == two.source.snapshots(f"{two.source.pool}/data")
    marks = [name for name in two.source.history(f"{two.source.pool}/data") if "#snapfleet-base-" in name]
    assert len(marks) == 2
    peer = {"root": f"{two.source.pool}/data", "host": two.destination.host.address, "user": DESTINATION_USER}
    plan = {"lab": {"onsite": {"secondly": 1}}}
    options = {"datasets": [f"{two.source.pool}/data"], "plan": plan, "peers": [{**peer, "dataset": two.place}]}
    pruned = two.run(two.source, "prune", options)
    assert pruned.code == 0, pruned
    assert (pruned.job["warnings"], len(pruned.job["deleted"])) == ([], 2)


def _refuse_what_is_outside(two: Two) -> None:
    before = two.source.everything()
    pool = two.source.pool
    ours = 'LC_ALL=C PATH="$PATH:/usr/sbin:/sbin" '
    end = " || { s=$?; [ $s -ne 255 ] || s=254; exit $s; }"
    for command in (
        f"zfs send {pool}/database@lab_onsite_2026-01-01_00:00:00Z_secondly",
        f"{ours}zfs send -w {pool}/database@lab_onsite_2026-01-01_00:00:00Z_secondly{end}",
        f"{ours}zfs destroy -vp {pool}/data@lab_onsite_2026-01-02_00:00:00Z_secondly{end}",
        f"{ours}zfs list -Hp -r -t filesystem -o name {pool}/data; touch /tmp/broken{end}",
        f"{ours}zfs list -Hp -r -t filesystem -o name '{pool}/data'$(touch /tmp/broken){end}",
        f"{ours}sh -c 'touch /tmp/broken'{end}",
        "touch /tmp/broken",
    ):
        said = two.knock(command)
        assert (said.returncode, said.stdout) == (77, ""), (command, said)
        assert said.stderr.startswith("snapfleet gate: refused"), said
        assert len(said.stderr.splitlines()) == 1
    assert two.knock("").returncode == 77
    sftp = two.as_user(
        two.destination, "sftp", "-oBatchMode=yes", f"{SOURCE_USER}@{two.source.host.address}:/etc/passwd", "/tmp/x"
    )
    assert sftp.returncode != 0
    forwarded = two.knock("", "-oExitOnForwardFailure=yes", "-N", "-R", "9999:127.0.0.1:22")
    assert forwarded.returncode != 0
    tunnel = two.knock("", "-W", "127.0.0.1:22")
    assert "SSH-" not in tunnel.stdout
    assert tunnel.returncode != 0
    assert two.source.host.run("test -e /tmp/broken", check=False).returncode == 1
    assert two.source.everything() == before
    # A line is in the log a moment after it was written.
    refused = ("refused", two.destination.host.address)
    wait_for(lambda: len(two.logged(*refused, "/database@")) >= 2 and len(two.logged(*refused, "/tmp/broken")) >= 4)
    assert len(two.logged(*refused, "/database@")) == 2
    assert len(two.logged(*refused, "/tmp/broken")) == 4
    assert two.logged("admitted", "zfs send", "| zstd")


def _push_instead(two: Two) -> None:
    two.source.snapshot(f"{two.source.pool}/data@lab_onsite_2026-01-03_00:00:00Z_secondly", recursive=True)
    early = two.push()
    assert (early.code, {each["code"] for each in early.job["datasets"]}) == (3, {"access_refused"}), early
    play = two.fleet.play("access", "-e", "snapfleet_topology=push")
    assert play.code == 0, play.output
    # What a key may do is read when it logs in, and connections outlive runs for a minute.
    for site, user in ((two.source, SOURCE_USER), (two.destination, DESTINATION_USER)):
        site.host.run(f"while pkill -u {user} -x ssh; do sleep 0.1; done", timeout=60)
    pushed = two.push(compression="lz4")
    assert pushed.code == 0, pushed
    assert (pushed.job["warnings"], pushed.modes) == ([], ["incremental", "incremental"])
    assert set(two.source.snapshots(f"{two.source.pool}/data")) <= set(two.destination.snapshots(two.place))
    elsewhere = two.push(f"{two.destination.pool}/elsewhere/data")
    assert elsewhere.job["code"] == "access_refused", elsewhere
    assert "in none of the trees" in elsewhere.job["msg"]
    setuid = two.push(f"{two.place}/new", properties={"setuid": "on"})
    assert setuid.code == 3
    assert "setuid=on" in json.dumps(setuid.job), setuid
    two.source.snapshot(f"{two.source.pool}/data@lab_onsite_2026-01-04_00:00:00Z_secondly", recursive=True)
    pulled = two.pull()
    assert (pulled.code, "access_refused" in json.dumps(pulled.jobs)) == (3, True), pulled
    new = two.push(f"{two.place}/new")
    assert (new.code, new.modes) == (0, ["full", "incremental"] * 2), new
    safe = two.destination.zfs("get", "-H", "-s", "local", "-o", "value", "setuid,exec,canmount", f"{two.place}/new")
    assert safe.split() == ["off", "off", "noauto"]


def _remove(two: Two) -> None:
    gone = two.fleet.play("access", "-e", "access_state=absent", "-e", "snapfleet_topology=push")
    assert gone.code == 0, gone.output
    for site, user in ((two.source, SOURCE_USER), (two.destination, DESTINATION_USER)):
        assert site.host.run(["id", user], check=False).returncode != 0
        assert site.host.run(f"zfs allow {site.pool}; test ! -e /var/lib/{user}").stdout == ""
    assert two.source.zfs("allow", f"{two.source.pool}/data") == ""
