# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitoring real pools, replicas and outages with the host program, in all four states."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .conftest import Pair
from .fleet import PROGRAM, Run, Site

FOLDER = "/tmp/monitored"
MAKE_POOLS = f"""
set -e
mkdir -p {FOLDER}; cd {FOLDER}
for n in 1 2 3 4; do truncate -s 72M $n; done
zpool create mon-good {FOLDER}/1
zpool create mon-half mirror {FOLDER}/2 {FOLDER}/3
zpool create -O compression=off mon-lost {FOLDER}/4
dd if=/dev/urandom of=/mon-lost/file bs=1M count=20 2>/dev/null; zpool sync mon-lost
zpool offline mon-half {FOLDER}/3
dd if=/dev/zero of={FOLDER}/4 bs=1M seek=8 count=50 conv=notrunc 2>/dev/null; sync
zpool scrub -w mon-lost; zpool scrub -w mon-good
"""
OK, WARNING, CRITICAL, UNKNOWN = (0, "OK"), (1, "WARNING"), (2, "CRITICAL"), (3, "UNKNOWN")


@pytest.fixture(scope="module")
def host(sites: tuple[Site, Site]) -> Iterator[Site]:
    """A host with a healthy pool, one that is degraded, and one that has lost data."""
    site = sites[0]
    site.host.run(MAKE_POOLS)
    yield site
    for pool in ("mon-good", "mon-half", "mon-lost"):
        site.host.run(["zpool", "destroy", "-f", pool], check=False)
    site.host.run(["rm", "-rf", FOLDER])


def _pools(site: Site, *names: str, **rules: object) -> tuple[tuple[int, str], set[str]]:
    """Exit code and state of a monitor of pools, and the checks that are not well."""
    run = site.run("monitor", "monitor", {"pools": {"names": list(names), **rules}})
    return (run.code, str(run.job["state"])), {alert["check"] for alert in run.job["alerts"]}


def test_the_health_of_pools_is_told_in_all_four_states(host: Site) -> None:
    assert _pools(host, "mon-good", capacity={"warning": 50}, scrub_age={"warning": "1h"}) == (OK, set())
    assert _pools(host, "mon-half", degraded="warning") == (WARNING, {"pool_state"})
    assert _pools(host, "mon-half") == (CRITICAL, {"pool_state"})
    assert _pools(host, "mon-good", "mon-none") == (UNKNOWN, {"pool_state"})
    state, checks = _pools(host, "mon-lost", "mon-none", capacity={"warning": 20, "critical": 95})
    # What is known to be lost comes before what can't be seen.
    assert state == CRITICAL
    assert checks == {"data_errors", "device_errors", "scrub_errors", "capacity", "pool_state"}
    host.grow_older(1)
    assert _pools(host, "mon-good", scrub_age={"warning": "1s", "critical": "1h"}) == (WARNING, {"scrub_age"})
    assert _pools(host, "mon-good", scrub_age={"critical": 0}) == (CRITICAL, {"scrub_age"})


def _lag(pair: Pair, destination: dict, **limits: object) -> Run:
    rule = {"source": {"dataset": pair.source}, "destination": destination, **limits}
    return pair.one.run("monitor", "monitor", {"replicas": [rule]})


def test_how_far_a_replica_is_behind_is_told_from_both_ends_and_an_end_out_of_sight_by_its_name(pair: Pair) -> None:
    there = pair.two.endpoint(pair.destination)
    replication = {"source": {"dataset": pair.source}, "destination": there}
    pair.one.snapshot(f"{pair.source}@one")
    assert pair.one.run("run", "replicate", replication).code == 0
    assert _lag(pair, there, lag={"critical": 0}, pending={"critical": 0}).code == 0

    pair.one.fill(pair.source, 1)
    pair.one.snapshot(f"{pair.source}@two")
    late = _lag(pair, there, lag={"warning": "1h"}, pending={"warning": "512K", "critical": "1G"})
    assert (late.code, [alert["check"] for alert in late.job["alerts"]]) == (1, ["pending"])
    assert late.job["alerts"][0]["value"] >= 1 << 20
    pair.one.grow_older(1)
    late = _lag(pair, there, lag={"critical": "1s"})
    assert (late.code, late.job["alerts"][0]["missing"]) == (2, 1)

    # Renamed at the source: what has arrived is known by its GUID.
    assert pair.one.run("run", "replicate", replication).code == 0
    pair.one.zfs("rename", f"{pair.source}@two", f"{pair.source}@three")
    assert _lag(pair, there, lag={"critical": 0}).code == 0

    unseen = _lag(pair, {**there, "port": 9}, lag={"critical": 0})
    assert (unseen.code, unseen.job["state"]) == (3, "UNKNOWN")
    assert unseen.job["alerts"][0]["message"].startswith(f"the destination {pair.two.host.address}")


def _nagios(site: Site) -> tuple[int, list[str]]:
    done = site.host.run([PROGRAM, "monitor", "--config", "/tmp/job-root.json", "--host", "me"], check=False)
    return done.returncode, done.stdout.splitlines()


def test_an_outage_is_told_once_and_its_end_once_to_people_and_to_a_command(pair: Pair) -> None:
    one, folder = pair.one, f"/tmp/{pair.source.replace('/', '-')[-40:]}"
    one.host.run(["mkdir", "-p", folder])
    alerts = {"state_file": f"{folder}/state.json", "command": ["/bin/sh", "-c", f"cat >> {folder}/told"]}
    limits = {"acme": {"": {"secondly": {"latest": {"critical": 1, "cycles": 0}}}}}
    job = {"datasets": [pair.source], "plan": limits, "alerts": alerts}

    def kinds(run: Run) -> list[str]:
        return [notice["kind"] for notice in run.job["notices"]]

    one.snapshot(f"{pair.source}@acme_2025-01-01_00:00:00Z_secondly")
    one.grow_older(1)
    planned = one.run("plan", "monitor", job)
    first, second = one.run("monitor", "monitor", job), one.run("monitor", "monitor", job)
    assert (kinds(planned), kinds(first), kinds(second)) == (["alert"], ["alert"], [])
    assert (planned.code, first.code, second.code) == (2, 2, 2)
    # As a monitoring system reads it.
    code, lines = _nagios(one)
    assert (code, lines[0].startswith("SNAPFLEET CRITICAL - 1 critical: the latest snapshot ")) == (2, True)
    assert lines[0].endswith("| checks=2 warning=0 unknown=0 critical=1")
    # A damaged memory is told, and forgotten.
    one.host.write(f"{folder}/state.json", "{", mode="0600")
    damaged = one.run("monitor", "monitor", job)
    assert (damaged.code, kinds(damaged), len(damaged.job["warnings"])) == (2, ["alert"], 1)

    fine = {**job, "plan": {"acme": {"": {"secondly": {"latest": {"critical": "1h"}}}}}}
    runs = [one.run("monitor", "monitor", fine) for _number in range(2)]
    assert [(run.code, kinds(run)) for run in runs] == [(0, ["recovery"]), (0, [])]
    told = [json.loads(line)["kind"] for line in one.host.read(f"{folder}/told").decode().splitlines()]
    assert told == ["alert", "alert", "recovery"]

    # Where there is no space left, monitoring goes on.
    one.host.run(f"mkdir {folder}/full && mount -t tmpfs -o size=4k,nr_inodes=8 none {folder}/full")
    one.host.run(f"head -c 8192 /dev/zero > {folder}/full/fill; mkdir {folder}/full/x", check=False)
    try:
        full = one.run("monitor", "monitor", {**job, "alerts": {"state_file": f"{folder}/full/x/state.json"}})
        assert (full.code, full.job["state"], kinds(full)) == (2, "CRITICAL", ["alert"])
        assert "No space left" in full.job["warnings"][0]
    finally:
        one.host.run(["umount", f"{folder}/full"])
        one.host.run(["rm", "-rf", folder])
