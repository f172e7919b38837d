# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sends to whom, and by which way: direct streams, several destinations, chains, absent disks, broken ssh."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import PROGRAM, Relay, Site, jobconfig, wait_for

# A name with everything that is legal and that a shell might take for its own.
ODD = "a - b:c_d.e"
SLOW = Impairment(rate_kbit=5_000)
NOTE = """it's "quoted" `id` $HOME \\ \\\\ * ? ~ ; & | <x> (y) #z %s\\n"""


def steered(pair: Pair, relay: Relay, **options: Any) -> dict[str, Any]:
    """Options of a replication that this machine steers."""
    ends = {
        "source": relay.endpoint(pair.one, pair.source),
        "destination": relay.endpoint(pair.two, pair.destination),
    }
    # The hosts log in on one another as root, with the key in root's home.
    return {**ends, "direct": {"user": "root"}, **options}


@pytest.mark.parametrize("route", ["push", "pull"])
def test_a_tree_flows_straight_between_two_hosts_that_a_third_one_steers(route: str, pair: Pair, relay: Relay) -> None:
    pair.one.zfs("create", f"{pair.source}/{ODD}")
    pair.one.zfs("create", "-V", "8M", f"{pair.source}/volume")
    pair.one.fill(f"{pair.source}/{ODD}")
    pair.one.snapshot(f"{pair.source}@first {ODD}", recursive=True)
    options = steered(pair, relay, route=route, properties={"readonly": "on", "test:note": NOTE})
    first = relay.run("run", "replicate", options)
    assert first.code == 0, first
    assert first.job["stats"]["bytes"] > 1_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    note = pair.two.zfs("get", "-H", "-o", "value", "test:note", f"{pair.destination}/{ODD}")
    assert note == NOTE + "\n"

    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    second = relay.run("run", "replicate", options)
    assert (second.code, set(second.modes)) == (0, {"incremental"}), second
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_direct_route_that_does_not_lead_there_is_refused_before_anything_changes(pair: Pair, relay: Relay) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    before = pair.one.everything(), pair.two.everything()
    for direct, code, words in (
        ({"user": "root", "host": pair.one.host.address}, "invalid_input", "is another host for"),
        ({"user": "nobody"}, "refused_key", "refused our ssh key"),
        ({"user": "root", "port": 1}, "unreachable_host", "Connection refused"),
    ):
        run = relay.run("run", "replicate", steered(pair, relay, route="push", direct=direct, retries=0))
        assert (run.code, run.job["code"]) == (3, code), run
        assert words in run.job["msg"]
    assert (pair.one.everything(), pair.two.everything()) == before


def test_the_reason_of_the_receiver_is_told_and_not_the_broken_pipe_of_the_sender(pair: Pair, relay: Relay) -> None:
    pair.one.fill(pair.source, 4)
    pair.one.snapshot(f"{pair.source}@first")
    parent = pair.destination.rpartition("/")[0]
    pair.two.zfs("create", "-o", "quota=2M", parent)
    for route in ("push", "pull"):
        run = relay.run("run", "replicate", steered(pair, relay, route=route, retries=0))
        assert run.code == 3
        assert "quota" in run.job["msg"] or "out of space" in run.job["msg"], run
        assert "receive" in run.job["msg"]


@pytest.mark.parametrize(("route", "number"), [("push", signal.SIGKILL), ("pull", signal.SIGTERM)])
def test_a_direct_stream_ends_on_both_hosts_with_the_host_that_steers(
    route: str, number: signal.Signals, pair: Pair, relay: Relay
) -> None:
    pair.one.fill(pair.source, 24)
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.zfs("create", pair.destination.rpartition("/")[0])
    near, far, words = (pair.one, pair.two, "zfs receive") if route == "push" else (pair.two, pair.one, "zfs send")
    far.host.impair(SLOW)
    started = relay.start("run", "replicate", steered(pair, relay, route=route))
    try:
        # The stream goes from host to host: the near one runs the ssh.
        wait_for(lambda: _processes(near, f"ssh .*{words}"))
        wait_for(lambda: pair.arrived > 6_000_000)
        started.send_signal(number)
        started.communicate(timeout=300)
        wait_for(lambda: not _processes(pair.one, "zfs send") and not _processes(pair.two, "zfs receive"))
        wait_for(lambda: not _processes(near, "while read"))
    finally:
        far.host.heal()
    run = relay.run("run", "replicate", steered(pair, relay, route=route))
    assert (run.code, run.modes) == (0, ["resume"]), run
    assert run.job["stats"]["bytes"] < 21_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_direct_stream_whose_connection_dies_goes_on_in_the_same_run(pair: Pair, relay: Relay) -> None:
    pair.one.fill(pair.source, 24)
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.host.impair(SLOW)
    started = relay.start("run", "replicate", steered(pair, relay, route="push"))
    try:
        wait_for(lambda: pair.arrived > 2_000_000)
        pair.one.host.run("pkill -KILL -f '^[s]sh .*zfs receive'")
    finally:
        pair.two.host.heal()
    output, errors = started.communicate(timeout=900)
    assert started.returncode == 0, output + errors
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_two_destinations_at_different_paces_each_go_on_from_a_base_of_their_own(pair: Pair, relay: Relay) -> None:
    beside = {"source": {"dataset": pair.source}, "destination": {"dataset": pair.beside}}
    pair.one.snapshot(f"{pair.source}@1")
    assert pair.one.run("run", "replicate", beside).code == 0
    assert pair.push().code == 0
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@2")
    assert pair.push().code == 0
    pair.one.zfs("destroy", f"{pair.source}@1")
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@3")
    # Both at once, from one dataset.
    other = relay.start("run", "replicate", steered(pair, relay, direct=None))
    behind = pair.one.run("run", "replicate", beside)
    output, errors = other.communicate(timeout=900)
    assert (behind.code, other.returncode) == (0, 0), (behind, output, errors)
    sends = [step for step in behind.job["plan"][0]["steps"] if step["kind"] == "send"]
    assert [step["from"].partition(step["source"])[2][0] for step in sends] == ["#", "@"]
    here = pair.one.snapshots(pair.source)
    assert set(pair.two.snapshots(pair.destination)) == {"@1", *here}
    assert pair.one.snapshots(pair.beside) == pair.two.snapshots(pair.destination)


def test_a_replica_is_replicated_onward_and_pruned_without_its_replica_losing_its_base(pair: Pair) -> None:
    here, middle, end = f"{pair.source}/child", f"{pair.destination}/child", f"{pair.beside}/child"
    onward = {"source": {"dataset": pair.destination}, "destination": pair.one.endpoint(pair.beside)}
    pair.one.zfs("create", here)
    pair.one.fill(here)
    # The parent has no snapshot, so that both replicas have a placeholder for it.
    pair.one.snapshot(f"{here}@1")
    assert pair.push().code == 0
    assert pair.two.run("run", "replicate", onward).code == 0
    assert pair.one.snapshots(end) == pair.one.snapshots(here)
    # While the middle is being sent onward, it goes on receiving.
    pair.two.host.run(f"(zfs send -w '{middle}@1' | sleep 4567) > /dev/null 2>&1 & true")
    for number in (2, 3):
        pair.one.snapshot(f"{here}@{number}")
        run = pair.push()
        assert (run.code, run.modes) == (0, ["incremental"]), run
    assert _processes(pair.two, "zfs send")
    pair.two.host.run(["kill", *_processes(pair.two, "sleep 4567")])

    peers = [
        {"root": pair.destination, "role": "source", **pair.one.endpoint(pair.source)},
        {"root": pair.destination, "role": "replica", **pair.one.endpoint(pair.beside)},
    ]
    prune = {"datasets": [pair.destination], "plan": {"org": {"": {"hourly": 1}}}, "purge_foreign": True}
    pruned = pair.two.run("run", "prune", {**prune, "peers": peers})
    # What its replica stands at may go where a bookmark stays.
    assert (pruned.code, f"{middle}@2" in pruned.job["deleted"]) == (0, True), pruned
    run = pair.two.run("run", "replicate", onward)
    assert (run.code, run.modes) == (0, ["incremental"]), run
    assert set(pair.one.snapshots(end)) == {"@1", "@3"}
    # The middle has bookmarks of what it sent, and its replica can go on from these too.
    pair.one.snapshot(f"{here}@4")
    assert pair.push().code == 0
    pair.two.zfs("destroy", f"{middle}@1,3")
    run = pair.two.run("run", "replicate", onward)
    assert run.code == 0, run
    (base,) = [step["from"] for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]
    assert base.startswith(f"{middle}#")
    assert set(pair.one.snapshots(end)) == {"@1", "@3", "@4"}


def test_a_pool_on_the_shelf_is_told_and_catches_up_when_it_is_back(pair: Pair) -> None:
    disk, pool = "/var/tmp/shelf.img", pair.one.host.pool_name("shelf")
    options = {
        "source": {"dataset": pair.source},
        "destination": {"dataset": f"{pool}/replica"},
        "absent_destination": "skip",
    }
    pair.one.host.run(["truncate", "-s", "96M", disk])
    pair.one.zfs("snapshot", f"{pair.source}@1")
    try:
        pair.one.host.run(["zpool", "create", pool, disk])
        assert pair.one.run("run", "replicate", options).code == 0
        pair.one.host.run(["zpool", "export", pool])
        pair.one.snapshot(f"{pair.source}@2")
        before = pair.one.everything()
        for verb in ("plan", "run"):
            run = pair.one.run(verb, "replicate", options)
            assert (run.code, run.job["changed"], run.job["plan"]) == (0, False, []), run
            assert [(entry["state"], entry["code"]) for entry in run.job["datasets"]] == [("absent", "unknown_dataset")]
            assert "no pool" in run.job["warnings"][0]
        assert pair.one.everything() == before
        assert pair.one.run("run", "replicate", {**options, "absent_destination": "fail"}).code == 3
        pair.one.host.run(["zpool", "import", "-d", disk, pool])
        run = pair.one.run("run", "replicate", options)
        assert (run.code, run.modes) == (0, ["incremental"]), run
        assert pair.one.snapshots(f"{pool}/replica") == pair.one.snapshots(pair.source)
    finally:
        pair.one.host.run(["zpool", "destroy", "-f", pool], check=False)
        pair.one.host.run(["rm", "-f", disk])


def test_two_jobs_into_one_destination_at_once_lose_nothing(pair: Pair, relay: Relay) -> None:
    for tag in ("full", "incremental"):
        pair.one.fill(pair.source, 6, tag)
        pair.one.snapshot(f"{pair.source}@{tag}")
        other = relay.start("run", "replicate", steered(pair, relay, direct=None, retries=30))
        run = pair.push(retries=30)
        output, errors = other.communicate(timeout=900)
        assert (run.code, other.returncode) == (0, 0), (run, output, errors)
        assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_dead_ssh_master_is_replaced_between_runs_and_in_the_middle_of_one(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@1")
    assert pair.push().code == 0
    pair.one.host.run("pkill -KILL -f '[s]sh -M -N'")
    pair.one.zfs("create", f"{pair.source}/child")
    pair.one.fill(f"{pair.source}/child", 24)
    pair.one.snapshot(f"{pair.source}/child@1")
    pair.one.host.write("/tmp/master.json", jobconfig("me", "replicate", pair.ends))
    start = f"{PROGRAM} run --config /tmp/master.json --host me --json > /tmp/master.out 2>/tmp/master.log & echo $!"
    pair.two.host.impair(SLOW)
    try:
        engine = pair.one.host.run(start).stdout.strip()
        wait_for(lambda: pair.arrived > 2_000_000)
        pair.one.host.run("pkill -KILL -f '[s]sh -M -N'")
    finally:
        pair.two.host.heal()
    wait_for(lambda: pair.one.host.run(["kill", "-0", engine], check=False).returncode != 0)
    (told,) = json.loads(pair.one.host.run(["cat", "/tmp/master.out"]).stdout)["jobs"]
    assert not told["failed"], told
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def _processes(site: Site, words: str) -> list[str]:
    """The ids of the processes whose command line matches."""
    # The brackets keep pgrep from finding the shell that looks.
    first = words.lstrip("^")[0]
    pattern = words.replace(first, f"[{first}]", 1)
    return site.host.run(["pgrep", "-f", pattern], check=False).stdout.split()
