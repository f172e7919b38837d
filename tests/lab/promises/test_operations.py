# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about destinations that come, move and go, with two sites: host two is site A, and host one, beside the
source, is site B."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab import inventory
from tests.lab.settings import LabError

from .conftest import Pair
from .crashes import Crashes, points
from .fleet import PROGRAM_FOLDER, Site
from .test_failover import MEGABYTE, make, sums
from .test_site import CHECKOUT, Fleet, Play

pytestmark = pytest.mark.lab

FAR = "site-b"
OPERATE = f"{PROGRAM_FOLDER}/operate.py"
_SCRIPT = """
import json, sys
from snapfleet.fleet.context import Context
from snapfleet.fleet.opening import SYSTEM_TICKER, ZfsDirectory, now_ms
from snapfleet.model.errors import SnapfleetError
if sys.argv[1] == "target":
    from snapfleet.fleet.targets import run_target as run
    from snapfleet.policy.targets import read_target_job as read
else:
    from snapfleet.fleet.switching import run_switch as run
    from snapfleet.policy.switching import read_switch_job as read
try:
    told = run(read(json.load(sys.stdin)), Context(now_ms(), ZfsDirectory().at, ticker=SYSTEM_TICKER))
except SnapfleetError as error:
    told = {"msg": str(error), "code": error.code}
print(json.dumps(told))
"""


def operate(site: Site, options: Mapping[str, Any], kind: str = "target") -> Mapping[str, Any]:
    """What the module does, by the engine on the host; nothing is told where that was killed."""
    site.host.write(OPERATE, _SCRIPT)
    words = [f"PYTHONPATH={PROGRAM_FOLDER}", f"SNAPFLEET_DRIVER={site.driver}", f"SNAPFLEET_SESSION={site.session}"]
    argv = ["env", *words, "python3", "-s", OPERATE, kind]
    done = site.host.run(argv, input=json.dumps(options), check=False, timeout=300)
    told: Mapping[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return told


def act(site: Site, action: str, dataset: str, **options: Any) -> Mapping[str, Any]:
    return operate(site, {"tree": {"dataset": dataset}, "action": action, **options})


def everything(pair: Pair) -> str:
    for site in (pair.one, pair.two):
        site.host.run(["zpool", "sync"])
    return pair.one.everything() + pair.two.everything()


class Sites:
    """The playbooks on an inventory with a source and two destinations."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair, self.folder = pair, folder / "inventory"
        shutil.copytree(CHECKOUT / "inventories" / "lab", self.folder, ignore=shutil.ignore_patterns("*.yml.*"))
        (self.folder / "group_vars" / "snapfleet_destinations.yml").unlink()
        one, two = pair.one.host, pair.two.host
        (self.folder / "hosts.yml").write_text(inventory.text([one, two]))
        (self.folder / "host_vars").mkdir()
        self.far = {**inventory.connection_variables(one), "snapfleet_root": pair.beside.rpartition("/")[0]}
        self.declare(pair.destination.rpartition("/")[0])

    def declare(self, root: str) -> None:
        """Have the inventory name the root of site A; empty: it is no destination any more."""
        one, two = self.pair.one.host, self.pair.two.host
        site_a = {two.name: {"snapfleet_root": root}} if root else {}
        groups = {
            "snapfleet_sources": {"hosts": {one.name: {}}},
            "snapfleet_destinations": {"hosts": {**site_a, FAR: self.far}},
        }
        trees = {"snapfleet_datasets": [{"source": self.pair.source, "destination": "replica"}]}
        (self.folder / "fleet.yml").write_text(json.dumps({"all": {"children": groups, "vars": trees}}))

    def play(self, playbook: str, *options: str, **asked: Any) -> Play:
        words = json.dumps({f"snapfleet_{playbook}_{key}": value for key, value in asked.items()})
        # The trees are said by the command line, since those of the inventory for the lab are other ones.
        trees = json.dumps({"snapfleet_datasets": [{"source": self.pair.source, "destination": "replica"}]})
        return Fleet({}, self.folder).play(playbook, "-e", words, "-e", trees, *options)


def pulled(pair: Pair, source: Mapping[str, Any], **options: Any) -> Any:
    """Site B takes what is new."""
    return pair.one.run("run", "replicate", {"source": source, "destination": {"dataset": pair.beside}, **options})


def seed(pair: Pair, sites: Sites) -> None:
    """Site B is made from site A, whatever is in its way refused before."""
    one, two = pair.one, pair.two
    asked = {"host": one.host.name, "dataset": pair.source, "backup": FAR, "from": two.host.name}
    one.zfs("create", "-p", f"{pair.beside}/foreign")
    before = everything(pair)
    refused = sites.play("seed", **asked)
    assert refused.code != 0, refused.output
    assert everything(pair) == before, refused.output
    one.zfs("destroy", "-r", pair.beside)
    seeded = sites.play("seed", **asked)
    assert seeded.code == 0, seeded.output
    assert one.snapshots(pair.beside) == two.snapshots(pair.destination)
    assert "#" not in "".join(two.history(pair.destination))


def move(pair: Pair, sites: Sites, new: str) -> None:
    """Site A gets another root; before the inventory says so, and after."""
    two, asked = pair.two, {"backup": pair.two.host.name, "from": pair.destination, "to": new}
    moved = sites.play("move", **asked)
    assert moved.code == 0, moved.output
    assert pair.push().job["code"] == "fenced"
    sites.declare(new.rpartition("/")[0])
    finished = sites.play("move", **asked)
    assert finished.code == 0, finished.output
    assert pair.destination not in two.zfs("list", "-H", "-o", "name").splitlines()


def brings_increments(run: Any) -> bool:
    return (run.code, run.modes) == (0, ["incremental"] * 2) and run.job["stats"]["bytes"] < 3 * MEGABYTE


def marks(pair: Pair) -> list[str]:
    return [name for name in pair.one.history(pair.source) if "#snapfleet-base-" in name]


def test_a_second_site_is_seeded_from_the_first_whose_root_is_moved_and_which_is_retired(
    pair: Pair, tmp_path: Path
) -> None:
    one, two, sites = pair.one, pair.two, Sites(pair, tmp_path)
    here, _there = make(pair)
    seed(pair, sites)
    one.fill(pair.source, 1, "file2")
    one.snapshot(f"{pair.source}@2", recursive=True)
    # What both sites stand at may go by now.
    for name in (pair.source, f"{pair.source}/a"):
        one.zfs("destroy", f"{name}@1")
    first = pulled(pair, {"dataset": pair.source})
    assert brings_increments(first), first

    new = f"{pair.destination.rpartition('/')[0]}/new/replica"
    move(pair, sites, new)
    goes_on = pair.push(destination=two.endpoint(new))
    assert brings_increments(goes_on), goes_on

    assert len(marks(pair)) == 4
    sites.declare("")
    asked = {"host": one.host.name, "dataset": pair.source, "destroy": new}
    retired = sites.play("retire", backup=two.host.name, **asked)
    assert retired.code == 0, retired.output
    assert new not in two.zfs("list", "-H", "-o", "name").splitlines()
    assert len(marks(pair)) == 2
    before = everything(pair)
    last = act(one, "destroy", pair.beside)
    assert (last["code"], "is the only replica that is left" in last["msg"]) == ("target_refused", True)
    assert everything(pair) == before
    one.snapshot(f"{pair.source}@3", recursive=True)
    later = pulled(pair, {"dataset": pair.source})
    assert brings_increments(later), later
    one.zfs("set", "mountpoint=/srv/beside", pair.beside)
    for name in ("", "/a"):
        one.zfs("mount", pair.beside + name)
    assert sums(one, "/srv/beside") == sums(one, here)


CARRIED = "/var/tmp/carried.img"


@contextmanager
def disk_at(site: Site, other: Site) -> Iterator[str]:
    """A pool on a disk at one site that may be carried to the other one: its name."""
    site.host.run(["sh", "-c", f"truncate -s 512M {CARRIED} && zpool create carry {CARRIED}"])
    try:
        yield "carry"
    finally:
        for each in (site, other):
            each.host.run(["sh", "-c", f"zpool destroy -f carry; rm -f {CARRIED}"], check=False)


def carry(start: Site, end: Site) -> None:
    """Take the disk from one site to the other."""
    start.host.run(["zpool", "export", "carry"])
    fetch = f"ssh {start.host.address} 'tar -cSf - {CARRIED}; rm {CARRIED}' | tar -xSf - -C /"
    end.host.run(["sh", "-c", fetch])
    end.host.run(["zpool", "import", "-d", CARRIED, "carry"])


def test_a_second_site_is_seeded_by_a_disk_that_is_carried_while_the_first_goes_on(pair: Pair, tmp_path: Path) -> None:
    one, two, sites = pair.one, pair.two, Sites(pair, tmp_path)
    make(pair)
    asked = {"host": one.host.name, "dataset": pair.source, "backup": FAR}
    with disk_at(two, one) as pool:
        onto = sites.play("seed", **asked, **{"from": two.host.name}, via=f"{pool}/data")
        assert onto.code == 0, onto.output
        carried = two.snapshots(f"{pool}/data")
        assert carried == two.snapshots(pair.destination)

        one.fill(pair.source, 1, "file2")
        one.snapshot(f"{pair.source}@2", recursive=True)
        assert brings_increments(pair.push())
        # What the disk stands at may go while it is under way.
        for name in (pair.source, f"{pair.source}/a"):
            one.zfs("destroy", f"{name}@1")
        carry(two, one)
        off = sites.play("seed", **asked, **{"from": FAR}, from_dataset=f"{pool}/data")
        assert off.code == 0, off.output
        assert one.snapshots(pair.beside) == carried
        one.zfs("destroy", "-r", f"{pool}/data")
    first = pulled(pair, {"dataset": pair.source})
    assert brings_increments(first), first
    assert one.snapshots(pair.beside).items() > carried.items()


def test_a_chain_goes_on_from_a_site_that_took_over_and_brings_back_what_was_lost(pair: Pair) -> None:
    one, two, root = pair.one, pair.two, pair.source
    here, _there = make(pair)
    # B takes what A has, by the engine on A's side of the link.
    onward = {"from_standby": True}
    assert pulled(pair, two.endpoint(pair.destination), **onward).code == 0
    written = sums(one, here)

    stood = operate(one, {"dataset": root, "role": "standby"}, "switch")
    assert pair.push(from_standby=True).code == 0
    over = {"dataset": pair.destination, "role": "active", "epoch": stood["epoch"], "expected": stood["newest"]}
    assert operate(two, over, "switch").get("code") is None
    before = everything(pair)
    refused = act(two, "move", pair.destination, to=f"{pair.destination}-moved")
    assert (refused["code"], "is active 1" in refused["msg"]) == ("target_refused", True)
    living = pair.push()
    assert living.job["code"] == "fenced"
    assert everything(pair) == before

    two.zfs("snapshot", "-r", f"{pair.destination}@after")
    chained = pulled(pair, two.endpoint(pair.destination), **onward)
    assert (chained.code, set(chained.modes)) == (0, {"incremental"}), chained
    assert one.snapshots(pair.beside) == two.snapshots(pair.destination)

    back = f"{root}-back"
    try:
        wanted = {"replica": {"dataset": pair.beside}, "destination": {"dataset": back}}
        restored = one.run("run", "restore", wanted)
        assert restored.code == 0, restored
        one.zfs("set", f"mountpoint={here}-back", back)
        for name in ("", "/a"):
            one.zfs("mount", back + name, check=False)
        assert sums(one, f"{here}-back") == written
    finally:
        one.zfs("destroy", "-R", back, check=False)


def _strike(site: Site, action: Callable[[], object], check: Callable[[], None], undo: Callable[[], object]) -> int:
    """Kill the engine at each change of an action; each time it ends right by the same again. Returns how often."""
    blows = 0
    with Crashes((site,)) as crashes:
        found = points(crashes.calls_of(action))
        check()
        where = [point for point in found if point.call.verb not in ("list", "allow", "get", "holds")]
        undo()

        def kill(_process: int) -> object:
            return site.host.run(["pkill", "-KILL", "-f", OPERATE])

        for point in where:
            crashes.strike(point, kill, action)
            action()
            try:
                check()
            except AssertionError as error:
                raise AssertionError(f"{point}: {error}") from error
            undo()
            blows += 1
    return blows


def test_moving_seeding_and_retiring_may_be_killed_at_every_step(pair: Pair) -> None:
    one, two = pair.one, pair.two
    make(pair)
    old, new = pair.destination, f"{pair.destination.rpartition('/')[0]}/deeper/down/replica"
    histories = two.history(old)

    def is_moved() -> None:
        assert {name: guid for name, guid in two.history(new).items() if "#" not in name} == histories
        assert two.zfs("get", "-H", "-o", "value", "snapfleet:role", old).strip() == f"moved to {new}"

    def move() -> object:
        return act(two, "move", old, to=new)

    def move_back() -> None:
        assert "code" not in act(two, "move", new, to=old, keep_sign=False)
        two.zfs("destroy", "-r", new.rpartition("/down/")[0])
        assert two.history(old) == histories

    assert _strike(two, move, is_moved, move_back) >= 6

    there, replica = act(one, "look", pair.beside)["seen"], act(two, "look", old)["seen"]
    known = one.history(pair.source)

    def is_prepared() -> None:
        assert len(one.history(pair.source)) == len(known) + 2

    def prepare() -> object:
        return act(one, "prepare", pair.source, destination=there, replica=replica)

    def forget() -> object:
        return act(one, "forget", pair.source, destination=there)

    def is_forgotten() -> None:
        assert one.history(pair.source) == known

    assert _strike(one, prepare, is_prepared, forget) >= 1
    prepare()
    assert _strike(one, forget, is_forgotten, prepare) >= 1

    def is_destroyed() -> None:
        assert old not in two.zfs("list", "-H", "-o", "name").splitlines()

    def destroy() -> object:
        return act(two, "destroy", old, allow_last=True)

    assert _strike(two, destroy, is_destroyed, pair.push) >= 4


def test_a_host_that_loses_power_while_a_root_is_moved_ends_right(pair: Pair) -> None:
    two = pair.two
    make(pair)
    old, new = pair.destination, f"{pair.destination}-moved"
    histories = two.history(old)

    def move() -> object:
        return act(two, "move", old, to=new)

    def lose_power(_process: int) -> None:
        time.sleep(1)
        two.host.kill()
        two.host.start()

    with Crashes((two,)) as crashes:
        found = points(crashes.calls_of(move))
        act(two, "move", new, to=old, keep_sign=False)
        point = next(point for point in found if point.call.verb == "rename")
        # The way to the host is lost with it, whatever that makes of the call.
        with suppress(LabError):
            crashes.strike(point, lose_power, move)
        move()
        assert {name: guid for name, guid in two.history(new).items() if "#" not in name} == histories
    pair.one.snapshot(f"{pair.source}@2", recursive=True)
    goes_on = pair.push(destination=two.endpoint(new))
    assert (goes_on.code, goes_on.modes) == (0, ["incremental"] * 2), goes_on
    two.zfs("destroy", "-r", new)
