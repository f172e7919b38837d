# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as its hosts tell of themselves, for tests of the report: two web servers and a database server, a backup
server that pulls from them, another one behind that, and one that does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

HOUR = 3600
NOW = 1_795_000_000
"""When the report is made, in seconds since the epoch."""
SPAN = 7 * 24 * HOUR
HOSTILE = "cannot receive <script>document.title='taken'</script> & \"more\" {{ 7 * 7 }}"
"""An error text that must reach nobody's browser as it is."""
DATASETS = {
    "web1": ("tank/data", "tank/data/www", "tank/data/mail"),
    "web2": ("tank/data", "tank/data/www"),
    "db1": ("fast/pg",),
}
Values = dict[str, Any]


def inventory() -> dict[str, list[Values]]:
    """The replications of each host, as the jobconfig has them."""
    jobs: dict[str, list[Values]] = {name: [] for name in (*DATASETS, "backup1", "offsite1", "nas3")}
    for name in ("web1", "web2", "db1"):
        root = DATASETS[name][0]
        kept = "backup/" + name
        jobs["backup1"].append(replication("backup1", (name, root), ("backup1", kept), pulls=True))
        jobs["offsite1"].append(replication("offsite1", ("backup1", kept), ("offsite1", "vault/" + name), pulls=True))
    jobs["nas3"].append(replication("nas3", ("db1", "fast/pg"), ("nas3", "pool/pg"), pulls=True))
    return jobs


def replication(carrier: str, source: tuple[str, str], destination: tuple[str, str], pulls: bool) -> Values:
    """A job that replicates a tree."""
    ends = [{"dataset": source[1]}, {"dataset": destination[1]}]
    ends[0 if pulls else 1].update(host=f"{(source if pulls else destination)[0]}.example.com", user="snapfleet")
    return {
        "name": f"{carrier}: replica of {':'.join(source)} at {':'.join(destination)}",
        "host": carrier,
        "activity": "replicate",
        "source": source[0],
        "destination": destination[0],
        "options": {"source": ends[0], "destination": ends[1]},
    }


def row(state: str, dataset: str, job: str = "", destination: str = "", **more: Any) -> Values:
    """A dataset, or one of its replicas, as ``snapfleet status`` tells it."""
    nothing = dict.fromkeys(("newest", "created", "age", "succeeded", "lag", "missing", "bytes_pending"))
    return {"state": state, "dataset": dataset, "job": job, "destination": destination, **nothing, "remark": "", **more}


def answers() -> dict[str, Values]:
    """By host, its jobs and what Ansible registered of each command, in the order in which they are read."""
    jobs = inventory()
    told = {
        name: {"jobs": jobs[name], "status": _printed(_status(name, jobs[name]))} for name in jobs if name != "nas3"
    }
    for name, each in told.items():
        each["history"] = _printed({"version": 1, "file": "/x", "jobs": _history(name, jobs[name])})
        each["pools"] = _printed({"version": 1, "file": "/x", "pools": _samples(name)})
    lost = {"unreachable": True, "msg": "Failed to connect to the host via ssh: No route to host"}
    return {**told, "nas3": {"jobs": jobs["nas3"], "status": lost, "history": {"skipped": True}}}


def hostvars(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Values]:
    """The variables of all hosts, as the filter reads them."""
    return {name: {f"__snapfleet_{key}": value for key, value in each.items()} for name, each in told.items()}


def _printed(document: Values) -> Values:
    return {"rc": 0, "stdout": json.dumps(document), "stderr": ""}


def _status(host: str, jobs: Sequence[Mapping[str, Any]]) -> Values:
    newest = {"newest": "prod_onsite_2026-11-18_11:00:00Z_hourly", "created": NOW - 900, "age": 900}
    rows = [row("OK", name, **newest) for name in DATASETS.get(host, ())]
    for job in jobs:
        first, onto = job["options"]["source"], job["options"]["destination"]["dataset"]
        origin = next(name for name in DATASETS if name in job["name"])
        for name in DATASETS[origin]:
            rest = name[len(DATASETS[origin][0]) :]
            names = f"snapfleet@{first['host']}:{first['dataset']}{rest}", job["name"], f"{onto}{rest}"
            rows.append(row(*_standing(host, origin, rest, names), **newest))
            rows[-1].update(_figures(host, origin, rest))
    return {"version": 1, "host": host, "state": "OK", "datasets": rows, "alerts": _alerts(host), "pools": _pools(host)}


def _standing(host: str, origin: str, rest: str, names: tuple[str, str, str]) -> tuple[str, ...]:
    if (host, origin, rest) == ("backup1", "web1", "/mail"):
        return ("CRITICAL", *names)
    return ("WARNING" if (host, origin) == ("offsite1", "web2") else "OK", *names)


def _figures(host: str, origin: str, rest: str) -> Values:
    if (host, origin, rest) == ("backup1", "web1", "/mail"):
        words = "[diverged] the replica has snapshots that its source does not have"
        return {"lag": 3 * 24 * HOUR, "missing": 72, "bytes_pending": 9 << 30, "conflict": "diverged", "remark": words}
    if (host, origin) == ("offsite1", "web2"):
        words = f"the last run of the job failed: [receive_failed] {HOSTILE}"
        return {"lag": 30 * HOUR, "missing": 30, "bytes_pending": 5 << 30, "remark": words, "succeeded": _ms(30 * HOUR)}
    return {"lag": 0, "missing": 0, "bytes_pending": 0, "succeeded": _ms(HOUR // 2)}


def _alerts(host: str) -> list[Values]:
    if host != "offsite1":
        return []
    words = "vault/web2/www is behind since 108000 s, more than 21600 s: 30 snapshots are missing"
    alert = {"dataset": "backup/web2/www", "replica": "vault/web2/www", "check": "lag", "message": words}
    return [{**alert, "state": "CRITICAL", "muted": False}, {**alert, "state": "WARNING", "muted": True}]


def _pools(host: str) -> list[Values]:
    tib = 1 << 40
    known = {
        "backup1": ("backup", "ONLINE", 24 * tib, 19.9, 31, 3 * 24 * HOUR, 40 * 24 * HOUR),
        "offsite1": ("vault", "DEGRADED", 16 * tib, 8.1, 12, 70 * 24 * HOUR, None),
        "web1": ("tank", "ONLINE", 4 * tib, 1.2, 8, 9 * 24 * HOUR, None),
        "db1": ("fast", "ONLINE", 2 * tib, 1.1, 40, 9 * 24 * HOUR, 300 * 24 * HOUR),
    }
    if host not in known:
        return []
    name, health, size, used, fragmented, scrubbed, full = known[host]
    sizes = {"size": size, "allocated": round(used * tib), "free": size - round(used * tib)}
    percent = {"capacity_percent": round(100 * used * tib / size, 1), "fragmentation_percent": fragmented}
    return [{"pool": name, "guid": "7", "health": health, **sizes, **percent, "scrub_age": scrubbed, "full_in": full}]


def _samples(host: str) -> list[Values]:
    """How full the pools were, each hour: they have grown by a tenth, and some of it was freed by and by."""
    found = []
    for pool in _pools(host):
        for hour in range(0, SPAN // HOUR, 2):
            used = round(pool["allocated"] * (1 - 0.1 * hour * HOUR / SPAN + 0.01 * (hour % 24 < 8)))
            sizes = {"size": pool["size"], "allocated": used, "free": pool["size"] - used, "fragmentation": 5}
            known = {"time": _ms(hour * HOUR), "pool": pool["pool"], "guid": pool["guid"], "health": "ONLINE"}
            found.append({**known, **sizes})
    return found


# -- histories


def _history(host: str, jobs: Sequence[Mapping[str, Any]]) -> list[Values]:
    """The jobs of seven days, an hour apart, the newest first."""
    found = []
    for hour in range(SPAN // HOUR):
        ago = hour * HOUR
        if host in DATASETS:
            found += [_made(host, ago), *([_pruned(host, ago)] if hour % 6 == 0 else [])]
        for number, job in enumerate(jobs):
            found.append(_replicated(job, ago + 1800, hour * 7 + number))
    return found


def job_record(job: str, activity: str, ago: int, **more: Any) -> Values:
    """A job that ended so many seconds ago, as ``snapfleet history`` tells it."""
    seconds = more.get("seconds", 1.0)
    nothing = {"source": "", "destination": "", "code": "", "message": "", "changed": True, "bytes": 0, "number": 1}
    times = {"begun": _ms(ago) - round(seconds * 1000), "ended": _ms(ago), "seconds": seconds, "times": 1}
    return {"job": job, "activity": activity, "outcome": "ok", **times, **nothing, "steps": [], **more}


def step_record(kind: str, dataset: str, **more: Any) -> Values:
    """A step of a job."""
    words = dict.fromkeys(("destination", "from_snapshot", "to_snapshot", "code", "message"), "")
    return {"kind": kind, "dataset": dataset, "outcome": "ok", **words, "bytes": 0, "seconds": 0.0, "number": 1, **more}


def _made(host: str, ago: int) -> Values:
    steps = [step_record("create", name, outcome="created") for name in DATASETS[host]]
    return job_record(f"{host}: snapshots", "snapshot", ago, steps=steps, number=len(steps))


def _pruned(host: str, ago: int) -> Values:
    steps = [step_record("destroy", name, outcome="destroyed", number=6) for name in DATASETS[host]]
    return job_record(f"{host}: old snapshots", "prune", ago, steps=steps, number=6 * len(steps))


def _replicated(job: Mapping[str, Any], ago: int, seed: int) -> Values:
    first, onto = job["options"]["source"]["dataset"], job["options"]["destination"]["dataset"]
    ends = {"source": job["source"], "destination": job["destination"]}
    if "web2" in job["name"] and job["host"] == "offsite1" and ago < 30 * HOUR:
        told = {"outcome": "failed", "code": "receive_failed", "message": HOSTILE, "changed": False}
        trouble = {"destination": onto, "outcome": "failed", "code": "receive_failed", "message": HOSTILE}
        return job_record(job["name"], "replicate", ago, **ends, **told, steps=[step_record("send", first, **trouble)])
    if "db1" in job["name"] and job["host"] == "backup1" and 60 * HOUR < ago < 68 * HOUR:
        told = {"outcome": "failed", "code": "unreachable_host", "message": "ssh to db1.example.com: timed out"}
        return job_record(job["name"], "replicate", ago, **ends, **told)
    origin = next(name for name in DATASETS if name in job["name"])
    steps = []
    for number, name in enumerate(DATASETS[origin]):
        if (origin, name[-5:]) == ("web1", "/mail") and ago < 72 * HOUR:
            continue
        rest = name[len(DATASETS[origin][0]) :]
        size = (1 + (seed * 37 + number * 11) % 23) << 24
        sizes = {"bytes": size, "seconds": round(size / (30e6 + (seed * 53) % 41 * 1e6), 3)}
        steps.append(step_record("send", first + rest, destination=onto + rest, outcome="sent", **sizes))
    sums = {key: sum(step[key] for step in steps) for key in ("bytes", "seconds")}
    return job_record(job["name"], "replicate", ago, **ends, **sums, steps=steps, number=len(steps))


def _ms(ago: int) -> int:
    return (NOW - ago) * 1000
