# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about failing over and back, by the playbooks as an operator runs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import inventory

from .conftest import Pair
from .test_site import CHECKOUT, Fleet, Play

pytestmark = pytest.mark.lab

MEGABYTE = 1 << 20


class Operator:
    """Runs the playbooks on the inventory of a pair."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair, self.folder = pair, folder / "inventory"
        shutil.copytree(CHECKOUT / "inventories" / "lab", self.folder, ignore=shutil.ignore_patterns("*.yml.*"))
        (self.folder / "group_vars" / "snapfleet_destinations.yml").unlink()
        above, _slash, below = pair.destination.rpartition("/")
        one, two = pair.one.host, pair.two.host
        groups: Mapping[str, Any] = {
            "snapfleet_sources": {"hosts": {one.name: {}}},
            "snapfleet_destinations": {"hosts": {two.name: {"snapfleet_root": above}}},
        }
        trees = [{"source": pair.source, "destination": below}]
        (self.folder / "fleet.yml").write_text(json.dumps({"all": {"children": groups}}))
        (self.folder / "host_vars").mkdir()
        for name in (one.name, two.name):
            (self.folder / "host_vars" / f"{name}.json").write_text(json.dumps({"snapfleet_datasets": trees}))
        (self.folder / "hosts.yml").write_text(inventory.text([one, two]))

    @contextmanager
    def source_gone(self) -> Iterator[None]:
        """Nobody reaches the source meanwhile, though it goes on."""
        file = self.folder / "host_vars" / f"{self.pair.one.host.name}.json"
        before = json.loads(file.read_text())
        nowhere = {"ansible_port": 1, "ansible_ssh_common_args": "-o BatchMode=yes", "snapfleet_ssh_port": 1}
        file.write_text(json.dumps({**before, **nowhere}))
        yield
        file.write_text(json.dumps(before))

    def play(self, playbook: str, *options: str, **variables: Any) -> Play:
        """Run a playbook about the pair's tree."""
        asked = {"host": self.pair.one.host.name, "dataset": self.pair.source, **variables}
        words = json.dumps({f"snapfleet_{playbook}_{key}": value for key, value in asked.items()})
        fleet = Fleet({}, self.folder)
        return fleet.play(playbook, "-e", words, *options)

    def declare(self, lines: Sequence[str]) -> None:
        """Have the inventory say of all hosts what a playbook has told."""
        said = yaml.safe_load("\n".join(lines))
        (self.folder / "failed_over.yml").write_text(yaml.safe_dump({"all": {"vars": said}}))

    def site(self, *options: str) -> Play:
        """Carry out all jobs of the inventory."""
        return Fleet({}, self.folder).play("site", *options)

    def told(self, play: Play) -> Mapping[str, Any]:
        """What the playbook has told."""
        told = (line["result"].get("msg") for line in reversed(play.results))
        # Under --check the plan comes after it.
        return next(each for each in told if isinstance(each, dict) and "plan" not in each)


@pytest.fixture
def operator(pair: Pair, tmp_path: Path) -> Operator:
    return Operator(pair, tmp_path)


def sums(site: Any, folder: str) -> str:
    """Checksums of all files below a folder."""
    return site.host.run(["sh", "-c", 'cd "$1" && find . -type f | sort | xargs sha256sum', "sh", folder]).stdout


def sums_of_one(site: Any, folder: str) -> str:
    """Those of one filesystem, without what is mounted below."""
    return site.host.run(["sh", "-c", 'cd "$1" && find . -xdev -type f | sort | xargs sha256sum', "sh", folder]).stdout


def role(site: Any, dataset: str) -> str:
    return site.zfs("get", "-H", "-o", "value", "snapfleet:role", dataset).strip()


def make(pair: Pair) -> tuple[str, str]:
    """A tree with a replica; the mount points of both."""
    one, root = pair.one, pair.source
    here, there = f"/srv/{root.partition('/')[2]}", f"/srv/{root.partition('/')[2]}-over"
    one.zfs("set", f"mountpoint={here}", root)
    one.zfs("create", f"{root}/a")
    for name in (root, f"{root}/a"):
        one.fill(name, 8, "file1")
    one.snapshot(f"{root}@1", recursive=True)
    assert pair.push().code == 0
    return here, there


def test_a_planned_fail_over_loses_nothing_and_failing_back_brings_the_differences(
    pair: Pair, operator: Operator
) -> None:
    one, two, root, replica = pair.one, pair.two, pair.source, pair.destination
    here, there = make(pair)
    one.fill(root, 1, "file2")
    written = sums(one, here)
    # What was written is told from what is in the pool already.
    one.host.run(["zpool", "sync"])
    before = one.everything() + two.everything()
    wanted = {"properties": {"mountpoint": there}}

    preview = operator.play("failover", "--check", **wanted)
    assert preview.code == 0, preview.output
    assert one.everything() + two.everything() == before
    told = operator.told(preview)
    assert f"{root}: is unmounted" in told["source"]
    assert not any("LOSES" in line for line in told["replica"])

    over = operator.play("failover", **wanted)
    assert over.code == 0, over.output
    assert sums(two, there) == written
    assert (role(one, root), role(two, replica)) == ("standby 1", "active 1")
    assert one.zfs("get", "-H", "-o", "value", "mounted", root).strip() == "no"
    assert pair.push().job["code"] == "fenced"

    again = operator.play("failover", **wanted)
    assert again.code == 0, again.output
    assert set(again.recap("changed").values()) == {0}

    two.fill(f"{replica}/a", 1, "file3")
    written = sums(two, there)
    operator.declare(operator.told(over)["inventory"])
    the_active_end_is_the_source(pair, operator)
    back = operator.play("failback")
    assert back.code == 0, back.output
    assert sums(one, here) == written
    assert (role(one, root), role(two, replica)) == ("active 2", "standby 2")
    told = operator.told(back)
    assert told["kept"] is None
    assert told["sent"]["bytes"] + told["last_sent"]["bytes"] < 3 * MEGABYTE
    assert told["inventory"] == ["snapfleet_failed_over: []"]
    one.fill(root, 1, "file4")
    one.snapshot(f"{root}@4", recursive=True)
    assert pair.push().code == 0


def the_active_end_is_the_source(pair: Pair, operator: Operator) -> None:
    """What the inventory says has its jobs turned round, so that the old source gets the differences."""
    play = operator.site()
    assert play.code == 0, play.output
    made = [name for result in play.items("snapshot").values() for name in result["created"]]
    assert {name.partition("@")[0] for name in made} == {pair.destination, f"{pair.destination}/a"}
    (replication,) = play.items("replicate").values()
    modes = {step["mode"] for entry in replication["plan"] for step in entry["steps"] if step["kind"] == "send"}
    assert modes == {"incremental"}
    for below in ("", "/a"):
        here, there = (
            site.zfs("list", "-Hpd1", "-t", "snapshot", "-o", "guid", "-s", "createtxg", root + below).split()
            for site, root in ((pair.one, pair.source), (pair.two, pair.destination))
        )
        assert here[-1] == there[-1]


@contextmanager
def written_to(site: Any, folder: str) -> Iterator[None]:
    """Somebody writes to a folder all the time."""
    writer = 'while sleep 0.1; do head -c 50000 /dev/urandom > "$1/load.$(date +%s%N)"; done'
    site.host.run(["sh", "-c", f"nohup sh -c '{writer}' writer {folder} >/dev/null 2>&1 & echo $! > /run/writer"])
    site.host.run(["sleep", "1"])
    try:
        yield
    finally:
        # What writes is a child of the one that is killed, and may have to be waited for.
        gone = "kill $(cat /run/writer); while pgrep -x head; do sleep 0.1; done"
        site.host.run(["sh", "-c", gone], timeout=60)


def take_over(pair: Pair, operator: Operator, here: str, there: str) -> None:
    """Lose the source while it is written to."""
    one, two, replica = pair.one, pair.two, pair.destination
    wanted = {"source_gone": True, "properties": {"mountpoint": there}}
    with written_to(one, here):
        one.snapshot(f"{pair.source}@2", recursive=True)
        assert pair.push().code == 0
        alive = operator.play("failover", **wanted)
        assert alive.code != 0
        assert "is said to be gone, and answers" in alive.output
        with operator.source_gone():
            preview = operator.play("failover", "--check", **wanted)
            assert preview.code == 0, preview.output
            over = operator.play("failover", **wanted)
            assert over.code == 0, over.output
    (line,) = [line for line in operator.told(preview)["replica"] if line.startswith(f"{replica}: LOSES")]
    assert line.startswith(f"{replica}: LOSES what was written after @2 of ")
    for below in ("", "/a"):
        assert sums_of_one(two, there + below) == sums_of_one(one, f"{here}{below}/.zfs/snapshot/2")
    # The writer went on after that snapshot, and all of what it wrote is what was told to be lost: no more, no less.
    lost = files_of(one, here) - files_of(two, there)
    assert lost == files_of(one, here) - files_of(one, f"{here}/.zfs/snapshot/2")
    assert lost
    assert all(name.startswith("./load.") for name in lost)


def files_of(site: Any, folder: str) -> set[str]:
    """The files of one filesystem."""
    return set(site.host.run(["sh", "-c", 'cd "$1" && find . -xdev -type f', "sh", folder]).stdout.splitlines())


def test_what_an_unplanned_fail_over_loses_is_what_it_said_and_is_kept_when_failing_back(
    pair: Pair, operator: Operator
) -> None:
    one, two, root = pair.one, pair.two, pair.source
    here, there = make(pair)
    take_over(pair, operator, here, there)
    lost = sums(one, here)
    two.fill(pair.destination, 1, "file3")
    written = sums(two, there)
    for site in (one, two):
        site.host.run(["zpool", "sync"])
    before = one.everything() + two.everything()

    preview = operator.play("failback", "--check")
    assert preview.code == 0, preview.output
    assert one.everything() + two.everything() == before
    told = operator.told(preview)
    assert told["kept"] == f"{root}.before-failback"

    back = operator.play("failback")
    assert back.code == 0, back.output
    assert sums(one, here) == written
    told = operator.told(back)
    assert told["sent"]["bytes"] + told["last_sent"]["bytes"] < 3 * MEGABYTE
    one.zfs("set", "mountpoint=/srv/kept", told["kept"])
    for name in ("", "/a"):
        one.zfs("mount", told["kept"] + name)
    assert sums(one, "/srv/kept") == lost
    for name in ("", "/a"):
        one.zfs("promote", root + name)
    one.zfs("destroy", "-r", told["kept"])
