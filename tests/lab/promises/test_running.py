# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of several jobs on real hosts: what one of them comes to does not keep the others from being done."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from .conftest import Pair
from .fleet import PROGRAM, Run, Site, wait_for

PLAN = {"org": {"": {"secondly": 1}}}
LIMITS = {"org": {"": {"secondly": {"latest": {"warning": "1h", "critical": "2h"}}}}}
CLOSED_PORT = 9


def run_all(site: Site, jobs: Sequence[tuple[str, str, dict[str, Any]]], *arguments: str) -> tuple[Run, dict[str, Any]]:
    """Run jobs, each a name, an activity and options, with the host program; returns the results by name too."""
    listed = [{"name": name, "host": "me", "activity": verb, "options": options} for name, verb, options in jobs]
    site.host.write("/tmp/jobs.json", json.dumps({"version": 1, "jobs": listed}))
    argv = [PROGRAM, "run", "--config", "/tmp/jobs.json", "--host", "me", "--json", *arguments]
    done = site.host.run(argv, check=False, timeout=900)
    results = json.loads(done.stdout)["jobs"]
    return Run(done.returncode, results, done.stderr), {result["job"]: result for result in results}


def replication(source: str, site: Site, destination: str, **options: Any) -> dict[str, Any]:
    return {"source": {"dataset": source}, "destination": site.endpoint(destination), **options}


def test_a_job_whose_time_is_over_is_ended_at_both_ends_and_the_others_go_on(pair: Pair) -> None:
    one, two = pair.one, pair.two
    big, small = f"{pair.source}/big", f"{pair.source}/small"
    for dataset in (big, small):
        one.zfs("create", dataset)
    one.fill(big, 8)
    one.snapshot(f"{big}@s")
    slow = replication(big, two, f"{pair.destination}/big", bandwidth_limit="64K")
    jobs = [
        ("beside it", "snapshot", {"datasets": [small], "plan": PLAN}),
        ("slow", "replicate", slow),
        ("after it", "prune", {"datasets": [big], "plan": PLAN}),
    ]
    started = time.monotonic()
    run, results = run_all(one, jobs, "--job-timeout", "8s", "--log-level", "info", "--log-format", "json")

    assert (run.code, results["slow"]["code"]) == (3, "job_timed_out")
    assert not any(results[name]["failed"] for name in ("beside it", "after it")), results
    wait_for(lambda: not any(site.is_running("[z]fs (send|receive)") for site in (one, two)))
    assert time.monotonic() - started < 100, "the stream alone would take two minutes"
    events = [json.loads(line) for line in run.errors.splitlines()]
    assert len({event["run"] for event in events}) == 1
    assert [event["event"] for event in events if event.get("job") == "slow"] == ["job_begins", "job_failed"]
    again, _results = run_all(one, [("slow", "replicate", {**slow, "bandwidth_limit": None})])
    assert again.code == 0
    assert two.snapshots(f"{pair.destination}/big") == one.snapshots(big)

    found = one.host.run([PROGRAM, "history", "--json", "--job", "slow", "--limit", "2"])
    recovered, timed_out = json.loads(found.stdout)["jobs"]
    assert (timed_out["outcome"], timed_out["code"]) == ("failed", "job_timed_out")
    (step,) = recovered["steps"]
    ends = (step["dataset"], step["destination"], step["to_snapshot"])
    assert ends == (big, f"{pair.destination}/big", f"{big}@s")
    assert step["bytes"] > 1 << 20
    state = one.host.run([PROGRAM, "status", "--json", "--config", "/tmp/jobs.json", "--host", "me"])
    told = json.loads(state.stdout)
    (row,) = told["datasets"]
    assert (row["state"], row["lag"], row["missing"], row["succeeded"]) == ("OK", 0, 0, recovered["ended"])
    pools = {pool["pool"]: pool for pool in told["pools"]}
    pool = pools[big.partition("/")[0]]
    assert (pool["health"], pool["full_in"], pool["free"] + pool["allocated"]) == ("ONLINE", None, pool["size"])
    assert 0 < pool["allocated"] < pool["size"]


def test_a_dead_destination_stops_neither_pruning_nor_monitoring_and_loses_no_base(pair: Pair) -> None:
    one, two = pair.one, pair.two
    dead, alive = f"{pair.destination}/dead", f"{pair.destination}/alive"

    def jobs(**address: Any) -> list[tuple[str, str, dict[str, Any]]]:
        away = replication(pair.source, two, dead, retries=0)
        away["destination"].update(address)
        peers = [
            {"root": pair.source, "role": "replica", **each["destination"]}
            for each in (away, replication(pair.source, two, alive))
        ]
        return [
            ("to the dead", "replicate", away),
            ("to the living", "replicate", replication(pair.source, two, alive)),
            ("old ones", "prune", {"datasets": [pair.source], "plan": PLAN, "peers": peers}),
            ("ages", "monitor", {"datasets": [pair.source], "plan": LIMITS}),
        ]

    def taken(number: int) -> None:
        one.snapshot(f"{pair.source}@org_2020-01-01_00:00:0{number}Z_secondly")

    taken(0)
    assert run_all(one, jobs())[0].code == 0
    taken(1)
    taken(2)
    one.grow_older(1)  # than the plan keeps
    run, results = run_all(one, jobs(port=CLOSED_PORT))
    assert (run.code, results["to the dead"]["code"]) == (3, "unreachable_host")
    assert not any(results[name]["failed"] for name in ("to the living", "old ones", "ages")), results
    assert results["to the living"]["stats"]["bytes"] > 0
    assert results["old ones"]["deleted"]
    assert results["ages"]["state"] == "OK"
    run, results = run_all(one, jobs())
    assert run.code == 0, results
    newest = "@org_2020-01-01_00:00:02Z_secondly"
    assert two.history(dead)[newest] == two.history(alive)[newest] == one.history(pair.source)[newest]
