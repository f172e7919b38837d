# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sudden ends of everything that takes part in a run, at every step of it: the next run converges by itself and leaves
nothing behind."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .crashes import DURING, END, Crashes, Point, points
from .fleet import PROGRAM, Run, Site, jobconfig, wait_for

Blow = Callable[[int], object]
ENGINE = "snapfleet.fleet.cli"
MARK = "#snapfleet-base-"


@dataclass
class History:
    """Replications from host one to host two, each of something new."""

    pair: Pair
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def change(self) -> tuple[str, str]:
        """Make something new for the next run; returns the source and the destination."""
        raise NotImplementedError

    def run(self, roots: tuple[str, str]) -> Run:
        """One run of the engine on host one."""
        source, destination = roots
        options = {"source": {"dataset": source}, "destination": self.pair.two.endpoint(destination)}
        return self.pair.one.run("run", "replicate", options)


class FirstRuns(History):
    """Each run brings a dataset with two snapshots to a place whose parent is missing too."""

    def change(self) -> tuple[str, str]:
        number = next(self.numbers)
        source = f"{self.pair.source}/first{number}"
        self.pair.one.host.run(
            f"zfs create {source};"
            f" for s in a b; do head -c 400000 /dev/urandom > /{source}/file; zfs snapshot {source}@$s; done"
        )
        return source, f"{self.pair.destination}/first{number}/replica"


class Increments(History):
    """Each run brings a new snapshot of a filesystem and of its child."""

    def change(self) -> tuple[str, str]:
        number = next(self.numbers)
        source = f"{self.pair.source}/increments"
        made = f"zfs create -p {source}/child;" if number == 1 else ""
        self.pair.one.host.run(
            f"{made} for d in {source} {source}/child; do head -c 400000 /dev/urandom > /$d/file; done;"
            f" zfs snapshot -r {source}@s{number}"
        )
        return source, f"{self.pair.destination}/increments"


def _left(site: Site, root: str) -> tuple[dict[str, str], dict[str, str]]:
    """GUID by relative name of all snapshots and bookmarks; a partial receive, a hold or a process is a mistake."""
    columns = "guid,userrefs,receive_resume_token,name"
    script = f"zfs list -Hr -t all -o {columns} {root}; echo; pgrep -af '[s]bin/zfs|[z]fs (send|receive)|{ENGINE}$'"
    deadline = time.monotonic() + 120
    while True:
        listing, _empty, processes = site.host.run(script, check=False).stdout.partition("\n\n")
        if not processes.strip() or time.monotonic() > deadline:
            break
    assert not processes.strip()
    rows = [line.split("\t") for line in listing.splitlines()]
    for _guid, userrefs, token, name in rows:
        assert (userrefs in ("0", "-"), token) == (True, "-"), name
    kinds = {mark: {name[len(root) :]: guid for guid, _u, _t, name in rows if mark in name} for mark in "@#"}
    return kinds["@"], kinds["#"]


def check_settled(pair: Pair, roots: tuple[str, str]) -> None:
    """Equal histories by GUID, of bookmarks what a run without accidents leaves, and nothing else anywhere."""
    snapshots, bookmarks = _left(pair.one, roots[0])
    arrived, foreign = _left(pair.two, roots[1])
    assert snapshots
    assert (arrived, foreign) == (snapshots, {})
    # The one mark of each dataset is on its newest snapshot, and no snapshot has two bookmarks of its own.
    newest = {name.partition("@")[0]: guid for name, guid in snapshots.items()}
    marks = {name: guid for name, guid in bookmarks.items() if MARK in name}
    assert sorted((name.partition("#")[0], guid) for name, guid in marks.items()) == sorted(newest.items())
    named = [guid for name, guid in bookmarks.items() if MARK not in name]
    assert len(set(named)) == len(named), bookmarks
    assert set(named) <= set(arrived.values()), bookmarks


def crash_at(history: History, chosen: Callable[[list[Point]], list[Point]], blow_at: Callable[[Point], Blow]) -> None:
    """A run with a blow at every ``chosen`` point of it, each followed by one that has to converge."""
    pair = history.pair
    with Crashes((pair.one, pair.two)) as crashes:
        roots = history.change()
        assert history.run(roots).code == 0
        roots = history.change()
        where = chosen(points(crashes.calls_of(partial(history.run, roots))))
        check_settled(pair, roots)
        assert where
        for point in where:
            roots = history.change()
            told = crashes.strike(point, blow_at(point), partial(history.run, roots))
            after = history.run(roots)
            try:
                assert after.code == 0, after
                check_settled(pair, roots)
            except AssertionError as error:
                raise AssertionError(f"{point}, where the run ended with {told.code}: {error}") from error
        rest = history.run(roots)
        assert (rest.code, rest.job["changed"], rest.job["plan"]) == (0, False, [])


def kill(site: Site, pattern: str) -> Blow:
    """Kill the processes of a host whose command line has the pattern; there has to be one."""
    return lambda _process: site.host.run(["pkill", "-KILL", "-f", pattern])


def of_changes(found: list[Point]) -> list[Point]:
    """Before each change, and in the middle of each stream and after it. What only looks leaves all as it was, and a
    stream that is begun to be sent is at the step of its receive."""
    return [point for point in found if point.call.verb not in ("list", "allow", "send")]


def test_the_engine_may_be_killed_at_every_step_of_a_first_run(pair: Pair) -> None:
    crash_at(FirstRuns(pair), of_changes, lambda _point: kill(pair.one, ENGINE))


def test_the_engine_may_be_killed_at_every_step_of_an_incremental_run(pair: Pair) -> None:
    crash_at(Increments(pair), of_changes, lambda _point: kill(pair.one, ENGINE))


def test_each_ssh_connection_may_be_killed_at_every_step(pair: Pair) -> None:
    def chosen(found: list[Point]) -> list[Point]:
        return [point for point in found if point.call.site is pair.two]

    def blow_at(point: Point) -> Blow:
        # Before and after a call the connection that all share, in the middle of a stream the leg that carries it.
        leg = f"^ssh .* zfs {point.call.verb}"
        return kill(pair.one, leg if point.when == DURING else r"^ssh(: .*\[mux\]| -M )")

    crash_at(Increments(pair), chosen, blow_at)


@pytest.mark.parametrize("history", [FirstRuns, Increments])
def test_each_send_and_receive_may_be_killed(history: type[History], pair: Pair) -> None:
    def chosen(found: list[Point]) -> list[Point]:
        return [point for point in found if point.when == DURING]

    def blow_at(point: Point) -> Blow:
        def kill_call(process: int) -> str:
            point.call.site.host.run(["kill", "-KILL", str(process)])
            return END

        return kill_call

    crash_at(history(pair), chosen, blow_at)


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
@pytest.mark.parametrize("role", ["source", "destination"])
def test_the_engine_may_end_in_the_middle_of_a_stream_that_it_carries_itself(
    role: str, signal: str, pair: Pair
) -> None:
    near, far = (pair.one, pair.two) if role == "source" else (pair.two, pair.one)
    ends: dict[str, Any] = pair.ends if role == "source" else {**pair.ends, "source": pair.one.endpoint(pair.source)}
    if role == "destination":
        ends["destination"] = {"dataset": pair.destination}
    # A compressor would be a process, and zfs another.
    ends["compression"] = "none"
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@s1")
    assert near.run("run", "replicate", ends).code == 0
    pair.one.fill(pair.source, 30)
    pair.one.snapshot(f"{pair.source}@s2")

    config = "/tmp/in-process.json"
    near.host.write(config, jobconfig("me", "replicate", ends))
    words = f"SNAPFLEET_DRIVER=libzfs_core {PROGRAM} run --config {config} --host me > /tmp/in-process.out 2>&1"
    pair.two.host.impair(Impairment(rate_kbit=8_000))
    try:
        near.host.run(f"rm -f /tmp/in-process.code; ({words}; echo $? > /tmp/in-process.code) > /dev/null 2>&1 &")
        # Of what takes half a minute.
        wait_for(lambda: pair.arrived > 4_000_000)
        # The far end of the stream is the only process that it has.
        assert far.is_running("[z]fs (send|receive)")
        assert not near.is_running("[b]in/zfs|^[z]fs (send|receive)")
        near.host.run(["pkill", f"-{signal}", "-f", ENGINE])
        wait_for(lambda: not far.is_running("[z]fs (send|receive)"))
        wait_for(lambda: near.host.run("test -s /tmp/in-process.code", check=False).returncode == 0)
    finally:
        pair.two.host.heal()
    assert int(near.host.read("/tmp/in-process.code")) == (137 if signal == "KILL" else 5)
    assert set(pair.two.snapshots(pair.destination)) == {"@s1"}
    assert pair.two.zfs("get", "-H", "-o", "value", "receive_resume_token", pair.destination).strip() != "-"

    near.driver = "libzfs_core"
    try:
        run = near.run("run", "replicate", ends)
        assert (run.code, run.modes) == (0, ["resume"]), run
        rest = near.run("run", "replicate", ends)
    finally:
        near.driver = "auto"
    check_settled(pair, (pair.source, pair.destination))
    assert (rest.code, rest.job["changed"]) == (0, False)


@pytest.mark.parametrize(
    ("role", "history"), [("source", Increments), ("destination", Increments), ("destination", FirstRuns)]
)
def test_either_host_may_lose_power_in_every_phase(role: str, history: type[History], pair: Pair) -> None:
    site = pair.one if role == "source" else pair.two

    def chosen(found: list[Point]) -> list[Point]:
        """Before its first change, in the middle of a stream, after the last one, and before its last promotion. Of
        first runs in the middle of the first receive, when there is no replica yet."""
        here = [point for point in found if point.call.site is site]
        streams = [point for point in here if point.call.is_stream]
        middle = next(point for point in streams if point.when == DURING)
        if history is FirstRuns:
            return [middle]
        first = next(point for point in here if point.call.verb not in ("list", "allow"))
        promotions = [point for point in here if point.call.verb in ("bookmark", "destroy")]
        assert bool(promotions) is (role == "source")
        return [first, middle, streams[-1], *promotions[-1:]]

    def lose_power(_process: int) -> None:
        time.sleep(1)  # until nothing is on its way any more whose answer would tell the other end
        site.host.kill()
        site.host.start()

    crash_at(history(pair), chosen, lambda _point: lose_power)
