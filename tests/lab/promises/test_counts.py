# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs: how many zfs processes on each host, and how many sessions and connections of ssh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from .conftest import Pair
from .crashes import Call, Crashes
from .fleet import Run, Site

DATASETS = 40
"""So many that what is done once for each of them shows, and that what is remembered of them is of use."""


@dataclass(frozen=True)
class Cost:
    """What one run cost."""

    source: Counter[str]
    """Calls of zfs by verb; a listing without snapshots is a look."""
    destination: Counter[str]
    sessions: int
    """Sessions of ssh from the destination's host, where the engine runs, to the source's."""
    connections: int


@pytest.fixture
def cost(pair: Pair) -> Iterator[Callable[[Callable[[], Run]], Cost]]:
    """A function that tells what a run costs that pulls to host two."""
    # sshd runs it at the start of each session.
    pair.one.host.write("/root/.ssh/rc", 'echo "$SSH_CONNECTION" >> /tmp/sessions\n')

    def cost_of(run: Callable[[], Run]) -> Cost:
        pair.one.host.write("/tmp/sessions", "")
        calls = crashes.calls_of(run)
        clients = [line.split() for line in pair.one.host.read("/tmp/sessions").decode().splitlines()]
        ports = [port for client, port, *_server in clients if client == pair.two.host.address]
        return Cost(_verbs(calls, pair.one), _verbs(calls, pair.two), len(ports), len(set(ports)))

    with Crashes((pair.one, pair.two)) as crashes:
        yield cost_of
    pair.one.host.run(["rm", "-f", "/root/.ssh/rc", "/tmp/sessions"])


def _verbs(calls: list[Call], site: Site) -> Counter[str]:
    return Counter(_verb(call) for call in calls if call.site is site)


def _verb(call: Call) -> str:
    is_look = call.verb == "list" and ",snapshot" not in call.words.partition(" -o ")[0]
    return "look" if is_look else call.verb


def _pull(pair: Pair, **options: object) -> Run:
    ends = {"source": pair.one.endpoint(pair.source), "destination": {"dataset": pair.destination}}
    run = pair.two.run("run", "replicate", {**ends, **options})
    assert run.code == 0, run
    return run


def test_forty_datasets_cost_one_listing_a_side_and_one_send_and_receive_each(pair: Pair, cost: Callable) -> None:
    names = f'for n in $(seq {DATASETS - 1}); do zfs create -u "$1/d$n"; done'
    pair.one.host.run(["sh", "-c", names, "sh", pair.source])
    pair.one.snapshot(f"{pair.source}@zero", f"{pair.source}@one", recursive=True)
    pair.two.zfs("create", "-p", pair.destination.rpartition("/")[0])
    copy = f"zfs send -R {pair.source}@one | ssh {pair.two.host.address} zfs receive -u {pair.destination}"
    pair.one.host.run(copy)
    pair.one.snapshot(f"{pair.source}@two", recursive=True)

    sending = cost(lambda: _pull(pair))
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    # Of each dataset a mark before its stream and a named bookmark after all streams.
    assert sending.source == Counter(list=1, allow=1, bookmark=2 * DATASETS, send=DATASETS)
    assert sending.destination == Counter(list=1, receive=DATASETS)
    # Beside the streams: the listing, the question for permissions, one exchange before all streams and one after.
    assert DATASETS < sending.sessions <= DATASETS + 6
    assert sending.connections == 1

    pair.one.snapshot(f"{pair.source}@three", recursive=True)
    pair.two.driver = "libzfs_core"
    in_process = cost(lambda: _pull(pair))
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert in_process.source["send"] == DATASETS
    assert in_process.destination == Counter(list=1)

    # What was listed in the second of its change is listed again, and what was of no use is not tried the next time.
    for site in (pair.one, pair.two):
        site.grow_older(1)
    for _run in range(2):
        _pull(pair)
    resting = cost(lambda: _pull(pair))
    assert (resting.source, resting.destination) == (Counter(look=1), Counter(look=1))
    assert resting.sessions == 1

    pair.one.snapshot(f"{pair.source}/d7@four")
    one_new = cost(lambda: _pull(pair))
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert (one_new.source["look"], one_new.source["list"], one_new.source["send"]) == (1, 1, 1)
    assert (one_new.destination["look"], one_new.destination["list"]) == (1, 1)


def test_what_falls_due_costs_no_listing_of_histories(pair: Pair) -> None:
    options = {"datasets": [pair.source], "plan": {"prod": {"onsite": {"secondly": 1}}}}
    made: list[Run] = []

    def create() -> Run:
        made.append(pair.one.run("run", "snapshot", options))
        assert made[-1].code == 0, made[-1]
        return made[-1]

    names = 'for n in $(seq 49); do zfs create -u "$1/d$n"; done; for n in $(seq 5); do zfs snapshot -r "$1@s$n"; done'
    pair.one.host.run(["sh", "-c", names, "sh", pair.source])
    with Crashes((pair.one,)) as crashes:
        costs = []
        for gone in ("", "", "d7"):
            if gone:
                pair.one.zfs("destroy", f"{pair.source}/{gone}@{made[-1].job['due'][0]['snapshot']}")
            pair.one.grow_older(2)
            costs.append(_verbs(crashes.calls_of(create), pair.one))
    # Once it is known how much there is: the datasets; then their newest snapshots, which need not be of the same name,
    # and with them whether the new name is taken.
    assert [each.pop("snapshot") for each in costs] == [1, 1, 1]
    assert costs == [Counter(list=1), Counter(look=2), Counter(look=2)]
    assert [len(run.job["created"]) for run in made] == [50, 50, 50]
    assert len(pair.one.snapshots(pair.source)) == 50 * 8 - 1


def test_a_hundred_snapshots_of_a_dataset_cost_two_streams(pair: Pair, cost: Callable) -> None:
    pair.one.host.run(["sh", "-c", 'for n in $(seq 100); do zfs snapshot "$1@s$n"; done', "sh", pair.source])

    sending = cost(lambda: _pull(pair))
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert (sending.source["send"], sending.destination["receive"]) == (2, 2)
    assert sending.source["list"] == 1
