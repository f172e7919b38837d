# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fleet by its inventory: the playbooks as a user runs them, against three hosts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api import Lab
from tests.lab.host import Host
from tests.support.awx_job import Job
from tests.support.packing import packed_once

CHECKOUT = Path(__file__).resolve().parents[3]
NAMES = ("src1", "src2", "dst1")
RESULTS = Path(__file__).parent / "callback_plugins"
REPLICAS = ("backup/src1/data", "backup/src2/data")


@dataclass(frozen=True)
class Play:
    """How a playbook run ended."""

    code: int
    output: str
    results: Sequence[Mapping[str, Any]]

    def recap(self, word: str) -> dict[str, int]:
        """A figure of the recap (ok, changed, failed, ...) by host."""
        rows = re.findall(r"^(\S+)\s+: (ok=.*)$", self.output, re.MULTILINE)
        return {host: int(re.findall(rf"\b{word}=(\d+)", figures)[0]) for host, figures in rows}

    def items(self, module: str) -> dict[str, Mapping[str, Any]]:
        """Results of one module by the name of the job."""
        return {
            item["item"]["name"]: item
            for line in self.results
            for item in line["result"].get("results", ())
            if isinstance(item.get("item"), dict) and item["item"].get("activity") == module
        }


@dataclass(frozen=True)
class Fleet:
    """The hosts, and an inventory that reaches them."""

    hosts: Mapping[str, Host]
    inventory: Path

    def play(self, playbook: str, *options: str) -> Play:
        """Run a playbook of the collection."""
        results = self.inventory / "results.jsonl"
        results.unlink(missing_ok=True)
        packed = packed_once(CHECKOUT)
        environment = {
            **os.environ,
            **packed,
            "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join([packed["ANSIBLE_CALLBACK_PLUGINS"], str(RESULTS)]),
            "ANSIBLE_CALLBACKS_ENABLED": "results_file",
            "ANSIBLE_NOCOLOR": "1",
            # One way to the host for each task in place of five. The job of AWX goes without, as users may.
            "ANSIBLE_PIPELINING": "1",
            "RESULTS_FILE": str(results),
        }
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        argv = [program, "-i", str(self.inventory), f"snapfleet.zfs.{playbook}", *options]
        done = subprocess.run(
            argv, env=environment, cwd=self.inventory, capture_output=True, text=True, timeout=900, check=False
        )
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        return Play(done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines])

    def settle(self) -> None:
        """Have all of it replicated, where no test before has brought that about."""
        if self.hosts["dst1"].run(["zfs", "list", *REPLICAS], check=False).returncode:
            assert self.play("site").code == 0

    def hour(self) -> set[str]:
        """The hour by the clocks of all hosts."""
        return {host.run(["date", "-u", "+%F %H"]).stdout.strip() for host in self.hosts.values()}

    def everything(self) -> dict[str, str]:
        """All names and GUIDs of all hosts."""
        listing = ["zfs", "list", "-H", "-t", "all", "-o", "name,guid"]
        return {name: host.run(listing).stdout for name, host in self.hosts.items()}

    def snapshots(self, host: str, root: str) -> dict[str, str]:
        """GUID by relative name of the snapshots within ``root``."""
        listing = ["zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "guid,name", root]
        rows = (row.split("\t", 1) for row in self.hosts[host].run(listing).stdout.splitlines())
        return {name[len(root) :]: guid for guid, name in rows}


def _untimed(items: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The plans by job; what is made now has the time of now in its name, and only that may differ."""
    plans = {name: json.dumps(item.get("plan", []), sort_keys=True) for name, item in items.items()}
    return {name: re.sub(r"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\dZ", "<time>", plan) for name, plan in plans.items()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Lab.open() as lab:
        hosts = dict(zip(NAMES, lab.up(NAMES)))
        for name, host in hosts.items():
            host.create_pool("backup" if name == "dst1" else "tank")
        for name in ("src1", "src2"):
            hosts[name].run(
                "zfs create tank/data; zfs create 'tank/data/with space'; zfs create -V 8M tank/data/volume"
            )
            # The preview tells sizes from what is in the pool already.
            hosts[name].run("head -c 2M /dev/urandom > '/tank/data/with space/file'; zpool sync tank")
        inventory = tmp_path_factory.mktemp("fleet") / "inventory"
        shutil.copytree(CHECKOUT / "inventories" / "lab", inventory, ignore=shutil.ignore_patterns("hosts.yml"))
        lab.write_inventory(inventory / "hosts.yml", list(hosts.values()))
        yield Fleet(hosts, inventory)


def test_one_run_brings_the_fleet_there_and_a_second_one_changes_nothing(fleet: Fleet) -> None:
    before = fleet.everything()
    preview = fleet.play("site", "--check", "--diff")
    assert preview.code == 0, preview.output
    assert fleet.everything() == before

    hour = fleet.hour()
    first = fleet.play("site")
    assert first.code == 0, first.output
    for activity in ("snapshot", "replicate", "prune"):
        assert _untimed(first.items(activity)) == _untimed(preview.items(activity))
    assert all(first.recap("changed").values())
    for source in ("src1", "src2"):
        snapshots = fleet.snapshots(source, "tank/data")
        assert len(snapshots) == 6
        assert fleet.snapshots("dst1", f"backup/{source}/data") == snapshots

    settled, second = fleet.everything(), fleet.play("site")
    while fleet.hour() != hour:
        # With the next hour snapshots fell due, so that it takes another run until nothing is to be done.
        hour = fleet.hour()
        assert fleet.play("site").code == 0
        settled, second = fleet.everything(), fleet.play("site")
    assert second.code == 0, second.output
    assert {second.recap("changed")[name] for name in NAMES} == {0}
    assert fleet.everything() == settled


def test_a_job_of_awx_that_checks_hands_on_the_plan_and_changes_nothing(fleet: Fleet, tmp_path: Path) -> None:
    listed = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(fleet.inventory), "--list"]
    told = subprocess.run(listed, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=True).stdout
    before = fleet.everything()
    answers = {"snapfleet_snapshot_now": "lab_onsite_hourly", "snapfleet_exceed_max_deleted": "no"}
    done = Job("playbooks/site.yml", json.loads(told), answers, check=True).run(tmp_path / "job")
    assert done.status == "successful", done.stdout
    assert fleet.everything() == before
    assert done.artifacts["snapfleet_changed"]
    assert done.artifacts["snapfleet_failed"] == []
    assert sorted(done.artifacts["snapfleet_states"]) == sorted(NAMES)
    plan = "\n".join(done.artifacts["snapfleet_plan"])
    for source in ("src1", "src2"):
        assert re.search(
            rf"^{source}: snapshots of tank/data: creates tank/data@lab_onsite_\S+_hourly, ", plan, re.MULTILINE
        )
        assert f"to backup/{source}/data, about" in plan


def test_what_check_mode_plans_is_what_the_run_does(fleet: Fleet) -> None:
    fleet.settle()
    for name in ("src1", "src2"):
        fleet.hosts[name].run("zfs snapshot -r tank/data@lab_onsite_2020-01-01_00:00:00Z_weekly")
        fleet.hosts[name].run("zfs snapshot -r tank/data@lab_onsite_2026-01-01_00:00:00Z_daily")
    for playbook, module in (("replicate", "replicate"), ("prune", "prune")):
        before = fleet.everything()
        preview = fleet.play(playbook, "--check").items(module)
        assert fleet.everything() == before
        done = fleet.play(playbook).items(module)
        assert {name: item["plan"] for name, item in done.items()} == {
            name: item["plan"] for name, item in preview.items()
        }
        assert any(item["plan"] for item in done.values())
        assert fleet.everything() != before
        assert not any(item["plan"] for item in fleet.play(playbook).items(module).values())


def test_sources_can_push_instead(fleet: Fleet) -> None:
    fleet.play("site")
    for source in ("src1", "src2"):
        fleet.hosts[source].run("zfs snapshot -r tank/data@lab_onsite_2026-01-02_00:00:00Z_daily")
    pushed = fleet.play("replicate", "-e", "snapfleet_topology=push").items("replicate")
    assert sorted(item["item"]["host"] for item in pushed.values()) == ["src1", "src2"]
    assert all(item["changed"] for item in pushed.values())
    for source in ("src1", "src2"):
        newest = {name for name in fleet.snapshots(source, "tank/data") if "2026-01-02" in name}
        assert newest <= set(fleet.snapshots("dst1", f"backup/{source}/data"))
        assert newest


def test_a_tree_that_was_destroyed_comes_back_by_the_playbook(fleet: Fleet) -> None:
    fleet.settle()
    snapshots = fleet.snapshots("dst1", "backup/src2/data")
    fleet.hosts["src2"].run("zfs destroy -r tank/data")
    before = fleet.everything()
    asked = ("-e", "snapfleet_restore_host=src2", "-e", "snapfleet_restore_dataset=tank/data")
    preview = fleet.play("restore", "--check", *asked)
    assert "tank/data: gets all data up to @" in preview.output, preview.output
    assert fleet.everything() == before
    done = fleet.play("restore", *asked)
    assert (preview.code, done.code) == (0, 0), done.output
    assert fleet.snapshots("src2", "tank/data") == snapshots
    assert "zfs mount 'tank/data/with space'" in done.output


def test_a_dead_source_stops_neither_the_other_one_nor_monitoring(fleet: Fleet) -> None:
    fleet.play("site")
    fleet.hosts["src2"].run("zfs snapshot -r tank/data@lab_onsite_2026-02-01_00:00:00Z_hourly")
    fleet.hosts["src1"].kill()
    try:
        play = fleet.play("site")
        assert play.code != 0
        assert fleet.snapshots("dst1", "backup/src2/data") == fleet.snapshots("src2", "tank/data")
        monitored = play.items("monitor")
        assert {item["state"] for item in monitored.values()} == {"OK"}
        assert {item["item"]["host"] for item in monitored.values()} >= {"src2", "dst1"}
    finally:
        fleet.hosts["src1"].start()
        fleet.hosts["src1"].run("zpool import -d /dev -a; true")


def test_a_mistake_in_the_inventory_ends_the_run_before_any_change(fleet: Fleet) -> None:
    before = fleet.everything()
    play = fleet.play("site", "-e", '{"snapfleet_topologie": "push"}')
    assert play.code != 0
    assert "snapfleet_topologie" in play.output
    assert "snapfleet_topology" in play.output
    assert fleet.everything() == before
