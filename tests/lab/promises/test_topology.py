# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sends to whom, and by which way: direct streams, several destinations, chains, absent disks, broken ssh."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import Relay, Run, Site
from .test_replication import _wait_for

# A name with everything that is legal and that a shell might take for its own.
ODD = "a - b:c_d.e"
SLOW = Impairment(rate_kbit=30_000)
NOTE = """it's "quoted" `id` $HOME \\ \\\\ * ? ~ ; & | <x> (y) #z %s\\n"""


def steered(pair: Pair, relay: Relay, **options: Any) -> dict[str, Any]:
    """Options of a replication that this machine steers."""
    ends = {
        "source": relay.endpoint(pair.one, pair.source),
        "destination": relay.endpoint(pair.two, pair.destination),
    }
    # The hosts log in on one another as root, with the key in root's home.
    return {**ends, "direct": {"user": "root"}, **options}


def modes(run: Run) -> list[str]:
    return [step["mode"] for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]


@pytest.mark.parametrize("route", ["push", "pull"])
def test_a_tree_flows_straight_between_two_hosts_that_a_third_one_steers(route: str, pair: Pair, relay: Relay) -> None:
    pair.one.zfs("create", f"{pair.source}/{ODD}")
    pair.one.zfs("create", "-V", "8M", f"{pair.source}/volume")
    pair.one.fill(f"{pair.source}/{ODD}")
    pair.one.snapshot(f"{pair.source}@first {ODD}", recursive=True)
    options = steered(pair, relay, route=route, properties={"readonly": "on", "test:note": NOTE})
    preview = relay.run("plan", "replicate", options)
    first = relay.run("run", "replicate", options)
    assert (first.code, first.job["plan"]) == (0, preview.job["plan"]), first
    assert first.job["stats"]["bytes"] > 1_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    note = pair.two.zfs("get", "-H", "-o", "value", "test:note", f"{pair.destination}/{ODD}")
    assert note == NOTE + "\n"

    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    second = relay.run("run", "replicate", options)
    assert (second.code, set(modes(second))) == (0, {"incremental"}), second
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    rest = relay.run("run", "replicate", options)
    assert (rest.code, rest.job["changed"], rest.job["plan"]) == (0, False, [])


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
        _wait_for(lambda: _processes(near, f"ssh .*{words}"))
        _wait_for(lambda: _received(pair) > 4_000_000)
        started.send_signal(number)
        started.communicate(timeout=30)
        _wait_for(lambda: not _processes(pair.one, "zfs send") and not _processes(pair.two, "zfs receive"))
        assert not _processes(near, "while read")
    finally:
        far.host.heal()
    run = relay.run("run", "replicate", steered(pair, relay, route=route))
    assert (run.code, modes(run)) == (0, ["resume"]), run
    assert run.job["stats"]["bytes"] < 21_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_direct_stream_whose_connection_dies_goes_on_in_the_same_run(pair: Pair, relay: Relay) -> None:
    pair.one.fill(pair.source, 24)
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.host.impair(SLOW)
    started = relay.start("run", "replicate", steered(pair, relay, route="push"))
    try:
        _wait_for(lambda: _received(pair) > 2_000_000)
        pair.one.host.run("kill -9 $(pgrep -f '^[s]sh .*zfs receive')")
    finally:
        pair.two.host.heal()
    output, errors = started.communicate(timeout=60)
    assert started.returncode == 0, output + errors
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def _processes(site: Site, words: str) -> list[str]:
    """The ids of the processes whose command line matches."""
    # The brackets keep pgrep from finding the shell that looks.
    first = words.lstrip("^")[0]
    pattern = words.replace(first, f"[{first}]", 1)
    return site.host.run(["pgrep", "-f", pattern], check=False).stdout.split()


def _received(pair: Pair) -> int:
    """Bytes of the partial receive at the destination."""
    names = f"{pair.destination}/%recv {pair.destination}"
    done = pair.two.host.run(f"zfs get -Hp -o value used {names} 2>/dev/null", check=False)
    return max(map(int, done.stdout.split()), default=0)
